"""A perception model small enough for tests: a 24x16 picture, a few hundred pictures to learn from."""

from pathlib import Path
from typing import Any

import small_specs

from drive_rl.config.specs.learner import EncoderSpec
from drive_rl.config.specs.perception import FitSpec, ModelSpec, PerceptionSpec
from drive_rl.config.specs.world import WorldSpec
from drive_rl.perception.training.trainer import fit
from drive_rl.run.folder import RunFolder


class Silent:
    def at(self, samples: int, of: int, loss: float) -> None:
        pass

    def validated(self, validation: Any) -> None:
        pass


def run(folder: Path, world: WorldSpec | None = None, kind: str = "small", **model: Any) -> RunFolder:
    """Return a run of a model that has learned from 64 pictures."""
    spec = PerceptionSpec(
        name="estimator",
        world=world or small_specs.world(),
        model=ModelSpec(encoder=EncoderSpec(kind=kind, features=16), **model),
        fit=FitSpec(samples=64, batch_size=32, val_samples=16, evaluate_every=64, augment=False),
        track="none",
    )
    return fit(spec, folder, Silent(), lambda line: None, "cpu")
