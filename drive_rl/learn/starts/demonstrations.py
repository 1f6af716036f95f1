"""A teacher's samples on disk: recorded while it drives, and what a learner that imitates begins with.

A folder holds `samples.npz` (pictures and the teacher's actions), `experiment.yaml` (world, teacher, noise and
seed) and `manifest.json` with the SHA-256 of each. This module does not know how drivers are trained.
"""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm

from drive_rl.config.reader import dump, read_run
from drive_rl.config.specs.copies import copies, recorded, with_sums
from drive_rl.config.specs.driver import DaggerSpec
from drive_rl.config.specs.experiment import RunSpec
from drive_rl.errors import DriveRLError
from drive_rl.learn.build import build_model
from drive_rl.learn.imitation.dagger import Dagger
from drive_rl.learn.pretrained import MOUNT, SHAPE, check_alike
from drive_rl.learn.worlds import load_teachers, make_training_envs
from drive_rl.run.folder import write_copies
from drive_rl.run.storage.atomic import write_directory, write_json, write_text
from drive_rl.run.storage.lock import only_writer
from drive_rl.run.storage.manifest import DriverManifest, verify, write_manifest
from drive_rl.run.storage.scratch import sibling

_KIND = "demonstrations"
_SAMPLES, _EXPERIMENT = "samples.npz", "experiment.yaml"
_ALIKE = (*SHAPE, *MOUNT, "task.controls", "task.steering", "task.control_hz")
"""Keys of a world that its pictures, and the meaning of actions, depend on."""


@dataclass(frozen=True)
class Demonstrations:
    """Samples on disk that fit an experiment."""

    path: Path
    manifest: DriverManifest

    def load_into(self, model: BaseAlgorithm) -> None:
        """Give the samples to a learner that imitates; `dagger` learns from them at once.

        Raises:
            DriveRLError: they are damaged.
        """
        assert isinstance(model, Dagger), "it imitates"
        model.policy.set_training_mode(True)
        model.guidance.begin_with(self.path / _SAMPLES, self.manifest.num_timesteps)

    def keep(self, run: Path) -> None:
        """Write what they were, with their hashes, into a run."""
        write_json(run / f"{_KIND}.json", self.manifest.model_dump())


def record_demonstrations(
    spec: RunSpec, samples: int, out: Path, progress: Callable[[int], None] = lambda more: None
) -> Path:
    """Write what a teacher does in so many pictures of the episodes that it drives; return the folder.

    The same arguments give the same bytes. The roads come in another order than in a run of the same seed.

    Args:
        spec: An experiment that imitates: its world, teacher, noise, environments and seed.
        samples: How many.
        out: The folder to write, whole or not at all.
        progress: Called with the number of samples just recorded.

    Raises:
        DriveRLError: the experiment does not imitate, its teacher does not fit, something is at `out`, there is not
            enough memory, or the disk is full.
    """
    if not isinstance(spec.agent, DaggerSpec):
        raise DriveRLError(
            f"{spec.name}: agent.algorithm = {spec.agent.algorithm}: has no teacher; fix: agent=dagger, or an"
            " experiment such as dagger"
        )
    if out.exists():
        raise DriveRLError(f"{out}: exists already; fix: another name")
    agent = spec.agent.model_copy(update={"algorithm": "bc", "samples": samples, "demonstrations": None})
    spec = with_sums(recorded(spec.model_copy(update={"agent": agent})))
    teacher = load_teachers(spec)
    out, seed = out.absolute(), int(np.random.SeedSequence([spec.seed, 3]).generate_state(1)[0] >> 2)
    with (
        closing(make_training_envs(spec, seed)) as envs,
        only_writer(sibling(out, "lock"), out),
        write_directory(out) as new,
    ):
        model = build_model(agent, envs, torch.device("cpu"), seed, teacher)
        assert isinstance(model, Dagger)
        model.guidance.record(new / _SAMPLES, progress)
        write_text(new / _EXPERIMENT, dump(spec))
        write_manifest(new, {"algorithm": _KIND, "num_timesteps": samples})
        write_copies(new, copies(spec))
    return out


def load_demonstrations(spec: RunSpec) -> Demonstrations | None:
    """Return the samples that an experiment's `agent.demonstrations` names; None: it begins without.

    Raises:
        DriveRLError: no such folder; it is damaged; it is of another camera, other controls or another pace; or it
            holds more than `agent.samples`.
    """
    agent = spec.agent
    if not isinstance(agent, DaggerSpec) or agent.demonstrations is None:
        return None
    folder, what = Path(agent.demonstrations), f"agent.demonstrations = {agent.demonstrations}"
    if not (folder / _SAMPLES).is_file():
        raise DriveRLError(
            f"{what}: no {_SAMPLES} there; fix: a folder that drive-rl data record EXPERIMENT --out DIR wrote"
        )
    try:
        manifest = verify(folder, (_SAMPLES, _EXPERIMENT), (_KIND,))
        theirs = read_run(folder / _EXPERIMENT)
    except DriveRLError as error:
        raise DriveRLError(f"{what}: {error}; or record them again: drive-rl data record") from error
    assert isinstance(manifest, DriverManifest), "checked"
    weights = theirs.agent.state_loss if isinstance(theirs.agent, DaggerSpec) else 0.0, agent.state_loss
    states = {} if bool(weights[0]) == bool(weights[1]) else {"agent.state_loss": weights}
    check_alike(what, states, theirs.world, spec.world, _ALIKE)
    if manifest.num_timesteps > agent.samples:
        raise DriveRLError(
            f"{what}: holds {manifest.num_timesteps} samples, but agent.samples = {agent.samples} are kept; fix:"
            f" agent.samples={manifest.num_timesteps}"
        )
    return Demonstrations(folder, manifest)
