"""Claim: LaneFollow-v1 with a 64x40 grey camera makes >= 2,500 steps/s on one core, many times its peers' speed."""

import argparse
import itertools
from collections.abc import Iterator
from typing import Any, cast

import gymnasium
import numpy as np
from peers import Peer, peers_python
from record import Bar, Bench, median, one_core, show, spread
from stepping import PEERS, Plan, Stepper, smooth

import drive_rl  # registers the worlds, too
from drive_rl.config.reader import load_agent
from drive_rl.config.specs.base import SPLITS
from drive_rl.config.specs.driver import ReferenceSpec
from drive_rl.config.specs.world import WorldSpec
from drive_rl.drivers.reference import ReferenceDriver
from drive_rl.sim.envs.lane_env import LaneEnv

ENV = "drive_rl/LaneFollow-v1"


class Ours:
    """Our environment, in this process."""

    def __init__(self, plans: Iterator[Plan], what: str) -> None:
        env = gymnasium.make(ENV, disable_env_checker=True)
        world = cast(LaneEnv, env.unwrapped).world
        observation = env.reset(seed=0)[0]
        self._stepper = Stepper(env, plans)
        self.about = {
            "env": f"LaneFollow-v1, {what}",
            "version": f"drive-rl {drive_rl.__version__}",
            "observation": [*observation.shape],
            "dtype": str(observation.dtype),
            "simulated_s_per_step": 1 / world.task.control_hz,
        }

    def block(self, seconds: float) -> dict[str, float]:
        """Step for some seconds."""
        return self._stepper.block(seconds)


def recorded_drives(world: WorldSpec, roads: int) -> Iterator[Plan]:
    """Yield for ever the reference driver's actions on some roads, recorded beforehand: whole drives to the road's end.

    The same road and actions give the same drive whatever is observed, so no driver need run while the clock does.
    """
    driver = ReferenceDriver(cast(ReferenceSpec, load_agent("reference")), world.car, world.task)
    env = LaneEnv(world, observation="state")
    drives: list[tuple[int, list[np.ndarray]]] = []
    for seed in SPLITS["train"][:roads]:
        state, over, actions = env.reset(options={"road_seed": seed})[0], False, []
        while not over:
            actions.append(driver.act(state[None])[0])
            state, _, terminated, truncated, _ = env.step(actions[-1])
            over = terminated or truncated
        drives.append((seed, actions))
    env.close()
    return (({"options": {"road_seed": seed}}, iter(actions)) for seed, actions in itertools.cycle(drives))


def random_drives() -> Iterator[Plan]:
    """Yield episodes of wandering steering at a gentle throttle: they leave the lane soon, so resets are many."""
    rng = np.random.default_rng(0)
    while True:
        yield (
            {"seed": int(rng.integers(2**31))},
            smooth(rng, lambda steer: np.array([steer, 0.3], np.float32)),
        )


def main() -> None:
    """Time all environments in turn, round after round, on one core."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each environment in each round")
    parser.add_argument("--roads", type=int, default=50, help="roads with a recorded drive")
    parser.add_argument("--no-peers", action="store_true", help="only our own environment")
    parser.add_argument("--cpu", type=int, help="the core to use")
    bench = Bench("env_speed", parser)
    args = bench.args
    python = None if args.no_peers else peers_python()
    one_core(args.cpu)
    world = cast(LaneEnv, gymnasium.make(ENV).unwrapped).world
    ours = {
        "ours": Ours(recorded_drives(world, args.roads), "whole drives"),
        "ours_random": Ours(random_drives(), "random"),
    }
    peers = {name: Peer(python, "stepping.py", name) for name in PEERS} if python else {}
    runners: dict[str, Ours | Peer] = {**ours, **peers}
    for runner in runners.values():
        runner.block(min(args.seconds, 2.0))  # warm-up
    samples: dict[str, list[dict[str, float]]] = {name: [] for name in runners}
    for _ in range(args.rounds):
        for name, runner in runners.items():
            samples[name].append(runner.block(args.seconds))
    for peer in peers.values():
        peer.close()
    figures = {name: _figures(runner.about, samples[name], samples["ours"]) for name, runner in runners.items()}
    show(
        f"Environment steps on one core, medians of {args.rounds} rounds of {args.seconds:g} s",
        ["environment", "observation", "steps/s", "ours / it", "simulated s/s", "time in resets"],
        [
            (
                f["about"]["env"],
                "x".join(str(n) for n in f["about"]["observation"]),
                f["steps_per_s"]["median"],
                f["ours_over_it"]["median"],
                f["simulated_s_per_s"],
                f"{f['reset_share']:.0%}",
            )
            for f in figures.values()
        ],
    )
    bars = [Bar("steps/s, PyBullet and 64x40 grey, one core", figures["ours"]["steps_per_s"]["median"], least=2500)]
    bench.finish(figures, samples, bars)


def _figures(about: dict[str, Any], blocks: list[dict[str, float]], ours: list[dict[str, float]]) -> dict[str, Any]:
    rates = [block["steps_per_s"] for block in blocks]
    return {
        "about": about,
        "steps_per_s": spread(rates),
        "ours_over_it": spread([own["steps_per_s"] / max(rate, 1e-9) for own, rate in zip(ours, rates, strict=True)]),
        "simulated_s_per_s": median(rates) * about["simulated_s_per_step"],
        "reset_share": sum(block["reset_seconds"] for block in blocks) / sum(block["seconds"] for block in blocks),
    }


if __name__ == "__main__":
    main()
