"""Reading Cityscapes' fine labels: `gtFine/PART/CITY/*_labelIds.png` of `leftImg8bit/PART/CITY` (Cordts et al. 2016,
arXiv 1604.01685; the values are those of github.com/mcordts/cityscapesScripts). It knows their layout.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from drive_rl.perception.data.formats.labels.category_names import read_named
from drive_rl.perception.data.records import Files, Part, Record, Skipped
from drive_rl.perception.data.samples import UNKNOWN_CLASS
from drive_rl.sim.sensors.renderer import BACKGROUND, ROAD, VEHICLE

FILES = "Cityscapes (gtFine/*/*/*_labelIds.png beside leftImg8bit)"
_LABELLED: tuple[Part, ...] = ("train", "val")  # the masks of its test part are empty
_SUFFIX = "_gtFine_labelIds.png"


def detect(root: Path) -> Files:
    """Return the masks of each part with labels."""
    files: Files = {part: sorted((root / "gtFine" / part).glob(f"*/*{_SUFFIX}")) for part in _LABELLED}
    return {part: masks for part, masks in files.items() if masks}


def read(root: Path, files: list[Path], skipped: Skipped) -> Iterator[Record]:
    """Give the records of masks: road (with the ego lane and markings, which have no label), vehicles, background."""
    table = _table()
    for mask in files:
        stem = mask.name.removesuffix(_SUFFIX)
        image = root / "leftImg8bit" / mask.parent.relative_to(root / "gtFine") / f"{stem}_leftImg8bit.png"
        yield Record(str(mask), image, classes=partial(read_named, mask, table))


def _table() -> np.ndarray:
    """Return our class of each value: 7 is the road, 26 to 30 car, truck, bus, caravan, trailer, and 0 to 6 nothing."""
    table = np.full(256, UNKNOWN_CLASS, np.uint8)
    table[7:34] = BACKGROUND
    table[7] = ROAD
    table[26:31] = VEHICLE
    return table
