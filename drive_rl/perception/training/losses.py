"""What a model is taught with labels: one loss for each head. Labels that are unknown teach nothing."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from drive_rl.perception.data.samples import UNKNOWN_CLASS, UNKNOWN_SCENE, Frames
from drive_rl.perception.models.perception_model import LANE_SCALE, Predictions


class Labels:
    """The labels of `Frames` as tensors on a device."""

    def __init__(self, frames: Frames, device: torch.device) -> None:
        self.lane = torch.as_tensor(frames.lane, device=device)
        self.classes = torch.as_tensor(frames.classes, device=device)
        self.lines = torch.as_tensor(frames.lines, device=device)
        self.lined = torch.as_tensor(frames.lined, device=device)
        self.scene = torch.as_tensor(frames.scene, device=device)


def label_losses(seen: Predictions, labels: Labels, lane_loss: Literal["l1", "l2"] = "l1") -> dict[str, Tensor]:
    """Return the losses of what a model tells, each of the order of 1 before it has learned anything.

    `lane`: absolute or squared error in units of LANE_SCALE; `lane_std`: Gaussian negative log-likelihood of the
    error, which teaches the predicted deviation alone; `classes`: cross-entropy a pixel; `lines`: absolute error of
    columns, and cross-entropies of whether a line is there and, while learning, where; `scene`: cross-entropies of
    tier and weather.
    """
    losses: dict[str, Tensor] = {}
    if "lane" in seen:
        losses |= lane_losses(seen, labels.lane, lane_loss)
    if "classes" in seen:
        entropy = F.cross_entropy(seen["classes"], labels.classes.long(), ignore_index=UNKNOWN_CLASS, reduction="sum")
        losses["classes"] = entropy / (labels.classes != UNKNOWN_CLASS).sum().clamp(min=1)
    if "lines" in seen:
        losses["lines"] = _lines(seen, labels)
    if "tier" in seen:
        losses["scene"] = _scene(seen["tier"], labels.scene[:, 0]) + _scene(seen["weather"], labels.scene[:, 1])
    return losses


def lane_losses(seen: Predictions, lane: Tensor, kind: Literal["l1", "l2"]) -> dict[str, Tensor]:
    """Return `lane` and `lane_std` of `label_losses`, of true states (B, 6)."""
    scale = torch.tensor(LANE_SCALE, device=lane.device)
    known = torch.isfinite(lane)
    count = known.sum().clamp(min=1)
    error = torch.where(known, seen["lane"] - lane, 0) / scale
    deviation = seen["lane_std"] / scale
    likelihood = torch.where(known, 0.5 * (error.detach() / deviation) ** 2 + deviation.log(), 0)
    loss = error.abs() if kind == "l1" else error**2
    return {"lane": loss.sum() / count, "lane_std": likelihood.sum() / count}


def _lines(seen: Predictions, labels: Labels) -> Tensor:
    there = torch.isfinite(labels.lines)
    error = torch.where(there, seen["lines"] - labels.lines, 0).abs().sum() / there.sum().clamp(min=1)
    lined = labels.lined[:, None, None].expand_as(there)
    entropy = F.binary_cross_entropy_with_logits(seen["lines_there"], there.float(), reduction="none")
    loss = 3 * error + torch.where(lined, entropy, 0).sum() / lined.sum().clamp(min=1)
    if "line_places" in seen:
        loss = loss + 0.1 * _places(seen["line_places"], labels.lines)[there].sum() / there.sum().clamp(min=1)
    return loss


def _places(logits: Tensor, columns: Tensor) -> Tensor:
    """Return the cross-entropy of the two places around each column: columns alone are slow to teach."""
    width = logits.shape[3]
    at = (torch.nan_to_num(columns) * width - 0.5).clamp(0, width - 1)
    low = at.long()
    part = at - low
    known = torch.log_softmax(logits, dim=3)
    first = known.gather(3, low[..., None])[..., 0]
    second = known.gather(3, (low + 1).clamp(max=width - 1)[..., None])[..., 0]
    return -(1 - part) * first - part * second


def _scene(logits: Tensor, labels: Tensor) -> Tensor:
    known = (labels != UNKNOWN_SCENE).sum().clamp(min=1)
    return F.cross_entropy(logits, labels, ignore_index=UNKNOWN_SCENE, reduction="sum") / known
