"""Records -> `Samples` of the size that a model takes: decoding and resizing with OpenCV.

It knows files of pictures. It knows no format of data sets.
"""

from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from drive_rl.config.specs.world import WorldSpec
from drive_rl.perception.data.lane_anchors import line_columns
from drive_rl.perception.data.picture_header import picture_size
from drive_rl.perception.data.records import BadRecord, LaneTruth, OtherSize, Record
from drive_rl.perception.data.samples import UNKNOWN_CLASS, UNKNOWN_SCENE, WEATHER, Samples
from drive_rl.plain_files import read_plain
from drive_rl.sim.sensors.renderer import CLASSES

MOST_PIXELS = 64_000_000
"""Of a picture; cameras on cars have 0.3 to 12 million."""

_LARGEST = 1 << 28  # bytes of a file


def decode(record: Record, world: WorldSpec) -> tuple[Samples, LaneTruth | None]:
    """Return a record as one labelled picture of a world's camera, and its lanes as the data set has them.

    The picture is stretched to the camera's size, and made grey or RGB. A camera that stacks pictures gets the earlier
    ones, where the data set has them, and else the oldest one again. A picture that is marked as lying on its side is
    turned, as viewers and OpenCV do, unless its labels fit it as it lies.

    Raises:
        BadRecord: a picture or a label is missing, broken, or does not fit the other.
    """
    try:
        return _decoded(record, world, turned=True)
    except OtherSize:
        with suppress(BadRecord):
            return _decoded(record, world, turned=False)
        raise


def _decoded(record: Record, world: WorldSpec, turned: bool) -> tuple[Samples, LaneTruth | None]:
    camera = world.camera
    size = camera.height_px, camera.width_px
    there = record.image, *record.earlier
    stack = [there[min(age, len(there) - 1)] for age in camera.ages]
    pictures = {path: read_picture(path, camera.planes, turned) for path in reversed(stack)}
    newest = pictures[record.image]
    images = np.concatenate([_resized(pictures[path], size) for path in stack])
    samples = Samples.unlabelled(images[None])
    height, width = newest.shape[:2]
    truth = record.lanes(width, height) if record.lanes is not None else None
    if truth is not None:
        samples.lines[0], samples.lined[0] = line_columns(truth, size[0]), True
    if record.classes is not None:
        samples.classes[0] = cv2.resize(record.classes(width, height), size[::-1], interpolation=cv2.INTER_NEAREST)
    if (state := record.state) is not None:
        tiers = sorted(world.road.tiers)
        tier = tiers.index(state.tier) if state.tier in tiers else UNKNOWN_SCENE
        samples.lane[0], samples.seeds[0], samples.scene[0] = (
            state.lane,
            state.seed,
            (tier, WEATHER.index(state.weather)),
        )
    return samples, truth


def read_picture(path: Path, planes: int, turned: bool = True) -> NDArray[np.uint8]:
    """Return a picture, (h, w, 1) grey or (h, w, 3) RGB; `turned` as its EXIF orientation says, or as it lies.

    Raises:
        BadRecord: no file, or not a whole picture.
    """
    flags = cv2.IMREAD_GRAYSCALE if planes == 1 else cv2.IMREAD_COLOR
    picture = _read(path, flags if turned else flags | cv2.IMREAD_IGNORE_ORIENTATION)
    return picture[:, :, None] if planes == 1 else np.ascontiguousarray(picture[:, :, ::-1])


def read_mask(path: Path, width: int, height: int) -> NDArray[np.uint8]:
    """Return a mask of class indices, (height, width).

    Raises:
        BadRecord: no file, not a whole picture, of another size, or with other values than classes.
    """
    mask = read_values(path, width, height)
    check_classes(mask, str(path))
    return mask


def read_values(path: Path, width: int, height: int) -> NDArray[np.uint8]:
    """Return the values of a mask of one channel, (height, width).

    Raises:
        BadRecord: no file, not a whole picture, of another size or kind.
    """
    mask = _read(path, cv2.IMREAD_UNCHANGED, (width, height))
    if mask.shape != (height, width) or mask.dtype != np.uint8:
        planes = mask.shape[2] if mask.ndim == 3 else 1
        raise BadRecord(f"mask of another kind: {path} is {planes} x {8 * mask.itemsize} bits, expected 1 x 8 bits")
    return mask


def read_colours(path: Path, width: int, height: int) -> NDArray[np.uint8]:
    """Return the colours of a mask, (height, width, 3) RGB.

    Raises:
        BadRecord: no file, not a whole picture, or of another size.
    """
    return _read(path, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION, (width, height))[:, :, ::-1]


def check_classes(mask: NDArray[np.uint8], where: str) -> None:
    """Refuse a mask with other values than classes.

    Raises:
        BadRecord: with the first of them.
    """
    if (strange := np.setdiff1d(mask, [*range(len(CLASSES)), UNKNOWN_CLASS])).size:
        raise BadRecord(f"unknown class in a mask: {where} holds {strange[0]}, expected 0 to {len(CLASSES) - 1} or 255")


def _read(path: Path, flags: int, size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
    """Return a picture, of width and height `size` if that is given; a wrong one is refused by its header."""
    data = _bytes(path)
    try:
        width, height = picture_size(data)
    except ValueError as error:
        raise BadRecord(f"not a whole picture: {path} ({error})") from error
    if size is not None and size != (width, height):
        raise OtherSize(
            f"mask does not fit its picture: {path} is {width} x {height} px, expected {size[0]} x {size[1]}"
        )
    if width * height > MOST_PIXELS:
        raise BadRecord(f"too many pixels: {path} is {width} x {height} px, expected at most {MOST_PIXELS:,} in all")
    try:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:
        picture = None
    if picture is None:
        raise BadRecord(f"not a whole picture: {path}")
    return picture  # pyright: ignore[reportReturnType]


def _bytes(path: Path) -> bytes:
    """Return what a file holds; its suffix may be written in large or small letters."""
    for spelled in dict.fromkeys((path.suffix, path.suffix.lower(), path.suffix.upper())):
        try:
            return read_plain(path.with_suffix(spelled) if spelled else path, _LARGEST)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise BadRecord(f"cannot be read: {path} ({error.strerror})") from error
    raise BadRecord(f"no such file: {path}")


def _resized(picture: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Return (planes, *size) of a picture (h, w, planes)."""
    if picture.shape[:2] != size:
        shown = cv2.resize(picture, size[::-1], interpolation=cv2.INTER_AREA)
        picture = shown.reshape(*size, -1)  # pyright: ignore[reportAssignmentType] -- OpenCV drops a single plane
    return np.moveaxis(picture, 2, 0)
