"""The parts of a benchmark of one perception model: what it sees, how fast, how robustly, and how a car drives on it.

Each part is a function from a model and its setting to plain values. It knows no files of results, and no pages.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from drive_rl.benchmark.settings import BenchSplit, DrivesSetting, RobustSetting
from drive_rl.errors import DriveRLError
from drive_rl.perception.data.samples import Samples, labels_known
from drive_rl.perception.evaluation.accuracy import evaluate_accuracy
from drive_rl.perception.evaluation.attacks import Loss
from drive_rl.perception.evaluation.corruptions import CORRUPTIONS, corrupt
from drive_rl.perception.evaluation.head_metrics import SegmentationMeasure
from drive_rl.perception.evaluation.lane_benchmarks import Truths
from drive_rl.perception.evaluation.latency import LatencySetting, measure_latency
from drive_rl.perception.evaluation.robustness import AttackSetting, Progress, measure_attacks, measure_corruptions
from drive_rl.perception.models.load import Trained
from drive_rl.perception.training.losses import Labels, label_losses
from drive_rl.run.storage.json_values import plain
from drive_rl.stats import failing_delay

Corruption = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
Parts = dict[str, Any]

OFFSET_WITHIN_M, HEADING_WITHIN_RAD = 0.2, 0.035
"""A lane is told well within a fifth of a metre and two degrees: what keeps a car well inside its lane."""

_SCORES = {"ego_lane_iou": ("segmentation", "classes"), "lane_within": ("lane", "lane")}
"""How robustness is judged: score -> the head it judges, and the loss that attacks raise."""
_BATCH = 32
_DRIVEN = ("driving_score", "route_completion", "success")


class Drive(Protocol):
    """Drives a model over the first roads of a split.

    It returns at least `driving_score`, `route_completion`, `success`, `mean_max_offset_m` and `worst_max_offset_m`;
    and `driving_scores` and `max_offsets_m`, those of each road in order, where intervals are wanted.
    """

    def __call__(
        self, trained: Trained, split: BenchSplit, episodes: int, delay_s: float, corrupt: Corruption | None
    ) -> Mapping[str, Any]:
        """Return how it drove."""
        ...


def sees(trained: Trained, frames: Samples, truths: Truths | None) -> Parts:
    """Return what `evaluate_accuracy` does."""
    tiers = tuple(sorted(trained.spec.world.road.tiers))
    return plain(evaluate_accuracy(trained.model, frames, _BATCH, truths, tiers))


def fast(trained: Trained, frames: Samples, threads: int, setting: LatencySetting) -> Parts:
    """Return what `measure_latency` does."""
    return plain(measure_latency(trained.model, frames.images, threads, setting))


def latency_s(fast: Mapping[str, Any]) -> tuple[float, str]:
    """Return the median latency of one picture [s] and the engine it is of: ONNX Runtime's, or else eager's.

    Raises:
        DriveRLError: neither was measured.
    """
    for name in ("onnx", "eager"):
        engine = fast.get("runtimes", {}).get(name, {})
        if "single_stream" in engine:
            return engine["single_stream"]["p50_ms"] / 1000, name
    raise DriveRLError("no latency was measured, with which it would have to drive; fix: see `fast`")


def robust(
    trained: Trained, frames: Samples, setting: RobustSetting, kept: Path, tell: Progress
) -> dict[str, dict[str, Any]]:
    """Return `corruptions` and `attacks` (see perception.robust) of each score that heads and labels allow.

    `ego_lane_iou`, pooled; and `lane_within`, the share of pictures whose lane is told within OFFSET_WITHIN_M and
    HEADING_WITHIN_RAD.

    Raises:
        DriveRLError: the model has neither a segmentation nor a lane head, or the pictures no such label.
    """
    known = labels_known(frames)
    judged = [name for name, (head, _) in _SCORES.items() if head in trained.spec.model.heads and known[head]]
    if not judged:
        raise DriveRLError("robustness is judged by masks or the lane state: the model tells, or the labels know, none")
    looks = 1 + len(CORRUPTIONS) * len(setting.severities), 1 + 2 * len(setting.epsilons_px)
    total, found = len(judged) * sum(looks), {}
    for i, name in enumerate(judged):
        first = i * sum(looks)
        steps = [_from(tell, before, total) for before in (first, first + looks[0])]
        found[name] = _robust(trained, frames, setting, kept, steps, name)
    return found


def drives(
    trained: Trained, split: BenchSplit, setting: DrivesSetting, drive: Drive, delay: tuple[float, str], tell: Progress
) -> Parts:
    """Return how a car drives on what the model sees.

    `clean` and `corrupted` (by corruption; `corrupted_mean`) with the measured latency as the delay; `delays`, clean,
    with that and each longer delay of the sweep; `failing_delay_s`, where success falls below a half (None: nowhere).
    """
    latency, engine = delay
    later = [delay_s for delay_s in setting.delays_s if delay_s > latency]
    total, fewer = 1 + len(setting.corruptions) + len(later), min(setting.roads, setting.corrupted_roads)
    clean = drive(trained, split, setting.roads, latency, None)
    tell(1, total, "clean")
    planes, corrupted = trained.spec.world.camera.planes, {}
    for done, name in enumerate(setting.corruptions, start=2):
        shown = in_time(name, setting.severity, planes)
        corrupted[name] = drive(trained, split, fewer, latency, shown)
        tell(done, total, name)
    sweep = [{"delay_s": latency, **clean}]
    for done, delay_s in enumerate(later, start=2 + len(setting.corruptions)):
        sweep.append({"delay_s": delay_s, **drive(trained, split, setting.roads, delay_s, None)})
        tell(done, total, f"{delay_s:g} s late")
    return plain(
        {
            "roads": setting.roads,
            "corrupted_roads": fewer,
            "delay_s": latency,
            "delay_of": engine,
            "clean": clean,
            "severity": setting.severity,
            "corrupted": corrupted,
            "corrupted_mean": {key: fmean(row[key] for row in corrupted.values()) for key in _DRIVEN if corrupted},
            "delays": sweep,
            "failing_delay_s": failing_delay([latency, *later], [row["success"] for row in sweep]),
        }
    )


def in_time(name: str, severity: int, planes: int) -> Corruption:
    """Return a corruption of a stream: every call draws anew, as a sensor does, and the same stream the same again."""
    calls = iter(range(2**31))
    return lambda images: corrupt(images, name, severity, next(calls), planes)


def _robust(
    trained: Trained, frames: Samples, setting: RobustSetting, kept: Path, steps: Sequence[Progress], name: str
) -> dict[str, Any]:
    planes, loss = trained.spec.world.camera.planes, _SCORES[name][1]
    score = {"ego_lane_iou": _ego_lane_iou, "lane_within": _lane_within}[name]

    def scored(images: NDArray[Any]) -> float:
        return score(trained, images, frames)

    def loss_of(part: slice) -> Loss:
        labels = Labels(frames.take(part), torch.device("cpu"))
        return lambda seen: _loss(seen, labels, loss)

    corruptions = measure_corruptions(scored, frames.images, setting.severities, setting.seed, planes, kept, steps[0])
    attacks = measure_attacks(
        trained.model,
        frames.images,
        loss_of,
        scored,
        AttackSetting(setting.epsilons_px, setting.pgd_steps, setting.seed, _BATCH),
        steps[1],
    )
    return {"corruptions": plain(corruptions), "attacks": plain(attacks)}


def _from(tell: Progress, before: int, total: int) -> Progress:
    """Return progress of one of several measurements."""
    return lambda done, _, what: tell(before + done, total, what)


def _loss(seen: Mapping[str, Tensor], labels: Labels, name: str) -> Tensor:
    heads = ("lane", "lane_std") if name == "lane" else (name,)
    return label_losses({head: seen[head] for head in heads}, labels)[name]


def _ego_lane_iou(trained: Trained, images: NDArray[Any], frames: Samples) -> float:
    measure = SegmentationMeasure()
    for part, told in _told(trained, images, "classes"):
        measure.add({"classes": told}, frames.take(part))
    return float(measure.scores().ego_lane_iou)


def _lane_within(trained: Trained, images: NDArray[Any], frames: Samples) -> float:
    lane = np.concatenate([told for _, told in _told(trained, images, "lane")])
    error = np.abs(lane - frames.lane)[:, :2]  # offset, heading
    error = error[np.isfinite(frames.lane[:, :2]).all(axis=1)]
    well = np.all(error <= [OFFSET_WITHIN_M, HEADING_WITHIN_RAD], axis=1)
    return float(np.mean(well)) if len(error) else float("nan")


def _told(trained: Trained, images: NDArray[Any], name: str) -> list[tuple[slice, NDArray[np.float32]]]:
    found = []
    with torch.inference_mode():
        for first in range(0, len(images), _BATCH):
            part = slice(first, first + _BATCH)
            found.append((part, trained.model(torch.as_tensor(images[part]))[name].numpy()))
    return found
