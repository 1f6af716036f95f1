"""Training of a network on the samples kept: gradient steps on an optimizer of its own.

On a CPU of several cores they can be taken beside something else, on a thread.

It knows networks and samples. It does not know environments or policies.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
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
        self._begun: Future[float | None] | None = None

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
        return _mean([self._step(self._draw()) for _ in range(self._owed_steps(remaining))])

    def begin(self, remaining: float) -> None:
        """Begin what `fit` does, with minibatches that are drawn now: samples that are added wait for `end`."""
        drawn = [self._draw() for _ in range(self._owed_steps(remaining))]
        self._memory.hold()
        begin = self._thread.submit if self._thread and len(os.sched_getaffinity(0)) > 1 else _at_once
        self._begun = begin(lambda: _mean([self._step(rows) for rows in drawn]))

    def end(self) -> float | None:
        """Wait for what `begin` began; return the mean loss, None where nothing was."""
        begun, self._begun = self._begun, None
        try:
            return begun.result() if begun is not None else None
        finally:
            self._memory.release()

    def close(self) -> None:
        """End the thread."""
        if self._thread:
            self._thread.shutdown()

    def _owed_steps(self, remaining: float) -> int:
        """Set the step size; return how many steps are owed, which are to be taken."""
        update_learning_rate(self.optimizer, learning_rate(self._recipe, remaining))
        steps = int(self.owed)
        self.owed -= steps
        return steps

    def _draw(self) -> np.ndarray:
        """Draw a minibatch; return the rows of its samples."""
        return self._rng.integers(0, len(self._memory), self._recipe.batch_size)

    def _step(self, drawn: np.ndarray) -> Tensor:
        """Take one gradient step on a minibatch; return the loss."""
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


def _mean(losses: Sequence[Tensor]) -> float | None:
    return float(torch.stack(list(losses)).mean()) if losses else None


def _at_once(call: Callable[[], float | None]) -> Future[float | None]:
    """Call here and now what a thread would."""
    done: Future[float | None] = Future()
    done.set_result(call())
    return done
