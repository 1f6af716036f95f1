"""Examples: a model's best and worst pictures and some random ones, with predictions, labels and saliency.

It knows models, labelled pictures and colours. It knows no page.
"""

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from drive_rl.benchmark.part import Part, Subject
from drive_rl.perception.data.samples import UNKNOWN_CLASS, Samples
from drive_rl.perception.evaluation.saliency import overlay, visual_backprop
from drive_rl.perception.models.load import Trained
from drive_rl.perception.models.perception_model import PerceptionModel, PictureModel
from drive_rl.report.predict.drawing import dot_lines, paint_classes
from drive_rl.sim.sensors.renderer import EGO_LANE

NAME = "examples"
Rgb = NDArray[np.uint8]
Predictions = dict[str, NDArray[Any]]
"""Output -> array (N, ...) of N pictures."""
Kind = Literal["best", "worst", "random"]
Overlays = tuple[NDArray[Any] | None, NDArray[Any] | None]
"""Classes (H, W) and lines (LINES, ROWS) of a picture."""

_SCALE = 2


@dataclass(frozen=True)
class ExamplesSetting:
    """From how many pictures the best, the worst and some random ones are chosen, and how many of each."""

    pictures: int = 200
    each: int = 2
    seed: int = 0


@dataclass(frozen=True)
class Example:
    """One picture and its overlays, as data URIs of PNGs."""

    kind: Kind
    index: int
    seed: int
    """Of its road; negative: unknown."""
    value: float | None
    """Of the score; None: unknown."""
    picture: str
    prediction: str | None
    """Predicted masks and lines over the picture; None: the model predicts neither."""
    truth: str | None
    """Labelled masks and lines over the picture; None: there are no such labels."""
    saliency: str | None
    """VisualBackProp; None: the model is not made for it."""


@dataclass(frozen=True)
class Examples:
    """Example pictures of one model."""

    score: str
    """The score that ranks them; empty: none, so all are random."""
    pictures: int
    """How many were ranked."""
    shown: tuple[Example, ...]


class _Ranking(NamedTuple):
    """A score of each picture, NaN where unknown."""

    score: str
    values: NDArray[np.float64]
    higher_is_better: bool


def measure(subject: Subject, setting: ExamplesSetting) -> Examples:
    """Choose pictures, and draw predictions, labels and saliency over them."""
    samples = subject.pictures(setting.pictures).samples
    with torch.inference_mode():
        outputs = subject.trained.model(torch.as_tensor(samples.images))
    predictions = {name: value.numpy() for name, value in outputs.items()}
    ranking = _rank(predictions, samples)
    shown = tuple(
        _example(subject.trained, samples, predictions, i, kind, float(ranking.values[i]))
        for kind, i in _choose(ranking, setting)
    )
    return Examples(ranking.score, len(samples), shown)


def _rank(predictions: Predictions, samples: Samples) -> _Ranking:
    if "classes" in predictions and (samples.classes != UNKNOWN_CLASS).any():
        known = samples.classes != UNKNOWN_CLASS
        guess, truth = (predictions["classes"].argmax(axis=1) == EGO_LANE) & known, samples.classes == EGO_LANE
        either = (guess | truth).sum(axis=(1, 2))
        iou = (guess & truth).sum(axis=(1, 2)) / np.maximum(either, 1)
        return _Ranking("ego-lane IoU", np.where(either > 0, iou, np.nan), True)
    if "lane" in predictions:
        error_m = np.abs(predictions["lane"][:, 0] - samples.lane[:, 0]).astype(np.float64)
        return _Ranking("offset error [m]", error_m, False)
    return _Ranking("", np.full(len(samples), np.nan), True)


def _choose(ranking: _Ranking, setting: ExamplesSetting) -> Iterator[tuple[Kind, int]]:
    known = np.flatnonzero(np.isfinite(ranking.values))
    order = known[np.argsort(ranking.values[known], kind="stable")]
    order = order[::-1] if ranking.higher_is_better else order
    each = min(setting.each, len(order) // 2)
    drawn = np.random.default_rng(setting.seed).permutation(len(ranking.values))[: setting.each]
    kinds: dict[Kind, NDArray[np.int64]] = {"best": order[:each], "worst": order[::-1][:each], "random": drawn}
    for kind, chosen in kinds.items():
        for i in chosen:
            yield kind, int(i)


def _example(
    trained: Trained,
    samples: Samples,
    predictions: Predictions,
    i: int,
    kind: Kind,
    value: float,
) -> Example:
    image, planes = samples.images[i], trained.spec.world.camera.planes
    picture = np.ascontiguousarray(np.broadcast_to(image[-planes:], (3, *image.shape[1:])).transpose(1, 2, 0))
    return Example(
        kind=kind,
        index=i,
        seed=int(samples.seeds[i]),
        value=value if np.isfinite(value) else None,
        picture=_uri(_large(picture)),
        prediction=_labelled(picture, *_predicted(predictions, i)),
        truth=_labelled(picture, *_true(samples, i)),
        saliency=_saliency(trained.model, image, planes),
    )


def _saliency(model: PictureModel, image: NDArray[np.uint8], planes: int) -> str | None:
    if not isinstance(model, PerceptionModel):
        return None
    return _uri(_large(overlay(image, visual_backprop(model, torch.as_tensor(image[None]))[0], planes)))


def _predicted(predictions: Predictions, i: int) -> Overlays:
    """Return the classes (H, W) and lines (LINES, ROWS) predicted of a picture; None: the model has no such head."""
    classes = predictions["classes"][i].argmax(axis=0) if "classes" in predictions else None
    if "lines" not in predictions:
        return classes, None
    return classes, np.where(predictions["lines_there"][i] > 0, predictions["lines"][i], np.nan)


def _true(samples: Samples, i: int) -> Overlays:
    """Return the true classes and lines of a picture; None: no such label."""
    classes = samples.classes[i] if (samples.classes[i] != UNKNOWN_CLASS).any() else None
    return classes, samples.lines[i] if samples.lined[i] else None


def _labelled(picture: Rgb, classes: NDArray[Any] | None, lines: NDArray[Any] | None) -> str | None:
    """Return a picture (H, W, 3) with masks and lines over it, `_SCALE` times as large; None without either."""
    if classes is None and lines is None:
        return None
    mixed = _large(picture if classes is None else paint_classes(picture, classes))
    if lines is not None:
        dot_lines(mixed, lines)
    return _uri(mixed)


def _large(picture: Rgb) -> Rgb:
    return np.repeat(np.repeat(picture, _SCALE, axis=0), _SCALE, axis=1)


def _uri(picture: Rgb) -> str:
    _, data = cv2.imencode(".png", np.ascontiguousarray(picture[..., ::-1]), [cv2.IMWRITE_PNG_COMPRESSION, 9])
    return "data:image/png;base64," + base64.b64encode(data.tobytes()).decode()


PART = Part(
    name=NAME,
    title="Examples",
    full=ExamplesSetting(),
    reduced=ExamplesSetting(pictures=64, each=1),
    result=Examples,
    measure=measure,
)
