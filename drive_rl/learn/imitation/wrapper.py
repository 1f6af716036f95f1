"""Between the environments and a learner that imitates: asks a teacher what it would do, and keeps that as samples.

The environments return pictures and the true state, of which the teacher sees what it needs and the learner only the
pictures. In a share of the episodes the teacher drives.
"""

from collections.abc import Callable, Sequence
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.vec_env import VecEnv
from torch import nn

from drive_rl.config.specs.driver import DaggerSpec
from drive_rl.drivers.driver import Driver, begin_episodes
from drive_rl.learn.imitation.loss import imitation_loss
from drive_rl.learn.imitation.policy import scaled_state
from drive_rl.learn.samples.memory import SampleMemory
from drive_rl.learn.samples.schedule import helped_share, minibatches
from drive_rl.learn.samples.trainer import SampleTrainer
from drive_rl.learn.samples.wrapper import SamplingWrapper
from drive_rl.learn.sb3.feature_extractors import FULL_STATE_SCALE


class TeacherWrapper(SamplingWrapper):
    """{camera, state} environments as environments of pictures, of which a teacher says what to do.

    Args:
        envs: The environments.
        spec: How the learner is trained.
        seed: Of the order of samples, of the noise, and of which episodes the teacher drives.
        teacher: Its actions are learned; None: those of the samples that it begins with are, and nobody drives.
    """

    def __init__(self, envs: VecEnv, spec: DaggerSpec, seed: int, teacher: Driver | None) -> None:
        camera = cast(spaces.Dict, envs.observation_space).spaces["camera"]
        super().__init__(envs, cast(spaces.Box, camera), spec, seed)
        self._spec, self._teacher = spec, teacher
        self._due = True  # training begins with the next step, as after a resume
        self._learned = False  # something since the network that drives was last updated
        (self._commands,) = cast(spaces.Box, self.action_space).shape

    def attach_net(self, net: nn.Module, device: torch.device) -> None:
        """Set the network that learns the teacher's actions, an `Actor`, before the first reset.

        A copy of it learns, so that it can drive meanwhile.
        """
        shape = cast(spaces.Box, self.observation_space).shape
        memory = SampleMemory(self._spec.samples, shape, self._commands + self._fields, device)
        loss = partial(imitation_loss, self._spec, self._commands)
        self._net, self._learning_net = net, deepcopy(net)
        trainer = SampleTrainer(self._learning_net, memory, self._spec, self._rng, loss=loss)
        self.attach_trainer(memory, trainer)

    def record(self, path: Path, progress: Callable[[int], None]) -> None:
        """Let the teacher drive until there are as many samples as are kept, and write them."""
        self._due = False
        self.reset()
        actions = np.zeros((self.num_envs, self._commands), np.float32)
        progress(min(self.num_envs, self._spec.samples))
        while (left := self._spec.samples - self._memory.seen) > 0:
            self.step(actions)
            progress(min(self.num_envs, left))
        self._memory.write(path)

    def begin_with(self, path: Path, count: int) -> None:
        """Keep the samples that `record` wrote, and learn from them where more are to come.

        Raises:
            DriveRLError: they are not `count` samples of such pictures and actions.
        """
        samples = self._memory.read(path, count)
        keep = self._memory.add if self.offline else self._trainer.add
        keep(torch.as_tensor(samples.pictures), torch.as_tensor(samples.targets))
        if not self.offline:
            self.fit(1.0)

    @property
    def offline(self) -> bool:
        """Whether nobody drives."""
        return self._teacher is None

    def owe(self, pictures: int) -> None:
        """Owe the minibatches that so many new pictures would call for."""
        self._trainer.owed += minibatches(self._spec, pictures)

    def fit(self, remaining: float) -> float | None:
        """Train the network; return its mean loss, None where too few new samples came in."""
        self._begin_fit(remaining)
        return self.end_fit()

    def fit_later(self, remaining: float) -> None:
        """Train the network beside the steps that come, from the next one to `end_fit`."""
        self._remaining, self._due = remaining, True

    def end_fit(self) -> float | None:
        """Wait for the network's training, and let it drive; return the mean loss, None where nothing was trained."""
        loss = self._trainer.end()
        if self._learned:
            self._net.load_state_dict(self._learning_net.state_dict())
            self._learned = False
        return loss

    def write(self, folder: Path, samples: bool) -> None:
        """Write as `SamplingWrapper` does, once nothing is being trained."""
        self.end_fit()
        super().write(folder, samples)

    def _begin_fit(self, remaining: float) -> None:
        self._remaining, self._learned = remaining, True
        self._learning_net.load_state_dict(self._net.state_dict())
        self._trainer.begin(remaining)

    def step_async(self, actions: np.ndarray) -> None:
        """Step by the teacher's actions, with noise, where it drives; by the learner's elsewhere."""
        if self._due:
            self._due = False
            if self._memory.seen > self.num_envs:  # few first pictures, learned again and again, can kill a network
                self._begin_fit(self._remaining)
        taught = self._memory.newest_targets(self.num_envs)[:, : self._commands].cpu().numpy()
        noisy = taught + self._rng.normal(0, self._spec.noise, taught.shape)
        driven = np.where(self._helped[:, None], noisy, actions)
        super().step_async(np.clip(driven, -1, 1).astype(np.float32))

    def _begin(self, rows: Sequence[int]) -> None:
        """Draw which of the beginning episodes the teacher drives, and let it know."""
        super()._begin(rows)
        if self._teacher is not None:
            begin_episodes(self._teacher, rows)

    def _share(self) -> float:
        if self._spec.algorithm == "bc":
            return 1.0
        return helped_share(self._spec.teacher_fraction, self._remaining)

    def _observe(self, observations: Any) -> Any:
        """Keep the samples; return the pictures."""
        if self._teacher is None:
            return observations["camera"]
        reads = self._teacher.observation
        taught = self._teacher.act(observations if reads == "camera+state" else observations[reads])
        targets = np.hstack((taught, scaled_state(observations["state"]))) if self._spec.state_loss else taught
        self._trainer.add(torch.as_tensor(observations["camera"]), torch.as_tensor(targets, dtype=torch.float32))
        return observations["camera"]

    def _observe_last(self, rows: list[int], observations: Any) -> Any:
        return observations["camera"]

    @property
    def _fields(self) -> int:
        """How many numbers of the state the network predicts beside the actions."""
        return len(FULL_STATE_SCALE) if self._spec.state_loss else 0
