"""Between the environments and a guided learner: returns lane states, and collects samples to train their predictor.

The environments return pictures and the true state. The learner acts on what `LaneStateNet` predicts from the pictures;
early on, in a share of the episodes, on the true state instead, so that it need not wait for the network. This module
knows nothing of algorithms and policies.
"""

from typing import Any, cast

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv
from torch import Tensor

from drive_rl.config.specs.learner import GuidanceSpec
from drive_rl.learn.guidance.lane_net import LANE_STATE, MOTION, LaneStateNet
from drive_rl.learn.samples.memory import SampleMemory
from drive_rl.learn.samples.schedule import helped_share
from drive_rl.learn.samples.trainer import SampleTrainer
from drive_rl.learn.samples.upload import upload
from drive_rl.learn.samples.wrapper import SamplingWrapper

TRUE_AND_SHOWN = spaces.Box(-np.inf, np.inf, (2 * LANE_STATE.shape[0],), np.float32)
"""The space of a true lane state and, after it, the one to act on."""


class GuidanceWrapper(SamplingWrapper):
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
        super().__init__(envs, TRUE_AND_SHOWN if returns_both else LANE_STATE, spec, seed)
        self._spec, self._returns_both = spec, returns_both

    def attach_net(self, lane_net: LaneStateNet) -> None:
        """Set the lane network of a policy, before the first reset."""
        self._lane_net, self._device = lane_net, lane_net.scale.device
        camera = cast(spaces.Dict, self.venv.observation_space).spaces["camera"]
        shape = cast(tuple[int, ...], camera.shape)
        memory = SampleMemory(self._spec.pictures, shape, LANE_STATE.shape[0], self._device)
        change = self._bring_to_rest if self._spec.at_rest else None
        self.attach_trainer(memory, SampleTrainer(lane_net, memory, self._spec, self._rng, change))

    def _share(self) -> float:
        return helped_share(self._spec.truth_fraction, self._remaining)

    def _observe(self, observations: Any) -> Any:
        """Keep the samples; return the lane states."""
        pictures, truths = self._tensor(observations["camera"]), self._truth(observations["state"])
        self._trainer.add(pictures, truths)
        return self._returned(observations["state"], truths, self._shown(truths, pictures, self._helped))

    def _observe_last(self, rows: list[int], observations: Any) -> Any:
        """Return the last lane states of episodes; they are no samples."""
        truths = self._truth(observations["state"])
        shown = self._shown(truths, self._tensor(observations["camera"]), self._helped[rows])
        return self._returned(observations["state"], truths, shown)

    def _shown(self, truths: Tensor, pictures: Tensor, helped: NDArray[np.bool_]) -> Tensor:
        """Return the lane states to act on: the truth where an episode is helped, else what the network predicts."""
        return torch.where(self._tensor(helped)[:, None], truths, self._lane_net.lane_state(pictures))

    def _returned(self, given: Any, truth: Tensor, shown: Tensor) -> Any:
        """Return one or both lane states as arrays, unless the environments return tensors."""
        states = torch.cat((truth, shown), -1) if self._returns_both else shown
        return states if isinstance(given, Tensor) else states.cpu().numpy()

    def _bring_to_rest(self, pictures: Tensor, truths: Tensor, rng: np.random.Generator) -> None:
        """Turn some samples into those of a car at rest, which cars that learn are seldom: one frame, repeated."""
        rows = self._tensor(np.flatnonzero(rng.random(len(pictures)) < self._spec.at_rest))
        stack = self._lane_net.frames
        newest = pictures[rows][:, -(pictures.shape[1] // stack) :]
        pictures[rows] = newest.repeat(1, stack, 1, 1)
        truths[rows[:, None], MOTION] = 0

    def _truth(self, state: Any) -> Tensor:
        return self._lane_net.scaled(self._tensor(state))

    def _tensor(self, values: Any) -> Tensor:
        return upload(values, self._device)
