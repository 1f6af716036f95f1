"""Names of categories of others' data sets -> our classes. It knows names, and values of masks. It knows no layout."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from drive_rl.perception.data.decode import read_values
from drive_rl.perception.data.records import BadRecord, Skipped
from drive_rl.perception.data.samples import UNKNOWN_CLASS
from drive_rl.sim.sensors.renderer import BACKGROUND, CLASSES, EGO_LANE, LINE, ROAD, VEHICLE

CATEGORIES = {
    **dict.fromkeys(("vehicle", "car", "truck", "bus", "van"), VEHICLE),
    **dict.fromkeys(("road", "drivable area"), ROAD),
    **dict.fromkeys(("ego lane",), EGO_LANE),
    **dict.fromkeys(("marking", "lane marking", "lane line"), LINE),
}
"""Names (`_` and `-` are spaces) and the class that each is."""
NOTHING = ("unlabeled", "unlabelled", "unknown", "void", "ignore")
"""Names of what is not labelled."""

_STRANGE = 254  # of a table of values: a value that has no name


def class_named(name: str) -> int | None:
    """Return the class of a category by its name; None: none of ours."""
    return CATEGORIES.get(_plain(name))


def note_one_class(where: str, classes: Iterable[int | None], skipped: Skipped) -> None:
    """Note that nothing can be learned from areas of a single class."""
    if len(known := {each for each in classes if each is not None}) == 1:
        skipped.note(
            where,
            f"areas of {CLASSES[known.pop()]} alone: nothing says what the rest of a picture is, so that masks are"
            " neither learned from these nor scored",
        )


def table_of(names: Sequence[str]) -> NDArray[np.uint8]:
    """Return our class of each value of a mask, (256,), from the names of its values, from 0 on.

    What is none of ours is background where the road has a name, and unknown where it has none. 255 is unknown.
    """
    rest = BACKGROUND if ROAD in map(class_named, names) else UNKNOWN_CLASS
    table = np.full(256, _STRANGE, np.uint8)
    table[255] = UNKNOWN_CLASS
    for value, name in enumerate(names[:255]):
        known = class_named(name)
        table[value] = UNKNOWN_CLASS if _plain(name) in NOTHING else rest if known is None else known
    return table


def read_named(path: Path, table: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """Return a mask of others' values as classes, (height, width).

    Raises:
        BadRecord: as `decode.read_values`, or a value without a name.
    """
    values = read_values(path, width, height)
    classes = table[values]
    if (strange := values[classes == _STRANGE]).size:
        raise BadRecord(f"unknown value in a mask: {path} holds {strange[0]}, which has no name")
    return classes


def _plain(name: str) -> str:
    return name.strip().lower().replace("_", " ").replace("-", " ")
