"""A training run of seconds, as a process."""

import os
import subprocess
import sys
from pathlib import Path

SMALL = [
    "world.road.length_m=60",
    "world.task.time_limit_s=4",
    "world.camera.width_px=24",
    "world.camera.height_px=16",
    "engine=batch",
    "agent.num_envs=2",
    "agent.steps_per_update=32",
    "agent.batch_size=32",
    "agent.epochs=1",
    "agent.encoder.features=16",
    "agent.guidance.pictures=100",
    "agent.guidance.batch_size=16",
    "budget_steps=256",
    "evaluation.every_steps=128",
    "evaluation.episodes=2",
    "checkpoint_every=128",
    "track=none",
    "--no-film",
]


def start(words: list[str], here: Path, name: str = "quickstart") -> subprocess.Popen[str]:
    """Start `drive-rl train` in a folder; a crash prints where it happened."""
    command, env = [sys.executable, "-m", "drive_rl", "train", name, *words], {**os.environ, "PYTHONFAULTHANDLER": "1"}
    return subprocess.Popen(command, cwd=here, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def newest(here: Path) -> Path:
    """Return the newest run that was started there."""
    return max(here.glob("runs/*/*"))
