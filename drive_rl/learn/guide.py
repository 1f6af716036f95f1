"""Between the environments and a guided learner: shows it the lane state, and teaches its eyes on what they see.

The environments show pictures and the true state. The learner is shown what `LaneSight` tells from the pictures; early
on a share of the episodes shows it the true state instead (scheduled sampling, Bengio et al. 2015, arXiv 1506.03099),
so that it need not wait for its eyes. This module knows nothing of algorithms and policies.
"""

from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.utils import LinearSchedule, update_learning_rate
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from torch.nn import functional as F

from drive_rl.errors import DriveRLError
from drive_rl.learn.manifest import MEND
from drive_rl.learn.replay_state import read_arrays
from drive_rl.learn.sight import LANE_STATE, LaneSight, scaled
from drive_rl.learn.tensors import load_optimizer, write_optimizer
from drive_rl.run.files import read_json, write_json
from drive_rl.spec import GuidanceSpec

_MAX_GRAD_NORM = 5.0


class Guide(VecEnvWrapper):
    """{camera, state} environments as environments of the scaled lane state.

    `shown` (B, fields) is what to act on: what the eyes tell, or early on the truth. It is also what the environments
    return, unless `returns_truth`: then they return the true state, for values that are learned off-policy.

    Args:
        envs: The environments.
        spec: How the eyes learn.
        seed: Of the order of pictures, and of which episodes show the truth.
        returns_truth: What `reset` and `step` return.
    """

    def __init__(self, envs: VecEnv, spec: GuidanceSpec, seed: int, returns_truth: bool) -> None:
        super().__init__(envs, observation_space=LANE_STATE)
        camera = cast(spaces.Dict, envs.observation_space).spaces["camera"]
        self.shown = np.zeros((envs.num_envs, *LANE_STATE.shape), np.float32)
        self._spec, self._returns_truth = spec, returns_truth
        self._rng = np.random.default_rng([seed, 2])
        self._pictures = np.zeros((spec.pictures, *cast(tuple[int, ...], camera.shape)), np.uint8)
        self._truths = np.zeros((spec.pictures, *LANE_STATE.shape), np.float32)
        self._seen = 0  # pictures
        self._owed = 0.0  # minibatches
        self._remaining = 1.0  # of the budget
        self._learning_rate = LinearSchedule(spec.learning_rate, spec.learning_rate_end, 1.0)
        self._shows_truth = np.ones(envs.num_envs, bool)  # in each environment's running episode

    def teach(self, sight: LaneSight) -> None:
        """Take a policy's eyes on, before the first reset."""
        self._sight = sight
        self._optimizer = torch.optim.Adam(sight.parameters(), self._spec.learning_rate, fused=True)

    def reset(self) -> np.ndarray:
        """Reset the environments; return (B, fields)."""
        observations = self.venv.reset()
        self._begin(np.ones(self.num_envs, bool))
        return self._show(observations)

    def step_wait(self) -> Any:
        """Step the environments; return lane states (B, fields), rewards, dones, infos."""
        observations, rewards, dones, infos = self.venv.step_wait()
        for row in np.flatnonzero(dones):
            last = infos[row]["terminal_observation"]
            truth = scaled(last["state"])
            true = self._returns_truth or self._shows_truth[row]
            infos[row]["terminal_observation"] = truth if true else self._sight.tell(last["camera"][None])[0]
        self._begin(dones)
        return self._show(observations), rewards, dones, infos

    def learn(self, remaining: float) -> float | None:
        """Teach the eyes on the pictures kept, as many as the new ones call for.

        Return the mean squared error, or None while the new ones make no minibatch.

        Args:
            remaining: Part of the budget that is left, for the schedules; the last steps may overshoot it.
        """
        self._remaining = remaining
        update_learning_rate(self._optimizer, self._learning_rate(remaining))
        steps = int(self._owed)
        self._owed -= steps
        return float(np.mean([self._step() for _ in range(steps)])) if steps else None

    def write(self, folder: Path, pictures: bool) -> None:
        """Write what `read` goes on from: exactly with the pictures, without them as if none had been seen."""
        write_optimizer(folder, self._optimizer, "guide_optimizer")
        counters = {"seen": self._seen, "owed": self._owed, "remaining": self._remaining}
        shown = {"shows_truth": self._shows_truth.tolist(), "shown": self.shown.tolist()}
        write_json(folder / "guide.json", {**counters, **shown, "random": self._rng.bit_generator.state})
        if pictures:
            kept = min(self._seen, self._spec.pictures)
            arrays = {"pictures": self._pictures[:kept], "truths": self._truths[:kept]}
            np.savez(folder / "pictures.npz", allow_pickle=False, **arrays)

    def read(self, folder: Path) -> None:
        """Go on from what `write` wrote for the same spec.

        Raises:
            DriveRLError: a file is missing, is damaged, or belongs to another spec.
        """
        load_optimizer(folder, self._optimizer, "guide_optimizer")
        state = read_json(folder / "guide.json", MEND)
        self._seen, self._owed, self._remaining = state["seen"], state["owed"], state["remaining"]
        self._shows_truth, self.shown = np.array(state["shows_truth"]), np.array(state["shown"], np.float32)
        self._rng.bit_generator.state = state["random"]
        path = folder / "pictures.npz"
        if not path.is_file():
            self._seen, self._owed = 0, 0.0
            return
        arrays = read_arrays(path)
        kept = len(arrays["pictures"])
        if arrays["pictures"].shape[1:] != self._pictures.shape[1:] or kept != min(self._seen, self._spec.pictures):
            raise DriveRLError(
                f"{path}: holds {kept} pictures of shape {arrays['pictures'].shape[1:]}, but this driver keeps"
                f" {self._spec.pictures} of {self._pictures.shape[1:]}: resume with the run's own spec.yaml"
            )
        self._pictures[:kept], self._truths[:kept] = arrays["pictures"], arrays["truths"]

    def _begin(self, episodes: np.ndarray) -> None:
        """Draw which of the beginning episodes show the true state."""
        fraction = self._spec.truth_fraction
        share = LinearSchedule(1.0, 0.0, fraction)(self._remaining) if fraction else 0.0
        for row in np.flatnonzero(episodes):
            self._shows_truth[row] = self._rng.random() < share

    def _show(self, observations: Any) -> np.ndarray:
        """Keep the pictures; return the lane states."""
        pictures, truths = observations["camera"], scaled(observations["state"])
        at = (self._seen + np.arange(len(pictures))) % len(self._pictures)
        self._pictures[at], self._truths[at] = pictures, truths
        self._seen += len(pictures)
        self._owed += len(pictures) * self._spec.passes / self._spec.batch_size
        self.shown = np.where(self._shows_truth[:, None], truths, self._sight.tell(pictures))
        return truths if self._returns_truth else self.shown

    def _step(self) -> float:
        """Take one gradient step on pictures drawn from those kept."""
        device = self._sight.lane.weight.device
        drawn = self._rng.integers(0, min(self._seen, self._spec.pictures), self._spec.batch_size)
        told = self._sight(torch.as_tensor(self._pictures[drawn], device=device))
        loss = F.mse_loss(told, torch.as_tensor(self._truths[drawn], device=device))
        self._optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._sight.parameters(), _MAX_GRAD_NORM)
        self._optimizer.step()
        return loss.item()
