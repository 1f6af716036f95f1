"""What happens between two rollouts of training: guard, evaluate, save, stop; each a small duty.

stable-baselines3 stands between two steps only when a rollout begins (after an update): the one place where a
checkpoint is exact. It knows models, run folders and the history. It does not know the console or trackers.
"""

import math
import shutil
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol, cast

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback

from drive_rl.config.experiment_spec import EvalSpec, RunSpec
from drive_rl.drivers.evaluate import Evaluator
from drive_rl.errors import DriveRLError
from drive_rl.learn.checkpoint import checkpoint
from drive_rl.learn.sb3.logging import pending
from drive_rl.learn.training_history import Evaluation, History
from drive_rl.run.folder import RunFolder
from drive_rl.run.metrics import MetricsFile
from drive_rl.run.process.signals import PATIENCE_S, StopNow, StopRequest
from drive_rl.run.save_clock import SaveClock
from drive_rl.run.storage.atomic import remove_directory, settle, write_directory, write_json
from drive_rl.sim.task.scoring import EpisodeMetrics

_SPEAK_EVERY = 16
"""Environment steps between two updates of the progress bar."""

_LONG_ROLLOUT_S = PATIENCE_S / 2
"""A rollout that takes so long may not end before a stop loses patience [s]."""


class BarHeld(Exception):  # noqa: N818 - not an error
    """The success bar was held: training may end."""


class StopAsked(Exception):  # noqa: N818 - not an error
    """Someone asked to stop, and the checkpoint is written."""


class Callback(Protocol):
    """Something to see to at a safe point."""

    def __call__(self, model: BaseAlgorithm) -> None:
        """See to it, with `model` between two rollouts."""
        ...


class SafePoints(BaseCallback):
    """Calls every duty when a rollout begins, and `speak` now and then."""

    def __init__(self, callbacks: Sequence[Callback], speak: Callable[[int], None]) -> None:
        super().__init__()
        self._callbacks = callbacks
        self._speak = speak

    def _on_rollout_start(self) -> None:
        for callback in self._callbacks:
            callback(self.model)

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
        spec: EvalSpec,
        history: History,
        evaluator: Evaluator,
        stop: StopRequest,
        save: "Save",
        report: Callable[[Evaluation], None],
    ) -> None:
        self._spec, self._history = spec, history
        self._evaluator, self._stop, self._save, self._report = evaluator, stop, save, report
        last = history.last
        self._due = Every(spec.every_steps, last.step if last else 0)

    def __call__(self, model: BaseAlgorithm) -> None:
        """Evaluate when it is time to, and end training when the bar is held (raises `BarHeld`)."""
        if not self._due(model.num_timesteps):
            return
        try:
            self.now(model)
        except StopAsked:  # the evaluation was abandoned: resuming does it
            return
        if bar_held(self._spec, self._history):
            raise BarHeld

    def now(self, model: BaseAlgorithm) -> None:
        """Evaluate, record, and save the driver if none before was better.

        Raises:
            StopAsked: someone asked to stop meanwhile.
        """
        model.policy.set_training_mode(False)
        try:
            with self._history.evaluating():
                score, _ = self._evaluator.run(self._spec.episodes, self._abandon)
        except StopNow:
            self._save.catch_up(model)
            raise
        row = Evaluation.of(model.num_timesteps, score)
        self._history.evaluations.append(row)
        self._report(row)
        if self._history.best is row:
            self._save.best(model)

    def _abandon(self, episode: EpisodeMetrics) -> None:
        if self._stop:
            raise StopAsked


class Save:
    """Numbered checkpoints, the older ones pruned; `last/` to resume from; `best/` and what it scores.

    `last/` is written when training begins, after every numbered checkpoint, and in between as often as costs little:
    twice a minute, or before each rollout where rollouts are long, for a stop cannot wait for their end.

    `best/` and `eval.json` follow from `last/`, which is written before them: a crash in between leaves what `settle`
    can finish.
    """

    def __init__(
        self, spec: RunSpec, run: RunFolder, history: History, metrics: MetricsFile, stop: StopRequest, step: int | None
    ) -> None:
        self._spec, self._run, self._history, self._metrics, self._stop = spec, run, history, metrics, stop
        self._due = Every(spec.checkpoint_every, step or 0)
        self._clock, self._rollout_s = SaveClock(), time.perf_counter()
        self._holds = step, len(history.evaluations)

    @property
    def step(self) -> int | None:
        """Step of `last/`; None: not yet written."""
        return self._holds[0]

    def __call__(self, model: BaseAlgorithm) -> None:
        """Save when it is time to."""
        now = time.perf_counter()
        rollout_s, self._rollout_s = now - self._rollout_s, now
        if self._clock.due(urgent=rollout_s >= _LONG_ROLLOUT_S):
            self.catch_up(model)

    def numbered(self, model: BaseAlgorithm) -> None:
        """Write a numbered checkpoint when it is time to, and `last/` after it (a `Callback`)."""
        if not self._due(model.num_timesteps):
            return
        with self._stop.saving():
            checkpoint.save(model, self._run.checkpoint(model.num_timesteps), replay=False)
            for step in self._run.steps()[: -self._spec.keep_checkpoints]:
                remove_checkpoint(self._run, step)
        self.catch_up(model)

    def catch_up(self, model: BaseAlgorithm) -> None:
        """Write `last/`, unless there is nothing new."""
        if self._holds != (model.num_timesteps, len(self._history.evaluations)):
            self._write(model)

    def _write(self, model: BaseAlgorithm) -> None:
        self._history.rows = self._metrics.count
        self._history.unlogged = pending(model)
        with self._clock.saving(), self._stop.saving():
            self._metrics.sync()
            checkpoint.save(model, self._run.last, history=self._history.state())
        self._holds = model.num_timesteps, len(self._history.evaluations)

    def best(self, model: BaseAlgorithm) -> None:
        """Write `last/` and, from it, `best/` and its score."""
        self.catch_up(model)
        with self._stop.saving():
            self.settle(model)

    def settle(self, model: BaseAlgorithm) -> None:
        """Make `best/` and `eval.json` what the history says of them, with `model` as `last/` has it.

        Raises:
            DriveRLError: the best driver is gone, and `model` is not it.
        """
        best, folder, scores = self._history.best, self._run.best, self._run.evaluation
        settle(folder)
        for step in self._run.steps():
            if step > model.num_timesteps:
                remove_checkpoint(self._run, step)  # of a time that `last/` knows nothing of
        if best is None:
            remove_directory(folder)
            scores.unlink(missing_ok=True)
            return
        if checkpoint.step_of(folder) != best.step:
            self._make_best(model, best.step)
        write_json(
            scores,
            {
                "driver": str(self._run.path),
                "world": self._spec.world.name,
                "split": "val",
                "engine": self._spec.engine,
                "step": best.step,
                "score": best.score,
            },
        )

    def _make_best(self, model: BaseAlgorithm, step: int) -> None:
        folder, numbered = self._run.best, self._run.checkpoint(step)
        if model.num_timesteps == step:
            checkpoint.save(model, folder, replay=False)
        elif checkpoint.step_of(numbered) == step:
            with write_directory(folder) as new:
                shutil.copytree(numbered, new, dirs_exist_ok=True)
        else:
            raise DriveRLError(
                f"{folder}: expected the checkpoint of step {step}, the best of the run's evaluations; fix: put it"
                " back, or train again"
            )


class Stop:
    """Saves and ends training when someone asked for it. It comes last."""

    def __init__(self, stop: StopRequest, save: Save) -> None:
        self._stop, self._save = stop, save

    def __call__(self, model: BaseAlgorithm) -> None:
        """Save and raise `StopAsked` if so."""
        if self._stop:
            self._save.catch_up(model)
            raise StopAsked


def bar_held(spec: EvalSpec, history: History) -> bool:
    """Whether the newest evaluations reach the success rate at which training ends."""
    return spec.stop_at_success is not None and history.held(spec.stop_at_success) >= spec.stop_after


def guard_loss(model: BaseAlgorithm) -> None:
    """Refuse to go on from a loss that is no number (a `Callback`).

    Raises:
        DriveRLError: the last update's loss is NaN or infinite.
    """
    loss = cast(float, model.logger.name_to_value.get("train/loss", 0.0))
    if not math.isfinite(loss):
        raise DriveRLError(
            f"training: loss = {loss} at step {model.num_timesteps}: learning has diverged; fix: train again with a"
            " smaller agent.learning_rate or agent.max_grad_norm; best/ is what it was"
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
