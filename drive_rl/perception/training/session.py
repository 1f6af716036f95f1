"""The state of a fit in this process: model, objective, optimizer and counters; one learning step; save and restore.

Minibatch n is the same in every process, as are the augmentation and dropout drawn for it, so that a resumed run
continues bit for bit with no more than weights, optimizer and counters. It does not know when to validate or to stop.
"""

import math
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from pydantic import ConfigDict, Field
from torch import Tensor

from drive_rl.config.reader import dump, read_perception
from drive_rl.config.specs.perception import PerceptionSpec
from drive_rl.errors import DriveRLError
from drive_rl.perception.data.samples import Samples
from drive_rl.perception.heads.networks import LaneOfLines
from drive_rl.perception.heads.plugin_head import PluginHead
from drive_rl.perception.models.load import init_encoder
from drive_rl.perception.models.perception_model import PerceptionModel, build_perception
from drive_rl.perception.training.batches import Batches, load_batches
from drive_rl.perception.training.head_finetune import finetune_head
from drive_rl.perception.training.objectives import Objective, make_objective, total
from drive_rl.perception.training.optimizer import learning_rate, make_optimizer
from drive_rl.perception.training.validation import ValidationHistory, validate
from drive_rl.run.folder import RunFolder
from drive_rl.run.storage.atomic import read_json, write_directory, write_json, write_text
from drive_rl.run.storage.manifest import FIX, Count, verify_model, write_manifest
from drive_rl.run.storage.schema import Table, read_table
from drive_rl.run.storage.tensors import load_optimizer, load_weights, read_tensors, write_optimizer, write_tensors

_LAYOUT = torch.channels_last
"""A fifth faster than channels first (docs/log.md)."""


class FitState(Table):
    """How far a run is: `counters.json`."""

    model_config = ConfigDict(frozen=False)

    batches: Count = 0
    validation: ValidationHistory = Field(default_factory=ValidationHistory)
    ended: bool = False
    """Whether validation has gained nothing for so long that learning ends."""
    validated_at: Annotated[int, Field(ge=-1, le=10**15)] = -1
    """Minibatches at the last validation; -1: there was none."""
    head_finetuned: bool = False
    rows: Count = 0
    """Of `metrics.csv`."""


@dataclass
class Session:
    """One process's part of a run."""

    spec: PerceptionSpec
    device: torch.device
    model: PerceptionModel
    objective: Objective
    optimizer: torch.optim.Optimizer
    batches: Batches
    val: Samples
    state: FitState

    @classmethod
    def of(cls, spec: PerceptionSpec, device: torch.device, echo: Callable[[str], None], fresh: bool) -> "Session":
        """Return a session at its beginning; `fresh`: of a new run, not of one to restore.

        Raises:
            DriveRLError: the model, its data or the encoder it starts from cannot be used.
        """
        torch.manual_seed(spec.seed)
        model = build_perception(spec)
        if fresh and spec.model.init_from is not None:
            init_encoder(model, spec.model.init_from)
        model.encoder.requires_grad_(not spec.fit.freeze_encoder)
        objective = make_objective(spec.fit, model)
        model.to(device).to(memory_format=_LAYOUT)  # pyright: ignore[reportCallIssue] - missing in its stub
        objective.extra.to(device)
        learned = [p for part in (model, objective.extra) for p in part.parameters() if p.requires_grad]
        batches, val = load_batches(spec, model.heads if spec.fit.task == "labels" else {}, echo)
        session = cls(spec, device, model, objective, make_optimizer(spec.fit, learned), batches, val, FitState())
        session._try_plugins()
        return session

    def _try_plugins(self) -> None:
        """Validate on two pictures before anything is written: a plugin's head that breaks its contract fails here."""
        if any(isinstance(head, PluginHead) for head in self.model.heads.values()):
            try:
                validate(self.model, self.objective, self.val.take(slice(0, 2)), 0)
            except DriveRLError:
                self.batches.close()
                raise

    @property
    def total_batches(self) -> int:
        """Minibatches of the whole run."""
        return math.ceil(self.spec.fit.samples / self.spec.fit.batch_size)

    @property
    def samples(self) -> int:
        """Pictures learned from so far."""
        return self.state.batches * self.spec.fit.batch_size

    @property
    def over(self) -> bool:
        """Whether there is nothing more to learn from minibatches."""
        return self.state.ended or self.state.batches >= self.total_batches

    @property
    def finetunes_head(self) -> bool:
        """Whether the run ends by learning the lane head alone."""
        fit = self.spec.fit
        asked = fit.head_finetune_samples > 0 and fit.task == "labels"
        return asked and isinstance(self.model.lane_head, LaneOfLines)

    def step(self) -> Tensor:
        """Learn one minibatch; return its loss."""
        self._seed_minibatch()
        samples = self.batches.batch(self.state.batches)
        images = torch.as_tensor(samples.images, device=self.device).float().contiguous(memory_format=_LAYOUT)
        self._prepare()
        half = self.spec.fit.mixed_precision and self.device.type == "cuda"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=half):
            loss = total(self.objective.losses(self.model, images, samples, training=True)[0])
        self._descend(loss)
        self.state.batches += 1
        self.state.head_finetuned = False
        return loss.detach()

    def _seed_minibatch(self) -> None:
        """Make augmentation and dropout depend on the minibatch's number alone."""
        torch.manual_seed(int(np.random.SeedSequence([self.spec.seed, self.state.batches]).generate_state(1)[0]))

    def _prepare(self) -> None:
        """Set step size and training mode."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.spec.fit, self.state.batches, self.total_batches)
        self.model.train()
        if self.spec.fit.freeze_encoder:
            self.model.encoder.eval()  # batch norm's statistics stay, too

    def _descend(self, loss: Tensor) -> None:
        """Take one optimizer step."""
        self.optimizer.zero_grad()
        loss.backward()
        learned = [p for group in self.optimizer.param_groups for p in group["params"]]
        torch.nn.utils.clip_grad_norm_(learned, self.spec.fit.max_grad_norm)
        self.optimizer.step()

    def finetune_head(self) -> None:
        """Fit the lane head alone, on the minibatches that would come next."""
        count = math.ceil(self.spec.fit.head_finetune_samples / self.spec.fit.batch_size)
        parts = (self.batches.batch(self.state.batches + i) for i in range(count))
        torch.manual_seed(self.spec.seed)
        finetune_head(self.model, parts, self.spec.fit, self.device)
        self.state.head_finetuned = True

    def save(self, folder: Path) -> None:
        """Write all that `restore` needs, whole or not at all."""
        with write_directory(folder) as new:
            write_tensors(new / "weights.safetensors", self.model.state_dict())
            write_tensors(new / "extra.safetensors", self.objective.extra.state_dict())
            write_optimizer(new, self.optimizer)
            write_json(new / "counters.json", self.state.model_dump())
            head = {"num_samples": self.samples, "validation": self.state.validation.count}
            write_manifest(new, {"algorithm": "perception", **head})

    def restore(self, run: RunFolder) -> None:
        """Continue where `save` was called.

        Raises:
            DriveRLError: the checkpoint is damaged or of another model, or the run is over.
        """
        folder = run.last
        verify_model(folder)
        weights, extra = folder / "weights.safetensors", folder / "extra.safetensors"
        load_weights(self.model, read_tensors(weights), weights)
        load_weights(self.objective.extra, read_tensors(extra), extra)
        load_optimizer(folder, self.optimizer)
        self.state = read_table(folder / "counters.json", FitState, FIX)
        before = read_perception(run.spec)
        if self.spec.fit.samples > before.fit.samples:
            self.state.ended = False
        self._check_unfinished(run)
        if self.spec != before:
            write_text(run.spec, dump(self.spec))

    def finished(self) -> dict[str, int]:
        """Return what `finished.json` holds once the run is over."""
        return {"samples": self.samples}

    def _check_unfinished(self, run: RunFolder) -> None:
        done = run.finished.is_file() and read_json(run.finished, "fix: delete it") == self.finished()
        if done and self.over:
            raise DriveRLError(
                f"{run.path}: fit.samples = {self.spec.fit.samples}, but the run has learned from {self.samples}"
                f" already; fix: a longer one, such as drive-rl perception fit --resume {shlex.quote(str(run.path))}"
                f" fit.samples={2 * self.samples}"
            )
