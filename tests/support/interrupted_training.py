"""A training run that gets a signal at a step, and the comparison of two checkpoints' weights."""

import os
from pathlib import Path

import pytest
import torch

from drive_rl.learn.callbacks import SafePoints
from drive_rl.run.storage.tensors import read_tensors


def interrupt_at(step: int, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Send this process a signal at a step, in the middle of a rollout."""
    original = SafePoints._on_step

    def hooked(self: SafePoints) -> bool:
        if self.num_timesteps == step:
            os.kill(os.getpid(), number)
        return original(self)

    monkeypatch.setattr(SafePoints, "_on_step", hooked)


def same(first: Path, second: Path) -> bool:
    one, two = read_tensors(first / "weights.safetensors"), read_tensors(second / "weights.safetensors")
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)
