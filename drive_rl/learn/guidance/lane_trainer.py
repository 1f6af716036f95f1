"""Training of the lane network: gradient steps on the samples kept, on an optimizer of its own.

It knows the network and the samples. It does not know environments or policies.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import cast

import numpy as np
import torch
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.utils import update_learning_rate
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from drive_rl.config.specs.driver import GuidanceSpec
from drive_rl.learn.guidance.lane_net import MOTION, LaneStateNet
from drive_rl.learn.guidance.sample_memory import SampleMemory
from drive_rl.learn.guidance.schedule import learning_rate, minibatches

_MAX_GRAD_NORM = 5.0


class LaneTrainer:
    """Fits a lane network to the samples in a memory by mean squared error (Adam).

    Args:
        lane_net: The network.
        memory: Its samples.
        spec: The recipe.
        rng: Draws the minibatches.
    """

    def __init__(
        self, lane_net: LaneStateNet, memory: SampleMemory, spec: GuidanceSpec, rng: np.random.Generator
    ) -> None:
        self.owed = 0.0
        """Minibatches that the new samples call for."""
        self._lane_net, self._memory, self._spec, self._rng = lane_net, memory, spec, rng
        self._device = lane_net.scale.device
        self._parameters = [parameter for parameter in lane_net.parameters() if parameter.requires_grad]
        self.optimizer = torch.optim.Adam(self._parameters, spec.learning_rate, fused=True)
        self._thread = ThreadPoolExecutor(1) if self._device.type == "cpu" else None

    def add(self, pictures: Tensor, truths: Tensor) -> None:
        """Keep new samples, and owe the minibatches that they call for."""
        self._memory.add(pictures, truths)
        self.owed += minibatches(self._spec, len(pictures))

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
        update_learning_rate(self.optimizer, learning_rate(self._spec, remaining))
        steps = int(self.owed)
        self.owed -= steps
        return float(torch.stack([self._step() for _ in range(steps)]).mean()) if steps else None

    def close(self) -> None:
        """End the thread."""
        if self._thread:
            self._thread.shutdown()

    def _step(self) -> Tensor:
        """Take one gradient step on a random minibatch; return the loss."""
        drawn = self._rng.integers(0, len(self._memory), self._spec.batch_size)
        pictures, truths = self._memory.take(self._tensor(drawn))
        if self._spec.at_rest:
            self._bring_to_rest(pictures, truths)
        loss = F.mse_loss(self._lane_net(pictures), truths)
        for parameter in self._parameters:
            parameter.grad = None
        loss.backward()
        gradients = cast(list[Tensor], [parameter.grad for parameter in self._parameters])
        norm = get_total_norm(gradients)
        if norm > _MAX_GRAD_NORM:
            clip_grads_with_norm_(self._parameters, _MAX_GRAD_NORM, norm)
        self.optimizer.step()
        return loss.detach()

    def _bring_to_rest(self, pictures: Tensor, truths: Tensor) -> None:
        """Turn some samples into those of a car at rest, which cars that learn are seldom: one frame, repeated."""
        rows = self._tensor(np.flatnonzero(self._rng.random(len(pictures)) < self._spec.at_rest))
        stack = self._lane_net.frames
        newest = pictures[rows][:, -(pictures.shape[1] // stack) :]
        pictures[rows] = newest.repeat(1, stack, 1, 1)
        truths[rows[:, None], MOTION] = 0

    def _tensor(self, values: np.ndarray) -> Tensor:
        return torch.as_tensor(values, device=self._device)
