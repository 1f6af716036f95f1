"""Claim: over 2,000 episodes of every world, in every engine and with every renderer, memory grows by less than 2 MB.

Episodes are short, since each one's beginning is what draws roads, places cars and lays scenes. Each combination runs
in a process of its own; `egl` is left out where this machine cannot run it, and the result says so.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import numpy as np
from record import Bar, Bench, run, show
from soak import resident_mb

from drive_rl.config.reader import load_world
from drive_rl.config.shelf import entries
from drive_rl.config.specs.base import Renderer
from drive_rl.config.specs.world import WorldSpec
from drive_rl.errors import DriveRLError
from drive_rl.sim.envs.lane_env import LaneEnv
from drive_rl.sim.envs.vector_env import BatchVectorEnv

CARS = 20
STEPS = 3
EVERY = 100
"""Episodes between two looks at memory: a multiple of what `bullet_camera` lays in one client, and of CARS."""
GROWTH_MB = 2.0
_QUARTER = 5
"""Samples at each end whose medians are compared: a single one may meet a road that is just being laid (6 MB)."""


def combinations() -> Iterator[tuple[str, str, str]]:
    """Yield world, engine and renderer; the batch engine has one renderer."""
    for world in sorted(entries("envs")):
        yield world, "batch", "field"
        for renderer in get_args(Renderer):
            yield world, "bullet", renderer


def soak(world: WorldSpec, engine: str, warm_up: int, episodes: int) -> list[float]:
    """Return resident memory [MB] after the warm-up and after every `EVERY` episodes more."""
    drive, at_once, close = _batch(world) if engine == "batch" else _bullet(world)
    samples = []
    for done in range(0, warm_up + episodes + at_once, at_once):
        if done >= warm_up and (done - warm_up) % EVERY == 0:
            samples.append(resident_mb())
        drive()
    close()
    return samples


def _bullet(world: WorldSpec) -> tuple[Callable[[], None], int, Callable[[], None]]:
    env, rng = LaneEnv(world, "camera+state"), np.random.default_rng(0)
    env.reset(seed=0)

    def drive() -> None:
        env.reset()
        for _ in range(STEPS):
            _, _, terminated, truncated, _ = env.step(rng.uniform(-1, 1, 2))
            if terminated or truncated:
                break

    return drive, 1, env.close


def _batch(world: WorldSpec) -> tuple[Callable[[], None], int, Callable[[], object]]:
    env, rng = BatchVectorEnv(world, CARS, "camera+state"), np.random.default_rng(0)
    env.reset(seed=0)

    def drive() -> None:
        env.reset()
        for _ in range(STEPS):
            env.step(rng.uniform(-1, 1, (CARS, 2)))

    return drive, CARS, env.close


def _one(name: str, engine: str, renderer: str, warm_up: int, episodes: int) -> dict[str, Any]:
    """Return what one combination shows."""
    begin = time.perf_counter()
    try:
        memory = soak(load_world(name, [f"camera.renderer={renderer}"]), engine, warm_up, episodes)
    except DriveRLError as error:
        if renderer != "egl":
            raise
        return {"left_out": str(error)}
    return {
        "resident_mb": memory,
        "growth_mb": float(np.median(memory[-_QUARTER:]) - np.median(memory[:_QUARTER])),
        "seconds": time.perf_counter() - begin,
    }


def main() -> None:
    """Soak every combination, and show how memory grew."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=2000)
    parser.add_argument("--warm-up", type=int, default=500, help="episodes before memory is first looked at")
    parser.add_argument("--only", nargs="+", default=[], help="some combinations, such as parked_cars/bullet/tiny")
    parser.add_argument("--one", nargs=4, metavar=("WORLD", "ENGINE", "RENDERER", "OUT"), help=argparse.SUPPRESS)
    known = parser.parse_known_args()[0]
    if known.one:
        world, engine, renderer, out = known.one
        Path(out).write_text(json.dumps(_one(world, engine, renderer, known.warm_up, known.episodes)))
        return
    bench = Bench("soak-worlds", parser)
    args, samples = bench.args, {}
    for combination in combinations():
        name = "/".join(combination)
        if args.only and name not in args.only:
            continue
        samples[name] = _in_a_process(combination, args.warm_up, args.episodes)
        print(name, {key: value for key, value in samples[name].items() if key != "resident_mb"}, flush=True)
    grown = {name: sample["growth_mb"] for name, sample in samples.items() if "growth_mb" in sample}
    show(f"Growth over {args.episodes} episodes [MB]", ["world/engine/renderer", "MB"], list(grown.items()))
    bars = [Bar(f"growth of {name} [MB]", value, most=GROWTH_MB) for name, value in grown.items()]
    left_out = [name for name, sample in samples.items() if "left_out" in sample]
    bench.finish({"growth_mb": grown, "left_out": left_out}, samples, bars)


def _in_a_process(combination: tuple[str, str, str], warm_up: int, episodes: int) -> dict[str, Any]:
    """Bullet prints to standard output: the result comes back in a file."""
    settings = ["--warm-up", str(warm_up), "--episodes", str(episodes)]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "one.json"
        run([sys.executable, __file__, *settings, "--one", *combination, out])
        return json.loads(out.read_text())


if __name__ == "__main__":
    main()
