"""The losses of our heads, each of the order of 1 before anything is learned. Unknown labels add nothing to a loss."""

import torch
import torch.nn.functional as F
from torch import Tensor

from drive_rl.perception.data.samples import UNKNOWN_CLASS, UNKNOWN_SCENE
from drive_rl.perception.heads.head import Labels, LaneLoss, Predictions
from drive_rl.perception.heads.networks import LANE_SCALE


def lane_losses(predictions: Predictions, lane: Tensor, kind: LaneLoss) -> dict[str, Tensor]:
    """Return the losses of the lane state, of true states (B, 6).

    `lane`: absolute or squared error in units of LANE_SCALE; `lane_std`: Gaussian negative log-likelihood of the error,
    whose gradient reaches the predicted deviation alone.
    """
    scale = torch.tensor(LANE_SCALE, device=lane.device)
    known = torch.isfinite(lane)
    count = known.sum().clamp(min=1)
    error = torch.where(known, predictions["lane"] - lane, 0) / scale
    deviation = predictions["lane_std"] / scale
    likelihood = torch.where(known, 0.5 * (error.detach() / deviation) ** 2 + deviation.log(), 0)
    loss = error.abs() if kind == "l1" else error**2
    return {"lane": loss.sum() / count, "lane_std": likelihood.sum() / count}


def lines_loss(predictions: Predictions, labels: Labels) -> Tensor:
    """Return the absolute error of columns, and cross-entropies of whether a line is there and, in training, where."""
    there = torch.isfinite(labels.lines)
    error = torch.where(there, predictions["lines"] - labels.lines, 0).abs().sum() / there.sum().clamp(min=1)
    lined = labels.lined[:, None, None].expand_as(there)
    entropy = F.binary_cross_entropy_with_logits(predictions["lines_there"], there.float(), reduction="none")
    loss = 3 * error + torch.where(lined, entropy, 0).sum() / lined.sum().clamp(min=1)
    if "line_places" in predictions:
        loss = loss + 0.1 * _places(predictions["line_places"], labels.lines)[there].sum() / there.sum().clamp(min=1)
    return loss


def _places(logits: Tensor, columns: Tensor) -> Tensor:
    """Return the cross-entropy of the two places around each column: columns alone are slow to learn."""
    width = logits.shape[3]
    at = (torch.nan_to_num(columns) * width - 0.5).clamp(0, width - 1)
    low = at.long()
    part = at - low
    known = torch.log_softmax(logits, dim=3)
    first = known.gather(3, low[..., None])[..., 0]
    second = known.gather(3, (low + 1).clamp(max=width - 1)[..., None])[..., 0]
    return -(1 - part) * first - part * second


def _labelled(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the cross-entropy of pictures whose class is known."""
    known = (labels != UNKNOWN_SCENE).sum().clamp(min=1)
    return F.cross_entropy(logits, labels, ignore_index=UNKNOWN_SCENE, reduction="sum") / known


def scene_loss(predictions: Predictions, labels: Labels) -> Tensor:
    """Return the cross-entropies of tier and weather."""
    tier, weather = labels.scene[:, 0], labels.scene[:, 1]
    return _labelled(predictions["tier"], tier) + _labelled(predictions["weather"], weather)


def classes_loss(predictions: Predictions, labels: Labels) -> Tensor:
    """Return the cross-entropy a pixel."""
    classes = labels.classes
    entropy = F.cross_entropy(predictions["classes"], classes.long(), ignore_index=UNKNOWN_CLASS, reduction="sum")
    return entropy / (classes != UNKNOWN_CLASS).sum().clamp(min=1)
