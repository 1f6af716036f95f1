"""Looks at held-out roads while a model learns: what they say, which was best, and whether anything is still gained."""

import math
import time
from typing import Annotated

import numpy as np
import torch
from pydantic import ConfigDict, Field, PrivateAttr

from drive_rl.errors import DriveRLError
from drive_rl.perception.data.samples import LANE_FIELDS, UNKNOWN_CLASS, Samples
from drive_rl.perception.models.perception_model import PerceptionModel
from drive_rl.perception.training.objectives import Objective, total
from drive_rl.run.storage.manifest import Count
from drive_rl.run.storage.schema import Table
from drive_rl.sim.sensors.renderer import EGO_LANE

_BATCH = 64


class Look(Table):
    """One look at held-out roads after so many pictures."""

    samples: Count
    scores: dict[str, float]  # `loss` is to become small; the others are for people

    def __str__(self) -> str:
        """Return the scores for people."""
        return ", ".join(f"{name} {value:.4g}" for name, value in self.scores.items())


class Looks(Table):
    """How many looks there were, the best of them, how many since have gained nothing, and the seconds spent."""

    model_config = ConfigDict(frozen=False)

    count: Count = 0
    best: Look | None = None
    since_best: Count = 0
    wall_s: Annotated[float, Field(ge=0)] = 0.0
    _tick: float = PrivateAttr(default_factory=time.perf_counter)

    @property
    def best_number(self) -> int:
        """Which look was the best, counted from 1; 0: there was none."""
        return self.count - self.since_best

    def start(self) -> None:
        """Start the clock."""
        self._tick = time.perf_counter()

    def add(self, look: Look) -> bool:
        """Take a look in; return whether it is the best."""
        now = time.perf_counter()
        self.wall_s += now - self._tick
        self._tick = now
        better = self.best is None or look.scores["loss"] < self.best.scores["loss"]
        self.count += 1
        self.best, self.since_best = (look, 0) if better else (self.best, self.since_best + 1)
        return better

    def stalled(self, patience: int | None) -> bool:
        """Whether nothing was gained in `patience` looks."""
        return patience is not None and self.since_best >= patience


def look_at(model: PerceptionModel, objective: Objective, val: Samples, samples: int) -> Look:
    """Return what a model makes of held-out pictures: its losses, and for people errors of the lane and the IoU.

    Raises:
        DriveRLError: its loss is not a number.
    """
    device = next(model.parameters()).device
    model.eval()
    sums: dict[str, float] = {}
    lane, inter, union = [], 0, 0
    with torch.no_grad():
        for first in range(0, len(val), _BATCH):
            part = val.take(slice(first, first + _BATCH))
            images = torch.as_tensor(part.images, device=device).float()
            losses, seen = objective.losses(model, images, part, training=False)
            losses["loss"] = total(losses)
            for name, value in losses.items():
                sums[name] = sums.get(name, 0.0) + float(value) * len(part) / len(val)
            if "lane" in seen:
                lane.append(seen["lane"].cpu().numpy() - part.lane)
            if "classes" in seen:
                told = seen["classes"].argmax(1).cpu().numpy() == EGO_LANE
                true, known = part.classes == EGO_LANE, part.classes != UNKNOWN_CLASS
                inter += int((told & true).sum())
                union += int(((told | true) & known).sum())
    scores = {"loss": sums.pop("loss"), **({} if len(sums) == 1 else {f"{k}_loss": v for k, v in sums.items()})}
    if lane and np.isfinite(np.concatenate(lane)).any(axis=0).all():
        errors = np.nanmean(np.abs(np.concatenate(lane)), axis=0)
        scores |= {f"{name}_mae": float(value) for name, value in zip(LANE_FIELDS[:3], errors[:3], strict=True)}
    if union:
        scores["ego_lane_iou"] = inter / union
    check_loss("loss on held-out pictures", scores["loss"], samples)
    return Look(samples=samples, scores=scores)


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
