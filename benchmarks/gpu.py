"""Claim: on one H100 or H200 the batch engine makes >= 1,000,000 camera steps/s at 64x64, and PPO trains at >= 100,000.

It needs only this repository and an image with torch, numba, numba-cuda and numpy below 2.5. Carry the rest: here,
`pip install --no-deps --target gpu-deps` PACKAGES of `CARRY` below `-c constraints.txt`; there,
`PYTHONPATH=.:gpu-deps python benchmarks/gpu.py`.

The floor comes first: the bytes that a step must move at the memory's measured speed, and its operations at the peak of
the chip. Without a GPU, `NUMBA_ENABLE_CUDASIM=1 python benchmarks/gpu.py --cars 2 --train-cars 2 --size 16x16
--seconds 1` shows that the script runs; its figures then mean nothing.
"""

import argparse
import itertools
import time
from typing import Any, cast

import torch
from record import Bar, Bench, show, spread

from drive_rl.config.reader import load_agent, load_world
from drive_rl.config.specs.base import SPLITS
from drive_rl.config.specs.driver import PpoSpec
from drive_rl.config.specs.world import WorldSpec
from drive_rl.learn.build import build_model, make_envs
from drive_rl.sim.engines.cuda import CudaBatch, simulated
from drive_rl.sim.task.outcome import STATE_FIELDS

CARRY = (
    "annotated-types cloudpickle farama-notifications gymnasium markdown-it-py mdurl packaging pydantic pydantic-core"
    " pygments PyYAML rich safetensors stable-baselines3 typing-extensions typing-inspection"
)

OPS_A_PIXEL = 200
"""Single-precision operations of a ground pixel: counted by hand in pixel.paint_pixel, rounded up."""
OPS_A_CORE = 2
"""A fused multiply-add each cycle."""
CORES_AN_SM = 128

_AT = {name: i for i, name in enumerate(STATE_FIELDS)}


def device() -> torch.device:
    """Return the GPU, or in numba's simulator the CPU."""
    return torch.device("cpu" if simulated() else "cuda")


def wait() -> None:
    """Wait until the device has done what it was given."""
    if not simulated():
        torch.cuda.synchronize()


def steer(state: torch.Tensor) -> torch.Tensor:
    """Return commands (N, 2) that keep the lane: a proportional controller on the device."""
    offset, heading, speed, target, bend = (
        state[:, _AT[name]]
        for name in ("offset_m", "heading_error_rad", "speed_mps", "target_speed_mps", "curvature_5m")
    )
    angle = 2.7 * bend - 0.12 * offset - 0.8 * heading
    return torch.stack((angle / 0.5, 0.5 * (target - speed)), dim=1).clamp(-1, 1).double()


def bandwidth_bps() -> float:
    """Return the memory's measured speed, reading and writing [bytes/s]."""
    size = 2**20 if simulated() else 2**30
    source = torch.empty(size, dtype=torch.uint8, device=device())
    target = torch.empty_like(source)
    rates = []
    for _ in range(10):
        wait()
        begin = time.perf_counter()
        target.copy_(source)
        wait()
        rates.append(2 * size / (time.perf_counter() - begin))
    return max(rates)


def peak_ops() -> float:
    """Return the chip's single-precision peak [operations/s]: cores x clock x a fused multiply-add."""
    if simulated():
        return 1e9
    chip = torch.cuda.get_device_properties(0)
    return chip.multi_processor_count * CORES_AN_SM * OPS_A_CORE * torch.cuda.clock_rate() * 1e6


def floor(world: WorldSpec) -> dict[str, float]:
    """Return the least seconds of a camera step, by memory and by arithmetic, each as if the other were free.

    A step reads the older pictures and writes the stack; it reads the part of the road's field in view once (60 m x
    60 m of 1 m cells, d alone), and the rays of its rows.
    """
    camera = world.camera
    pixels = camera.width_px * camera.height_px
    moved = (2 * camera.frame_stack - 1) * camera.planes * pixels + 60 * 60 * 4 + 32 * camera.height_px
    return {
        "bytes": float(moved),
        "operations": float(OPS_A_PIXEL * pixels),
        "memory_s": moved / bandwidth_bps(),
        "arithmetic_s": OPS_A_PIXEL * pixels / peak_ops(),
    }


class Stepping:
    """N cars on the device, driven by `steer`; roads are drawn inside the clock until they lie on the device."""

    def __init__(self, world: WorldSpec, cars: int) -> None:
        self._batch = CudaBatch(world, cars, "camera+state", device())
        self._seeds = itertools.cycle(SPLITS["train"])
        self._begin_all()
        self.kernels_s = self._kernels_s()
        self._begin_all()

    def block(self, seconds: float) -> dict[str, float]:
        """Step for some seconds, resets included."""
        batch, steps, reset_s = self._batch, 0, 0.0
        wait()
        begin = time.perf_counter()
        while time.perf_counter() - begin < seconds:
            ended = batch.step(steer(cast(torch.Tensor, batch.cars.state)))
            stepped = time.perf_counter()
            batch.begin(ended, itertools.islice(self._seeds, len(ended)))
            reset_s += time.perf_counter() - stepped
            steps += batch.num_cars
        wait()
        spent = time.perf_counter() - begin
        return {"steps_per_s": steps / spent, "reset_share": reset_s / spent}

    def _begin_all(self) -> None:
        cars = self._batch.num_cars
        self._batch.begin(range(cars), itertools.islice(self._seeds, cars))

    def _kernels_s(self) -> float:
        """Return the device's seconds for a step of all cars that have just begun, without a look at what ended."""
        commands = steer(cast(torch.Tensor, self._batch.cars.state))
        self._batch._step(commands)  # compiles
        wait()
        begin = time.perf_counter()
        for _ in range(10):
            self._batch._step(commands)
        wait()
        return (time.perf_counter() - begin) / 10


def train(world: WorldSpec, cars: int, seconds: float) -> list[float]:
    """Return the steps/s of PPO on the device, update by update, once roads and kernels are warm."""
    changes = [f"num_envs={cars}", "steps_per_update=8", f"batch_size={2 * cars}", "epochs=4"]
    changes += [f"guidance.batch_size={max(1, cars // 2)}", f"guidance.pictures={8 * cars}"]
    agent = cast(PpoSpec, load_agent("ppo", changes))
    envs = make_envs(world, agent, "train", cars, 0, "batch", device())
    model = build_model(agent, envs, device(), 0)
    rollout, rates, begun = cars * agent.steps_per_update, [], time.perf_counter()
    while time.perf_counter() - begun < 2 * seconds or len(rates) < 2:
        wait()
        begin = time.perf_counter()
        model.learn(rollout, reset_num_timesteps=False)
        wait()
        rates.append(rollout / (time.perf_counter() - begin))
    envs.close()
    return rates[len(rates) // 2 :]  # the first half draws roads


def main() -> None:
    """Write the floor, then measure stepping at several N, then PPO."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cars", type=int, nargs="+", default=[1024, 4096, 16384])
    parser.add_argument("--train-cars", type=int, default=4096)
    parser.add_argument("--size", default="64x64")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each round; the first rounds draw the roads")
    parser.add_argument("--rounds", type=int, default=8)
    bench = Bench("gpu", parser)
    args = bench.args
    width, height = args.size.split("x")
    world = load_world("lane_follow", [f"camera.width_px={width}", f"camera.height_px={height}"])
    least = floor(world)
    show("The floor of a camera step", ["what", "value"], list(least.items()))
    samples: dict[str, Any] = {}
    kernels_s: dict[str, float] = {}
    for cars in args.cars:
        stepping = Stepping(world, cars)
        samples[f"step N={cars}"] = [stepping.block(args.seconds) for _ in range(args.rounds)]
        kernels_s[f"step N={cars}"] = stepping.kernels_s
        del stepping
    samples[f"train N={args.train_cars}"] = train(world, args.train_cars, args.seconds * args.rounds / 2)
    late = {name: blocks[len(blocks) // 2 :] for name, blocks in samples.items()}
    steps = {name: spread([b["steps_per_s"] for b in late[name]]) for name in late if name.startswith("step")}
    trained = spread(samples[f"train N={args.train_cars}"])
    best = max(steps, key=lambda name: steps[name]["median"])
    rows = [
        (
            name,
            rate["median"],
            1e9 / rate["median"],
            1e9 * kernels_s[name] / int(name.split("=")[1]),
            1e9 * max(least["memory_s"], least["arithmetic_s"]),
            late[name][-1]["reset_share"],
        )
        for name, rate in steps.items()
    ]
    columns = ["batch engine", "steps/s", "ns a step", "ns on the device", "floor [ns]", "share of resets"]
    show(f"{args.size} grey, on the device", columns, rows)
    show("PPO on the device", ["N", "steps/s"], [(args.train_cars, trained["median"])])
    chip = "simulator" if simulated() else torch.cuda.get_device_name(0)
    bars = [
        Bar(f"camera steps/s at {args.size}, {best}, {chip}", steps[best]["median"], least=1_000_000),
        Bar(f"steps/s with PPO training at {args.size}, {chip}", trained["median"], least=100_000),
    ]
    figures = {"chip": chip, "floor": least, "steps_per_s": steps, "kernels_s": kernels_s, "train_steps_per_s": trained}
    bench.finish(figures, samples, bars)


if __name__ == "__main__":
    main()
