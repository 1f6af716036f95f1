"""Between the environments and a guided learner: returns lane states, and collects samples to train their predictor.

The environments return pictures and the true state. The learner acts on what `LaneStateNet` predicts from the pictures;
early on, in a share of the episodes, on the true state instead, so that it need not wait for the network. This module
knows nothing of algorithms and policies.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.vec_env import VecEnv
from torch import Tensor

from drive_rl.config.specs.driver import GuidanceSpec
from drive_rl.learn.guidance.lane_net import LANE_STATE, LaneStateNet
from drive_rl.learn.guidance.lane_trainer import LaneTrainer
from drive_rl.learn.guidance.sample_memory import SampleMemory
from drive_rl.learn.guidance.schedule import minibatches, truth_share
from drive_rl.learn.guidance.state import (
    COUNTERS,
    OPTIMIZER,
    PICTURES,
    GuidanceState,
    limited_owed,
    read_counters,
)
from drive_rl.learn.sb3.lane_state_wrapper import LaneStateWrapper
from drive_rl.run.storage.atomic import write_json
from drive_rl.run.storage.tensors import read_optimizer, write_optimizer

TRUE_AND_SHOWN = spaces.Box(-np.inf, np.inf, (2 * LANE_STATE.shape[0],), np.float32)
"""The space of a true lane state and, after it, the one to act on."""


class GuidanceWrapper(LaneStateWrapper):
    """{camera, state} environments as environments of the scaled lane state to act on.

    That is the prediction, or early on the truth. With `returns_both` they return (B, 2 x fields), the true state and
    the one to act on, for values that are learned off-policy. Lane states are arrays, or tensors where the environments
    return tensors.

    Args:
        envs: The environments.
        spec: How the lane network is trained.
        seed: Of the order of samples, and of which episodes show the truth.
        returns_both: What `reset` and `step` return.
    """

    def __init__(self, envs: VecEnv, spec: GuidanceSpec, seed: int, returns_both: bool) -> None:
        super().__init__(envs, TRUE_AND_SHOWN if returns_both else LANE_STATE)
        self._spec, self._returns_both = spec, returns_both
        self._rng = np.random.default_rng([seed, 2])
        self._remaining = 1.0  # of the budget
        self._shows_truth = np.ones(envs.num_envs, bool)  # in each environment's running episode

    def attach_net(self, lane_net: LaneStateNet) -> None:
        """Set the lane network of a policy, before the first reset."""
        self.attach(lane_net)
        self._lane_net, self._device = lane_net, lane_net.scale.device
        camera = cast(spaces.Dict, self.venv.observation_space).spaces["camera"]
        self._memory = SampleMemory(self._spec.pictures, cast(tuple[int, ...], camera.shape), self._device)
        self._trainer = LaneTrainer(lane_net, self._memory, self._spec, self._rng)

    def fitting(self, remaining: float, logger: Logger) -> AbstractContextManager[None]:
        """Train the lane network beside a block, which trains the policy; `remaining` of the budget is left."""
        self._remaining = remaining
        return self._trainer.fitting(remaining, logger)

    def fit(self, remaining: float) -> float | None:
        """Train the lane network; return its mean loss, None where too few new samples came in."""
        self._remaining = remaining
        return self._trainer.fit(remaining)

    def close(self) -> None:
        """Close the environments, and end the trainer's thread."""
        self._trainer.close()
        super().close()

    def write(self, folder: Path, pictures: bool) -> None:
        """Write what `read` returns: exact with the pictures; without them, as if none had been seen."""
        write_optimizer(folder, self._trainer.optimizer, OPTIMIZER)
        counters = {
            "seen": self._memory.seen,
            "owed": self._trainer.owed,
            "remaining": self._remaining,
            "shows_truth": self._shows_truth.tolist(),
            "random": self._rng.bit_generator.state,
        }
        write_json(folder / COUNTERS, counters)
        if pictures:
            self._memory.write(folder / PICTURES)

    def read(self, folder: Path, unlearned: int, exact: bool) -> GuidanceState:
        """Return what `write` wrote for the same spec, for `resume`.

        Args:
            folder: The checkpoint.
            unlearned: How many pictures may have been seen since the lane network was last trained.
            exact: Whether the checkpoint was written between two rollouts.

        Raises:
            DriveRLError: a file is missing, is damaged, belongs to another spec, or holds an impossible value.
        """
        optimizer = read_optimizer(folder, self._trainer.optimizer, OPTIMIZER)
        counters = read_counters(folder, self.num_envs)
        owed = limited_owed(folder, counters.owed, minibatches(self._spec, unlearned) + 1, exact)
        path = folder / PICTURES
        samples = self._memory.read(path, counters.seen) if path.is_file() else None
        return GuidanceState(counters, owed, optimizer, samples)

    def resume(self, state: GuidanceState) -> None:
        """Continue from what `read` returned."""
        counters = state.counters
        self._trainer.optimizer.load_state_dict(state.optimizer)
        self._trainer.owed = state.owed if state.samples is not None else 0.0
        self._memory.restore(state.samples, counters.seen)
        self._remaining, self._shows_truth = counters.remaining, np.array(counters.shows_truth)
        self._rng.bit_generator.state = counters.random.model_dump()

    def _begin(self, rows: Sequence[int]) -> None:
        """Draw which of the beginning episodes show the true state."""
        share = truth_share(self._spec, self._remaining)
        for row in rows:
            self._shows_truth[row] = self._rng.random() < share

    def _observe(self, observations: Any) -> Any:
        """Keep the samples; return the lane states."""
        pictures, truths = self._tensor(observations["camera"]), self._truth(observations["state"])
        self._trainer.add(pictures, truths)
        predicted = self._lane_net.lane_state(pictures)
        shown = torch.where(self._tensor(self._shows_truth)[:, None], truths, predicted)
        return self._returned(observations["state"], truths, shown)

    def _observe_last(self, row: int, observation: Any) -> Any:
        """Return the last lane state of an episode; it is no sample."""
        truth = shown = self._truth(observation["state"])
        if not self._shows_truth[row]:
            shown = self._lane_net.lane_state(self._tensor(observation["camera"])[None])[0]
        return self._returned(observation["state"], truth, shown)

    def _returned(self, given: Any, truth: Tensor, shown: Tensor) -> Any:
        """Return one or both lane states as arrays, unless the environments return tensors."""
        states = torch.cat((truth, shown), -1) if self._returns_both else shown
        return states if isinstance(given, Tensor) else states.cpu().numpy()

    def _truth(self, state: Any) -> Tensor:
        return self._lane_net.scaled(self._tensor(state))

    def _tensor(self, values: Any) -> Tensor:
        return torch.as_tensor(values, device=self._device)
