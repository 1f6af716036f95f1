"""What happens between two rollouts of training: guard, evaluate, save, stop; each a small duty.

stable-baselines3 stands between two steps only when a rollout begins (after an update): the one place where a
checkpoint is exact. It knows models, run folders and the history. It does not know the console or trackers.
"""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback

from drive_rl.errors import DriveRLError
from drive_rl.learn import checkpoint
from drive_rl.learn.evaluate import Evaluator
from drive_rl.learn.history import Evaluation, History
from drive_rl.run.files import remove_directory
from drive_rl.run.folder import RunFolder
from drive_rl.run.signals import StopRequest
from drive_rl.sim.scoring import EpisodeMetrics
from drive_rl.spec import RunSpec

_SPEAK_EVERY = 16
"""Environment steps between two looks at the progress bar."""


class BarHeld(Exception):  # noqa: N818 - not an error
    """The success bar was held: training may end."""


class StopAsked(Exception):  # noqa: N818 - not an error
    """Someone asked to stop, and the checkpoint is written."""


class Duty(Protocol):
    """Something to see to at a safe point."""

    def __call__(self, model: BaseAlgorithm) -> None:
        """See to it, with `model` between two rollouts."""
        ...


class SafePoints(BaseCallback):
    """Calls every duty when a rollout begins, and `speak` now and then."""

    def __init__(self, duties: Sequence[Duty], speak: Callable[[int], None]) -> None:
        super().__init__()
        self._duties = duties
        self._speak = speak

    def _on_rollout_start(self) -> None:
        for duty in self._duties:
            duty(self.model)

    def _on_step(self) -> bool:
        observations = self.locals["new_obs"]
        check_observations(observations, self.num_timesteps)
        if self.n_calls % _SPEAK_EVERY == 0:
            self._speak(self.num_timesteps)
        return True


class Every:
    """Says once when a multiple of `interval` steps has been passed."""

    def __init__(self, interval: int, begin: int) -> None:
        self._interval = interval
        self._passed = begin // interval

    def __call__(self, step: int) -> bool:
        """Return whether another multiple lies behind `step`."""
        before, self._passed = self._passed, step // self._interval
        return self._passed > before


class Evaluate:
    """Held-out evaluations: recorded, the best driver saved, training ended once the bar is held."""

    def __init__(
        self,
        spec: RunSpec,
        run: RunFolder,
        history: History,
        evaluator: Evaluator,
        stop: StopRequest,
        report: Callable[[Evaluation], None],
    ) -> None:
        self._spec, self._run, self._history = spec, run, history
        self._evaluator, self._stop, self._report = evaluator, stop, report
        last = history.last
        self._due = Every(spec.evaluation.every_steps, last.step if last else 0)

    def __call__(self, model: BaseAlgorithm) -> None:
        """Evaluate when it is time to, and end training when the bar is held (raises `BarHeld`)."""
        if not self._due(model.num_timesteps):
            return
        try:
            self.now(model)
        except StopAsked:  # the evaluation was abandoned: resuming does it
            return
        bar = self._spec.evaluation.stop_at_success
        if bar is not None and self._history.held(bar) >= self._spec.evaluation.stop_after:
            raise BarHeld

    def now(self, model: BaseAlgorithm) -> None:
        """Evaluate, record, and save the driver if none before was better.

        Raises:
            StopAsked: someone asked to stop meanwhile.
        """
        model.policy.set_training_mode(False)
        with self._history.evaluating():
            score, _ = self._evaluator.run(self._spec.evaluation.episodes, self._abandon)
        row = Evaluation.of(model.num_timesteps, score)
        self._history.evaluations.append(row)
        if self._history.best is row:
            checkpoint.save(model, self._run.best, replay=False)
        self._history.save(history_path(self._run))
        self._report(row)

    def _abandon(self, episode: EpisodeMetrics) -> None:
        if self._stop:
            raise StopAsked


class Save:
    """Numbered checkpoints, the older ones pruned, and `last/` to resume from."""

    def __init__(self, spec: RunSpec, run: RunFolder, history: History, begin: int) -> None:
        self._spec, self._run, self._history = spec, run, history
        self._due = Every(spec.checkpoint_every, begin)

    def __call__(self, model: BaseAlgorithm) -> None:
        """Save when it is time to."""
        if not self._due(model.num_timesteps):
            return
        checkpoint.save(model, self._run.checkpoint(model.num_timesteps), replay=False)
        for step in self._run.steps()[: -self._spec.keep_checkpoints]:
            remove_checkpoint(self._run, step)
        self.now(model)

    def now(self, model: BaseAlgorithm) -> None:
        """Write `last/`, with the replay buffer, and the history."""
        checkpoint.save(model, self._run.last)
        self._history.save(history_path(self._run))


class Stop:
    """Saves and ends training when someone asked for it. It comes last."""

    def __init__(self, stop: StopRequest, save: Save) -> None:
        self._stop, self._save = stop, save

    def __call__(self, model: BaseAlgorithm) -> None:
        """Save and raise `StopAsked` if so."""
        if self._stop:
            self._save.now(model)
            raise StopAsked


def guard_loss(model: BaseAlgorithm) -> None:
    """Refuse to go on from a loss that is no number (a `Duty`).

    Raises:
        DriveRLError: the last update's loss is NaN or infinite.
    """
    loss = cast(float, model.logger.name_to_value.get("train/loss", 0.0))
    if not math.isfinite(loss):
        raise DriveRLError(
            f"training: loss = {loss} at step {model.num_timesteps}: learning has diverged; fix: a smaller"
            " agent.learning_rate or agent.max_grad_norm, and go on from a numbered checkpoint"
        )


def check_observations(observations: Any, step: int) -> None:
    """Refuse observations, arrays or tensors or a dictionary of them, that are no numbers.

    Raises:
        DriveRLError: a NaN or an infinity, with the step.
    """
    parts = observations if isinstance(observations, dict) else {"state": observations}
    for name, values in parts.items():
        if not _finite(values):
            raise DriveRLError(
                f"training: observation {name} holds NaN or infinity at step {step}: the world's physics has"
                " diverged; fix: a higher task.physics_hz, or values nearer to a real car's"
            )


def _finite(values: Any) -> bool:
    if isinstance(values, torch.Tensor):
        return not values.is_floating_point() or bool(values.isfinite().all())
    return values.dtype.kind != "f" or bool(np.isfinite(values).all())


def remove_checkpoint(run: RunFolder, step: int) -> None:
    """Delete a numbered checkpoint."""
    remove_directory(run.checkpoint(step))


def history_path(run: RunFolder) -> Path:
    """Return where a run keeps its history."""
    return run.path / "training.json"
