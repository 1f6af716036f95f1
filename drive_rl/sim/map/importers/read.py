"""Maps of others, by the kind of their file."""

from collections.abc import Callable, Mapping
from pathlib import Path

from drive_rl.config.specs.streets.map import FileMapSpec, read_map_file
from drive_rl.sim.map.importers.lanelet2 import read_lanelet2
from drive_rl.sim.map.importers.opendrive.read import read_opendrive
from drive_rl.sim.map.network import StreetMap

_READERS: Mapping[str, Callable[[Path], StreetMap]] = {"lanelet2": read_lanelet2, "opendrive": read_opendrive}


def read_map(spec: FileMapSpec) -> StreetMap:
    """Return the map in a file.

    Raises:
        DriveRLError: it cannot be read or driven, or is not the file that was recorded; names the file, what was
            expected, and the fix.
    """
    if spec.sha256 is not None:
        read_map_file(spec.path, spec.sha256)
    return _READERS[spec.kind](Path(spec.path))
