"""The loop of a fit: learn, record, validate, save, stop when asked to.

It knows the session and its checkpoints. It does not know how a run begins.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from drive_rl.perception.training.checkpoints import Checkpoints
from drive_rl.perception.training.session import Session
from drive_rl.perception.training.validation import Validation, check_loss, validate
from drive_rl.run.folder import RunFolder
from drive_rl.run.metrics import MetricsFile
from drive_rl.run.process.signals import TrainingInterrupted, stop_on_signals
from drive_rl.run.storage.atomic import write_json
from drive_rl.run.tracking.tracker import Tracker, make_tracker

_RECORD_EVERY = 20
"""Minibatches between two records of the loss: each waits for the GPU."""

Echo = Callable[[str], None]


class Display(Protocol):
    """Shows how far learning is."""

    def at(self, samples: int, of: int, loss: float) -> None:
        """Show how many pictures of all are learned from, and the loss."""
        ...

    def validated(self, validation: Validation) -> None:
        """Show a validation."""
        ...


class _StopAsked(Exception):  # noqa: N818 - not an error
    """Someone asked to stop, and the checkpoint is written."""


def run_session(session: Session, run: RunFolder, display: Display, echo: Echo) -> None:
    """Learn to the end of the budget, until validation gains nothing, or until asked to stop.

    Raises:
        TrainingInterrupted: asked to stop; a resumable checkpoint is written.
        DriveRLError: the loss is not a number.
    """
    spec, metrics = session.spec, MetricsFile(run.metrics, session.state.rows)
    tracker = make_tracker(spec.track, run, spec.model_dump(mode="json"), spec.project, echo, metrics.rows())
    try:
        with stop_on_signals() as stop:
            checkpoints = Checkpoints(session, run, metrics, stop)
            try:
                _Loop(session, checkpoints, metrics, tracker, display, echo).run()
                _finish(session, run, tracker, echo)
            except BaseException as error:
                if not (isinstance(error, _StopAsked) or stop.caused(error)):
                    raise
                assert stop.signal is not None
                raise TrainingInterrupted("perception fit", run, stop.signal, checkpoints.saved) from None
    finally:
        tracker.close()


def _finish(session: Session, run: RunFolder, tracker: Tracker, echo: Echo) -> None:
    history = session.state.validation
    echo(f"{session.samples:,} pictures in {history.wall_s:.0f} s; best validation: {history.best}")
    tracker.model(run.best, session.spec.name)
    write_json(run.finished, session.finished())


@dataclass(frozen=True)
class _Loop:
    """Learning from beginning to end, and whom it reports to."""

    session: Session
    checkpoints: Checkpoints
    metrics: MetricsFile
    tracker: Tracker
    display: Display
    echo: Echo

    def run(self) -> None:
        """Learn to the end."""
        self.checkpoints.settle()
        self.session.state.validation.start()
        self.checkpoints.save_if_due()
        while not self.session.over:
            self._step()
            self._stop_if_asked()
        self._end()

    def _step(self) -> None:
        """Learn a minibatch; record, validate and save as they fall due."""
        session, fit = self.session, self.session.spec.fit
        loss, done = session.step(), session.state.batches
        due = done % max(1, round(fit.evaluate_every / fit.batch_size)) == 0
        if due or done % _RECORD_EVERY == 0 or done == session.total_batches:
            self._report(float(loss))
        if due:
            self._validate()
        self.checkpoints.save_if_due()

    def _stop_if_asked(self) -> None:
        if self.checkpoints.stop and not self.session.over:
            self.checkpoints.save()
            raise _StopAsked

    def _end(self) -> None:
        """Finetune the head if the recipe asks for it; validate the final model."""
        session, state = self.session, self.session.state
        if session.finetunes_head and not state.head_finetuned:
            self.checkpoints.save()
            count = session.spec.fit.head_finetune_samples
            self.echo(f"head finetune: the lane head alone, on {count:,} more pictures")
            session.finetune_head()
            self._validate()
        elif state.validated_at < state.batches:
            self._validate()

    def _report(self, loss: float) -> None:
        """Record the loss of a minibatch; refuse to continue from one that is not a number."""
        check_loss("loss", loss, self.session.samples)
        self.display.at(self.session.samples, self.session.spec.fit.samples, loss)
        self._record({"fit/loss": loss, "fit/learning_rate": self.session.optimizer.param_groups[0]["lr"]})

    def _validate(self) -> None:
        """Validate the model, and keep it and what was found."""
        session, state = self.session, self.session.state
        validation = validate(session.model, session.objective, session.val, session.samples)
        self._record({f"val/{name}": value for name, value in validation.scores.items()})
        state.validation.add(validation)
        state.ended |= state.validation.stalled(session.spec.fit.patience)
        state.validated_at = state.batches
        self.checkpoints.save()
        self.checkpoints.settle()
        self.display.validated(validation)

    def _record(self, scalars: dict[str, float]) -> None:
        self.metrics.append(self.session.samples, scalars)
        self.tracker.log(scalars, self.session.samples)
