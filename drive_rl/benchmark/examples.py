"""Pictures that a perception model saw best, worst and by chance: what it told, the truth, and where it looked.

It knows models, labelled pictures and colours. It knows no page.
"""

import base64
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from drive_rl.benchmark.settings import ExamplesSetting
from drive_rl.perception.data.samples import UNKNOWN_CLASS, Samples, anchor_rows
from drive_rl.perception.evaluation.saliency import overlay, visual_backprop
from drive_rl.perception.models.load import Trained
from drive_rl.sim.sensors.renderer import CLASSES, EGO_LANE

Rgb = NDArray[np.uint8]

COLOURS = {"road": (90, 130, 255), "ego_lane": (40, 220, 120), "marking": (255, 230, 60), "vehicle": (255, 70, 90)}
"""Of the classes laid over a picture; the background stays as it is."""
LINE_COLOURS = ((255, 80, 200), (255, 150, 40), (120, 220, 255), (220, 220, 220))
_SCALE = 2
_STRENGTH = 0.45


def examples(trained: Trained, frames: Samples, setting: ExamplesSetting) -> dict[str, Any]:
    """Return `score`, what pictures are judged by, and `shown`, a list of pictures.

    Each has `kind` (best, worst, random), `index`, `seed` of its road, `value` of the score or None, and as data URIs
    of PNGs `picture`, `told`, `truth` (what is told and labelled, laid over it) and `looked` (VisualBackProp).
    """
    with torch.inference_mode():
        seen = trained.model(torch.as_tensor(frames.images))
    told = {name: value.numpy() for name, value in seen.items()}
    score, values, higher = _values(told, frames)
    planes = trained.spec.world.camera.planes
    shown = [
        {
            "kind": kind,
            "index": int(i),
            "seed": int(frames.seeds[i]),
            "value": float(values[i]) if np.isfinite(values[i]) else None,
            **_panels(trained, frames, told, int(i), planes),
        }
        for kind, i in _chosen(values, higher, setting)
    ]
    return {"score": score, "pictures": len(frames), "shown": shown}


def _values(told: dict[str, NDArray[Any]], frames: Samples) -> tuple[str, NDArray[np.float64], bool]:
    """Return what pictures are judged by, each one's value (NaN: unknown), and whether higher is better."""
    if "classes" in told and (frames.classes != UNKNOWN_CLASS).any():
        known = frames.classes != UNKNOWN_CLASS
        guess, truth = (told["classes"].argmax(axis=1) == EGO_LANE) & known, frames.classes == EGO_LANE
        either = (guess | truth).sum(axis=(1, 2))
        iou = (guess & truth).sum(axis=(1, 2)) / np.maximum(either, 1)
        return "ego-lane IoU", np.where(either > 0, iou, np.nan), True
    if "lane" in told:
        return "offset error [m]", np.abs(told["lane"][:, 0] - frames.lane[:, 0]).astype(np.float64), False
    return "", np.full(len(frames), np.nan), True


def _chosen(values: NDArray[np.float64], higher: bool, setting: ExamplesSetting) -> Iterator[tuple[str, int]]:
    known = np.flatnonzero(np.isfinite(values))
    order = known[np.argsort(values[known], kind="stable")]
    order = order[::-1] if higher else order
    each = min(setting.each, len(order) // 2)
    drawn = np.random.default_rng(setting.seed).permutation(len(values))[: setting.each]
    yield from (("best", int(i)) for i in order[:each])
    yield from (("worst", int(i)) for i in order[::-1][:each])
    yield from (("random", int(i)) for i in drawn)


def _panels(
    trained: Trained, frames: Samples, told: dict[str, NDArray[Any]], i: int, planes: int
) -> dict[str, str | None]:
    image = frames.images[i]
    picture = np.ascontiguousarray(np.broadcast_to(image[-planes:], (3, *image.shape[1:])).transpose(1, 2, 0))
    classes = told["classes"][i].argmax(axis=0) if "classes" in told else None
    lines = np.where(told["lines_there"][i] > 0, told["lines"][i], np.nan) if "lines" in told else None
    truth = frames.classes[i] if (frames.classes[i] != UNKNOWN_CLASS).any() else None
    true_lines = frames.lines[i] if frames.lined[i] else None
    looked = overlay(image, visual_backprop(trained.model, torch.as_tensor(image[None]))[0], planes)
    return {
        "picture": _uri(_large(picture)),
        "told": None if classes is None and lines is None else _uri(_labelled(picture, classes, lines)),
        "truth": None if truth is None and true_lines is None else _uri(_labelled(picture, truth, true_lines)),
        "looked": _uri(_large(looked)),
    }


def _labelled(picture: Rgb, classes: NDArray[Any] | None, lines: NDArray[Any] | None) -> Rgb:
    """Return a picture (H, W, 3) with masks and lines laid over it, `_SCALE` as large."""
    mixed = picture.copy()
    if classes is not None:
        for name, colour in COLOURS.items():
            there = classes == CLASSES.index(name)
            mixed[there] = ((1 - _STRENGTH) * picture[there] + _STRENGTH * np.array(colour)).astype(np.uint8)
    mixed = _large(mixed)
    if lines is not None:
        height, width = picture.shape[:2]
        for columns, colour in zip(lines, LINE_COLOURS, strict=True):
            for column, row in zip(columns, anchor_rows(height), strict=True):
                if np.isfinite(column):
                    centre = round(float(column) * width * _SCALE), round(float(row) * _SCALE)
                    cv2.circle(mixed, centre, 2, colour, -1, cv2.LINE_AA)
    return mixed


def _large(picture: Rgb) -> Rgb:
    return np.repeat(np.repeat(picture, _SCALE, axis=0), _SCALE, axis=1)


def _uri(picture: Rgb) -> str:
    _, data = cv2.imencode(".png", np.ascontiguousarray(picture[..., ::-1]), [cv2.IMWRITE_PNG_COMPRESSION, 9])
    return "data:image/png;base64," + base64.b64encode(data.tobytes()).decode()
