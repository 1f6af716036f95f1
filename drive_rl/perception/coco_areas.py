"""COCO's areas (polygons, run lengths, boxes) as pixels of classes. It knows no files."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drive_rl.perception.extra import need
from drive_rl.perception.frames import UNKNOWN_CLASS
from drive_rl.perception.records import BadRecord
from drive_rl.perception.scores.culane import FARTHEST_PX
from drive_rl.sim.render import BACKGROUND


@dataclass(frozen=True)
class Area:
    """Pixels of one class: polygons (P, 2) continuous column and row, or run lengths."""

    known_as: int  # index into CLASSES
    polygons: tuple[NDArray[np.float64], ...]
    runs: dict[str, Any] | None = None


def area_of(annotation: dict[str, Any], known_as: int) -> Area:
    """Return an annotation's area: its segmentation, or its box where it has none.

    Raises:
        BadRecord: neither is there, or not as COCO has it.
    """
    segmentation = annotation.get("segmentation")
    if isinstance(segmentation, dict):
        if not {"size", "counts"} <= segmentation.keys():
            raise BadRecord("not COCO's run lengths: expected size and counts")
        return Area(known_as, (), segmentation)
    if segmentation:
        return Area(known_as, _polygons(segmentation))
    x, y, width, height = _numbers(annotation.get("bbox"), "bbox", 4)
    if width <= 0 or height <= 0:
        raise BadRecord(f"empty box: bbox = {annotation['bbox']}")
    return Area(known_as, (np.array([[x, y], [x + width, y], [x + width, y + height], [x, y + height]]),))


def paint(areas: tuple[Area, ...], complete: bool, width: int, height: int) -> NDArray[np.uint8]:
    """Return (height, width) classes: road first, then what lies on it, in the order of CLASSES.

    Args:
        areas: What is known.
        complete: Whether pixels beside the areas are background; else they are unknown.
        width: Of the picture [px].
        height: Of the picture [px].

    Raises:
        BadRecord: run lengths that do not fit the picture.
    """
    classes = np.full((height, width), BACKGROUND if complete else UNKNOWN_CLASS, np.uint8)
    for area in sorted(areas, key=lambda area: area.known_as):
        if area.runs is not None:
            classes[_decoded(area.runs, width, height)] = area.known_as
        else:
            for polygon in area.polygons:
                classes[filled(polygon, width, height)] = area.known_as
    return classes


def filled(polygon: NDArray[np.float64], width: int, height: int) -> NDArray[np.bool_]:
    """Return (height, width) whether a pixel's centre is inside a polygon (P, 2), by the even-odd rule."""
    crossed = np.zeros((height, width + 1), np.int64)  # edges that lie between a pixel and the one left of it
    for (x, y), (to_x, to_y) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        first, last = np.clip(np.ceil(np.sort([y, to_y]) - 0.5), 0, height).astype(np.int64)
        rows = np.arange(first, last)  # none for a level edge
        columns = x + (rows + 0.5 - y) * ((to_x - x) / (to_y - y) if len(rows) else 0)
        np.add.at(crossed, (rows, np.clip(np.ceil(columns - 0.5), 0, width).astype(np.int64)), 1)
    return np.cumsum(crossed, axis=1)[:, :width] % 2 == 1


def _polygons(segmentation: Any) -> tuple[NDArray[np.float64], ...]:
    if not isinstance(segmentation, list):
        raise BadRecord("not COCO's segmentation: expected polygons or run lengths")
    polygons = [_numbers(polygon, "segmentation") for polygon in segmentation]
    if any(len(polygon) < 6 or len(polygon) % 2 for polygon in polygons):
        raise BadRecord("not a polygon: expected three or more pairs of numbers")
    return tuple(polygon.reshape(-1, 2) for polygon in polygons)


def _numbers(values: Any, key: str, count: int | None = None) -> NDArray[np.float64]:
    right = isinstance(values, list) and all(type(value) in (int, float) for value in values)
    if not right or (count is not None and len(values) != count):
        raise BadRecord(f"not numbers: {key} is missing, or not {count or 'lists of'} numbers")
    if not all(math.isfinite(value) and abs(value) < FARTHEST_PX for value in values):
        raise BadRecord(f"not pixels of a picture: a number in {key}")
    return np.array(values, np.float64)


def _decoded(runs: dict[str, Any], width: int, height: int) -> NDArray[np.bool_]:
    """Return the pixels of run lengths, which count down the columns and begin with those outside."""
    size, counts = runs["size"], runs["counts"]
    if size != [height, width]:
        raise BadRecord(f"run lengths of another size: {size}, expected {[height, width]}")
    if isinstance(counts, str):
        return need("faster_coco_eval").mask.decode({"size": size, "counts": counts}).astype(bool)
    lengths = _numbers(counts, "counts").astype(np.int64)
    if (lengths < 0).any() or lengths.sum() != width * height:
        raise BadRecord("run lengths of another size: counts do not add up to the picture")
    inside = np.arange(len(lengths)) % 2 == 1
    return np.repeat(inside, lengths).reshape(width, height).T
