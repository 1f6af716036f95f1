"""A model's predictions of pictures: drawn into a picture or film, and as JSON. It knows no labels and no scores."""

import json
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from drive_rl.config.shelf import home
from drive_rl.errors import DriveRLError
from drive_rl.perception.data.samples import LANE_FIELDS, anchor_rows
from drive_rl.perception.models.load import Trained
from drive_rl.report.film.canvas import Box, Picture, blank
from drive_rl.report.film.layout import HEIGHT_PX, WIDTH_PX
from drive_rl.report.film.writers import check_out, film_writer
from drive_rl.report.predict.drawing import dot_lines, draw_lane_middle, paint_classes, write_lane
from drive_rl.report.predict.frames import Frame, Frames, open_frames
from drive_rl.run.process.signals import stop_on_signals
from drive_rl.run.storage.atomic import write_bytes, write_text
from drive_rl.run.storage.json_values import plain
from drive_rl.sim.sensors.renderer import CLASSES

LINE_NAMES = ("right", "left", "left_2", "outer")
_PICTURES = (".png", ".jpg")
_LEAST_PX = 640  # of a drawn picture's longer side

Arrays = dict[str, NDArray[Any]]
"""Output -> the prediction of one picture."""


@dataclass(frozen=True)
class PredictedFrame:
    """What a model predicts of one picture. None: it does not predict that."""

    name: str
    time_s: float | None
    lane: dict[str, float] | None
    """LANE_FIELDS, SI units."""
    lines: dict[str, list[tuple[float, float]]] | None
    """Painted lines of LINE_NAMES: columns and rows [px] of the picture."""
    classes: dict[str, float] | None
    """Share of the picture's pixels."""


@dataclass(frozen=True)
class Predicted:
    """What the JSON file holds."""

    model: str
    sha256: str
    source: str
    frames: tuple[PredictedFrame, ...]
    model_ms: float
    """Median time of the model for a picture, with preparing it [ms]."""
    frames_per_s: float
    """With reading, drawing and writing."""


def predict(trained: Trained, source: str, out: Path, overwrite: bool = False, most: int | None = None) -> Predicted:
    """Draw what a model predicts of each picture into `out`, and write the predictions as JSON beside it.

    Args:
        trained: The model; pictures are stretched to its input's size.
        source: See `open_frames`. A camera runs until Ctrl-C.
        out: `.png` or `.jpg` of a single image; else `.mp4`, `.gif`, or a folder of PNGs.
        overwrite: Whether what exists is replaced.
        most: Stop after so many pictures.

    Raises:
        DriveRLError: the source cannot be read, or `out` cannot be written.
    """
    beside = json_beside(out)
    if beside.exists() and not overwrite:
        raise DriveRLError(f"{beside}: exists already; fix: --overwrite to replace it, or another name")
    if out.exists() and home(source).resolve() == out.resolve():
        raise DriveRLError(f"{out}: is the source, which is not replaced; fix: another name")
    with open_frames(source, out) as frames:
        run = _Run(trained, most)
        if frames.is_still:
            _still(run, frames, out)
        else:
            _film(run, frames, out, overwrite)
    found = run.result(source)
    write_text(beside, json.dumps(plain(asdict(found))))
    return found


def json_beside(out: Path) -> Path:
    """Return the JSON file beside a picture, film or folder."""
    return out.with_suffix(".json") if out.suffix else out.with_name(f"{out.name}.json")


def _still(run: "_Run", frames: Frames, out: Path) -> None:
    if out.suffix.lower() not in _PICTURES:
        raise DriveRLError(f"{out}: expected {' or '.join(_PICTURES)} for a single image; fix: another name")
    (drawn,) = run(frames.each)
    write_bytes(out, cv2.imencode(out.suffix.lower(), np.ascontiguousarray(drawn[..., ::-1]))[1].tobytes())


def _film(run: "_Run", frames: Frames, out: Path, overwrite: bool) -> None:
    check_out(out, overwrite)
    ground = blank(WIDTH_PX, HEIGHT_PX)
    with film_writer(out, frames.frames_per_s, overwrite) as film, stop_on_signals() as stop:
        film.begin_episode()
        for drawn in run(frames.each, lambda: bool(stop)):
            film.add(_framed(drawn, ground))
    if not run.found:
        raise DriveRLError("no picture came from the source; fix: another one")


class _Run:
    """Predicts and draws pictures one by one, and keeps the predictions."""

    def __init__(self, trained: Trained, most: int | None) -> None:
        self._trained, self._most, self._model = trained, most, trained.model
        camera = trained.spec.world.camera
        self._camera, self._size = camera, self._model.size
        self._stack: deque[NDArray[np.uint8]] = deque(maxlen=camera.depth)
        self.found: list[PredictedFrame] = []
        self._took_s: list[float] = []
        self._began_s = time.perf_counter()

    def __call__(self, frames: Iterator[Frame], stopped: Callable[[], bool] = lambda: False) -> Iterator[Picture]:
        """Yield drawn pictures."""
        self._began_s = time.perf_counter()
        for frame in frames:
            began_s = time.perf_counter()
            predictions = self._predict(frame.picture)
            self._took_s.append(time.perf_counter() - began_s)
            self.found.append(_readable(frame, predictions))
            yield self._draw(frame.picture, predictions)
            if stopped() or len(self.found) == self._most:
                return

    def result(self, source: str) -> Predicted:
        """Return everything so far."""
        whole_s = time.perf_counter() - self._began_s
        return Predicted(
            model=self._trained.name,
            sha256=self._trained.sha256,
            source=source,
            frames=tuple(self.found),
            model_ms=1000 * float(np.median(self._took_s)),
            frames_per_s=len(self.found) / whole_s,
        )

    def _predict(self, picture: Picture) -> Arrays:
        height, width = self._size
        small = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
        planes = small.transpose(2, 0, 1) if self._camera.planes == 3 else cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)[None]
        self._stack.append(np.asarray(planes, np.uint8))
        stack = [self._stack[max(0, len(self._stack) - 1 - age)] for age in self._camera.ages]
        with torch.inference_mode():
            found = self._model(torch.as_tensor(np.concatenate(stack))[None])
        return {name: value[0].cpu().numpy() for name, value in found.items()}

    def _draw(self, picture: Picture, predictions: Arrays) -> Picture:
        scale = max(1, -(-_LEAST_PX // max(picture.shape[:2])))
        size = picture.shape[1] * scale, picture.shape[0] * scale
        drawn = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC), np.uint8)
        if "classes" in predictions:
            classes = predictions["classes"].argmax(axis=0).astype(np.uint8)
            drawn = paint_classes(drawn, cv2.resize(classes, size, interpolation=cv2.INTER_NEAREST))
        if "lines" in predictions:
            dot_lines(drawn, _lines(predictions), max(2, size[0] // 240))
        if "lane" in predictions:
            draw_lane_middle(drawn, predictions["lane"], self._camera)
            write_lane(drawn, predictions["lane"])
        return drawn


def _lines(predictions: Arrays) -> NDArray[np.float32]:
    return np.where(predictions["lines_there"] > 0, predictions["lines"], np.float32("nan"))


def _readable(frame: Frame, predictions: Arrays) -> PredictedFrame:
    """Return predictions in units and words."""
    height, width = frame.picture.shape[:2]
    lane = predictions.get("lane")
    points = None
    if "lines" in predictions:
        rows, columns = anchor_rows(height), _lines(predictions) * width
        known = [np.isfinite(each) for each in columns]
        pairs = [np.stack([each[at], rows[at]], axis=1) for each, at in zip(columns, known, strict=True)]
        points = {
            name: [(round(x, 2), round(y, 2)) for x, y in each.tolist()]
            for name, each in zip(LINE_NAMES, pairs, strict=True)
        }
    shares: dict[str, float] | None = None
    if "classes" in predictions:
        counts = np.bincount(predictions["classes"].argmax(axis=0).ravel(), minlength=len(CLASSES))
        shares = dict(zip(CLASSES, (counts / counts.sum()).tolist(), strict=True))
    return PredictedFrame(
        name=frame.name,
        time_s=frame.time_s,
        lane=None if lane is None else dict(zip(LANE_FIELDS, map(float, lane), strict=True)),
        lines=points,
        classes=shares,
    )


def _framed(picture: Picture, ground: Picture) -> Picture:
    """Return a picture in the middle of a film's empty frame, as large as fits."""
    frame = ground.copy()
    box = Box(0, 0, WIDTH_PX, HEIGHT_PX).fitted(picture.shape[1], picture.shape[0])
    box.of(frame)[:] = cv2.resize(picture, (box.width, box.height), interpolation=cv2.INTER_AREA)
    return frame
