"""Runs that take seconds, for benchmarks that stop them anywhere, and the differences of a resumed and an unbroken run.

Each runs in a process forked from one that has imported everything, so that hundreds of them take minutes.
"""

import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2  # noqa: F401 - these are imported once, before any process is forked
import gymnasium
import pybullet  # noqa: F401

from drive_rl.cli import main as cli
from drive_rl.errors import DriveRLError
from drive_rl.run.metrics import read_metrics
from drive_rl.run.storage.atomic import read_json
from drive_rl.run.storage.manifest import verify

_WORLD = ("road.length_m=60", "task.time_limit_s=4", "camera.width_px=24", "camera.height_px=16")
_GUIDANCE = ("guidance.pictures=100", "guidance.batch_size=16", "encoder.features=16", "hidden=[8]")
_AGENT = {
    "ppo": ("num_envs=2", "steps_per_update=32", "batch_size=32", "epochs=1", *_GUIDANCE),
    "dqn": (
        *("num_envs=2", "learning_starts=32", "batch_size=8", "buffer_size=400", "gradient_steps=1"),
        *("target_update_every=64", *_GUIDANCE),
    ),
}
_RUN = ("evaluation.every_steps=128", "evaluation.episodes=2", "checkpoint_every=64", "keep_checkpoints=2")
_FIT = (
    *("world.camera.width_px=64", "world.camera.height_px=40", "fit.batch_size=16", "fit.evaluate_every=32"),
    *("fit.val_samples=16", "fit.head_finetune_samples=32", "data.per_road=4"),
)


@dataclass(frozen=True)
class Job:
    """One tiny run, as arguments of `drive-rl`."""

    name: str
    verb: tuple[str, ...]
    words: tuple[str, ...]

    def begin(self, runs: Path) -> list[str]:
        """Return the arguments that start it under `runs`."""
        return [*self.verb, *self.words, "track=csv", "--device", "cpu", "--runs", str(runs)]

    def resume(self, run: Path) -> list[str]:
        """Return the arguments that resume it."""
        return [*self.verb, "--resume", str(run), "--device", "cpu"]


def jobs(length: int = 1) -> list[Job]:
    """Return PPO, DQN and a fit, the drivers with both engines; `length` times as long as the shortest."""
    found = []
    for agent, changes in _AGENT.items():
        for engine in ("bullet", "batch"):
            keys = [*(f"world.{key}" for key in _WORLD), *(f"agent.{key}" for key in changes), *_RUN]
            words = (f"{agent}-lane-follow", f"engine={engine}", f"budget_steps={256 * length}", *keys)
            found.append(Job(f"{agent}-{engine}", ("train",), words))
    fit = ("unet", f"fit.samples={96 * length}", *_FIT)
    return [*found, Job("fit", ("perception", "fit"), fit)]


def warm_up() -> None:
    """Load compiled code once, for all processes forked later."""
    for env in (gymnasium.make("drive_rl/LaneFollow-v1"), gymnasium.make_vec("drive_rl/LaneFollow-v1", num_envs=2)):
        env.reset(seed=0)
        env.step(env.action_space.sample())
        env.close()


def start(words: list[str], log: Path, watch: Callable[[], None] | None = None) -> int:
    """Fork a process that runs `drive-rl WORDS`; return its id.

    Args:
        words: The command line.
        log: Its output is appended here.
        watch: Called in it first.
    """
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    code = 70
    try:
        out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(out, 1)
        os.dup2(out, 2)
        sys.argv = ["drive-rl", *words]
        if watch is not None:
            watch()
        cli.main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


def wait(child: int) -> int:
    """Return a process's exit code; negative: the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def finish(words: list[str], log: Path) -> tuple[int, float]:
    """Run one to its end; return its exit code and seconds."""
    begin = time.perf_counter()
    return wait(start(words, log)), time.perf_counter() - begin


def only_run(runs: Path) -> Path | None:
    """Return the one run under `runs`, if it has begun."""
    found = [path for path in runs.glob("*/*") if not path.name.startswith(".")]
    return found[0] if found else None


def has_ended(run: Path) -> bool:
    """Whether it is finished, so that a resume is refused."""
    return (run / "finished.json").is_file()


def differences(run: Path, unbroken: Path) -> list[str]:
    """Return the faults of a finished run, and its differences to an unbroken one of the same arguments."""
    wrong = [f"leftover {path.relative_to(run)}" for path in run.rglob(".*")]
    for name in ("last", "best"):
        try:
            verify(run / name, ("weights.safetensors",))
        except DriveRLError as error:
            wrong.append(f"{name} is unusable: {error}")
            continue
        if _bytes(run / name) != _bytes(unbroken / name):
            wrong.append(f"{name} has other weights")
    if _rows(run) != _rows(unbroken):
        wrong.append("metrics.csv has other rows")
    if not (run / "eval.json").is_file():
        return [*wrong, "no eval.json"]
    scores, best = read_json(run / "eval.json", ""), read_json(run / "best" / "manifest.json", "")
    if _plain(scores) != _plain(read_json(unbroken / "eval.json", "")):
        wrong.append("eval.json has other scores")
    if (scores.get("step"), scores.get("samples")) != (best.get("num_timesteps"), best.get("num_samples")):
        wrong.append("best/ is not what eval.json scores")
    if (unbroken / "films").is_dir() and not (run / "films" / "val.mp4").is_file():
        wrong.append("no film")
    return wrong


def _bytes(checkpoint: Path) -> bytes:
    return (checkpoint / "weights.safetensors").read_bytes()


def _rows(run: Path) -> list[str]:
    """Return the rows of metrics.csv, if there is one, without the clock's columns; as text, because NaN != NaN."""
    path = run / "metrics.csv"
    rows = read_metrics(path) if path.exists() else []
    return [json.dumps({key: value for key, value in row.items() if not key.startswith("time/")}) for row in rows]


def _plain(scores: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in scores.items() if key not in ("driver", "model")}
