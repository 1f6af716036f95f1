"""What a model learns: labels, or without any, by comparing two views of a picture. One `Objective` for each task.

It knows models and labels. It does not know optimizers, files, or when to stop.
"""

from typing import Protocol

import torch
from torch import Tensor, nn

from drive_rl.config.perception_spec import FitSpec
from drive_rl.perception.data.augment import augmented, make_augmentation
from drive_rl.perception.data.samples import Frames
from drive_rl.perception.models.perception_model import LaneOfLines, PerceptionModel, Predictions
from drive_rl.perception.training.losses import Labels, label_losses, lane_losses

_LINE_NOISE = 0.003  # columns / width
_LINE_LOSS = 0.15  # chance that an anchor is not known

Losses = dict[str, Tensor]


class Objective(Protocol):
    """Teaches a model; `extra` holds layers that learn beside it and are thrown away afterwards."""

    extra: nn.Module

    def losses(
        self, model: PerceptionModel, images: Tensor, frames: Frames, training: bool
    ) -> tuple[Losses, Predictions]:
        """Return the losses on pictures (B, C, H, W), floats in [0, 255], and what heads that learn tell of them.

        The sum of the losses is to become small.
        """
        ...


class FromLabels:
    """The labels' losses (an `Objective`)."""

    def __init__(self, fit: FitSpec) -> None:
        self.extra: nn.Module = nn.Identity()
        self._fit = fit
        self._augmentation = make_augmentation() if fit.augment else None

    def losses(
        self, model: PerceptionModel, images: Tensor, frames: Frames, training: bool
    ) -> tuple[Losses, Predictions]:
        """Return a loss for each head, and what the heads tell."""
        if training and self._augmentation is not None:
            images = augmented(self._augmentation, images)
        labels, seen = Labels(frames, images.device), model(images)
        losses = label_losses(seen, labels, self._fit.lane_loss)
        if training and isinstance(model.lane, LaneOfLines) and frames.lined.all():
            # a head that reads lines learns from true ones, too: told ones are wrong at first
            lines = labels.lines + _LINE_NOISE * torch.randn_like(labels.lines)
            trusted = torch.isfinite(lines) & (torch.rand_like(lines) > _LINE_LOSS)
            read = model.lane.read(torch.nan_to_num(lines), trusted.float())
            losses["lane_of_lines"] = lane_losses(read, labels.lane, self._fit.lane_loss)["lane"]
        return losses, seen


def make_objective(fit: FitSpec, model: PerceptionModel) -> Objective:
    """Return the objective of a recipe."""
    if fit.task == "labels":
        return FromLabels(fit)
    from drive_rl.perception.training.vicreg import VicReg

    return VicReg(model)


def total(losses: Losses) -> Tensor:
    """Return what is to become small."""
    return torch.stack(list(losses.values())).sum()
