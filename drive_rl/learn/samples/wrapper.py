"""Between the environments and a learner: keeps what they return as samples, and trains a network on them.

In a share of the episodes, which falls over the budget, the learner gets help; what help is, is for the wrappers of
`guidance` and `imitation` to say. This module knows nothing of algorithms and policies.
"""

from abc import abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.vec_env import VecEnv

from drive_rl.learn.samples.memory import SampleMemory
from drive_rl.learn.samples.schedule import Recipe, minibatches
from drive_rl.learn.samples.state import (
    COUNTERS,
    OPTIMIZER,
    SAMPLES,
    SampleState,
    limited_owed,
    read_counters,
)
from drive_rl.learn.samples.trainer import SampleTrainer
from drive_rl.learn.sb3.observation_wrapper import ObservationWrapper
from drive_rl.run.storage.atomic import write_json
from drive_rl.run.storage.tensors import read_optimizer, write_optimizer


class SamplingWrapper(ObservationWrapper):
    """Environments whose observations are samples to train a network on.

    Args:
        envs: The environments.
        space: The space of the observations returned.
        recipe: How the network is trained.
        seed: Of the order of samples, and of which episodes get help.
    """

    def __init__(self, envs: VecEnv, space: spaces.Box, recipe: Recipe, seed: int) -> None:
        super().__init__(envs, space)
        self._recipe = recipe
        self._rng = np.random.default_rng([seed, 2])
        self._remaining = 1.0  # of the budget
        self._helped = np.ones(envs.num_envs, bool)  # in each environment's running episode

    def attach_trainer(self, memory: SampleMemory, trainer: SampleTrainer) -> None:
        """Set what keeps the samples and trains on them, before the first reset."""
        self._memory, self._trainer = memory, trainer

    def fitting(self, remaining: float, logger: Logger) -> AbstractContextManager[None]:
        """Train the network beside a block, which trains something else; `remaining` of the budget is left."""
        self._remaining = remaining
        return self._trainer.fitting(remaining, logger)

    def fit(self, remaining: float) -> float | None:
        """Train the network; return its mean loss, None where too few new samples came in."""
        self._remaining = remaining
        return self._trainer.fit(remaining)

    def close(self) -> None:
        """Close the environments, and end the trainer's thread."""
        self._trainer.close()
        super().close()

    def write(self, folder: Path, samples: bool) -> None:
        """Write what `read` returns: exact with the samples; without them, as if none had been seen."""
        write_optimizer(folder, self._trainer.optimizer, OPTIMIZER)
        counters = {
            "seen": self._memory.seen,
            "owed": self._trainer.owed,
            "remaining": self._remaining,
            "helped": self._helped.tolist(),
            "random": self._rng.bit_generator.state,
        }
        write_json(folder / COUNTERS, counters)
        if samples:
            self._memory.write(folder / SAMPLES)

    def read(self, folder: Path, unlearned: int, exact: bool) -> SampleState:
        """Return what `write` wrote for the same spec, for `resume`.

        Args:
            folder: The checkpoint.
            unlearned: How many pictures may have been seen since the network was last trained.
            exact: Whether the checkpoint was written between two rollouts.

        Raises:
            DriveRLError: a file is missing, is damaged, belongs to another spec, or holds an impossible value.
        """
        optimizer = read_optimizer(folder, self._trainer.optimizer, OPTIMIZER)
        counters = read_counters(folder, self.num_envs)
        owed = limited_owed(folder, counters.owed, minibatches(self._recipe, unlearned) + 1, exact)
        path = folder / SAMPLES
        samples = self._memory.read(path, counters.seen) if path.is_file() else None
        return SampleState(counters, owed, optimizer, samples)

    def resume(self, state: SampleState) -> None:
        """Continue from what `read` returned."""
        counters = state.counters
        self._trainer.optimizer.load_state_dict(state.optimizer)
        self._trainer.owed = state.owed if state.samples is not None else 0.0
        self._memory.restore(state.samples, counters.seen)
        self._remaining, self._helped = counters.remaining, np.array(counters.helped)
        self._rng.bit_generator.state = counters.random.model_dump()

    def _begin(self, rows: Sequence[int]) -> None:
        """Draw which of the beginning episodes get help."""
        share = self._share()
        for row in rows:
            self._helped[row] = self._rng.random() < share

    @abstractmethod
    def _share(self) -> float:
        """Return the share of beginning episodes that get help."""
