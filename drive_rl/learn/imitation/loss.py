"""How far what a network predicts is from what its teacher does, and from the true state. It knows numbers alone."""

import torch
from torch import Tensor
from torch.nn import functional as F

from drive_rl.config.specs.driver import DaggerSpec
from drive_rl.learn.sb3.feature_extractors import FULL_STATE_SCALE
from drive_rl.sim.task.outcome import STATE_FIELDS

_STEERING, _PEDAL = 0, 1
_SPEED = STATE_FIELDS.index("speed_mps")
_MOVING = 2.0 * FULL_STATE_SCALE[_SPEED]
"""A car this fast moves [scaled speed; 2 m/s]. One that stands has to start by the median: it would wait for ever."""


def imitation_loss(spec: DaggerSpec, commands: int, predicted: Tensor, targets: Tensor) -> Tensor:
    """Return the loss of the actions, and of the state after them.

    The absolute error is the quantile loss (Koenker & Bassett 1978, doi 10.2307/1913643) of the median, twice.

    Args:
        spec: The learner's.
        commands: How many commands an action has: the steering, and maybe a pedal.
        predicted: (B, commands + fields).
        targets: The same of the teacher, and of the scaled state.
    """
    scale = torch.ones(commands, device=targets.device)
    scale[_STEERING] = spec.steering_scale
    errors = (targets - predicted)[:, :commands] * scale
    if spec.loss == "l2":
        loss = errors.square().mean()
    else:
        if spec.pedal_quantile != 0.5:
            errors[:, _PEDAL:] *= _weights(errors[:, _PEDAL:], targets[:, commands + _SPEED, None], spec.pedal_quantile)
        loss = errors.abs().mean()
    if not spec.state_loss:
        return loss
    return loss + spec.state_loss * F.l1_loss(predicted[:, commands:], targets[:, commands:])


def _weights(errors: Tensor, speed: Tensor, quantile: float) -> Tensor:
    """Return what errors of the pedal (B, 1) count: those of a car that moves by its quantile, others 1."""
    return torch.where(speed > _MOVING, torch.where(errors > 0, 2 * quantile, 2 - 2 * quantile), 1.0)
