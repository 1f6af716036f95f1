"""Episodes driven with fixed commands, for the determinism tests; imported by their subprocesses too."""

import hashlib
from typing import Any

import numpy as np

from drive_rl.config.reader import load_world
from drive_rl.sim.envs.lane_env import LaneEnv
from drive_rl.sim.task.outcome import METRICS


def commands(seed: int, steps: int) -> np.ndarray:
    """Return gentle steering and pedal (steps, 2)."""
    return np.random.default_rng(seed).uniform((-0.1, 0.1), (0.1, 0.5), (steps, 2))


def fingerprint(env: LaneEnv, actions: np.ndarray) -> str:
    """Drive on and return a hash of every observation, reward and metric."""
    digest = hashlib.sha256()
    for action in actions:
        seen, reward, terminated, truncated, info = env.step(action)
        for part in seen.values() if isinstance(seen, dict) else (seen,):
            digest.update(part.tobytes())
        digest.update(np.array([reward, terminated, truncated, *(info[name] for name in METRICS)]).tobytes())
        if terminated or truncated:
            break
    return digest.hexdigest()


def episode(road_seed: int, world: str = "lane_follow", steps: int = 25) -> str:
    """Return the fingerprint of an episode in an environment of its own."""
    env = LaneEnv(load_world(world), "camera+state")
    env.reset(options={"road_seed": road_seed})
    print_of = fingerprint(env, commands(road_seed, steps))
    env.close()
    return print_of


def resumed(state: dict[str, Any], actions: np.ndarray) -> tuple[str, int]:
    """Resume a state in a new environment; return the fingerprint, and the next road seed drawn."""
    env = LaneEnv(load_world("parked_cars"), "camera+state")
    env.reset(seed=99)
    env.set_state(state)
    print_of = fingerprint(env, actions)
    _, info = env.reset()
    env.close()
    return print_of, int(info["road_seed"])
