"""Reading CULane lane data sets: a `.lines.txt` beside each picture, and lists of pictures (xingangpan.github.io).

It knows their layout. Labels are read when a picture is, for the data set has 130,000 files of them. As in the
original's evaluator, each line is a lane, also one of a single point or of none.
"""

import os
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from drive_rl.perception.data.formats.labels.files import LONGEST_LINE, PICTURES, inside, label_lines, text_file
from drive_rl.perception.data.records import (
    FARTHEST_PX,
    MOST_LANES,
    MOST_POINTS,
    PARTS,
    BadRecord,
    Files,
    Floats,
    LaneTruth,
    Record,
    Skipped,
    check_resolution,
)

FILES = "CULane (list/*.txt, list/test_split/*.txt, or *.lines.txt beside pictures)"
_NAME = re.compile(r".*?\.(?:jpe?g|png|bmp|webp)(?=\s|$)", re.IGNORECASE)
_SCENARIO = re.compile(r"^test\d*_")
NO_LABELS = "without a .lines.txt: a picture without lanes, as the original's evaluator takes it"


def detect(root: Path) -> Files:
    """Return the lists of each part, or the `.lines.txt` where there is no list, which are all `train`.

    A part may have several lists of the same pictures, as train.txt and train_gt.txt: the one with the shortest name
    counts. Without a list of all test pictures, those of `test_split`, one a category, make up the part. Lists of
    which none is named after a part are all `train`.
    """
    lists = sorted((root / "list").glob("*.txt"), key=lambda path: (len(path.name), path.name))
    parts: Files = {}
    for part in PARTS:
        if named := [path for path in lists if path.stem.startswith(part)]:
            parts[part] = named[:1]
    if "test" not in parts and (split := sorted((root / "list/test_split").glob("*.txt"))):
        parts["test"] = split
    if parts or lists:
        return parts or {"train": lists}
    lines = sorted(root.rglob("*.lines.txt"))
    return {"train": lines} if lines else {}


def read(root: Path, files: list[Path], skipped: Skipped) -> Iterator[Record]:
    """Give the records of lists, or of `.lines.txt` files; bad ones go to `skipped`."""
    scenarios = _scenarios(root, files, skipped)
    for path in files:
        if path.name.endswith(".lines.txt"):
            yield _beside(path)
            continue
        for where, image in _listed(root, path, skipped):
            lines = image.with_name(f"{image.stem}.lines.txt")
            labels = partial(_listed_truth, lines, where, skipped)
            yield Record(where, image, lanes=labels, scenario=scenarios.get(image))


def _listed(root: Path, path: Path, skipped: Skipped) -> Iterator[tuple[str, Path]]:
    """Yield where each picture of a list is named, and the picture; names that cannot be go to `skipped`."""
    for where, line in label_lines(path, skipped, "CULane's"):
        # the picture, from the root (`/driver_23/a.jpg`); in train_gt.txt also its mask, and which lanes there are
        name = named.group() if (named := _NAME.match(line)) else line.split()[0]
        try:
            yield where, inside(root, name)
        except BadRecord as error:
            skipped.add(where, error)


def _scenarios(root: Path, files: list[Path], skipped: Skipped) -> dict[Path, str]:
    """Return the scenario of each picture in `test_split`, if test pictures are read: night in `test8_night.txt`."""
    if not any(path.stem.startswith("test") for path in files if path.suffix == ".txt"):
        return {}
    lists = sorted((root / "list/test_split").glob("*.txt"))
    return {image: _SCENARIO.sub("", path.stem) for path in lists for _, image in _listed(root, path, skipped)}


def _beside(lines: Path) -> Record:
    stem = lines.name.removesuffix(".lines.txt")
    images = [lines.with_name(stem + each) for suffix in PICTURES for each in (suffix, suffix.upper())]
    image = next((path for path in images if os.path.isfile(path)), images[0])
    return Record(str(lines), image, lanes=partial(_truth, lines))


def _listed_truth(path: Path, where: str, skipped: Skipped, width: int, height: int) -> LaneTruth:
    """Return the lanes of a picture of a list. Without its file it has none, unless the whole folder has no such file:
    then the data set's annotations were not unpacked there.
    """
    if os.path.exists(path):
        return _truth(path, width, height)
    if not any(path.parent.glob("*.lines.txt")):
        raise BadRecord(f"no .lines.txt in the picture's folder: {path.parent}")
    skipped.note(where, NO_LABELS)
    return LaneTruth((), None, width, height)


def _truth(path: Path, width: int, height: int) -> LaneTruth:
    lines = text_file(path, LONGEST_LINE).splitlines()
    lanes = [_lane(path, number, line) for number, line in enumerate(lines, start=1)]
    if len(lanes) > MOST_LANES or any(len(lane) > MOST_POINTS for lane in lanes):
        raise BadRecord(f"too much for a picture: expected at most {MOST_LANES} lanes of {MOST_POINTS:,} points")
    truth = LaneTruth(tuple(lanes), None, width, height)
    check_resolution(truth)
    return truth


def _lane(path: Path, number: int, line: str) -> Floats:
    try:
        points = np.array([float(word) for word in line.split()])
    except ValueError as error:
        raise BadRecord(f"not a number: {path}, line {number} ({error})") from error
    if len(points) % 2 or not (np.abs(points) < FARTHEST_PX).all():
        raise BadRecord(f"not pairs of pixels: {path}, line {number}")
    return points.reshape(-1, 2)
