"""Claim: DQN's replay of 1,000,000 transitions of four 84x84 grey frames takes at most 8 GB, and samples no slower.

`lane_follow` on the batch engine, 64 cars at random actions, fills our buffer and stable-baselines3's, each in a
process of its own, up to half of the free memory: resident memory before and after, and the sizes of the arrays. Then
both buffers get the same transitions in one process, their batches are compared, and blocks of `sample(64)` alternate.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from record import Bar, Bench, median, run_json, show, spread
from stable_baselines3.common.buffers import NStepReplayBuffer, ReplayBuffer

from drive_rl.config.reader import load_agent, load_world
from drive_rl.learn.build import make_envs
from drive_rl.learn.sb3.frame_replay import FrameReplayBuffer, NStepFrameReplayBuffer
from drive_rl.memory import free_bytes

CARS, STACK, BATCH, BLOCK = 64, 4, 64, 200
CAMERA = ["camera.width_px=84", "camera.height_px=84", f"camera.frame_stack={STACK}"]
BYTES_A_TRANSITION = {"frames": 8_000, "pairs": 57_000}  # about; for what fits into half of the free memory
MILLION = 1_000_000


def driving() -> Any:
    """Return the cars, with random actions ahead of them."""
    agent: Any = load_agent("dqn", ["guidance=null", f"num_envs={CARS}"])
    return make_envs(load_world("lane_follow", CAMERA), agent, "train", CARS, 0, "batch")


def transitions(envs: Any) -> Iterator[tuple[Any, ...]]:
    """Yield what stable-baselines3 adds to a replay buffer: a step of every car, with terminal observations."""
    rng, before = np.random.default_rng(0), envs.reset()
    while True:
        action = rng.integers(envs.action_space.n, size=CARS)
        after, reward, done, infos = envs.step(action)
        following = after.copy()
        for car in np.flatnonzero(done):
            following[car] = infos[car]["terminal_observation"]
        yield before, following, action, reward, done, infos
        before = after


def make_buffer(kind: str, size: int, envs: Any, n_steps: int = 1) -> Any:
    """Return our buffer ("frames") or stable-baselines3's ("pairs")."""
    own = {"frame_stack": STACK} if kind == "frames" else {}
    if n_steps == 1:
        made: Any = FrameReplayBuffer if kind == "frames" else ReplayBuffer
    else:
        made = NStepFrameReplayBuffer if kind == "frames" else NStepReplayBuffer
        own |= {"n_steps": n_steps, "gamma": 0.99}
    return made(size, envs.observation_space, envs.action_space, device="cpu", n_envs=CARS, **own)


def array_bytes(buffer: Any) -> int:
    """Return the size of a buffer's arrays [bytes]."""
    arrays = [buffer.actions, buffer.rewards, buffer.dones, buffer.timeouts]
    if isinstance(buffer, FrameReplayBuffer):
        arrays += [buffer.frames.frames, buffer.frames.ages, *buffer.frames.starts.values()]
    else:
        arrays += [buffer.observations, buffer.next_observations]
    return sum(array.nbytes for array in arrays)


def resident_bytes() -> int:
    """Return this process's resident memory [bytes]."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def fill(kind: str, asked: int) -> dict[str, float]:
    """Fill a buffer and drive on for a tenth of its size; return what it takes."""
    size = min(asked, int(0.5 * free_bytes()) // BYTES_A_TRANSITION[kind]) // CARS * CARS
    envs = driving()
    stream = transitions(envs)
    for _ in range(300):  # the roads' memory
        next(stream)
    before, buffer = resident_bytes(), make_buffer(kind, size, envs)
    for _ in range(size // CARS + size // CARS // 10):
        buffer.add(*next(stream))
    assert buffer.full
    resident = resident_bytes() - before
    episodes = int(buffer.dones.sum())
    return {
        "transitions": size,
        "steps_per_episode": size / episodes,
        "array_bytes": array_bytes(buffer),
        "resident_bytes": resident,
    }


def compare(size: int, rounds: int, n_steps: int) -> list[dict[str, float]]:
    """Return milliseconds a batch of both buffers after the same transitions, round by round."""
    torch.set_num_threads(1)
    envs = driving()
    kinds = {kind: make_buffer(kind, size, envs, n_steps) for kind in ("frames", "pairs")}
    stream = transitions(envs)
    for _ in range(size // CARS + size // CARS // 10):
        transition = next(stream)
        for buffer in kinds.values():
            buffer.add(*transition)
    found = []
    for seed in range(rounds):
        took = {}
        for kind in sorted(kinds, reverse=bool(seed % 2)):
            np.random.seed(seed)
            begin = time.perf_counter()
            for _ in range(BLOCK):
                kinds[kind].sample(BATCH)
            took[kind] = 1000 * (time.perf_counter() - begin) / BLOCK
        found.append(took)
        assert_equal(kinds, seed)
    return found


def assert_equal(kinds: dict[str, Any], seed: int) -> None:
    """Stop unless both buffers sample the same, bit for bit."""
    batches = []
    for buffer in kinds.values():
        np.random.seed(seed)
        batches.append([part for part in buffer.sample(BATCH) if part is not None])
    assert all(map(torch.equal, *batches))


def main() -> None:
    """Measure each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=MILLION, help="transitions in our buffer")
    parser.add_argument("--pairs", type=int, default=100_000, help="transitions in stable-baselines3's buffer")
    parser.add_argument("--compared", type=int, default=50_000, help="transitions in both, to compare speeds")
    parser.add_argument("--rounds", type=int, default=15, help="blocks of each")
    if sys.argv[1:2] == ["--fill"]:
        print(json.dumps(fill(sys.argv[2], int(sys.argv[3]))))
        return
    if sys.argv[1:2] == ["--compare"]:
        print(json.dumps(compare(*map(int, sys.argv[2:5]))))
        return
    bench = Bench("replay_memory", parser)
    args, python = bench.args, [sys.executable, __file__]
    filled = {kind: run_json([*python, "--fill", kind, str(getattr(args, kind))]) for kind in ("frames", "pairs")}
    speeds = {
        f"{n_steps}-step": run_json([*python, "--compare", str(args.compared), str(args.rounds), str(n_steps)])
        for n_steps in (1, 3)
    }
    each = {kind: row["resident_bytes"] / row["transitions"] for kind, row in filled.items()}
    ratios = {name: spread([row["pairs"] / row["frames"] for row in rows]) for name, rows in speeds.items()}
    show(
        "Replay of 84x84x4, uint8",
        ("buffer", "transitions", "steps/episode", "arrays [GB]", "resident [GB]", "resident [bytes/transition]"),
        [
            (
                kind,
                row["transitions"],
                row["steps_per_episode"],
                row["array_bytes"] / 1e9,
                row["resident_bytes"] / 1e9,
                each[kind],
            )
            for kind, row in filled.items()
        ],
    )
    show(
        f"Batches of {BATCH}, one thread",
        ("returns", "frames [ms]", "pairs [ms]", "speed ratio"),
        [
            (name, *(median([row[kind] for row in rows]) for kind in ("frames", "pairs")), ratios[name]["median"])
            for name, rows in speeds.items()
        ],
    )
    figures = {"bytes_per_transition": each, "memory_ratio": each["pairs"] / each["frames"], "speed_ratio": ratios}
    million = each["frames"] * MILLION
    bars = [Bar("resident bytes of 1,000,000 transitions", million, most=8e9)]
    bars += [
        Bar(f"{name} batches/s over stable-baselines3's", row["median"], least=0.9) for name, row in ratios.items()
    ]
    bench.finish(figures, {"filled": filled, "ms_per_batch": speeds}, bars)


if __name__ == "__main__":
    main()
