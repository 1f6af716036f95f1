"""Claim: over 1,000,000 environment steps resident memory grows by less than 10 MB, and no number is NaN."""

import argparse
import gc
import math
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import gymnasium
import numpy as np
from record import Bar, Bench, show

import drive_rl  # noqa: F401 - registers the worlds
from drive_rl.learn.reference import ReferenceDriver
from drive_rl.reader import load_agent
from drive_rl.sim.lane_env import LaneEnv
from drive_rl.spec import ReferenceSpec

_PAGE = os.sysconf("SC_PAGE_SIZE")


def resident_mb() -> float:
    """Return this process's resident memory [MB, 10^6 bytes]."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE / 1e6


def wrong_numbers(observation: Mapping[str, np.ndarray], reward: float, info: Mapping[str, Any]) -> int:
    """Return how many of a step's numbers are NaN or infinite, or reward terms outside [0, 1]."""
    wrong = int(np.count_nonzero(~np.isfinite(observation["state"]))) + (not math.isfinite(reward))
    wrong += sum(not math.isfinite(value) for value in info["metrics"].values())
    wrong += sum(not 0 <= value <= 1 for value in info["reward_terms"].values())
    if (episode := info.get("episode_metrics")) is not None:
        values = [value for value in episode.to_dict().values() if not isinstance(value, str)]
        wrong += sum(not math.isfinite(value) for value in values)
    return wrong


def main() -> None:
    """Step on and on: wild actions with many resets, and the reference driver's long episodes, in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--warm-up", type=int, default=50_000, help="steps before memory is first looked at")
    parser.add_argument("--every", type=int, default=10_000, help="steps between two looks at memory")
    parser.add_argument("--env", default="drive_rl/LaneFollow-v0")
    bench = Bench("soak", parser)
    args = bench.args
    env = gymnasium.make(args.env, observation="camera+state", disable_env_checker=True)
    world = cast(LaneEnv, env.unwrapped).world
    driver = ReferenceDriver(cast(ReferenceSpec, load_agent("reference")), world.car)
    rng = np.random.default_rng(0)
    ends: dict[str, int] = {}
    wrong = blank = longest = length = 0
    samples: list[tuple[int, float]] = []
    begin = time.perf_counter()
    observation, _ = env.reset(seed=0)
    for step in range(1, args.steps + 1):
        wild = step // (args.every // 2) % 2 == 0
        action = rng.uniform(-1, 1, 2) if wild else driver.act(observation["state"][None])[0]
        observation, reward, terminated, truncated, info = env.step(action)
        length += 1
        wrong += wrong_numbers(observation, float(reward), info)
        blank += int(observation["camera"].min() == observation["camera"].max())
        if terminated or truncated:
            ends[info["end_reason"]] = ends.get(info["end_reason"], 0) + 1
            longest, length = max(longest, length), 0
            observation, _ = env.reset()
        if step >= args.warm_up and step % args.every == 0:
            samples.append((step, resident_mb()))
    seconds = time.perf_counter() - begin
    env.close()
    memory = [mb for _, mb in samples]
    slope = float(np.polyfit([step for step, _ in samples], memory, 1)[0]) * 1e6 if len(samples) > 1 else 0.0
    figures = {
        "steps": args.steps,
        "episodes": sum(ends.values()),
        "end_reasons": ends,
        "longest_episode_steps": longest,
        "seconds": seconds,
        "resident_mb_after_warm_up": memory[0],
        "resident_mb_at_end": memory[-1],
        "growth_mb": memory[-1] - memory[0],
        "peak_growth_mb": max(memory) - memory[0],
        "slope_mb_per_million_steps": slope,
        "wrong_numbers": wrong,
        "blank_pictures": blank,
    }
    shown = {key: value for key, value in figures.items() if key != "end_reasons"}
    show("Soak", ["figure", "value"], [*shown.items(), *((f"end: {key}", value) for key, value in ends.items())])
    bars = [
        Bar("peak growth of resident memory [MB]", figures["peak_growth_mb"], most=10),
        Bar("NaN, infinite or out-of-range numbers", wrong, most=0),
        Bar("pictures of a single shade", blank, most=0),
    ]
    bench.finish(figures, {"step": [step for step, _ in samples], "resident_mb": memory}, bars)


if __name__ == "__main__":
    main()
