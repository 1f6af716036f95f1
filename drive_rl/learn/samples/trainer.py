"""Training of a network on the samples kept: gradient steps on an optimizer of its own.

It knows networks and samples. It does not know environments or policies.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import cast

import numpy as np
import torch
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.utils import update_learning_rate
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from drive_rl.learn.samples.memory import SampleMemory
from drive_rl.learn.samples.schedule import Recipe, learning_rate, minibatches
from drive_rl.learn.samples.upload import upload

_MAX_GRAD_NORM = 5.0


Change = Callable[[Tensor, Tensor, np.random.Generator], None]
"""Changes a minibatch of pictures and targets in place."""
Loss = Callable[[Tensor, Tensor], Tensor]
"""Of predictions and targets, (B, fields) each; returns a scalar."""


class SampleTrainer:
    """Fits a network to the samples in a memory (Adam).

    Args:
        net: The network: pictures (B, C, H, W) uint8 -> targets (B, fields).
        memory: Its samples.
        recipe: How.
        rng: Draws the minibatches.
        change: Applied to each minibatch.
        loss: What is made small; the mean squared error by default.
    """

    def __init__(
        self,
        net: nn.Module,
        memory: SampleMemory,
        recipe: Recipe,
        rng: np.random.Generator,
        change: Change | None = None,
        loss: Loss = F.mse_loss,
    ) -> None:
        self.owed = 0.0
        """Minibatches that the new samples call for."""
        self._net, self._memory, self._recipe, self._rng = net, memory, recipe, rng
        self._change, self._loss = change, loss
        self._parameters = [parameter for parameter in net.parameters() if parameter.requires_grad]
        self._device = self._parameters[0].device
        self.optimizer = torch.optim.Adam(self._parameters, recipe.learning_rate, fused=True)
        self._thread = ThreadPoolExecutor(1) if self._device.type == "cpu" else None

    def add(self, pictures: Tensor, targets: Tensor) -> None:
        """Keep new samples, and owe the minibatches that they call for."""
        self._memory.add(pictures, targets)
        self.owed += minibatches(self._recipe, len(pictures))

    @contextmanager
    def fitting(self, remaining: float, logger: Logger) -> Iterator[None]:
        """Run `fit` beside the block, which trains something else; on the CPU on a core of its own."""
        fit = self._thread.submit(self.fit, remaining) if self._thread else None
        try:
            yield
        finally:
            loss = fit.result() if fit else self.fit(remaining)
        if loss is not None:
            logger.record("train/lane_loss", loss)

    def fit(self, remaining: float) -> float | None:
        """Take the gradient steps owed; return the mean of their losses, None where no whole minibatch is owed.

        Args:
            remaining: Part of the budget that is left, for the step size; the last steps may overshoot it.
        """
        update_learning_rate(self.optimizer, learning_rate(self._recipe, remaining))
        steps = int(self.owed)
        self.owed -= steps
        return float(torch.stack([self._step() for _ in range(steps)]).mean()) if steps else None

    def close(self) -> None:
        """End the thread."""
        if self._thread:
            self._thread.shutdown()

    def _step(self) -> Tensor:
        """Take one gradient step on a random minibatch; return the loss."""
        drawn = self._rng.integers(0, len(self._memory), self._recipe.batch_size)
        pictures, targets = self._memory.take(upload(drawn, self._device))
        if self._change is not None:
            self._change(pictures, targets, self._rng)
        loss = self._loss(self._net(pictures), targets)
        for parameter in self._parameters:
            parameter.grad = None
        loss.backward()
        gradients = cast(list[Tensor], [parameter.grad for parameter in self._parameters])
        norm = get_total_norm(gradients)
        if norm.is_cuda or norm > _MAX_GRAD_NORM:  # to ask would be to wait for the GPU
            clip_grads_with_norm_(self._parameters, _MAX_GRAD_NORM, norm)
        self.optimizer.step()
        return loss.detach()
