"""One try of the fuzz: a random command line on random files, from a seed. It knows no processes."""

import io
import math
import random
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
from mutations import mutate_data_folder, mutate_yaml
from pydantic import BaseModel
from tamper import tamper

from drive_rl.cli import main as cli
from drive_rl.config.reader import load_world
from drive_rl.config.shelf import entries
from drive_rl.config.specs.driver import DqnSpec, PpoSpec
from drive_rl.config.specs.experiment import RunSpec
from drive_rl.config.specs.learner import GuidanceSpec
from drive_rl.config.specs.perception import PerceptionSpec
from drive_rl.config.specs.world import WorldSpec

TINY = """\
world: {base: lane_follow, road: {length_m: 60}, task: {time_limit_s: 4},
        camera: {width_px: 24, height_px: 16, frame_stack: 2}}
agent: {base: BASE, num_envs: 2, encoder: {features: 8}, hidden: [8], EXTRA}
budget_steps: 64
checkpoint_every: 32
evaluation: {every_steps: 64, episodes: 1}
track: none
"""
_GUIDED = "guidance: {pictures: 50, batch_size: 16}"
_PPO = "steps_per_update: 16, batch_size: 16, epochs: 1"
_DQN = "learning_starts: 16, batch_size: 8, buffer_size: 200, gradient_steps: 1, target_update_every: 16"
EXPERIMENTS = {
    "ppo": TINY.replace("BASE", "ppo").replace("EXTRA", f"{_PPO}, {_GUIDED}"),
    "dqn": TINY.replace("BASE", "dqn").replace("EXTRA", f"{_DQN}, {_GUIDED}"),
    "plain": TINY.replace("BASE", "dqn").replace("EXTRA", f"{_DQN}, n_steps: 1, guidance: null"),
    "batch": TINY.replace("BASE", "ppo").replace("EXTRA", f"{_PPO}, {_GUIDED}") + "engine: batch\n",
}
RECIPE = """\
base: unet
world: {base: lane_follow, camera: {width_px: 64, height_px: 48, channels: rgb, frame_stack: 1}}
fit: {samples: 16, batch_size: 8, evaluate_every: 16, val_samples: 4, head_finetune_samples: 0}
data: {per_road: 2}
track: none
"""
MOST = {  # sizes kept small, so that ten seconds suffice
    "width_px": 128, "height_px": 96, "frame_stack": 4, "length_m": 600, "control_hz": 20, "num_envs": 16,
    "batch_size": 64, "pictures": 500, "buffer_size": 2000, "epochs": 3, "gradient_steps": 4, "episodes": 2,
    "features": 64, "budget_steps": 200, "steps_per_update": 64, "passes": 4, "time_limit_s": 20, "samples": 32,
    "val_samples": 8, "head_finetune_samples": 16, "per_road": 4, "parked_cars_per_km": 50,
}  # fmt: skip
ODD = (
    "", "null", "true", "[]", "{}", "[1, 2]", "{a: 1}", "!!python/name:os", "&a [*a]", "1e999", ".nan", "-.inf", "1:30",
    "0x1f", "!!binary x", "2020-01-01", "field", "timm:x", "~", "'", "[[[[", "9" * 400, "-1", "0", "\x1b[31m", "größe",
    "../../etc/passwd", "/dev/zero",
)  # fmt: skip


def prepare(ground: Path) -> None:
    """Make what tries start from: experiments, a run of each, and a data set."""
    with redirect_stdout(io.StringIO()):
        _prepare(ground)


def _prepare(ground: Path) -> None:
    for name, text in EXPERIMENTS.items():
        (ground / f"{name}.yaml").write_text(text)
        words = ("train", str(ground / f"{name}.yaml"), "--no-film", "--runs", str(ground / "runs"))
        assert _main(*words) == 0, words
    (ground / "recipe.yaml").write_text(RECIPE)
    camera = [f"world.camera.{key}" for key in ("width_px=64", "height_px=48", "channels=rgb", "frame_stack=1")]
    _main("data", "make", "lane_follow", *camera, "--samples", "8", "--out", str(ground / "data"))


def overrides(rng: random.Random, ground: Path, scratch: Path) -> int:
    """`drive-rl show` with changes of any kind."""
    name, kind, keys = rng.choice(_SHOWN)
    del ground, scratch
    return _main("show", f"{kind}:{name}", *(_change(rng, keys) for _ in range(rng.randint(1, 4))))


def specs(rng: random.Random, ground: Path, scratch: Path) -> int:
    """A mutated file of a shelf, shown; or a mutated tiny experiment, trained."""
    if rng.random() < 0.05:
        path = scratch / "tiny.yaml"
        path.write_text(mutate_yaml(rng.choice(list(EXPERIMENTS.values())), rng), errors="surrogatepass")
        return _main("train", str(path), "--no-film", "--runs", str(scratch / "runs"), "--track", "none")
    shelf, kind = rng.choice(
        [("envs", "world"), ("agents", "driver"), ("configs", "experiment"), ("configs/perception", "perception")]
    )
    source = rng.choice([path for path in entries(shelf).values() if path.suffix == ".yaml"])  # pyright: ignore
    path = scratch / rng.choice(["x.yaml", "größe.yaml", "a b.yaml", "x-y.yml"])
    path.write_text(mutate_yaml(source.read_text(encoding="utf-8"), rng), encoding="utf-8", errors="surrogatepass")
    del ground
    return _main("show", f"{kind}:{path}")


def worlds(rng: random.Random, ground: Path, scratch: Path) -> int:
    """A world of numbers within their bounds, driven in both engines if it is accepted."""
    from drive_rl.errors import DriveRLError
    from drive_rl.sim.envs.lane_env import LaneEnv
    from drive_rl.sim.envs.vector_env import BatchVectorEnv

    del ground, scratch
    try:
        world = load_world("lane_follow", ["camera.width_px=32", "camera.height_px=24", *_numbers(rng, _WORLD)])
        for env in (LaneEnv(world), BatchVectorEnv(world, 2)):
            env.reset(seed=rng.randrange(2**31))
            for _ in range(3):
                _, reward, ended, cut, _ = env.step(env.action_space.sample())
                low, high = -world.reward.failure, 1 + world.reward.arrival  # a step's, and that of an end
                assert ((np.asarray(reward) >= low) & (np.asarray(reward) <= high)).all(), f"reward {reward}"
                if np.any(ended) or np.any(cut):
                    break
            env.close()
    except DriveRLError:  # refused, as it may be
        pass
    return 0


def training(rng: random.Random, ground: Path, scratch: Path) -> int:
    """A tiny training with numbers within their bounds."""
    name = rng.choice(list(EXPERIMENTS))
    changes = _numbers(rng, _DQN_RUN if name in ("dqn", "plain") else _PPO_RUN)
    words = (*changes, "--no-film", "--runs", str(scratch / "runs"), "--track", "none")
    return _main("train", str(ground / f"{name}.yaml"), *words)


def fits(rng: random.Random, ground: Path, scratch: Path) -> int:
    """A tiny fit with numbers within their bounds."""
    words = (*_numbers(rng, _FIT), "--runs", str(scratch / "runs"), "--track", "none")
    return _main("perception", "fit", str(ground / "recipe.yaml"), *words)


def checkpoints(rng: random.Random, ground: Path, scratch: Path) -> int:
    """A run that was tampered with, with valid sums: evaluated or resumed."""
    experiment = rng.choice(list(EXPERIMENTS))
    (source,) = (ground / "runs" / experiment).iterdir()
    run = scratch / "run"
    shutil.copytree(source, run)
    for folder in rng.sample([run / "last", run / "best"], 1):
        tamper(folder, rng)
    verb = rng.choice(["eval", "resume", "resume"])
    if verb == "eval":
        place = rng.choice([run, run / "last", run / "best"])
        return _main("eval", str(place), "--split", "val", "--episodes", "1", "world.task.time_limit_s=1")
    return _main("train", "--resume", str(run), "budget_steps=96", "--no-film")


def data(rng: random.Random, ground: Path, scratch: Path) -> int:
    """A perception model fitted to a damaged data set."""
    folder = scratch / "data"
    shutil.copytree(ground / "data", folder)
    mutate_data_folder(folder, rng)
    words = (f"data.folder={folder}", "--runs", str(scratch / "runs"))
    return _main("perception", "fit", str(ground / "recipe.yaml"), *words)


TRIES: dict[str, tuple[float, Callable[[random.Random, Path, Path], int]]] = {
    "overrides": (0.38, overrides),
    "specs": (0.34, specs),
    "worlds": (0.10, worlds),
    "training": (0.03, training),
    "fits": (0.02, fits),
    "checkpoints": (0.08, checkpoints),
    "data": (0.04, data),
}
"""Each kind's share of the tries within a worker, and its function, which returns an exit code."""


def attempt(kind: str, seed: int, ground: Path, scratch: Path) -> str:
    """Do one try; return the finding, or an empty text.

    Raises:
        BaseException: anything that escaped the command line.
    """
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    rng = random.Random(f"{kind}:{seed}")
    output = io.StringIO()
    with redirect_stdout(io.StringIO()), redirect_stderr(output):
        code = TRIES[kind][1](rng, ground, scratch)
    return complaint(code, output.getvalue())


def complaint(code: int, output: str) -> str:
    """Return what is wrong with the answer of a command line, or an empty text."""
    if "Traceback (most recent call last)" in output:
        return f"traceback on stderr: {output[-600:]}"
    if code not in (0, 2):
        return f"exit code {code}: {output[-600:]}"
    return "exit code 2 without a message" if code == 2 and not output else ""


def _main(*words: str) -> int:
    """Run a command line in this process; return its exit code."""
    sys.argv = ["drive-rl", *words]
    try:
        cli.main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)


def _change(rng: random.Random, keys: list[str]) -> str:
    if rng.random() < 0.1:
        return "".join(
            chr(rng.choice([rng.randrange(32, 127), rng.randrange(1, 0xD800)])) for _ in range(rng.randrange(20))
        )
    key = rng.choice(keys) + (rng.choice([".x", ".", ".0", "."]) if rng.random() < 0.1 else "")
    number = rng.choice([rng.randrange(-(10**6), 10**6), rng.uniform(-2, 2), 10.0 ** rng.randrange(-320, 308)])
    return f"{key}={rng.choice([rng.choice(ODD), str(number), str(number), f'[{number}, {number}]'])}"


Bound = tuple[str, float, float, bool]
"""A key, its least and largest value, and whether it is whole."""


def bounds(model: type[BaseModel], prefix: str = "") -> Iterator[Bound]:
    """Yield every number of a spec."""
    for name, field in model.model_fields.items():
        inner = GuidanceSpec if name == "guidance" else field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from bounds(inner, f"{prefix}{name}.")
        elif lows := _limits(field.metadata, "ge", "gt"):
            high = min([*_limits(field.metadata, "le", "lt"), MOST.get(name, math.inf), 1e9])
            yield f"{prefix}{name}", max(lows), high, field.annotation is int


def _limits(metadata: list[Any], *names: str) -> list[float]:
    return [value for part in metadata for name in names if (value := getattr(part, name, None)) is not None]


def _numbers(rng: random.Random, known: list[Bound]) -> list[str]:
    """Return changes of some numbers to values within their bounds, often the bounds themselves."""
    changes = []
    for key, low, high, whole in rng.sample(known, rng.randint(1, 3)):
        inner = low + (high - low) * rng.choice([rng.random(), rng.random() ** 8])
        value: Any = rng.choice([low, high, inner, math.nextafter(low, math.inf)])
        changes.append(f"{key}={round(value) if whole else _as_yaml(value)}")
    return changes


def _as_yaml(number: float) -> str:
    """Return a number as YAML reads it: with a point."""
    mantissa, e, exponent = repr(float(number)).partition("e")
    return f"{mantissa if '.' in mantissa else mantissa + '.0'}{e}{exponent}"


def _keys(*models: tuple[type[BaseModel], str]) -> list[str]:
    found = []
    for model, prefix in models:
        for name, field in model.model_fields.items():
            found.append(prefix + name)
            inner = GuidanceSpec if name == "guidance" else field.annotation
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                found += _keys((inner, f"{prefix}{name}."))
    return found


_WORLD = list(bounds(WorldSpec))
_FIT = [bound for bound in bounds(PerceptionSpec) if not bound[0].startswith("world.")]
_RUN = [bound for bound in bounds(RunSpec) if bound[0] != "budget_steps"]
_PPO_RUN, _DQN_RUN = (_RUN + list(bounds(model, "agent.")) for model in (PpoSpec, DqnSpec))
_SHOWN = [
    ("lane_follow", "world", _keys((WorldSpec, "world."))),
    ("ppo", "driver", _keys((PpoSpec, "agent."))),
    ("dqn", "driver", _keys((DqnSpec, "agent."))),
    ("quickstart", "experiment", _keys((RunSpec, ""), (PpoSpec, "agent."))),
    ("dqn-lane-follow", "experiment", _keys((RunSpec, ""), (DqnSpec, "agent."))),
    ("unet", "perception", _keys((PerceptionSpec, ""))),
]
