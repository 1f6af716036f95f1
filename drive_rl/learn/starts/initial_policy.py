"""Learners that start from the policy of a driver that learned by imitation.

It knows trained drivers and where policies keep the layers of their actor. It does not know how drivers are trained.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from torch import nn

from drive_rl.config.reader import dump
from drive_rl.config.specs.copies import copies
from drive_rl.config.specs.driver import DaggerSpec, PpoSpec
from drive_rl.config.specs.experiment import RunSpec
from drive_rl.errors import DriveRLError
from drive_rl.learn.build import build_policy
from drive_rl.learn.own_drivers import read_trained
from drive_rl.learn.pretrained import INITIAL_POLICY, SHAPE, check_alike
from drive_rl.learn.sb3.feature_extractors import CameraStateEncoder
from drive_rl.run.folder import write_copies
from drive_rl.run.resolve import TrainedFolder, resolve
from drive_rl.run.storage.atomic import write_directory, write_text
from drive_rl.run.storage.manifest import DriverManifest, verify_driver, write_manifest
from drive_rl.run.storage.tensors import load_weights, write_tensors

_INTERFACE = (*SHAPE, "task.controls", "task.steering")
_FIX = "fix: a run of drive-rl train dagger, or an exported driver of one"


@dataclass(frozen=True)
class InitialPolicy:
    """A driver that learned by imitation, to start another from."""

    spec: RunSpec
    weights: dict[str, torch.Tensor]
    made: DriverManifest
    path: Path

    def load_into(self, model: BaseAlgorithm) -> None:
        """Copy the layers that lead to the mean action; those of the value, and the action noise, stay."""
        own = build_policy(self.spec.agent, self.spec.world, torch.device("cpu"))
        load_weights(own, self.weights, self.path)
        for mine, theirs in zip(_actor(model.policy), _actor(own), strict=True):
            mine.load_state_dict(theirs.state_dict())

    def keep(self, run: Path) -> None:
        """Write a copy of the driver into a run, as an exported folder."""
        with write_directory(run / INITIAL_POLICY) as new:
            write_tensors(new / "weights.safetensors", self.weights)
            write_text(new / "spec.yaml", dump(self.spec))
            write_manifest(new, {"algorithm": self.made.algorithm, "num_timesteps": self.made.num_timesteps})
            write_copies(new, copies(self.spec))


def load_initial_policy(spec: RunSpec) -> InitialPolicy | None:
    """Return the driver that an experiment's `agent.init_from` names; None: its policy starts at random.

    Raises:
        DriveRLError: no such driver; it is damaged, or learned otherwise; or it has other layers, another camera or
            other controls.
    """
    agent = spec.agent
    if not isinstance(agent, PpoSpec) or agent.init_from is None:
        return None
    what = f"agent.init_from = {agent.init_from}"
    try:
        found = resolve(agent.init_from)
        if not isinstance(found, TrainedFolder) or found.is_perception:
            raise DriveRLError(f"expected a trained driver; {_FIX}")
        theirs, weights = read_trained(found)
        made = verify_driver(found.weights, ())
    except DriveRLError as error:
        raise DriveRLError(f"{what}: {error}") from error
    if not isinstance(theirs.agent, DaggerSpec):
        raise DriveRLError(f"{what}: learned by {theirs.agent.algorithm}, but expected dagger or bc; {_FIX}")
    if theirs.agent.feature_norm:
        raise DriveRLError(f"{what}: learned with agent.feature_norm, which ppo does not continue; {_FIX} without it")
    layers = {
        "agent.encoder.kind": (theirs.agent.encoder.kind, agent.encoder.kind),
        "agent.encoder.features": (theirs.agent.encoder.features, agent.encoder.features),
        "agent.hidden": (list(theirs.agent.hidden), list(agent.hidden)),
    }
    check_alike(what, layers, theirs.world, spec.world, _INTERFACE)
    return InitialPolicy(theirs, weights, made, found.weights / "weights.safetensors")


def _actor(policy: Any) -> tuple[nn.Module, nn.Module, nn.Module]:
    """Return the layers of an actor-critic policy that lead to its mean action."""
    encoder = policy.features_extractor
    if isinstance(encoder, CameraStateEncoder):  # the critic's is the other half
        encoder = encoder.camera
    return encoder, policy.mlp_extractor.policy_net, policy.action_net
