"""Writers of films, by suffix: `.mp4`, `.gif`, or a folder of PNGs. A film is written whole or not at all.

It knows frames, (H, W, 3) RGB uint8; it does not know what they show.
"""

import errno
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar, Protocol

import av
import av.error
import cv2
import numpy as np
from av.container import OutputContainer
from av.video.reformatter import ColorRange, Colorspace

from drive_rl.errors import DriveRLError
from drive_rl.report.film.canvas import Picture
from drive_rl.report.film.gif_palette import Palette
from drive_rl.report.film.layout import HEIGHT_PX, WIDTH_PX
from drive_rl.run.storage.atomic import explain_disk_errors, make_directory, write_directory, write_file

SUPPORTED = ".mp4, .gif, or a folder (no suffix)"

_X264 = {"preset": "superfast", "crf": "27", "x264-params": "mbtree=1:rc-lookahead=10"}
"""A lookahead of ten frames halves the file at no cost: 5 kB a frame at 43 dB (`veryfast` takes half as long again)."""


class FilmWriter(Protocol):
    """Takes frames one by one."""

    def begin_episode(self) -> None:
        """Begin the next episode."""
        ...

    def add(self, frame: Picture) -> None:
        """Take the next frame."""
        ...


def check_out(out: Path, overwrite: bool) -> None:
    """Check that a film may be written there, before driving.

    Raises:
        DriveRLError: the suffix is unknown, or something there may not be replaced.
    """
    if out.suffix.lower() not in ("", ".mp4", ".gif"):
        raise DriveRLError(
            f"{out}: unknown kind of film {out.suffix!r}; expected {SUPPORTED}; fix: such as {out.stem}.mp4"
        )
    if not out.exists():
        return
    if not overwrite:
        raise DriveRLError(f"{out}: exists; fix: --overwrite, or another name")
    if out.suffix and out.is_dir():
        raise DriveRLError(f"{out}: is a folder, and a {out.suffix} film is a file; fix: another name")
    if not out.suffix and not (out.is_dir() and _only_frames(out)):
        raise DriveRLError(f"{out}: holds more than a film's frames and is not replaced; fix: another name")


@contextmanager
def film_writer(out: Path, frames_per_s: int, overwrite: bool = False) -> Iterator[FilmWriter]:
    """Yield a writer; the film takes its name when the block succeeds, and nothing is left when it fails.

    Raises:
        DriveRLError: as `check_out`; or it cannot be written there, or the disk is full.
    """
    with _os_errors_explained(out), explain_disk_errors(out), _plain_errors():
        check_out(out, overwrite)
        if not out.suffix:
            with write_directory(out) as folder:
                yield _Folder(folder)
        else:
            make_directory(out.parent)
            with write_file(out) as path, _stream(path, out.suffix.lower(), frames_per_s) as film:
                yield film


@contextmanager
def _os_errors_explained(out: Path) -> Iterator[None]:
    """Turn other errors of the system into a `DriveRLError`."""
    try:
        yield
    except OSError as error:
        why = error.strerror or error
        raise DriveRLError(f"{out}: cannot be written ({why}); fix: another name or folder") from error


@contextmanager
def _plain_errors() -> Iterator[None]:
    """Turn PyAV's errors that carry an error number into plain `OSError`s."""
    try:
        yield
    except av.error.FFmpegError as error:
        if isinstance(error, OSError) or error.errno not in errno.errorcode:
            raise
        raise OSError(error.errno, error.strerror) from error


@contextmanager
def _stream(path: Path, suffix: str, frames_per_s: int) -> Iterator[FilmWriter]:
    """Yield an encoder into a file, and finish the file; if the block fails, only close it."""
    kind = {".mp4": _H264, ".gif": _Gif}[suffix]
    # `file:` and an absolute path, because FFmpeg takes a name such as 12:30.mp4 for a server's address
    form = suffix.removeprefix(".")  # the temporary name has no suffix of its own
    container = av.open(f"file:{path.absolute()}", "w", format=form, options=kind.container_options)
    try:
        film = kind(container, frames_per_s)
        yield film
        film.finish()
    except BaseException:
        with suppress(Exception):
            container.close()
        raise
    container.close()


def _only_frames(folder: Path) -> bool:
    return all(path.is_dir() and path.name.startswith("episode_") for path in folder.iterdir())


class _Folder:
    """PNGs: `episode_001/frame_00001.png`."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._episode, self._frame = folder, 0, 0

    def begin_episode(self) -> None:
        self._episode, self._frame = self._episode + 1, 0
        (self._folder / f"episode_{self._episode:03}").mkdir()

    def add(self, frame: Picture) -> None:
        self._frame += 1
        path = self._folder / f"episode_{self._episode:03}" / f"frame_{self._frame:05}.png"
        _, data = cv2.imencode(".png", frame[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1])
        path.write_bytes(data.tobytes())


class _H264:
    """H.264 in MP4 that browsers play: 4:2:0, and the index first (`faststart`), so that playback starts at once."""

    container_options: ClassVar = {"movflags": "+faststart"}

    def __init__(self, container: OutputContainer, frames_per_s: int) -> None:
        self._container = container
        self._stream = container.add_stream("libx264", rate=frames_per_s, options=_X264)
        self._stream.width, self._stream.height, self._stream.pix_fmt = WIDTH_PX, HEIGHT_PX, "yuv420p"
        # what OpenCV converts to, stated explicitly: players guess BT.709 at this size
        self._stream.codec_context.colorspace = Colorspace.ITU601
        self._stream.codec_context.color_range = ColorRange.MPEG

    def begin_episode(self) -> None:
        pass

    def add(self, frame: Picture) -> None:
        planes = np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2YUV_I420), np.uint8)
        self._container.mux(self._stream.encode(av.VideoFrame.from_ndarray(planes, format="yuv420p")))

    def finish(self) -> None:
        self._container.mux(self._stream.encode())


class _Gif:
    """An animated GIF of half the size, with a palette of its own for each episode."""

    container_options: ClassVar = {"loop": "0"}

    def __init__(self, container: OutputContainer, frames_per_s: int) -> None:
        self._container = container
        self._stream = container.add_stream("gif", rate=frames_per_s)
        self._stream.width, self._stream.height, self._stream.pix_fmt = WIDTH_PX // 2, HEIGHT_PX // 2, "pal8"
        self._palette: Palette | None = None

    def begin_episode(self) -> None:
        self._palette = None

    def add(self, frame: Picture) -> None:
        small = np.asarray(cv2.resize(frame, (WIDTH_PX // 2, HEIGHT_PX // 2), interpolation=cv2.INTER_AREA), np.uint8)
        self._palette = self._palette or Palette(small)
        coloured: Any = (self._palette.indices(small), self._palette.argb)  # PyAV's types know no pairs
        picture = av.VideoFrame.from_ndarray(coloured, format="pal8")
        self._container.mux(self._stream.encode(picture))

    def finish(self) -> None:
        self._container.mux(self._stream.encode())
