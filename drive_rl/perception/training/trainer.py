"""Teaching a perception model from its recipe: run folder, learning, looks at held-out roads, stop and resume.

It strings together what others do. Minibatch n is the same in every process, as are the augmentation and dropout
drawn for it, so that a resumed run goes on bit for bit with no more than weights, optimizer and a counter. It knows no
command line.
"""

import math
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Protocol

import numpy as np
import torch
from pydantic import ConfigDict, Field
from torch import Tensor

from drive_rl.config.perception_spec import FitSpec, PerceptionSpec
from drive_rl.config.plugin_spec import copies, recorded
from drive_rl.config.reader import dump, read_perception
from drive_rl.errors import DriveRLError
from drive_rl.perception.data.rendered_dataset import RenderedFrames, held_out
from drive_rl.perception.data.samples import Frames
from drive_rl.perception.models.load import init_encoder
from drive_rl.perception.models.perception_model import LaneOfLines, PerceptionModel, build_perception
from drive_rl.perception.training.head_finetune import polish
from drive_rl.perception.training.objectives import make_objective, total
from drive_rl.perception.training.validation import Look, Looks, check_loss, look_at
from drive_rl.run.folder import RunFolder
from drive_rl.run.metrics import MetricsFile
from drive_rl.run.process.allocator import keep_freed_memory
from drive_rl.run.process.device import choose_device, describe_device
from drive_rl.run.process.signals import StopRequest, TrainingInterrupted, stop_on_signals
from drive_rl.run.process.threads import learning_threads
from drive_rl.run.provenance import provenance
from drive_rl.run.save_clock import SaveClock
from drive_rl.run.storage.atomic import read_json, remove_directory, settle, write_directory, write_json, write_text
from drive_rl.run.storage.manifest import FIX, Count, verify, write_manifest
from drive_rl.run.storage.schema import Table, read_table
from drive_rl.run.storage.tensors import load_optimizer, load_weights, read_tensors, write_optimizer, write_tensors
from drive_rl.run.tracking.tracker import check_tracker, make_tracker

_MOMENTUM = 0.9
_LAYOUT = torch.channels_last
"""A fifth faster than channels first (docs/log.md)."""

_TOLD_EVERY = 20
"""Minibatches between two records of the loss: each waits for the GPU."""

Echo = Callable[[str], None]
Record = Callable[[dict[str, float]], None]


class Display(Protocol):
    """Shows how far learning is."""

    def at(self, frames: int, of: int, loss: float) -> None:
        """Show that so many pictures of all are learned from."""
        ...

    def looked(self, look: Look) -> None:
        """Show a look at held-out roads."""
        ...


class Batches(Protocol):
    """Minibatches by number: any of them at any time."""

    def batch(self, number: int) -> Frames:
        """Return minibatch `number`."""
        ...

    def close(self) -> None:
        """Give up what it holds."""
        ...


def fit(
    spec: PerceptionSpec | None,
    runs_dir: Path,
    display: Display,
    echo: Echo = print,
    device: str = "auto",
    resume: Path | None = None,
    command: list[str] | None = None,
    frames: int | None = None,
) -> RunFolder:
    """Teach a model; return its run folder.

    Args:
        spec: The recipe; None when resuming, for a run knows its own.
        runs_dir: Where run folders are made.
        display: Shows progress.
        say: Is told what people should know, a line at a time.
        device: `auto`, `cpu` or `cuda`.
        resume: A run to go on with, exactly where it stopped.
        command: The command line, for the record.
        frames: When resuming, another `fit.samples` than the run's own.

    Raises:
        TrainingInterrupted: SIGINT, SIGTERM or SIGHUP came, and a resumable checkpoint is written.
        DriveRLError: the recipe cannot be learned, the run cannot be resumed, or learning diverged.
    """
    keep_freed_memory()
    torch.set_num_threads(learning_threads())
    chosen = choose_device(device)
    echo(f"device: {describe_device(chosen)}" + (" [auto]" if device == "auto" else ""))
    with ExitStack() as held:
        run = RunFolder.stopped(resume, "fit its recipe again") if resume is not None else None
        if run is not None:
            held.enter_context(run.writing())
            spec = read_perception(run.spec, [] if frames is None else [f"fit.samples={frames}"])
        assert spec is not None, "fit needs a recipe or a run to resume"
        check_tracker(spec.track, spec.project)
        session = _Session.of(spec, chosen, echo, fresh=run is None)
        held.callback(session.batches.close)
        if run is None:
            made, session.spec = provenance(spec.world.camera.renderer), recorded(spec)
            run = RunFolder.create(
                runs_dir, spec.name, spec.seed, dump(session.spec), command or sys.argv, made, copies(session.spec)
            )
            held.enter_context(run.beginning())
        else:
            session.restore(run)
        echo(f"run: {run.path}")
        session.go(run, display, echo)
        return run


class _StopAsked(Exception):  # noqa: N818 - not an error
    """Someone asked to stop, and the checkpoint is written."""


class _State(Table):
    """How far a run is: `counters.json`."""

    model_config = ConfigDict(frozen=False)

    batches: Count = 0
    looks: Looks = Field(default_factory=Looks)
    ended: bool = False
    """Whether looks gained nothing for so long that learning ends."""
    looked_at: Annotated[int, Field(ge=-1, le=10**15)] = -1
    """Minibatches at the last look; -1: there was none."""
    polished: bool = False
    rows: Count = 0
    """Of `metrics.csv`."""


def learning_rate(fit: FitSpec, done: int, batches: int) -> float:
    """Return the step size of minibatch `done` of `batches`: half a cosine (Loshchilov and Hutter 2017, 1608.03983)."""
    fall = 0.5 * (1 + math.cos(math.pi * min(done / max(batches, 1), 1)))
    return fit.learning_rate_end + (fit.learning_rate - fit.learning_rate_end) * fall


def make_optimizer(fit: FitSpec, parameters: Sequence[Tensor]) -> torch.optim.Optimizer:
    """Return the recipe's optimizer."""
    rate, decay = fit.learning_rate, fit.weight_decay
    if fit.optimizer == "adam":
        return torch.optim.AdamW(parameters, rate, weight_decay=decay)
    if fit.optimizer == "adagrad":
        return torch.optim.Adagrad(parameters, rate, weight_decay=decay)
    return torch.optim.SGD(parameters, rate, _MOMENTUM if fit.optimizer == "momentum" else 0.0, weight_decay=decay)


@dataclass
class _Session:
    """One process's part of a run."""

    spec: PerceptionSpec
    device: torch.device
    model: PerceptionModel
    objective: Any
    optimizer: torch.optim.Optimizer
    batches: Batches
    val: Frames
    state: _State

    @classmethod
    def of(cls, spec: PerceptionSpec, device: torch.device, echo: Echo, fresh: bool) -> "_Session":
        torch.manual_seed(spec.seed)
        model = build_perception(spec)
        if fresh and spec.model.init_from is not None:
            init_encoder(model, spec.model.init_from)
        model.encoder.requires_grad_(not spec.fit.freeze_encoder)
        objective = make_objective(spec.fit, model)
        model.to(device).to(memory_format=_LAYOUT)  # pyright: ignore[reportCallIssue] - missing in its stub
        objective.extra.to(device)
        learned = [p for part in (model, objective.extra) for p in part.parameters() if p.requires_grad]
        batches, val = _data(spec, echo)
        return cls(spec, device, model, objective, make_optimizer(spec.fit, learned), batches, val, _State())

    @property
    def total_batches(self) -> int:
        return math.ceil(self.spec.fit.samples / self.spec.fit.batch_size)

    @property
    def frames(self) -> int:
        """How many pictures are learned from."""
        return self.state.batches * self.spec.fit.batch_size

    def go(self, run: RunFolder, display: Display, echo: Echo) -> None:
        """Learn to the end of the budget, until nothing is gained, or until asked to stop."""
        config = self.spec.model_dump(mode="json")
        metrics = MetricsFile(run.metrics, self.state.rows)
        tracker = make_tracker(self.spec.track, run, config, self.spec.project, echo, metrics.rows())

        def record(scalars: dict[str, float]) -> None:
            metrics.append(self.frames, scalars)
            tracker.log(scalars, self.frames)

        try:
            with stop_on_signals() as stop:
                keeper = _Keeper(self, run, metrics, stop)
                try:
                    self._learn(keeper, display, record, echo)
                    looks = self.state.looks
                    echo(f"{self.frames:,} pictures in {looks.wall_s:.0f} s; best look: {looks.best}")
                    tracker.model(run.best, self.spec.name)
                    write_json(run.finished, {"frames": self.frames})
                except BaseException as error:
                    if not (isinstance(error, _StopAsked) or stop.caused(error)):
                        raise
                    assert stop.signal is not None
                    raise TrainingInterrupted("perception fit", run, stop.signal, keeper.saved) from None
        finally:
            tracker.close()

    def _learn(self, keeper: "_Keeper", display: Display, record: Record, echo: Echo) -> None:
        fit, state = self.spec.fit, self.state
        every = max(1, round(fit.evaluate_every / fit.batch_size))
        keeper.settle()
        state.looks.start()
        keeper.now_and_then()
        while not self.over:
            loss = self._step()
            due = state.batches % every == 0
            if due or state.batches % _TOLD_EVERY == 0 or state.batches == self.total_batches:
                self._tell(float(loss), display, record)
            if due:
                self._look(keeper, display, record)
            keeper.now_and_then()
            if keeper.stop and not self.over:
                keeper.save()
                raise _StopAsked
        if self._polishes and not state.polished:
            keeper.save()
            echo(f"last lesson: the lane head alone, on {fit.head_finetune_samples:,} pictures more")
            self._polish()
            self._look(keeper, display, record)
        elif state.looked_at < state.batches:
            self._look(keeper, display, record)

    @property
    def over(self) -> bool:
        """Whether nothing more is learned from minibatches."""
        return self.state.ended or self.state.batches >= self.total_batches

    def _tell(self, loss: float, display: Display, record: Record) -> None:
        """Record the loss of a minibatch; refuse to go on from one that is not a number."""
        check_loss("loss", loss, self.frames)
        display.at(self.frames, self.spec.fit.samples, loss)
        record({"fit/loss": loss, "fit/learning_rate": self.optimizer.param_groups[0]["lr"]})

    def _look(self, keeper: "_Keeper", display: Display, record: Record) -> None:
        """Look at held-out pictures, and keep what was found and the model."""
        look = look_at(self.model, self.objective, self.val, self.frames)
        record({f"val/{name}": value for name, value in look.scores.items()})
        self.state.looks.add(look)
        self.state.ended |= self.state.looks.stalled(self.spec.fit.patience)
        self.state.looked_at = self.state.batches
        keeper.save()
        keeper.settle()
        display.looked(look)

    def _step(self) -> Tensor:
        """Learn one minibatch; return its loss."""
        fit = self.spec.fit
        torch.manual_seed(int(np.random.SeedSequence([self.spec.seed, self.state.batches]).generate_state(1)[0]))
        frames = self.batches.batch(self.state.batches)
        images = torch.as_tensor(frames.images, device=self.device).float().contiguous(memory_format=_LAYOUT)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(fit, self.state.batches, self.total_batches)
        self.model.train()
        if fit.freeze_encoder:
            self.model.encoder.eval()  # batch norm's statistics stay, too
        half = fit.mixed_precision and self.device.type == "cuda"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=half):
            loss = total(self.objective.losses(self.model, images, frames, training=True)[0])
        self.optimizer.zero_grad()
        loss.backward()
        learned = [p for group in self.optimizer.param_groups for p in group["params"]]
        torch.nn.utils.clip_grad_norm_(learned, fit.max_grad_norm)
        self.optimizer.step()
        self.state.batches += 1
        self.state.polished = False
        return loss.detach()

    @property
    def _polishes(self) -> bool:
        fit = self.spec.fit
        return fit.head_finetune_samples > 0 and fit.task == "labels" and isinstance(self.model.lane, LaneOfLines)

    def _polish(self) -> None:
        """Teach the lane head alone, on the minibatches that would come next."""
        count = math.ceil(self.spec.fit.head_finetune_samples / self.spec.fit.batch_size)
        parts = (self.batches.batch(self.state.batches + i) for i in range(count))
        torch.manual_seed(self.spec.seed)
        polish(self.model, parts, self.spec.fit, self.device)
        self.state.polished = True

    def save(self, folder: Path) -> None:
        """Write all that `restore` goes on from, whole or not at all."""
        with write_directory(folder) as new:
            write_tensors(new / "weights.safetensors", self.model.state_dict())
            write_tensors(new / "extra.safetensors", self.objective.extra.state_dict())
            write_optimizer(new, self.optimizer)
            write_json(new / "counters.json", self.state.model_dump())
            head = {"algorithm": "perception", "num_frames": self.frames, "look": self.state.looks.count}
            write_manifest(new, head)

    def restore(self, run: RunFolder) -> None:
        """Go on where `save` was called.

        Raises:
            DriveRLError: the checkpoint is damaged or of another model, or the run is over.
        """
        folder = run.last
        verify(folder)
        weights = folder / "weights.safetensors"
        load_weights(self.model, read_tensors(weights), weights)
        extra = folder / "extra.safetensors"
        load_weights(self.objective.extra, read_tensors(extra), extra)
        load_optimizer(folder, self.optimizer)
        self.state = read_table(folder / "counters.json", _State, FIX)
        before = read_perception(run.spec)
        if self.spec.fit.samples > before.fit.samples:
            self.state.ended = False
        done = run.finished.is_file() and read_json(run.finished, "delete it") == {"frames": self.frames}
        if done and self.over:
            raise DriveRLError(
                f"{run.path}: fit.samples = {self.spec.fit.samples}, but the run has seen {self.frames} already;"
                f" fix: a longer one, such as drive-rl perception fit --resume {run.path} fit.samples={2 * self.frames}"
            )
        if self.spec != before:
            write_text(run.spec, dump(self.spec))


class _Keeper:
    """Writes `last/` to resume from, and from it `best/` and `eval.json`; `settle` makes good a crash in between."""

    def __init__(self, session: _Session, run: RunFolder, metrics: MetricsFile, stop: StopRequest) -> None:
        self.stop = stop
        self._session, self._run, self._metrics = session, run, metrics
        self._clock = SaveClock()
        self._saved_frames = session.frames if run.last.is_dir() else None

    @property
    def saved(self) -> str | None:
        """What a stop leaves, in words; None: nothing."""
        if self._saved_frames is None or self._saved_frames == self._session.frames:
            return None if self._saved_frames is None else "everything is saved"
        return f"{self._saved_frames:,} pictures are saved"

    def now_and_then(self) -> None:
        """Save at the start, and as often as costs little."""
        if self._clock.due():
            self.save()

    def save(self) -> None:
        """Write `last/`."""
        self._session.state.rows = self._metrics.count
        with self._clock.saving(), self.stop.saving():
            self._metrics.sync()
            self._session.save(self._run.last)
        self._saved_frames = self._session.frames

    def settle(self) -> None:
        """Make `best/` and `eval.json` what the looks say of them, with the model as `last/` has it.

        Raises:
            DriveRLError: the best model is gone, and the model is not it.
        """
        state, folder = self._session.state, self._run.best
        looks = state.looks
        with self.stop.saving():
            settle(folder)
            if looks.best is None:
                remove_directory(folder)
                self._run.evaluation.unlink(missing_ok=True)
                return
            if not (folder / "manifest.json").is_file() or verify(folder).get("look") != looks.best_number:
                if looks.since_best or state.looked_at != state.batches:
                    raise DriveRLError(
                        f"{folder}: expected the checkpoint of look {looks.best_number}, the best of {looks.count};"
                        " fix: put it back, or fit again"
                    )
                self._session.save(folder)
            scores = {"split": "val", "frames": looks.best.frames, **looks.best.scores}
            write_json(self._run.evaluation, {"model": str(self._run.path), **scores})


def _data(spec: PerceptionSpec, echo: Echo) -> tuple[Batches, Frames]:
    """Return what is learned from, and what is looked at."""
    if spec.data.folder is not None:
        from drive_rl.perception.data.folder_dataset import FolderFrames

        return FolderFrames.of(spec, echo)
    batches = RenderedFrames(spec.world, spec.data, "train", spec.fit.batch_size, spec.seed)
    return batches, held_out(spec.world, spec.data, "val", spec.fit.val_samples)
