"""What a model learns from: labels, or without any, two views of each picture. One `Objective` for each task.

It knows models and labels. It does not know optimizers, files, or when to stop.
"""

from typing import Protocol

import torch
from torch import Tensor, nn

from drive_rl.config.specs.perception import FitSpec
from drive_rl.perception.data.augment import augmented, make_augmentation
from drive_rl.perception.data.samples import Samples
from drive_rl.perception.heads.head import Labels, Predictions
from drive_rl.perception.heads.losses import lane_losses
from drive_rl.perception.heads.networks import LaneOfLines
from drive_rl.perception.heads.registry import in_order_of_losses
from drive_rl.perception.models.perception_model import PerceptionModel

_LINE_NOISE = 0.003  # columns / width
_LINE_DROP = 0.15  # chance that an anchor is hidden

Losses = dict[str, Tensor]


class Objective(Protocol):
    """The losses of a task; `extra` holds layers that learn beside the model and are thrown away afterwards."""

    extra: nn.Module

    def losses(
        self, model: PerceptionModel, images: Tensor, samples: Samples, training: bool
    ) -> tuple[Losses, Predictions]:
        """Return the losses on pictures (B, C, H, W), floats in [0, 255], and the predictions of heads that learn.

        The sum of the losses is minimised.
        """
        ...


class FromLabels:
    """The labels' losses (an `Objective`)."""

    def __init__(self, fit: FitSpec) -> None:
        self.extra: nn.Module = nn.Identity()
        self._fit = fit
        self._augmentation = make_augmentation() if fit.augment else None

    def losses(
        self, model: PerceptionModel, images: Tensor, samples: Samples, training: bool
    ) -> tuple[Losses, Predictions]:
        """Return the losses of each head, and the heads' predictions."""
        if training and self._augmentation is not None:
            images = augmented(self._augmentation, images)
        labels, predictions = Labels(samples, images.device), model(images)
        losses = Losses()
        for name in in_order_of_losses(model.spec.heads):
            losses |= model.heads[name].losses(predictions, labels, self._fit.lane_loss)
        head = model.lane_head
        if training and isinstance(head, LaneOfLines) and samples.lined.all():
            # a head that reads lines learns from true ones, too: predicted ones are wrong at first
            lines = labels.lines + _LINE_NOISE * torch.randn_like(labels.lines)
            trusted = torch.isfinite(lines) & (torch.rand_like(lines) > _LINE_DROP)
            state = head.read(torch.nan_to_num(lines), trusted.float())
            losses["lane_of_lines"] = lane_losses(state, labels.lane, self._fit.lane_loss)["lane"]
        return losses, predictions


def make_objective(fit: FitSpec, model: PerceptionModel) -> Objective:
    """Return the objective of a recipe."""
    if fit.task == "labels":
        return FromLabels(fit)
    from drive_rl.perception.training.vicreg import VicReg

    return VicReg(model)


def total(losses: Losses) -> Tensor:
    """Return the sum of the losses, which is minimised."""
    return torch.stack(list(losses.values())).sum()
