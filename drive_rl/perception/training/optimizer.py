"""The optimizer that a recipe names, and its step size."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from drive_rl.config.specs.perception import FitSpec

_MOMENTUM = 0.9


def learning_rate(fit: FitSpec, done: int, batches: int) -> float:
    """Return the step size of minibatch `done` of `batches`: half a cosine (Loshchilov and Hutter 2017, 1608.03983)."""
    fall = 0.5 * (1 + math.cos(math.pi * min(done / max(batches, 1), 1)))
    return fit.learning_rate_end + (fit.learning_rate - fit.learning_rate_end) * fall


def make_optimizer(fit: FitSpec, parameters: Sequence[Tensor]) -> torch.optim.Optimizer:
    """Return the recipe's optimizer."""
    rate, decay = fit.learning_rate, fit.weight_decay
    if fit.optimizer == "adam":
        return torch.optim.AdamW(parameters, rate, weight_decay=decay)
    if fit.optimizer == "adagrad":
        return torch.optim.Adagrad(parameters, rate, weight_decay=decay)
    return torch.optim.SGD(parameters, rate, _MOMENTUM if fit.optimizer == "momentum" else 0.0, weight_decay=decay)
