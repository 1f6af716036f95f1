"""Claim: the batch engine makes >= 25,000 steps/s with a 64x40 grey camera on one core, >= 200 times CarRacing-v3.

And two threads make >= 1.6 times as many. Beside it runs `parked_cars`, whose pictures show solids. The table also says
what is left once a policy acts on the pictures, and once PPO learns from them. Roads are drawn anew for every episode,
inside the clock.
"""

import argparse
import itertools
import os
import time
from collections.abc import Iterator, Sequence
from typing import Any, cast

import numpy as np
import torch
from env_speed import recorded_drives
from peers import Peer, peers_python
from record import Bar, Bench, median, one_core, show, spread
from stable_baselines3.common.callbacks import BaseCallback
from stepping import PEERS, Stepper

from drive_rl.config.reader import load_agent, load_world
from drive_rl.config.specs.base import SPLITS
from drive_rl.config.specs.driver import PpoSpec, ReferenceSpec
from drive_rl.config.specs.world import WorldSpec
from drive_rl.drivers.reference import ReferenceDriver
from drive_rl.learn.build import build_model, build_policy, make_envs
from drive_rl.run.process.allocator import keep_freed_memory
from drive_rl.sim.engines.batch import Batch
from drive_rl.sim.envs.lane_env import LaneEnv

SIZES = ("64x40", "84x84", "128x128")
CPU = torch.device("cpu")
NAMES = {name: peer[1] for name, peer in PEERS.items()} | {
    "tiny": "PyBullet and its TinyRenderer, 64x40",
    "parked_cars": "ours, parked_cars, 64x40, N=64",
}


def world_of(size: str, name: str = "lane_follow") -> WorldSpec:
    """Return a world with a camera of a size."""
    width, height = size.split("x")
    return load_world(name, [f"camera.width_px={width}", f"camera.height_px={height}"])


class Stepping:
    """N cars that the reference driver drives, outside the clock; with `infers`, a CNN policy looks at the pictures."""

    def __init__(self, size: str, cars: int, threads: int = 1, infers: bool = False, name: str = "lane_follow") -> None:
        world = world_of(size, name)
        self._batch = Batch(world, cars, "camera+state", threads)
        self._driver = ReferenceDriver(cast(ReferenceSpec, load_agent("reference")), world.car, world.task)
        self._policy = build_policy(cast(PpoSpec, load_agent("ppo")), world, CPU) if infers else None
        self._seeds = itertools.cycle(SPLITS["train"])
        self._batch.begin(range(cars), itertools.islice(self._seeds, cars))

    def block(self, seconds: float) -> dict[str, float]:
        """Step for some seconds, resets included."""
        batch, spent, steps, reset_s = self._batch, 0.0, 0, 0.0
        while spent < seconds:
            actions = self._driver.act(batch.cars.state).astype(np.float64)
            begin = time.perf_counter()
            if self._policy is not None:
                self._policy.predict(batch.pictures, deterministic=True)
            ended = batch.step(actions)
            stepped = time.perf_counter()
            batch.begin(ended, itertools.islice(self._seeds, len(ended)))
            now = time.perf_counter()
            spent, reset_s, steps = spent + now - begin, reset_s + now - stepped, steps + batch.num_cars
        return {"steps_per_s": steps / spent, "reset_share": reset_s / spent}

    def close(self) -> None:
        """End the threads."""
        self._batch.close()


class Training:
    """PPO learns from N cars: what `drive-rl train engine=batch` does, evaluations left out."""

    def __init__(self, size: str, cars: int) -> None:
        steps = max(2, 512 // cars)
        agent = cast(PpoSpec, load_agent("ppo", [f"num_envs={cars}", f"steps_per_update={steps}"]))
        self._envs = make_envs(world_of(size), agent, "train", cars, 0, "batch")
        self._model = build_model(agent, self._envs, CPU, 0)

    def block(self, seconds: float) -> dict[str, float]:
        """Learn for some seconds, in whole updates."""
        before, begin = self._model.num_timesteps, time.perf_counter()
        self._model.learn(10**9, callback=Until(begin + seconds), reset_num_timesteps=before == 0)
        return {"steps_per_s": (self._model.num_timesteps - before) / (time.perf_counter() - begin)}

    def close(self) -> None:
        """End the threads."""
        self._envs.close()


class TinyRenderer:
    """The same world in PyBullet, one car, painted by Bullet's TinyRenderer: the reference driver's drives."""

    def __init__(self) -> None:
        world = load_world("lane_follow", ["camera.renderer=tiny"])
        self._env = LaneEnv(world)
        self._stepper = Stepper(self._env, recorded_drives(world, 5))

    def block(self, seconds: float) -> dict[str, float]:
        """Step for some seconds, resets included."""
        return self._stepper.block(seconds)

    def close(self) -> None:
        """Close the environment."""
        self._env.close()


class Until(BaseCallback):
    """Ends learning at the first rollout after a time."""

    def __init__(self, end: float) -> None:
        super().__init__()
        self._end, self._over = end, False

    def _on_rollout_start(self) -> None:
        self._over = time.perf_counter() > self._end

    def _on_step(self) -> bool:
        return not self._over


def rounds_of(runners: dict[str, Any], rounds: int, seconds: float) -> dict[str, list[dict[str, float]]]:
    """Time all runners in turn, round after round."""
    for runner in runners.values():
        runner.block(min(seconds, 2.0))  # warm-up
    samples: dict[str, list[dict[str, float]]] = {name: [] for name in runners}
    for _, (name, runner) in itertools.product(range(rounds), runners.items()):
        samples[name].append(runner.block(seconds))
    for runner in runners.values():
        runner.close()
    return samples


def table(sizes: Sequence[str], cars: Sequence[int], rounds: int, seconds: float) -> Iterator[tuple[str, Any]]:
    """Yield each cell's name and samples: stepping, with inference, with training; one size and N at a time."""
    for size, n in itertools.product(sizes, cars):
        runners = {"step": Stepping(size, n), "infer": Stepping(size, n, infers=True), "train": Training(size, n)}
        for what, blocks in rounds_of(runners, rounds, seconds).items():
            yield f"{what} {size} N={n}", blocks


def main() -> None:
    """Measure the headline beside the peers on one core, then threads, then the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each contender in each round")
    parser.add_argument("--cars", type=int, nargs="+", default=[1, 64, 1024])
    parser.add_argument("--no-peers", action="store_true", help="only our own environment")
    parser.add_argument("--cpu", type=int, help="the core to use")
    bench = Bench("batch_speed", parser)
    args = bench.args
    keep_freed_memory()
    torch.set_num_threads(1)
    everywhere = os.sched_getaffinity(0)
    python = None if args.no_peers else peers_python()
    one_core(args.cpu)
    peers: dict[str, Any] = {name: Peer(python, "stepping.py", name) for name in PEERS} if python else {}
    peers |= {"tiny": TinyRenderer()} if python else {}
    peers |= {"parked_cars": Stepping("64x40", 64, name="parked_cars")}
    one = rounds_of({"ours": Stepping("64x40", 64), **peers}, args.rounds, args.seconds)
    cells = dict(table(SIZES, args.cars, max(2, args.rounds // 3), args.seconds))
    os.sched_setaffinity(0, everywhere)
    two = {"1": Stepping("64x40", 256, 1), "2": Stepping("64x40", 256, 2)}
    threads = rounds_of(two, args.rounds, args.seconds)

    rates = {name: [block["steps_per_s"] for block in blocks] for name, blocks in (one | cells).items()}
    paired = zip(threads["1"], threads["2"], strict=True)
    gains = [b["steps_per_s"] / a["steps_per_s"] for a, b in paired]
    figures = {
        "steps_per_s": {name: spread(values) for name, values in rates.items()},
        "over_peers": {
            name: spread([a / b for a, b in zip(rates["ours"], rates[name], strict=True)]) for name in peers
        },
        "two_threads_over_one": spread(gains),
        "two_threads_steps_per_s": spread([block["steps_per_s"] for block in threads["2"]]),
        "reset_share": median([block["reset_share"] for block in one["ours"]]),
    }
    print_table(args.cars, figures)
    bars = [
        Bar("steps/s, 64x40 grey, N = 64, one core", figures["steps_per_s"]["ours"]["median"], least=25_000),
        Bar("two threads over one, N = 256", figures["two_threads_over_one"]["median"], least=1.6),
    ]
    if python:
        bars.append(Bar("times CarRacing-v3", figures["over_peers"]["car_racing"]["median"], least=200))
    bench.finish(figures, {**one, **cells, "threads": threads}, bars)


def print_table(cars: Sequence[int], figures: dict[str, Any]) -> None:
    """Print steps a second by size and N."""
    rates = figures["steps_per_s"]
    rows = [
        (size, n, *(float(rates[f"{what} {size} N={n}"]["median"]) for what in ("step", "infer", "train")))
        for size, n in itertools.product(SIZES, cars)
    ]
    show("Batch engine, one core, grey: steps/s", ["camera", "N", "stepping", "+ inference", "+ training"], rows)
    show(
        "In the same run, one core",
        ["environment", "steps/s", "ours / it"],
        [("ours, 64x40, N=64", rates["ours"]["median"], 1.0)]
        + [(NAMES[name], rates[name]["median"], over["median"]) for name, over in figures["over_peers"].items()],
    )


if __name__ == "__main__":
    main()
