"""Training a driver from an experiment's spec: run folder, learner, held-out evaluations, stop and resume.

It knows the order of things, and leaves each to its module. It knows no films (the caller passes one in), no command
line, and no algorithm.
"""

import shlex
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from rich.console import Console
from stable_baselines3.common.base_class import BaseAlgorithm

from drive_rl.config.reader import dump, read_run
from drive_rl.config.specs.copies import recorded, with_sums
from drive_rl.config.specs.experiment import RunSpec
from drive_rl.config.specs.off_policy import OffPolicySpec
from drive_rl.drivers.evaluate import Evaluator
from drive_rl.drivers.lane_estimator import LaneEstimator
from drive_rl.errors import DriveRLError
from drive_rl.learn.build import build_model, policy_driver
from drive_rl.learn.callbacks import (
    BarHeld,
    Evaluate,
    SafePoints,
    Save,
    Stop,
    bar_held,
    guard_loss,
)
from drive_rl.learn.checkpoint import checkpoint
from drive_rl.learn.pretrained import init_encoders, keep_perception_model, load_perception_model
from drive_rl.learn.progress import Display
from drive_rl.learn.sb3.logging import make_logger
from drive_rl.learn.starts.demonstrations import load_demonstrations
from drive_rl.learn.starts.initial_policy import load_initial_policy
from drive_rl.learn.training_history import Evaluation, History
from drive_rl.learn.worlds import load_teachers, make_training_envs
from drive_rl.run.folder import RunFolder
from drive_rl.run.own_spec import read_own_run
from drive_rl.run.process.signals import StopRequest, stop_on_signals
from drive_rl.run.session import Echo, new_run, prepare_process, recording, stoppable, stopped_run
from drive_rl.run.storage.atomic import read_json, write_json, write_text
from drive_rl.run.tracking.tracker import Tracker, check_tracker

Film = Callable[[Path], Path | None]
"""Makes a film of a run's best driver and returns its path."""

_STARTS = (load_initial_policy, load_demonstrations)
"""What a new run may begin with, beside encoders."""

_LOG_EPISODES = 8
"""With a replay buffer, a learner logs once in so many episodes; PPO once an update."""


def train(
    spec: RunSpec | None,
    runs_dir: Path,
    device: str = "auto",
    resume: Path | None = None,
    command: list[str] | None = None,
    console: Console | None = None,
    film: Film | None = None,
    changes: Sequence[str] = (),
) -> RunFolder:
    """Train a driver; return its run folder.

    Args:
        spec: The experiment; None when resuming, for a run knows its own.
        runs_dir: Where run folders are made.
        device: `auto`, `cpu` or `cuda`.
        resume: A run to continue exactly where it stopped.
        command: The command line, for the record.
        console: Where progress is shown.
        film: Makes a film once training has ended, unless the spec wants none.
        changes: When resuming, changes to the run's own spec: another budget, a film or none.

    Raises:
        TrainingInterrupted: SIGINT, SIGTERM or SIGHUP came, and a resumable checkpoint is written.
        DriveRLError: the spec cannot be trained, the run cannot be resumed, or learning diverged.
    """
    console = console or Console()
    echo = partial(console.print, markup=False, highlight=False, soft_wrap=True)
    torch.distributions.Distribution.set_default_validate_args(False)  # `guard_loss` checks once an update instead
    chosen = prepare_process(device, echo)
    with ExitStack() as held:
        run = held.enter_context(stopped_run(resume, "train its experiment again"))
        if run is not None:
            spec = read_own_run(run.path, changes)
        assert spec is not None, "train needs a spec or a run to resume"
        if run is None:
            spec = with_sums(spec)
        check_tracker(spec.track, spec.project)
        estimator = load_perception_model(spec, run.path if run else None, chosen)
        teacher = load_teachers(spec)
        envs = make_training_envs(spec, spec.seed, chosen, estimator)
        held.callback(envs.close)
        model = build_model(spec.agent, envs, chosen, spec.seed, teacher)
        history = None
        if run is None:
            init_encoders(model.policy, spec.agent, spec.world)
            starts = [start for load in _STARTS if (start := load(spec)) is not None]
            for start in starts:
                start.load_into(model)
            spec = recorded(spec)
            run = held.enter_context(new_run(spec, runs_dir, command))
            keep_perception_model(estimator, run.path)
            for start in starts:
                start.keep(run.path)
        else:
            checkpoint.restore(model, run.last)
            history = History.load(run.history)
            _refuse_finished(run, spec, history, model.num_timesteps)
        echo(f"run: {run.path}")
        _Session(spec, run, model, history, console, film if spec.film else None, estimator).run_to_end(echo)
        return run


@dataclass
class _Session:
    """One process's part of a run."""

    spec: RunSpec
    run: RunFolder
    model: BaseAlgorithm
    resumed: History | None
    console: Console
    film: Film | None
    estimator: LaneEstimator | None

    def run_to_end(self, echo: Echo) -> None:
        """Train to the end of the budget, to the success bar, or until asked to stop."""
        history = self.resumed or History()
        with recording(self.spec, self.run, history.rows, echo) as (metrics, tracker), stop_on_signals() as stop:
            self.model.set_logger(make_logger(metrics, tracker, history.unlogged))
            begin = self.model.num_timesteps if self.resumed else None
            save = Save(self.spec, self.run, history, metrics, stop, begin)
            with stoppable("train", self.run, stop, lambda: _saved(save.step, self.model.num_timesteps)):
                self._learn(history, save, stop)
                self._finish(history, tracker, echo)

    def _learn(self, history: History, save: Save, stop: StopRequest) -> None:
        save.settle(self.model)
        if (text := dump(self.spec)) != dump(read_run(self.run.spec)):
            write_text(self.run.spec, text)  # as changed
        if bar_held(self.spec.evaluation, history):
            return
        begin = self.model.num_timesteps
        with Display(self.console, self.spec.budget_steps, begin) as display, self._evaluator() as evaluator:

            def report(row: Evaluation) -> None:
                self._log(row, history)
                display.evaluated(row)

            evaluate = Evaluate(self.spec.evaluation, history, evaluator, stop, save, report)
            callbacks = [_Clock(history), guard_loss, save.numbered, evaluate, save, Stop(stop, save)]
            history.start()
            try:
                self.model.learn(
                    checkpoint.remaining_steps(self.model, self.spec.budget_steps),
                    callback=SafePoints(callbacks, display.at),
                    log_interval=_LOG_EPISODES if isinstance(self.spec.agent, OffPolicySpec) else 1,
                    reset_num_timesteps=self.resumed is None,
                )
                guard_loss(self.model)
            except BarHeld:
                pass
            save.catch_up(self.model)
            if history.last is None or history.last.step < self.model.num_timesteps:
                evaluate.now(self.model)
                save.catch_up(self.model)

    def _finish(self, history: History, tracker: Tracker, echo: Echo) -> None:
        """Print the result, make the film, and hand it and the best driver to the tracker."""
        best = history.best
        assert best is not None, "training ends with an evaluation"
        echo(
            f"{self.model.num_timesteps:,} steps in {history.wall_s:.0f} s ({history.train_s:.0f} s without"
            f" evaluations); best held-out success {best.success:.0%} at step {best.step:,}"
        )
        if self.film is not None and (path := self.film(self.run.path)) is not None:
            tracker.film(path, self.model.num_timesteps)
            echo(f"film: {path}")
        tracker.model(self.run.best, self.spec.name)
        write_json(self.run.finished, {"step": self.model.num_timesteps})

    def _log(self, row: Evaluation, history: History) -> None:
        logger = self.model.logger
        for name, value in row.score.items():
            if isinstance(value, dict):
                logger.record(f"eval/{name}", value["value"])
        logger.record("time/wall_s", history.wall_s)
        logger.record("time/train_s", history.train_s)
        logger.dump(row.step)

    def _evaluator(self) -> Evaluator:
        agent, episodes = self.spec.agent, self.spec.evaluation.episodes
        driver = policy_driver(agent, self.model.policy, self.estimator)
        return Evaluator(driver, self.spec.world, "val", min(8, episodes), self.spec.engine)


class _Clock:
    """Keeps the seconds in the log (a `Callback`)."""

    def __init__(self, history: History) -> None:
        self._history = history

    def __call__(self, model: BaseAlgorithm) -> None:
        self._history.tick()
        model.logger.record("time/wall_s", self._history.wall_s)
        model.logger.record("time/train_s", self._history.train_s)


def _saved(step: int | None, reached: int) -> str | None:
    """Return what a stop leaves, in words; None: nothing."""
    if step is None or step == reached:
        return None if step is None else "everything is saved"
    return f"step {step:,} is saved; a resume repeats the {reached - step:,} steps since then"


def _refuse_finished(run: RunFolder, spec: RunSpec, history: History, step: int) -> None:
    """Refuse a run that is over, before anything of it changes."""
    if not run.finished.is_file() or read_json(run.finished, "fix: delete it") != {"step": step}:
        return
    if bar_held(spec.evaluation, history):
        raise DriveRLError(
            f"{run.path}: is finished: it held evaluation.stop_at_success = {spec.evaluation.stop_at_success} after"
            f" {step} steps; fix: train again with evaluation.stop_at_success=null"
        )
    if step >= spec.budget_steps:
        raise DriveRLError(
            f"{run.path}: budget_steps = {spec.budget_steps}, but the run has trained for {step} steps already; fix: a"
            f" larger budget, such as drive-rl train --resume {shlex.quote(str(run.path))} budget_steps={2 * step}"
        )
