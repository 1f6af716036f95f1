"""Callbacks between two rollouts of training: check the loss, evaluate, save, stop.

A checkpoint is exact only where a rollout begins (after an update): everywhere else stable-baselines3 is in the middle
of a step. This module knows models, run folders and the history. It does not know the console or trackers.
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

from drive_rl.config.specs.experiment import EvalSpec, RunSpec
from drive_rl.drivers.evaluate import Evaluator
from drive_rl.errors import DriveRLError
from drive_rl.learn.checkpoint import checkpoint
from drive_rl.learn.sb3.logging import pending
from drive_rl.learn.training_history import Evaluation, History
from drive_rl.run.folder import RunFolder
from drive_rl.run.metrics import MetricsFile
from drive_rl.run.process.signals import PATIENCE_S, StopAsked, StopNow, StopRequest
from drive_rl.run.save_clock import SaveClock
from drive_rl.run.session import saving
from drive_rl.run.storage.atomic import remove_directory, settle, write_directory, write_json
from drive_rl.sim.task.scoring import EpisodeMetrics

_REPORT_EVERY = 16
"""Environment steps between two updates of the progress bar."""

_LONG_ROLLOUT_S = PATIENCE_S / 2
"""A rollout that takes longer may not end before a stop runs out of patience [s]."""


class BarHeld(Exception):  # noqa: N818 - not an error
    """The success bar was held: training may end."""


class Callback(Protocol):
    """Runs at a safe point, between two rollouts."""

    def __call__(self, model: BaseAlgorithm) -> None:
        """Run, with `model` between two rollouts."""
        ...


class SafePoints(BaseCallback):
    """Runs every callback when a rollout begins, and calls `report` now and then with the step."""

    def __init__(self, callbacks: Sequence[Callback], report: Callable[[int], None]) -> None:
        super().__init__()
        self._callbacks = callbacks
        self._report = report

    def _on_rollout_start(self) -> None:
        for callback in self._callbacks:
            callback(self.model)

    def _on_step(self) -> bool:
        observations = self.locals["new_obs"]
        check_observations(observations, self.num_timesteps)
        if self.n_calls % _REPORT_EVERY == 0:
            self._report(self.num_timesteps)
        return True


class Every:
    """True once for each multiple of `interval` steps that has been passed."""

    def __init__(self, interval: int, begin: int) -> None:
        self._interval = interval
        self._passed = begin // interval

    def __call__(self, step: int) -> bool:
        """Return whether another multiple has been passed at `step`."""
        before, self._passed = self._passed, step // self._interval
        return self._passed > before


class Evaluate:
    """Evaluates on held-out roads, records, saves the best driver, and ends training once the success bar is held."""

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
        """Evaluate when due, and end training when the bar is held (raises `BarHeld`)."""
        if not self._due(model.num_timesteps):
            return
        try:
            self.now(model)
        except StopAsked:  # the evaluation was abandoned; a resume repeats it
            return
        if bar_held(self._spec, self._history):
            raise BarHeld

    def now(self, model: BaseAlgorithm) -> None:
        """Evaluate, record, and save the driver unless an earlier one was better.

        Raises:
            StopAsked: someone asked to stop.
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
    """Writes numbered checkpoints, of which the oldest are deleted; `last/` to resume from; `best/` and its score.

    `last/` is written when training begins, after every numbered checkpoint, and in between as often as is cheap:
    twice a minute, or before each rollout where rollouts are long, because a stop cannot wait for their end.

    `last/` is written before `best/` and `eval.json`, which follow from it: `settle` repairs a crash in between.
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
        """Step of `last/`; None before it is written."""
        return self._holds[0]

    def __call__(self, model: BaseAlgorithm) -> None:
        """Save when due."""
        now = time.perf_counter()
        rollout_s, self._rollout_s = now - self._rollout_s, now
        if self._clock.due(urgent=rollout_s >= _LONG_ROLLOUT_S):
            self.catch_up(model)

    def numbered(self, model: BaseAlgorithm) -> None:
        """Write a numbered checkpoint when due, and `last/` after it (a `Callback`)."""
        if not self._due(model.num_timesteps):
            return
        with self._stop.saving():
            checkpoint.save(model, self._run.checkpoint(model.num_timesteps), replay=False)
            for step in self._run.steps()[: -self._spec.keep_checkpoints]:
                remove_checkpoint(self._run, step)
        self.catch_up(model)

    def catch_up(self, model: BaseAlgorithm) -> None:
        """Write `last/`, unless it is up to date."""
        if self._holds != (model.num_timesteps, len(self._history.evaluations)):
            self._write(model)

    def _write(self, model: BaseAlgorithm) -> None:
        self._history.rows = self._metrics.count
        self._history.unlogged = pending(model)
        with saving(self._clock, self._stop, self._metrics):
            checkpoint.save(model, self._run.last, history=self._history.state())
        self._holds = model.num_timesteps, len(self._history.evaluations)

    def best(self, model: BaseAlgorithm) -> None:
        """Write `last/` and, from it, `best/` and its score."""
        self.catch_up(model)
        with self._stop.saving():
            self.settle(model)

    def settle(self, model: BaseAlgorithm) -> None:
        """Bring `best/` and `eval.json` in line with the history, with `model` as in `last/`.

        Raises:
            DriveRLError: the best driver's checkpoint is missing, and `model` is not it.
        """
        best, folder, scores = self._history.best, self._run.best, self._run.evaluation
        settle(folder)
        for step in self._run.steps():
            if step > model.num_timesteps:
                remove_checkpoint(self._run, step)  # after `last/`, from which training continues
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
    """Saves and ends training when someone asked for it. It runs last."""

    def __init__(self, stop: StopRequest, save: Save) -> None:
        self._stop, self._save = stop, save

    def __call__(self, model: BaseAlgorithm) -> None:
        """Save and raise `StopAsked` if so."""
        if self._stop:
            self._save.catch_up(model)
            raise StopAsked


def bar_held(spec: EvalSpec, history: History) -> bool:
    """Whether the newest evaluations reach the success rate that ends training."""
    return spec.stop_at_success is not None and history.held(spec.stop_at_success) >= spec.stop_after


def guard_loss(model: BaseAlgorithm) -> None:
    """Refuse to continue from a loss that is not a number (a `Callback`).

    Raises:
        DriveRLError: the last update's loss is NaN or infinite.
    """
    loss = cast(float, model.logger.name_to_value.get("train/loss", 0.0))
    if not math.isfinite(loss):
        raise DriveRLError(
            f"training: loss = {loss} at step {model.num_timesteps}: learning has diverged; fix: train again with a"
            " smaller agent.learning_rate or agent.max_grad_norm; best/ is unchanged"
        )


def check_observations(observations: Any, step: int) -> None:
    """Refuse observations (arrays, tensors, or a dictionary of them) that hold NaN or infinity.

    Raises:
        DriveRLError: with the step.
    """
    parts = observations if isinstance(observations, dict) else {"state": observations}
    for name, values in parts.items():
        if not _finite(values):
            raise DriveRLError(
                f"training: observation {name} holds NaN or infinity at step {step}: the world's physics has"
                " diverged; fix: a higher task.physics_hz, or values closer to a real car's"
            )


def _finite(values: Any) -> bool:
    if isinstance(values, torch.Tensor):
        return not values.is_floating_point() or bool(values.isfinite().all())
    return values.dtype.kind != "f" or bool(np.isfinite(values).all())


def remove_checkpoint(run: RunFolder, step: int) -> None:
    """Delete a numbered checkpoint."""
    remove_directory(run.checkpoint(step))
