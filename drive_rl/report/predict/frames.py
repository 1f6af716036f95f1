"""Pictures from an image, a folder of images, a video or a camera, one after the other. It knows no model."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import av
import av.error
import cv2
import numpy as np

from drive_rl.config.shelf import home
from drive_rl.errors import DriveRLError
from drive_rl.perception.data.decode import read_picture
from drive_rl.perception.data.records import BadRecord
from drive_rl.report.film.canvas import Picture

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
_FOLDER_FPS = 10
_FASTEST_FPS = 240
_KINDS = "an image (.png, .jpg, .bmp, .webp), a folder of them, a video, or a camera's number"


class Frame(NamedTuple):
    """One picture, and where it comes from."""

    picture: Picture
    name: str
    """The file's path in its folder, or the source's name."""
    time_s: float | None
    """Since the first of a video or of a folder at its rate; None: of a camera or a single image."""


class Frames(NamedTuple):
    """Pictures in order."""

    each: Iterator[Frame]
    frames_per_s: int
    is_still: bool
    """Whether it is a single image."""


@contextmanager
def open_frames(source: str, but: Path | None = None) -> Iterator[Frames]:
    """Yield the pictures of a source, which is closed after the block.

    Args:
        source: A path, or a camera's number such as `0`. A folder's subfolders belong to it; hidden ones do not.
        but: A folder whose pictures do not belong to the source; None: all belong to it.

    Raises:
        DriveRLError: there is no such file or camera, or it cannot be read.
    """
    if source.isdecimal():
        with _camera(int(source)) as frames:
            yield frames
        return
    path = home(source)
    if not path.exists():
        raise DriveRLError(f"{source}: no such file or folder; expected {_KINDS}; fix: check the path")
    if path.is_dir():
        yield _folder(path, but)
    elif path.suffix.lower() in SUFFIXES:
        yield Frames(iter([Frame(_image(path), path.name, None)]), 1, True)
    else:
        with _video(path) as frames:
            yield frames


def _image(path: Path) -> Picture:
    try:
        return read_picture(path, 3)
    except BadRecord as error:
        raise DriveRLError(f"{error}; fix: another picture, or leave it out of the folder") from error


def _folder(path: Path, but: Path | None) -> Frames:
    left_out = None if but is None else but.resolve()
    files = sorted(each for each in path.rglob("*") if each.suffix.lower() in SUFFIXES and _shown(each, path, left_out))
    if not files:
        raise DriveRLError(f"{path}: holds no images; expected {', '.join(SUFFIXES)}; fix: another folder")
    each = (Frame(_image(file), file.relative_to(path).as_posix(), i / _FOLDER_FPS) for i, file in enumerate(files))
    return Frames(each, _FOLDER_FPS, False)


def _shown(file: Path, folder: Path, but: Path | None) -> bool:
    """Whether a file of a folder belongs to it: not what lies in a hidden folder, or where predictions are drawn."""
    hidden = any(part.startswith(".") for part in file.relative_to(folder).parts[:-1])
    return not hidden and (but is None or but not in file.resolve().parents)


@contextmanager
def _video(path: Path) -> Iterator[Frames]:
    try:
        with av.open(f"file:{path.absolute()}") as container:
            if not container.streams.video:
                raise DriveRLError(f"{path}: holds no video; expected {_KINDS}; fix: another file")
            stream = container.streams.video[0]
            rate = min(max(1, round(float(stream.average_rate or _FOLDER_FPS))), _FASTEST_FPS)
            each = (
                Frame(frame.to_ndarray(format="rgb24"), path.name, frame.time)  # pyright: ignore[reportArgumentType]
                for frame in container.decode(stream)
            )
            yield Frames(each, rate, False)
    except av.error.FFmpegError as error:
        raise DriveRLError(
            f"{path}: cannot be read ({error.strerror}); expected {_KINDS}; fix: another file"
        ) from error


@contextmanager
def _camera(number: int) -> Iterator[Frames]:
    device = Path(f"/dev/video{number}")
    if not device.exists():
        raise DriveRLError(f"camera {number}: there is no {device}; fix: plug it in, or another number")
    camera = cv2.VideoCapture(number, cv2.CAP_V4L2)
    try:
        if not camera.isOpened():
            raise DriveRLError(f"camera {number}: cannot be opened; fix: its permissions, or close what uses it")
        rate = camera.get(cv2.CAP_PROP_FPS)
        yield Frames(_captured(camera, number), round(rate) if 1 <= rate <= _FASTEST_FPS else _FOLDER_FPS, False)
    finally:
        camera.release()


def _captured(camera: cv2.VideoCapture, number: int) -> Iterator[Frame]:
    while True:
        whole, picture = camera.read()
        if not whole:
            return
        yield Frame(np.ascontiguousarray(picture[..., ::-1], np.uint8), f"camera {number}", None)
