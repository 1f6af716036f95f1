"""Rollouts of sb3-contrib's recurrent learners, learned from in short shuffled sequences. It knows no policies."""

from collections.abc import Generator
from typing import Any

import numpy as np
from sb3_contrib.common.recurrent.buffers import RecurrentDictRolloutBuffer, RecurrentRolloutBuffer
from stable_baselines3.common.buffers import RolloutBuffer


class Sequences(RolloutBuffer):
    """A rollout cut into sequences of a few steps, each with the state that its LSTMs had (truncated backpropagation).

    sb3-contrib's minibatches are neighbouring steps of a few environments, in the same order each time. Here they are
    sequences of many environments, in another order each time.
    """

    sequence_steps = 16
    """Steps of a sequence, through which gradients flow; the last of an environment may be shorter."""
    _get_samples: Any

    def get(self, batch_size: int | None = None) -> Generator[Any, None, None]:
        """Yield minibatches, of all samples once."""
        if not self.generator_ready:
            next(super().get(1))  # orders the samples by environment, then step
        samples = self.buffer_size * self.n_envs
        starts = np.arange(samples) % self.buffer_size % self.sequence_steps == 0
        sequences = np.split(np.arange(samples), np.flatnonzero(starts)[1:])
        rows = np.concatenate([sequences[i] for i in np.random.permutation(len(sequences))])
        size = batch_size or samples
        for batch in np.split(rows, range(size, samples, size)):
            yield self._get_samples(batch, starts[:, None])


class SequenceBuffer(Sequences, RecurrentRolloutBuffer):
    """Of pictures, or of the state."""


class DictSequenceBuffer(Sequences, RecurrentDictRolloutBuffer):
    """Of both."""
