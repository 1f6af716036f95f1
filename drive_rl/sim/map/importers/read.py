"""Maps of others, by the kind of their file."""

from collections.abc import Callable, Mapping
from pathlib import Path

from drive_rl.sim.map.importers.lanelet2 import read_lanelet2
from drive_rl.sim.map.importers.opendrive.read import read_opendrive
from drive_rl.sim.map.network import StreetMap

_READERS: Mapping[str, Callable[[Path], StreetMap]] = {"lanelet2": read_lanelet2, "opendrive": read_opendrive}


def read_map(path: Path, kind: str) -> StreetMap:
    """Return the map in a file of a kind.

    Raises:
        DriveRLError: it cannot be read or driven; names the file, what was expected, and the fix.
    """
    return _READERS[kind](path)
