"""Validation on held-out pictures while a model learns: its scores, which was best, and whether anything is gained."""

import math
import time
from dataclasses import dataclass, field
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ConfigDict, Field, PrivateAttr

from drive_rl.errors import DriveRLError
from drive_rl.perception.data.samples import LANE_FIELDS, UNKNOWN_CLASS, Samples
from drive_rl.perception.heads.head import Predictions
from drive_rl.perception.heads.plugin_head import PluginHead, PluginMeasure
from drive_rl.perception.models.perception_model import PerceptionModel
from drive_rl.perception.training.objectives import Losses, Objective, total
from drive_rl.run.storage.manifest import Count
from drive_rl.run.storage.schema import Table
from drive_rl.sim.sensors.renderer import EGO_LANE

_BATCH = 64


class Validation(Table):
    """The scores on held-out pictures, after learning from so many."""

    samples: Count
    scores: dict[str, float]  # `loss` is minimised; the others are for people

    def __str__(self) -> str:
        """Return the scores for people."""
        return ", ".join(f"{name} {value:.4g}" for name, value in self.scores.items())


class ValidationHistory(Table):
    """How many validations there were, the best of them, how many since have gained nothing, and the seconds spent."""

    model_config = ConfigDict(frozen=False)

    count: Count = 0
    best: Validation | None = None
    since_best: Count = 0
    wall_s: Annotated[float, Field(ge=0)] = 0.0
    _tick: float = PrivateAttr(default_factory=time.perf_counter)

    @property
    def best_number(self) -> int:
        """Which validation was the best, counted from 1; 0: there was none."""
        return self.count - self.since_best

    def start(self) -> None:
        """Start the clock."""
        self._tick = time.perf_counter()

    def add(self, validation: Validation) -> bool:
        """Add a validation; return whether it is the best."""
        now = time.perf_counter()
        self.wall_s += now - self._tick
        self._tick = now
        better = self.best is None or validation.scores["loss"] < self.best.scores["loss"]
        self.count += 1
        self.best, self.since_best = (validation, 0) if better else (self.best, self.since_best + 1)
        return better

    def stalled(self, patience: int | None) -> bool:
        """Whether the last `patience` validations gained nothing."""
        return patience is not None and self.since_best >= patience


@dataclass
class _Sums:
    """Sums over the validation pictures."""

    total: int
    plugins: dict[str, PluginMeasure]  # of heads
    losses: dict[str, float] = field(default_factory=dict)
    lane_errors: list[NDArray[np.float32]] = field(default_factory=list)
    inter: int = 0
    union: int = 0

    def add(self, losses: Losses, predictions: Predictions, part: Samples) -> None:
        """Add a batch."""
        for name, value in losses.items():
            self.losses[name] = self.losses.get(name, 0.0) + float(value) * len(part) / self.total
        if "lane" in predictions:
            self.lane_errors.append(predictions["lane"].cpu().numpy() - part.lane)
        arrays = {name: predictions[name].float().cpu().numpy() for name in self.plugins if name in predictions}
        for name in arrays:
            self.plugins[name].add(arrays, part)
        if "classes" in predictions:
            ego_lane = predictions["classes"].argmax(1).cpu().numpy() == EGO_LANE
            true, known = part.classes == EGO_LANE, part.classes != UNKNOWN_CLASS
            self.inter += int((ego_lane & true).sum())
            self.union += int(((ego_lane | true) & known).sum())

    def scores(self) -> dict[str, float]:
        """Return the losses, and for people errors of the lane, the ego lane's IoU, and scores of plugins' heads."""
        losses = dict(self.losses)
        scores = {"loss": losses.pop("loss")}
        scores |= {} if len(losses) == 1 else {f"{name}_loss": value for name, value in losses.items()}
        if self.lane_errors and np.isfinite(np.concatenate(self.lane_errors)).any(axis=0).all():
            errors = np.nanmean(np.abs(np.concatenate(self.lane_errors)), axis=0)
            scores |= {f"{name}_mae": float(value) for name, value in zip(LANE_FIELDS[:3], errors[:3], strict=True)}
        if self.union:
            scores["ego_lane_iou"] = self.inter / self.union
        for head, measure in self.plugins.items():
            scores |= {f"{head}_{name}": value for name, value in measure.scores().items() if value is not None}
        return scores


def validate(model: PerceptionModel, objective: Objective, val: Samples, samples: int) -> Validation:
    """Return a model's losses on held-out pictures, and for people some of its scores.

    Args:
        model: The model; it is left in evaluation mode.
        objective: Its losses.
        val: The held-out pictures.
        samples: Pictures that it has learned from.

    Raises:
        DriveRLError: its loss is not a number, or a plugin's head breaks its contract.
    """
    device = next(model.parameters()).device
    model.eval()
    plugins = {name: PluginMeasure(head) for name, head in model.heads.items() if isinstance(head, PluginHead)}
    sums = _Sums(len(val), plugins)
    with torch.no_grad():
        for first in range(0, len(val), _BATCH):
            part = val.take(slice(first, first + _BATCH))
            images = torch.as_tensor(part.images, device=device).float()
            losses, predictions = objective.losses(model, images, part, training=False)
            sums.add({**losses, "loss": total(losses)}, predictions, part)
    scores = sums.scores()
    check_loss("loss on held-out pictures", scores["loss"], samples)
    return Validation(samples=samples, scores=scores)


def check_loss(name: str, loss: float, samples: int) -> None:
    """Refuse a loss that is not a number.

    Raises:
        DriveRLError: it is NaN or infinite.
    """
    if not math.isfinite(loss):
        raise DriveRLError(
            f"fit: the {name} became {loss} after {samples} pictures; fix: a smaller fit.learning_rate and"
            " fit.learning_rate_end; what was saved before is kept"
        )
