"""COCO's areas (polygons, run lengths, boxes) as pixels of classes. It knows no files."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drive_rl.perception.data.formats.labels.files import Json, short
from drive_rl.perception.data.records import FARTHEST_PX, BadRecord
from drive_rl.perception.data.samples import UNKNOWN_CLASS
from drive_rl.sim.sensors.renderer import BACKGROUND

MOST_POINTS = 200_000
"""Points of polygons, and run lengths, of a picture; COCO's richest has some 20,000."""

MOST_PAINTED = 500_000_000
"""Pixels of a picture's areas together, overlaps again and again: some seconds of work."""

_MOST_CROSSINGS = 2_000_000  # rows that the edges of one outline cross, together
_OUTLINE, _CROSSING = 20_000, 50  # times the work of a pixel

_LONGEST_RUN = 2**31  # beyond any picture
Painted = tuple[tuple[slice, slice], NDArray[np.bool_], int]
"""A part of the picture, which of its pixels are in an area, and how many pixels' work that was."""


@dataclass(frozen=True)
class Runs:
    """Run lengths down the columns of a picture, those outside first."""

    size: Any  # [height, width], as the file has it
    lengths: NDArray[np.int64]


@dataclass(frozen=True)
class Area:
    """Pixels of one class: polygons (P, 2) continuous column and row, or run lengths."""

    known_as: int  # index into CLASSES
    polygons: tuple[NDArray[np.float64], ...]
    runs: Runs | None = None
    crowd: bool = False
    """Whether it surrounds a group (`iscrowd`): which of its pixels are of the class is not known."""

    @property
    def points(self) -> int:
        """How many points and run lengths it has."""
        return sum(map(len, self.polygons)) + (0 if self.runs is None else len(self.runs.lengths))


def area_of(annotation: Json, known_as: int) -> Area:
    """Return an annotation's area: its segmentation, or its box where it has none.

    Raises:
        BadRecord: neither is there, or not as COCO has it.
    """
    segmentation, crowd = annotation.get("segmentation"), annotation.get("iscrowd") == 1
    if isinstance(segmentation, dict):
        return Area(known_as, (), _runs(segmentation), crowd)
    if segmentation:
        return Area(known_as, _polygons(segmentation), crowd=crowd)
    x, y, width, height = _numbers(annotation.get("bbox"), "bbox", 4)
    if width <= 0 or height <= 0:
        raise BadRecord(f"empty box: bbox = {short(annotation['bbox'])}")
    box = np.array([[x, y], [x + width, y], [x + width, y + height], [x, y + height]])
    return Area(known_as, (box,), crowd=crowd)


def paint(areas: Sequence[Area], complete: bool, width: int, height: int) -> NDArray[np.uint8]:
    """Return (height, width) classes: road first, then what lies on it, in the order of CLASSES.

    A crowd is unknown, but for what is known apart from it.

    Args:
        areas: What is known.
        complete: Whether pixels beside the areas are background; else they are unknown.
        width: Of the picture [px].
        height: Of the picture [px].

    Raises:
        BadRecord: run lengths that do not fit the picture, or more work than a picture can be worth.
    """
    if sum(area.points for area in areas) > MOST_POINTS:
        raise BadRecord(f"too much for a picture: expected at most {MOST_POINTS:,} points and run lengths in all")
    classes = np.full((height, width), BACKGROUND if complete else UNKNOWN_CLASS, np.uint8)
    left = MOST_PAINTED
    for area in sorted(areas, key=lambda area: (area.known_as, not area.crowd)):
        for window, inside, work in _painted(area, width, height):
            left -= work
            if left < 0:
                raise BadRecord(f"too much for a picture: its areas go over more than {MOST_PAINTED:,} pixels")
            classes[window][inside] = UNKNOWN_CLASS if area.crowd else area.known_as
    return classes


def filled(polygon: NDArray[np.float64], width: int, height: int) -> NDArray[np.bool_]:
    """Return (height, width) whether a pixel's centre is inside a polygon (P, 2), by the even-odd rule."""
    whole = np.zeros((height, width), np.bool_)
    window, inside, _ = _filled(polygon, width, height)
    whole[window] = inside
    return whole


def _painted(area: Area, width: int, height: int) -> Iterator[Painted]:
    if area.runs is not None:
        yield _decoded(area.runs, width, height)
    for polygon in area.polygons:
        yield _filled(polygon, width, height)


def _filled(polygon: NDArray[np.float64], width: int, height: int) -> Painted:
    (left, top), (right, bottom) = _first_centre(polygon.min(axis=0)), _first_centre(polygon.max(axis=0))
    left, right = np.clip((left, right), 0, width)
    top, bottom = np.clip((top, bottom), 0, height)
    (x, y), (to_x, to_y) = polygon.T, np.roll(polygon, -1, axis=0).T
    first, last = (_first_centre(end(y, to_y)).clip(top, bottom) for end in (np.minimum, np.maximum))
    counts = last - first  # of rows that each edge crosses; 0 for a level one
    if (crossings := int(counts.sum())) > _MOST_CROSSINGS:
        raise BadRecord(f"too much for a picture: an outline crosses rows more than {_MOST_CROSSINGS:,} times")
    edge = np.repeat(np.arange(len(polygon)), counts)
    rows = np.arange(crossings) - np.repeat(np.cumsum(counts) - counts - first, counts)
    slope = ((to_x - x) / np.where(counts > 0, to_y - y, 1))[edge]
    columns = _first_centre(x[edge] + (rows + 0.5 - y[edge]) * slope).clip(left, right)
    crossed = np.zeros((bottom - top, right - left + 1), np.uint8)  # edges between a pixel and the one left of it
    np.bitwise_xor.at(crossed, (rows - top, columns - left), 1)
    inside = np.bitwise_xor.accumulate(crossed, axis=1)[:, :-1].astype(np.bool_)
    return (slice(top, bottom), slice(left, right)), inside, inside.size + _OUTLINE + _CROSSING * crossings


def _first_centre(place: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the first pixel whose centre is at or beyond a place."""
    return np.ceil(place - 0.5).astype(np.int64)


def _polygons(segmentation: Any) -> tuple[NDArray[np.float64], ...]:
    if not isinstance(segmentation, list):
        raise BadRecord("not COCO's segmentation: expected polygons or run lengths")
    polygons = [_numbers(polygon, "segmentation") for polygon in segmentation]
    if any(len(polygon) < 6 or len(polygon) % 2 for polygon in polygons):
        raise BadRecord("not a polygon: expected three or more pairs of numbers")
    return tuple(polygon.reshape(-1, 2) for polygon in polygons)


def _numbers(values: Any, key: str, count: int | None = None, farthest: float = FARTHEST_PX) -> NDArray[np.float64]:
    right = isinstance(values, list) and all(type(value) in (int, float) for value in values)
    if not right or (count is not None and len(values) != count):
        raise BadRecord(f"not numbers: {key} is missing, or not {count or 'lists of'} numbers")
    if not all(-farthest < value < farthest for value in values):  # nor NaN
        raise BadRecord(f"not pixels of a picture: a number in {key}")
    return np.array(values, np.float64)


def _decoded(runs: Runs, width: int, height: int) -> Painted:
    if runs.size != [height, width]:
        raise BadRecord(f"run lengths of another size: {short(runs.size)}, expected {[height, width]}")
    if runs.lengths.sum() != width * height:
        raise BadRecord("run lengths of another size: counts do not add up to the picture")
    ends = np.concatenate([[0], np.cumsum(runs.lengths)])
    is_inside = np.arange(len(runs.lengths)) % 2 == 1
    filled = np.flatnonzero(is_inside & (runs.lengths > 0))
    left, right = (ends[filled[0]] // height, -(-ends[filled[-1] + 1] // height)) if len(filled) else (0, 0)
    lengths = np.diff(ends.clip(left * height, right * height))
    inside = np.repeat(is_inside, lengths).reshape(right - left, height).T
    return (slice(0, height), slice(left, right)), inside, inside.size


def _runs(segmentation: Json) -> Runs:
    if not {"size", "counts"} <= segmentation.keys():
        raise BadRecord("not COCO's run lengths: expected size and counts")
    counts = segmentation["counts"]
    lengths = (
        _unpacked(counts) if isinstance(counts, str) else _numbers(counts, "counts", farthest=_LONGEST_RUN).tolist()
    )
    if not all(0 <= length <= _LONGEST_RUN and length == int(length) for length in lengths):
        raise BadRecord("not COCO's run lengths: expected whole numbers of pixels")
    return Runs(segmentation["size"], np.array(lengths, np.int64))


def _unpacked(counts: str) -> list[int]:
    """Return the run lengths of COCO's string: 5 bits a sign, lowest first, and from the fourth on the difference from
    the last but one (`rleFrString` of cocoapi's maskApi.c).
    """
    if len(counts) > MOST_POINTS:
        raise BadRecord(
            f"too much for a picture: run lengths of {len(counts):,} signs, expected at most {MOST_POINTS:,}"
        )
    lengths: list[int] = []
    value = shift = 0
    for sign in counts:
        bits = ord(sign) - 48
        if not 0 <= bits < 64 or shift > 30:
            raise BadRecord("not COCO's run lengths: counts holds other signs, or too long a number")
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:  # the number's last sign; its highest bit is the minus
            value -= (bits & 16) << (shift - 4)
            lengths.append(value + (lengths[-2] if len(lengths) > 2 else 0))
            value = shift = 0
    if shift:
        raise BadRecord("not COCO's run lengths: counts ends within a number")
    return lengths
