"""Claim: over 1,000,000 environment steps resident memory grows by less than 10 MB, and no number is NaN.

With `--engine batch`: over 10,000,000 steps of the batch engine, behind `gymnasium.make_vec`.
"""

import argparse
import gc
import math
import os
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import gymnasium
import numpy as np
from record import Bar, Bench, show

import drive_rl  # noqa: F401 - registers the worlds
from drive_rl.config.reader import load_agent
from drive_rl.config.specs.driver import ReferenceSpec
from drive_rl.drivers.reference import ReferenceDriver
from drive_rl.sim.envs.lane_env import LaneEnv
from drive_rl.sim.envs.vector_env import BatchVectorEnv

_PAGE = os.sysconf("SC_PAGE_SIZE")
STEPS = {"bullet": 1_000_000, "batch": 10_000_000}
CARS = 64


def resident_mb() -> float:
    """Return this process's resident memory [MB, 10^6 bytes]."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE / 1e6


def wrong_numbers(values: Any) -> int:
    """Return how many of some numbers are NaN or infinite; `values` may be nested dictionaries."""
    if isinstance(values, Mapping):
        return sum(wrong_numbers(value) for value in values.values())
    array = np.asarray(values)
    if array.dtype == object:
        return sum(wrong_numbers(value) for value in array.flat if value is not None)
    return int(np.count_nonzero(~np.isfinite(array))) if array.dtype.kind == "f" else 0


def beyond(terms: Mapping[str, Any]) -> int:
    """Return how many reward terms are outside [0, 1]."""
    return sum(int(np.count_nonzero((np.asarray(value) < 0) | (np.asarray(value) > 1))) for value in terms.values())


class Soak:
    """Steps an environment on and on, and counts what is wrong: one PyBullet car, or a batch."""

    def __init__(self, engine: str, env_id: str) -> None:
        if engine == "batch":
            self._env: Any = gymnasium.make_vec(
                env_id, num_envs=CARS, vectorization_mode="vector_entry_point", observation="camera+state"
            )
            world = cast(BatchVectorEnv, self._env.unwrapped).world
        else:
            self._env = gymnasium.make(env_id, observation="camera+state", disable_env_checker=True)
            world = cast(LaneEnv, self._env.unwrapped).world
        self._names = self._env.metadata["end_reasons"]
        self.cars = CARS if engine == "batch" else 1
        self.ends: Counter[str] = Counter()
        self.wrong = self.blank = 0
        self._driver = ReferenceDriver(cast(ReferenceSpec, load_agent("reference")), world.car, world.task)
        self._rng = np.random.default_rng(0)
        self._seen, _ = self._env.reset(seed=0)

    def step(self, wild: bool) -> None:
        """Step every car once."""
        state = self._seen["state"]
        many = state if self.cars > 1 else state[None]
        actions = self._rng.uniform(-1, 1, (self.cars, 2)) if wild else self._driver.act(many)
        self._seen, reward, terminated, truncated, info = self._env.step(actions if self.cars > 1 else actions[0])
        self.wrong += wrong_numbers(self._seen["state"]) + wrong_numbers(reward) + wrong_numbers(info)
        self.wrong += beyond({key: value for key, value in info.items() if key.startswith("reward_")})
        pictures = self._seen["camera"].reshape(self.cars, -1)
        self.blank += int(np.count_nonzero(pictures.min(axis=1) == pictures.max(axis=1)))
        if not np.any(terminated | truncated):
            return
        self.ends.update(self._names[code] for code in np.atleast_1d(info["end_reason"]) if code)
        if self.cars == 1:
            self._seen, _ = self._env.reset()

    def close(self) -> None:
        """Close the environment."""
        self._env.close()


def main() -> None:
    """Wild actions with many resets, and the reference driver's long episodes, in turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", choices=("bullet", "batch"), default="bullet")
    parser.add_argument("--steps", type=int, help="default: 1,000,000, or 10,000,000 with the batch engine")
    parser.add_argument("--warm-up", type=int, help="steps before memory is first sampled at: a twentieth")
    parser.add_argument("--every", type=int, help="steps between two looks at memory: a hundredth")
    parser.add_argument("--env", default="drive_rl/LaneFollow-v1")
    engine = parser.parse_known_args()[0].engine
    whole = STEPS[engine]
    parser.set_defaults(engine=engine, steps=whole, warm_up=whole // 20, every=whole // 100)
    bench = Bench("soak" if engine == "bullet" else "soak-batch", parser)
    args = bench.args
    soak, samples, begin, sampled = Soak(args.engine, args.env), [], time.perf_counter(), 0
    for number in range(1, math.ceil(args.steps / soak.cars) + 1):
        step = number * soak.cars
        soak.step(wild=step // (args.every // 2) % 2 == 0)
        if step >= args.warm_up and step // args.every > sampled:
            sampled = step // args.every
            samples.append((step, resident_mb()))
    seconds = time.perf_counter() - begin
    soak.close()
    memory = [mb for _, mb in samples]
    slope = float(np.polyfit([step for step, _ in samples], memory, 1)[0]) * 1e6 if len(samples) > 1 else 0.0
    figures = {
        "engine": args.engine,
        "steps": args.steps,
        "episodes": sum(soak.ends.values()),
        "end_reasons": dict(soak.ends),
        "seconds": seconds,
        "resident_mb_after_warm_up": memory[0],
        "resident_mb_at_end": memory[-1],
        "growth_mb": memory[-1] - memory[0],
        "peak_growth_mb": max(memory) - memory[0],
        "slope_mb_per_million_steps": slope,
        "wrong_numbers": soak.wrong,
        "blank_pictures": soak.blank,
    }
    shown = {key: value for key, value in figures.items() if key != "end_reasons"}
    ends = [(f"end: {key}", value) for key, value in soak.ends.items()]
    show("Soak", ["figure", "value"], [*shown.items(), *ends])
    bars = [
        Bar("peak growth of resident memory [MB]", figures["peak_growth_mb"], most=10),
        Bar("NaN, infinite or out-of-range numbers", soak.wrong, most=0),
        Bar("pictures of a single shade", soak.blank, most=0),
    ]
    bench.finish(figures, {"step": [step for step, _ in samples], "resident_mb": memory}, bars)


if __name__ == "__main__":
    main()
