"""Between the environments and a guided learner: shows it the lane state, and trains the network that predicts it.

The environments show pictures and the true state. The learner sees what `LaneStateNet` predicts from the pictures;
early on, a share of the episodes shows the true state instead (scheduled sampling, Bengio et al. 2015, arXiv
1506.03099), so that it need not wait for the network. This module knows nothing of algorithms and policies.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from gymnasium import spaces
from pydantic import Field
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.utils import LinearSchedule, update_learning_rate
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from drive_rl.config.driver_spec import GuidanceSpec
from drive_rl.errors import DriveRLError
from drive_rl.learn.guidance.lane_net import LANE_STATE, MOTION, LaneStateNet
from drive_rl.run.storage.arrays import read_arrays
from drive_rl.run.storage.atomic import write_json
from drive_rl.run.storage.manifest import FIX, Count
from drive_rl.run.storage.pcg64 import PCG64State
from drive_rl.run.storage.schema import Table, read_table
from drive_rl.run.storage.tensors import read_optimizer, write_optimizer
from drive_rl.sim.state import Expected, check_array

_MAX_GRAD_NORM = 5.0

TRUE_AND_SHOWN = spaces.Box(-np.inf, np.inf, (2 * LANE_STATE.shape[0],), np.float32)
"""The space of a true lane state and, after it, the one that is shown."""


class _Counters(Table):
    """`guidance.json`."""

    seen: Count
    owed: float = Field(ge=0)
    remaining: float = Field(le=1)  # < 0 beyond the budget
    shows_truth: list[bool]
    shown: list[list[float]]
    random: PCG64State


class GuidanceState(NamedTuple):
    """What a guide goes on from, read and checked."""

    counters: _Counters
    owed: float  # minibatches
    shown: np.ndarray  # (B, fields) float32
    optimizer: dict[str, Any]
    arrays: dict[str, np.ndarray] | None  # pictures and truths; None: none are kept


class GuidanceWrapper(VecEnvWrapper):
    """{camera, state} environments as environments of the scaled lane state.

    `shown` (B, fields) is what to act on: what the eyes tell, or early on the truth. It is also what the environments
    return, unless `returns_both`: then they return (B, 2 x fields), the true state and what is shown, for values that
    are learned off-policy. Lane states are arrays, or tensors where the environments show tensors.

    Args:
        envs: The environments.
        spec: How the eyes learn.
        seed: Of the order of pictures, and of which episodes show the truth.
        returns_both: What `reset` and `step` return.
    """

    def __init__(self, envs: VecEnv, spec: GuidanceSpec, seed: int, returns_both: bool) -> None:
        super().__init__(envs, observation_space=TRUE_AND_SHOWN if returns_both else LANE_STATE)
        camera = cast(spaces.Dict, envs.observation_space).spaces["camera"]
        self.shown: Any = np.zeros((envs.num_envs, *LANE_STATE.shape), np.float32)
        self._spec, self._returns_both = spec, returns_both
        self._rng = np.random.default_rng([seed, 2])
        self._pictures = torch.zeros((spec.pictures, *cast(tuple[int, ...], camera.shape)), dtype=torch.uint8)
        self._truths = torch.zeros((spec.pictures, *LANE_STATE.shape))
        self._seen = 0  # pictures
        self._owed = 0.0  # minibatches
        self._remaining = 1.0  # of the budget
        self._learning_rate = LinearSchedule(spec.learning_rate, spec.learning_rate_end, 1.0)
        self._shows_truth = np.ones(envs.num_envs, bool)  # in each environment's running episode

    def teach(self, lane_net: LaneStateNet) -> None:
        """Take a policy's eyes on, before the first reset."""
        self._lane_net, self._device = lane_net, lane_net.scale.device
        self._pictures, self._truths = self._pictures.to(self._device), self._truths.to(self._device)
        self._learned = [parameter for parameter in lane_net.parameters() if parameter.requires_grad]
        self._optimizer = torch.optim.Adam(self._learned, self._spec.learning_rate, fused=True)
        self._teacher = ThreadPoolExecutor(1) if self._device.type == "cpu" else None

    def reset(self) -> Any:
        """Reset the environments; return (B, fields)."""
        observations = self.venv.reset()
        self._begin(np.ones(self.num_envs, bool))
        return self._show(observations)

    def step_wait(self) -> Any:
        """Step the environments; return lane states (B, fields), rewards, dones, infos."""
        observations, rewards, dones, infos = self.venv.step_wait()
        ended = np.array(["terminal_observation" in info for info in infos])
        for row in np.flatnonzero(ended):
            last = infos[row]["terminal_observation"]
            truth = self._truth(last["state"])
            shown = truth if self._shows_truth[row] else self._tell(self._tensor(last["camera"])[None])[0]
            returned = torch.cat((truth, shown)) if self._returns_both else shown
            infos[row]["terminal_observation"] = self._like(last["state"], returned)
        self._begin(ended)
        return self._show(observations), rewards, dones, infos

    @contextmanager
    def teaching(self, remaining: float, logger: Logger) -> Iterator[None]:
        """Do `learn` while the block runs, which learns something else; on the CPU on a core of its own."""
        lesson = self._teacher.submit(self.learn, remaining) if self._teacher else None
        try:
            yield
        finally:
            loss = lesson.result() if lesson else self.learn(remaining)
        if loss is not None:
            logger.record("train/lane_loss", loss)

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
        return float(torch.stack([self._step() for _ in range(steps)]).mean()) if steps else None

    def close(self) -> None:
        """Close the environments, and end the teacher's thread."""
        if self._teacher:
            self._teacher.shutdown()
        super().close()

    def write(self, folder: Path, pictures: bool) -> None:
        """Write what `read` returns: exactly with the pictures, without them as if none had been seen."""
        write_optimizer(folder, self._optimizer, "guidance_optimizer")
        counters = {"seen": self._seen, "owed": self._owed, "remaining": self._remaining}
        shown = {"shows_truth": self._shows_truth.tolist(), "shown": self.shown.tolist()}
        write_json(folder / "guidance.json", {**counters, **shown, "random": self._rng.bit_generator.state})
        if pictures:
            kept = min(self._seen, self._spec.pictures)
            arrays = {"pictures": self._pictures[:kept].cpu().numpy(), "truths": self._truths[:kept].cpu().numpy()}
            np.savez(folder / "pictures.npz", allow_pickle=False, **arrays)

    def read(self, folder: Path, unlearned: int, exact: bool) -> "GuidanceState":
        """Return what `write` wrote for the same spec; `resume` goes on from it.

        Args:
            folder: The checkpoint.
            unlearned: How many pictures may have been seen since the last lesson.
            exact: Whether the checkpoint was written between two rollouts; what one written within a rollout owes
                beyond `unlearned` is forgiven.

        Raises:
            DriveRLError: a file is missing, is damaged, belongs to another spec, or holds what no guide holds.
        """
        optimizer = read_optimizer(folder, self._optimizer, "guidance_optimizer")
        path, arrays, n = folder / "guidance.json", None, self.num_envs
        state = read_table(path, _Counters, FIX)
        shown = np.array(state.shown, np.float32) if len({len(row) for row in state.shown}) == 1 else np.empty(0)
        check_array(f"{path}: shown", shown, Expected((n, *LANE_STATE.shape), np.float32), FIX)
        if len(state.shows_truth) != n:
            raise DriveRLError(f"{path}: shows_truth: {len(state.shows_truth)} values, but expected {n}; {FIX}")
        most = unlearned * self._spec.passes / self._spec.batch_size + 1
        if exact and state.owed > most:
            raise DriveRLError(f"{path}: owed = {state.owed:g}: expected at most {most:g} minibatches; {FIX}")
        if (folder / "pictures.npz").is_file():
            arrays = self._read_pictures(folder / "pictures.npz", state.seen)
        return GuidanceState(state, min(state.owed, most), shown, optimizer, arrays)

    def _read_pictures(self, path: Path, seen: int) -> dict[str, np.ndarray]:
        arrays = read_arrays(path)
        kept, shape = min(seen, self._spec.pictures), tuple(self._pictures.shape[1:])
        found = arrays.get("pictures", np.empty(0)).shape
        if found != (kept, *shape) or arrays.keys() != {"pictures", "truths"}:
            raise DriveRLError(
                f"{path}: holds {', '.join(arrays)} with pictures {found}, but this driver keeps {kept} of {shape} and"
                " their truths: resume with the run's own spec.yaml"
            )
        check_array(f"{path}: pictures", arrays["pictures"], Expected(found, np.uint8), FIX)
        check_array(f"{path}: truths", arrays["truths"], Expected((kept, *LANE_STATE.shape), np.float32), FIX)
        return arrays

    def resume(self, state: "GuidanceState") -> None:
        """Go on from what `read` returned."""
        counters, arrays = state.counters, state.arrays
        self._optimizer.load_state_dict(state.optimizer)
        self._seen, self._owed, self._remaining = counters.seen, state.owed, counters.remaining
        self._shows_truth, self.shown = np.array(counters.shows_truth), state.shown
        self._rng.bit_generator.state = counters.random.model_dump()
        if arrays is None:
            self._seen, self._owed = 0, 0.0
            return
        kept = len(arrays["pictures"])
        self._pictures[:kept], self._truths[:kept] = self._tensor(arrays["pictures"]), self._tensor(arrays["truths"])

    def _begin(self, episodes: np.ndarray) -> None:
        """Draw which of the beginning episodes show the true state."""
        fraction = self._spec.truth_fraction
        share = LinearSchedule(1.0, 0.0, fraction)(self._remaining) if fraction else 0.0
        for row in np.flatnonzero(episodes):
            self._shows_truth[row] = self._rng.random() < share

    def _show(self, observations: Any) -> Any:
        """Keep the pictures; return the lane states."""
        pictures, truths = self._tensor(observations["camera"]), self._truth(observations["state"])
        room = len(self._pictures)
        late = max(0, len(pictures) - room)  # more than are kept: the latest
        at = (self._seen + late) % room
        fit = late + min(len(pictures) - late, room - at)  # the rest begins anew
        for kept, new in ((self._pictures, pictures), (self._truths, truths)):
            kept[at : at + fit - late], kept[: len(new) - fit] = new[late:fit], new[fit:]
        self._seen += len(pictures)
        self._owed += len(pictures) * self._spec.passes / self._spec.batch_size
        shown = torch.where(self._tensor(self._shows_truth)[:, None], truths, self._tell(pictures))
        self.shown = self._like(observations["state"], shown)
        return self._like(observations["state"], torch.cat((truths, shown), 1)) if self._returns_both else self.shown

    def _step(self) -> Tensor:
        """Take one gradient step on pictures drawn from those kept; return the loss."""
        drawn = self._tensor(self._rng.integers(0, min(self._seen, self._spec.pictures), self._spec.batch_size))
        pictures, truths = self._pictures.index_select(0, drawn), self._truths[drawn]
        if self._spec.at_rest:
            self._bring_to_rest(pictures, truths)
        loss = F.mse_loss(self._lane_net(pictures), truths)
        for parameter in self._learned:
            parameter.grad = None
        loss.backward()
        gradients = cast(list[Tensor], [parameter.grad for parameter in self._learned])
        norm = get_total_norm(gradients)
        if norm > _MAX_GRAD_NORM:
            clip_grads_with_norm_(self._learned, _MAX_GRAD_NORM, norm)
        self._optimizer.step()
        return loss.detach()

    def _bring_to_rest(self, pictures: Tensor, truths: Tensor) -> None:
        """Make some pictures, and what is true of them, those of a car at rest; cars that learn seldom show any."""
        rows = self._tensor(np.flatnonzero(self._rng.random(len(pictures)) < self._spec.at_rest))
        stack = self._lane_net.frames
        newest = pictures[rows][:, -(pictures.shape[1] // stack) :]
        pictures[rows] = newest.repeat(1, stack, 1, 1)
        truths[rows[:, None], MOTION] = 0

    def _truth(self, state: Any) -> Tensor:
        return self._lane_net.scaled(self._tensor(state))

    def _tell(self, pictures: Tensor) -> Tensor:
        with torch.no_grad():
            return self._lane_net(pictures)

    def _tensor(self, values: Any) -> Tensor:
        return torch.as_tensor(values, device=self._device)

    def _like(self, given: Any, tensor: Tensor) -> Any:
        """Return a tensor as an array, unless the environments give tensors."""
        return tensor if isinstance(given, Tensor) else tensor.cpu().numpy()
