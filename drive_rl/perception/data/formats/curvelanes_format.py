"""Reading CurveLanes lane data sets: `labels/NAME.lines.json` for each of `images/NAME.jpg`.

It knows their layout (Xu et al. 2020, "CurveLane-NAS", arXiv 2007.12147). The parts are folders `train` and `valid`;
`test` has no labels.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from drive_rl.perception.data.formats.labels.files import LONGEST_LINE, parsed_json, text_file
from drive_rl.perception.data.records import (
    FARTHEST_PX,
    MOST_LANES,
    MOST_POINTS,
    BadRecord,
    Files,
    Floats,
    LaneTruth,
    Record,
    Skipped,
    check_resolution,
)

FILES = "CurveLanes (labels/*.lines.json beside images)"
_SUFFIX = ".lines.json"


def detect(root: Path) -> Files:
    """Return the label files of the pictures of a folder."""
    files = sorted((root / "labels").glob(f"*{_SUFFIX}"))
    return {"train": files} if files else {}


def read(root: Path, files: list[Path], skipped: Skipped) -> Iterator[Record]:
    """Give the records of label files; these are read when their pictures are."""
    for path in files:
        image = root / "images" / f"{path.name.removesuffix(_SUFFIX)}.jpg"
        yield Record(str(path), image, lanes=partial(_truth, path))


def _truth(path: Path, width: int, height: int) -> LaneTruth:
    try:
        label = parsed_json(text_file(path, LONGEST_LINE))
    except ValueError as error:
        raise BadRecord(f"not JSON: {error}") from error
    lanes = label.get("Lines") if isinstance(label, dict) else None
    if not isinstance(lanes, list) or not all(isinstance(lane, list) for lane in lanes):
        raise BadRecord("not CurveLanes' JSON: expected an object with a list of lists, Lines")
    if len(lanes) > MOST_LANES or any(len(lane) > MOST_POINTS for lane in lanes):
        raise BadRecord(f"too much for a picture: expected at most {MOST_LANES} lanes of {MOST_POINTS:,} points")
    truth = LaneTruth(tuple(_lane(lane) for lane in lanes), None, width, height)
    check_resolution(truth)
    return truth


def _lane(points: list[Any]) -> Floats:
    """Return a lane (P, 2) of points with `x` and `y`, which the data set gives as texts."""
    try:
        lane = np.array([[float(point["x"]), float(point["y"])] for point in points]).reshape(-1, 2)
    except (TypeError, ValueError, KeyError, OverflowError) as error:
        raise BadRecord(f"not a point: expected x and y ({type(error).__name__}: {error})") from error
    if not (np.abs(lane) < FARTHEST_PX).all():
        raise BadRecord("not a pixel of a picture: a number in Lines")
    return lane
