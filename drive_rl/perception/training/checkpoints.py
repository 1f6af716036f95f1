"""A fit's checkpoints: `last/` to resume from, and from it `best/` and `eval.json`.

It knows the run folder and the session. It does not know how a model learns.
"""

from drive_rl.errors import DriveRLError
from drive_rl.perception.training.session import Session
from drive_rl.perception.training.validation import Validation
from drive_rl.run.folder import RunFolder
from drive_rl.run.metrics import MetricsFile
from drive_rl.run.process.signals import StopRequest
from drive_rl.run.save_clock import SaveClock
from drive_rl.run.session import saving
from drive_rl.run.storage.atomic import remove_directory, settle, write_json
from drive_rl.run.storage.manifest import verify_model


class Checkpoints:
    """Writes `last/`, and keeps `best/` and `eval.json` in step with it; `settle` repairs a crash in between."""

    def __init__(self, session: Session, run: RunFolder, metrics: MetricsFile, stop: StopRequest) -> None:
        self.stop = stop
        self._session, self._run, self._metrics = session, run, metrics
        self._clock = SaveClock()
        self._saved_samples = session.samples if run.last.is_dir() else None

    @property
    def saved(self) -> str | None:
        """What a stop leaves, in words; None: nothing."""
        if self._saved_samples is None:
            return None
        if self._saved_samples == self._session.samples:
            return "everything is saved"
        return f"{self._saved_samples:,} pictures are saved"

    def save_if_due(self) -> None:
        """Save at the start, and as often as costs little."""
        if self._clock.due():
            self.save()

    def save(self) -> None:
        """Write `last/`."""
        self._session.state.rows = self._metrics.count
        with saving(self._clock, self.stop, self._metrics):
            self._session.save(self._run.last)
        self._saved_samples = self._session.samples

    def settle(self) -> None:
        """Bring `best/` and `eval.json` in step with the validation history; `last/` holds the current model.

        Raises:
            DriveRLError: the best model is gone, and the current model is another.
        """
        best = self._session.state.validation.best
        with self.stop.saving():
            settle(self._run.best)
            if best is None:
                remove_directory(self._run.best)
                self._run.evaluation.unlink(missing_ok=True)
                return
            if not self._best_is_kept():
                self._keep_best()
            self._write_evaluation(best)

    def _best_is_kept(self) -> bool:
        """Whether `best/` holds the model of the best validation."""
        folder, best_number = self._run.best, self._session.state.validation.best_number
        return (folder / "manifest.json").is_file() and verify_model(folder).validation == best_number

    def _keep_best(self) -> None:
        state, folder = self._session.state, self._run.best
        history = state.validation
        if history.since_best or state.validated_at != state.batches:
            raise DriveRLError(
                f"{folder}: expected the checkpoint of validation {history.best_number}, the best of {history.count};"
                " fix: put it back, or fit again"
            )
        self._session.save(folder)

    def _write_evaluation(self, best: Validation) -> None:
        worlds = self._session.spec.worlds
        of = {"split": "val", **({"worlds": worlds} if len(worlds) > 1 else {}), "samples": best.samples}
        write_json(self._run.evaluation, {"model": str(self._run.path), **of, **best.scores})
