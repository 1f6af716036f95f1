"""One labelled picture of a data set on disk, before it is read: its path, and how to get its labels.

It knows what the readers of all formats have in common. It knows none of them, and no model.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from drive_rl.errors import DriveRLError

Floats = NDArray[np.float64]
Part = Literal["train", "val", "test"]
PARTS: tuple[Part, ...] = ("train", "val", "test")
_LONGEST_REASON = 500
Files = dict[Part, list[Path]]
"""The label files of each part of a data set. One without parts is all `train`."""


MOST_LANES, MOST_POINTS = 64, 2000
"""Of a picture, and of a lane: scoring must not take for ever. Data sets have up to 16, and 720 (LLAMAS)."""

_BELOW = 1.05
"""Of a picture's height: lanes may be drawn a little beyond its bottom."""

FARTHEST_PX = 1e6
"""Of a label: one beyond is a mistake."""

MOST_SKIPPED = 100_000
"""Records that may be left out of a data set before it is refused."""


class BadRecord(Exception):  # noqa: N818 -- it means that one record is left out, and never reaches the user
    """A record that cannot be used, and why."""


class OtherSize(BadRecord):
    """Labels of a picture of another size."""


@dataclass
class Skipped:
    """What a reader did with a data set: the records that it left out, and those that it took with a remark."""

    reasons: dict[str, str] = field(default_factory=dict)
    """Where each left out record is, and why."""
    notes: dict[str, str] = field(default_factory=dict)
    """Where each record or file taken with a remark is, and the remark."""
    summary: str = ""
    """What was found, and how much of it was taken; empty: nothing is said."""

    def add(self, where: str, why: object) -> None:
        """Leave out the record at `where`, a file and what of it.

        Raises:
            DriveRLError: there are too many of them.
        """
        self.reasons[where] = str(why)[:_LONGEST_REASON]
        if len(self.reasons) > MOST_SKIPPED:
            raise DriveRLError(f"more than {MOST_SKIPPED:,} records cannot be used; {'; '.join(self.report(3))}")

    def note(self, where: str, remark: str) -> None:
        """Take the record at `where`, with a remark."""
        self.notes[where] = remark[:_LONGEST_REASON]

    def __len__(self) -> int:
        """Return how many were left out."""
        return len(self.reasons)

    def report(self, first: int = 5) -> list[str]:
        """Return lines for people: the first few records left out, counts of reasons, remarks, and the summary."""
        lines = [f"skipped: {where}: {why}" for where, why in list(self.reasons.items())[:first]]
        if self.reasons:
            counts = Counter(why.partition(":")[0] for why in self.reasons.values())
            reasons = ", ".join(f"{why}: {n}" for why, n in counts.most_common())
            lines.append(f"skipped in all: {len(self)} ({reasons})")
        for remark, n in Counter(self.notes.values()).most_common():
            where = next(where for where, each in self.notes.items() if each == remark)
            lines.append(f"noted: {where}: {remark}" + (f" (and {n - 1} more)" if n > 1 else ""))
        return [printable(line) for line in [*lines, self.summary] if line]


def printable(text: str) -> str:
    """Return a text, which may hold names from a stranger's file, with its control characters escaped."""
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


@dataclass(frozen=True)
class LaneTruth:
    """The lanes of a picture as its data set has them, in pixels of the data set's own picture.

    Coordinates count from the centre of the top left pixel, as those of TuSimple, CULane and OpenCV do.
    """

    lanes: tuple[Floats, ...]
    """Painted lines: (P, 2) columns and rows; with `h_samples`, (R,) columns, negative where the line is not."""
    h_samples: Floats | None
    """(R,) rows that TuSimple's columns belong to; None: points, as CULane has them."""
    width: int
    """Of the picture that the coordinates count in [px]."""
    height: int
    slots: tuple[int, ...] | None = None
    """Which of `Samples.lines` each lane is, where the data set has that."""

    def points(self) -> list[Floats]:
        """Return the lanes as (P, 2) points (column, row), as CULane has them.

        Sampled lanes have two points at least. Others are as their file has them: a lane of one point, or none, is
        never found, and the original's rule counts it as missed.
        """
        if self.h_samples is None:
            return list(self.lanes)
        lanes = [np.stack([lane, self.h_samples], axis=1)[lane >= 0] for lane in self.lanes]
        return [lane for lane in lanes if len(lane) > 1]

    def scaled(self, width: int, height: int) -> Self:
        """Return the lanes in a picture of another size: the lane benchmarks count pixels of 1280 x 720 (TuSimple) or
        1640 x 590 (CULane).
        """
        scale = np.array([width / self.width, height / self.height])
        if self.h_samples is None:
            lanes = tuple((lane + 0.5) * scale - 0.5 for lane in self.lanes)
            return replace(self, lanes=lanes, width=width, height=height)
        moved = tuple(np.maximum((lane + 0.5) * scale[0] - 0.5, 0) for lane in self.lanes)
        lanes = tuple(np.where(lane < 0, -2.0, new) for lane, new in zip(self.lanes, moved, strict=True))
        rows = (self.h_samples + 0.5) * scale[1] - 0.5
        return replace(self, lanes=lanes, h_samples=rows, width=width, height=height)


def check_resolution(truth: LaneTruth) -> None:
    """Refuse lanes that were labelled in a larger picture: below its bottom, or for the most part right of it.

    Raises:
        BadRecord: with the farthest row and column.
    """
    points = np.concatenate([np.empty((0, 2)), *truth.points()])
    columns, rows = points.T
    lowest = max(rows.max(initial=0), 0 if truth.h_samples is None else truth.h_samples.max(initial=0))
    if lowest > _BELOW * truth.height or (columns > truth.width).sum() > len(columns) / 2:
        raise OtherSize(
            f"labels of another resolution: they reach row {lowest:.0f} and column {columns.max(initial=0):.0f}, the"
            f" picture is {truth.width} x {truth.height} px"
        )


@dataclass(frozen=True)
class State:
    """Labels that only our own data sets have."""

    lane: tuple[float, ...]  # LANE_FIELDS, SI units
    tier: str
    weather: str
    seed: int


@dataclass(frozen=True)
class Record:
    """One picture, and how to get its labels.

    `lanes` and `classes` take the picture's width and height [px], and raise BadRecord.
    """

    where: str
    """File and record, for people."""
    image: Path
    lanes: Callable[[int, int], LaneTruth] | None = None
    """Its painted lines; None: without this label."""
    classes: Callable[[int, int], NDArray[np.uint8]] | None = None
    """Its mask, (height, width) indices as in `Samples.classes`; None: without this label."""
    state: State | None = None
    earlier: tuple[Path, ...] = ()
    """The pictures before, newest first."""
    scenario: str | None = None
    """Of the data set's own: the kind of scene, such as night; None: it names none."""
