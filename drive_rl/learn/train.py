"""Training a driver from an experiment's spec: run folder, learner, held-out evaluations, stop and resume.

It strings together what others do: it knows the order of things. It knows no films (the caller hands one in),
no command line, and no algorithm.
"""

import shlex
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console
from stable_baselines3.common.base_class import BaseAlgorithm

from drive_rl.config.driver_spec import DqnSpec
from drive_rl.config.experiment_spec import RunSpec
from drive_rl.config.plugin_spec import copies, recorded
from drive_rl.config.reader import dump, read_run
from drive_rl.drivers.driver import PolicyDriver
from drive_rl.drivers.evaluate import Evaluator
from drive_rl.drivers.lane_estimator import LaneEstimator
from drive_rl.errors import DriveRLError
from drive_rl.learn.build import build_model, make_envs
from drive_rl.learn.callbacks import (
    BarHeld,
    Evaluate,
    SafePoints,
    Save,
    Stop,
    StopAsked,
    bar_held,
    guard_loss,
)
from drive_rl.learn.checkpoint import checkpoint
from drive_rl.learn.pretrained import init_encoders, keep_perception_model, load_perception_model
from drive_rl.learn.progress import Display
from drive_rl.learn.sb3.logging import make_logger
from drive_rl.learn.training_history import Evaluation, History
from drive_rl.run.folder import RunFolder
from drive_rl.run.metrics import MetricsFile
from drive_rl.run.process.allocator import keep_freed_memory
from drive_rl.run.process.device import choose_device, describe_device
from drive_rl.run.process.signals import StopRequest, TrainingInterrupted, stop_on_signals
from drive_rl.run.process.threads import learning_threads
from drive_rl.run.provenance import provenance
from drive_rl.run.storage.atomic import read_json, write_json, write_text
from drive_rl.run.tracking.tracker import Tracker, check_tracker, make_tracker

Film = Callable[[Path], Path | None]
"""Makes a film of a run's best driver and returns its path."""

_LOG_EPISODES = 8
"""DQN logs once in so many episodes; PPO once an update."""


def train(
    spec: RunSpec | None,
    runs_dir: Path,
    device: str = "auto",
    resume: Path | None = None,
    command: list[str] | None = None,
    console: Console | None = None,
    film: Film | None = None,
    budget_steps: int | None = None,
) -> RunFolder:
    """Train a driver; return its run folder.

    Args:
        spec: The experiment; None when resuming, for a run knows its own.
        runs_dir: Where run folders are made.
        device: `auto`, `cpu` or `cuda`.
        resume: A run to go on with, exactly where it stopped.
        command: The command line, for the record.
        console: Where progress is shown.
        film: Makes a film once training has ended.
        budget_steps: When resuming, another budget than the run's own.

    Raises:
        TrainingInterrupted: SIGINT, SIGTERM or SIGHUP came, and a resumable checkpoint is written.
        DriveRLError: the spec cannot be trained, the run cannot be resumed, or learning diverged.
    """
    console = console or Console()
    keep_freed_memory()
    torch.set_num_threads(learning_threads())
    torch.distributions.Distribution.set_default_validate_args(False)  # `guard_loss` looks once an update instead
    chosen = choose_device(device)
    console.print(f"device: {describe_device(chosen)}" + (" [auto]" if device == "auto" else ""), markup=False)
    with ExitStack() as held:
        run = RunFolder.stopped(resume, "train its experiment again") if resume is not None else None
        if run is not None:
            held.enter_context(run.writing())
            spec = read_run(run.spec, [] if budget_steps is None else [f"budget_steps={budget_steps}"])
        assert spec is not None, "train needs a spec or a run to resume"
        check_tracker(spec.track, spec.project)
        estimator = load_perception_model(spec, run.path if run else None, chosen)
        world, agent = spec.training_world, spec.agent
        envs = make_envs(world, agent, "train", agent.num_envs, spec.seed, spec.engine, chosen, estimator)
        held.callback(envs.close)
        model = build_model(spec.agent, envs, chosen, spec.seed)
        if run is None:
            init_encoders(model.policy, spec.agent, spec.world)
            spec = recorded(spec)
            run, history = _new_run(spec, runs_dir, command), None
            held.enter_context(run.beginning())
            keep_perception_model(estimator, run.path)
        else:
            checkpoint.restore(model, run.last)
            history = History.load(run.history)
            _refuse_finished(run, spec, history, model.num_timesteps)
        console.print(f"run: {run.path}", markup=False, highlight=False, soft_wrap=True)
        _Session(spec, run, model, history, console, film, estimator).go()
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

    def go(self) -> None:
        """Train to the end of the budget, to the bar, or until asked to stop."""
        history = self.resumed or History()
        metrics = MetricsFile(self.run.metrics, history.rows)
        config = self.spec.model_dump(mode="json")
        tracker = make_tracker(self.spec.track, self.run, config, self.spec.project, self._echo, metrics.rows())
        try:
            self.model.set_logger(make_logger(metrics, tracker, history.unlogged))
            with stop_on_signals() as stop:
                save = Save(
                    self.spec, self.run, history, metrics, stop, self.model.num_timesteps if self.resumed else None
                )
                try:
                    self._learn(history, save, stop)
                    self._finish(history, tracker)
                except BaseException as error:
                    if not (isinstance(error, StopAsked) or stop.caused(error)):
                        raise
                    assert stop.signal is not None
                    saved = _saved(save.step, self.model.num_timesteps)
                    raise TrainingInterrupted("train", self.run, stop.signal, saved) from None
        finally:
            tracker.close()

    def _learn(self, history: History, save: Save, stop: StopRequest) -> None:
        save.settle(self.model)
        if self.spec != read_run(self.run.spec):
            write_text(self.run.spec, dump(self.spec))  # another budget
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
                    log_interval=_LOG_EPISODES if isinstance(self.spec.agent, DqnSpec) else 1,
                    reset_num_timesteps=self.resumed is None,
                )
                guard_loss(self.model)
            except BarHeld:
                pass
            save.catch_up(self.model)
            if history.last is None or history.last.step < self.model.num_timesteps:
                evaluate.now(self.model)
                save.catch_up(self.model)

    def _finish(self, history: History, tracker: Tracker) -> None:
        """Make the film, hand it and the best driver to the tracker, and say how it went."""
        best = history.best
        assert best is not None, "training ends with an evaluation"
        self._echo(
            f"{self.model.num_timesteps:,} steps in {history.wall_s:.0f} s ({history.train_s:.0f} s without"
            f" evaluations); best held-out success {best.success:.0%} at step {best.step:,}"
        )
        if self.film is not None and (path := self.film(self.run.path)) is not None:
            tracker.film(path, self.model.num_timesteps)
            self._echo(f"film: {path}")
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
        driver = PolicyDriver(agent.name, self.model.policy, agent.observation, agent.actions, self.estimator)
        return Evaluator(driver, self.spec.world, "val", min(8, episodes), self.spec.engine)

    def _echo(self, line: str) -> None:
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)


class _Clock:
    """Keeps the seconds in the log (a `Callback`)."""

    def __init__(self, history: History) -> None:
        self._history = history

    def __call__(self, model: BaseAlgorithm) -> None:
        self._history.tick()
        model.logger.record("time/wall_s", self._history.wall_s)
        model.logger.record("time/train_s", self._history.train_s)


def _saved(step: int | None, reached: int) -> str | None:
    """Say what a stop leaves."""
    if step is None or step == reached:
        return None if step is None else "everything is saved"
    return f"step {step:,} is saved, and a resume does the {reached - step:,} steps since then again"


def _refuse_finished(run: RunFolder, spec: RunSpec, history: History, step: int) -> None:
    """Refuse a run that is over, before anything of it changes."""
    if not run.finished.is_file() or read_json(run.finished, "delete it") != {"step": step}:
        return
    if bar_held(spec.evaluation, history):
        raise DriveRLError(
            f"{run.path}: is finished: it held evaluation.stop_at_success = {spec.evaluation.stop_at_success} after"
            f" {step} steps; fix: train it anew with evaluation.stop_at_success=null"
        )
    if step >= spec.budget_steps:
        raise DriveRLError(
            f"{run.path}: budget_steps = {spec.budget_steps}, and the run has learned {step} steps already; fix: a"
            f" longer one, such as drive-rl train --resume {shlex.quote(str(run.path))} budget_steps={2 * step}"
        )


def _new_run(spec: RunSpec, runs_dir: Path, command: list[str] | None) -> RunFolder:
    made = provenance(spec.world.camera.renderer)
    return RunFolder.create(runs_dir, spec.name, spec.seed, dump(spec), command or sys.argv, made, copies(spec))
