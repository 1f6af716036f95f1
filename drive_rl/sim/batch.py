"""Many cars at once: the same formulas as the PyBullet world, in one compiled loop over the cars.

Cars are integrated as Bullet integrates its rigid bodies (semi-implicit Euler), contacts are tests between rectangles,
and everything else (vehicle, judge, pixels) is the very function that the PyBullet world calls. It knows one world and
no learner; who decides which road comes next is the caller.
"""

import math
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from drive_rl.errors import DriveRLError
from drive_rl.sim.camera import cast_rays
from drive_rl.sim.judge import (
    COMPLETION,
    END_REASONS,
    LATERAL,
    LONGITUDINAL,
    METRICS,
    OFFSET,
    RUNNING,
    SPEED,
    STATE_FIELDS,
    TERMS,
    TIME,
    YAW,
    Rules,
    S,
    judge,
    lane_state,
    rules_of,
)
from drive_rl.sim.render import TEXTURES, paint_picture
from drive_rl.sim.ring import RoadRing, slot_bytes
from drive_rl.sim.road import wrap
from drive_rl.sim.scoring import TRACE, summarise
from drive_rl.sim.solids import Solids
from drive_rl.sim.vehicle import CarParams, car_params, push
from drive_rl.spec import Observation, WorldSpec

_SPARE_ROADS = 64
"""Slots beyond one a car, for roads that are driven on again."""


class Cars(NamedTuple):
    """What is known of each of N cars; every array but the last two is written by the compiled loop."""

    body: NDArray[np.float64]  # (7, N): x, y [m], yaw [rad], vx, vy [m/s], yaw rate [rad/s], steer angle [rad]
    steer: NDArray[np.float64]  # (N,), the last steering command
    steps: NDArray[np.int64]  # (N,), of the episode
    metrics: NDArray[np.float64]  # (N, 13), judge.METRICS
    terms: NDArray[np.float64]  # (N, 4), judge.TERMS
    trace: NDArray[np.float64]  # (N, steps, 7), scoring.TRACE
    reward: NDArray[np.float64]  # (N,)
    end: NDArray[np.int64]  # (N,), end codes of the last step, judge.END_REASONS
    state: NDArray[np.float32]  # (N, 11), judge.STATE_FIELDS
    slot: NDArray[np.int64]  # (N,), the road of each
    drives: NDArray[np.bool_]  # (N,), false: idle, nothing of it changes


class Plan(NamedTuple):
    """The numbers of a `WorldSpec` that the loop needs."""

    rules: Rules
    car: CarParams
    half_length: float
    half_width: float
    dt: float
    substeps: int
    sees: bool


class Lens(NamedTuple):
    """What all cameras share."""

    bearings: NDArray[np.float32]  # (W,), camera.Rays.bearings
    textures: NDArray[np.float32]  # render.TEXTURES


class Batch:
    """N cars of a world, each on the road of its own seed.

    After `begin` and `step`, `frames` (N, frame_stack, C, H, W) and `cars` hold what is known of each car. There are
    two buffers of frames: what a step has shown stays as it is until the step after the next.

    Args:
        world: The world.
        num_cars: N.
        observation: What is to be seen: pictures are painted for `camera` and `camera+state` only.
        threads: Over how many cores the cars are spread; None: as many as there are, for enough cars.

    Raises:
        DriveRLError: N or threads is no positive number, memory does not suffice, or only PyBullet can run this world.
    """

    def __init__(
        self, world: WorldSpec, num_cars: int, observation: Observation = "camera", threads: int | None = None
    ) -> None:
        check_batch(world, num_cars)
        if threads is not None and threads < 1:
            raise DriveRLError(f"threads = {threads}: expected at least 1, or None for as many as there are cores")
        camera, task = world.camera, world.task
        self.world, self._observation = world, observation
        rules = rules_of(world)
        dt, substeps = 1 / task.physics_hz, task.physics_hz // task.control_hz
        half = float(world.car.length_m / 2), float(world.car.width_m / 2)
        self._plan = Plan(rules, car_params(world.car), *half, dt, substeps, observation != "state")
        self.ring = RoadRing(world, num_cars + min(num_cars, _SPARE_ROADS))
        self._lens = Lens(cast_rays(camera).bearings, TEXTURES)
        n, steps = num_cars, rules.max_steps
        self.cars = Cars(
            body=np.zeros((7, n)),
            steer=np.zeros(n),
            steps=np.zeros(n, np.int64),
            metrics=np.zeros((n, len(METRICS))),
            terms=np.zeros((n, len(TERMS))),
            trace=np.zeros((n, steps, len(TRACE))),
            reward=np.zeros(n),
            end=np.zeros(n, np.int64),
            state=np.zeros((n, len(STATE_FIELDS)), np.float32),
            slot=np.zeros(n, np.int64),
            drives=np.zeros(n, bool),
        )
        pictures = (n, camera.frame_stack, camera.planes, camera.height_px, camera.width_px)
        shape = pictures if self._plan.sees else (n, 0, 0, 0, 0)
        self.frames, self._frames_before = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
        cores = len(os.sched_getaffinity(0)) if threads is None else threads
        self._parts = np.linspace(0, n, max(1, min(cores, n // 4)) + 1).astype(int).tolist()
        self._pool = ThreadPoolExecutor(len(self._parts) - 2) if len(self._parts) > 2 else None

    @property
    def num_cars(self) -> int:
        """N."""
        return len(self.cars.slot)

    @property
    def pictures(self) -> NDArray[np.uint8]:
        """The stacks, oldest picture first, (N, frame_stack x C, H, W): a view of `frames`."""
        cars, stack, channels, height, width = self.frames.shape
        return self.frames.reshape(cars, stack * channels, height, width)

    def begin(self, cars: Sequence[int] | NDArray[np.int64], seeds: Iterable[int]) -> None:
        """Begin the episode of a road seed in each of some cars."""
        for car, seed in zip(cars, seeds, strict=True):
            self.idle(car)
            self.cars.slot[car] = self.ring.take(int(seed))
            self.cars.drives[car] = True
        _begin(np.asarray(cars, np.int64), self.cars, self.ring.roads, self._plan, self._lens, self.frames)

    def step(self, commands: NDArray[np.float64]) -> NDArray[np.int64]:
        """Drive each car one control step; return which episodes ended.

        Those cars stand idle until `begin`; until the next `begin`, `last_info` tells how they drove.

        Args:
            commands: (N, 2) float64, steering and pedal in [-1, 1].
        """
        self.frames, self._frames_before = self._frames_before, self.frames
        shared = (
            self.cars,
            self.ring.roads,
            self._plan,
            self._lens,
            commands,
            self._frames_before,
            self.frames,
        )
        first, *others = pairwise(self._parts)
        running = [self._pool.submit(_step, *part, *shared) for part in others] if self._pool else []
        _step(*first, *shared)
        for part in running:
            part.result()
        ended = np.flatnonzero(self.cars.drives & (self.cars.end != RUNNING))
        for car in ended.tolist():
            self.idle(car)
        return ended

    def observe(self) -> Any:
        """Return what the drivers are given, (N, ...): pictures are a view of `frames`."""
        if self._observation == "camera":
            return self.pictures
        state = self.cars.state.copy()
        return state if self._observation == "state" else {"camera": self.pictures, "state": state}

    def observe_one(self, car: int) -> Any:
        """Return what one driver is given, which later steps cannot change."""
        picture, state = self.pictures[car : car + 1].copy(), self.cars.state[car].copy()
        if self._observation == "camera":
            return picture[0]
        return state if self._observation == "state" else {"camera": picture[0], "state": state}

    def last_info(self, car: int) -> dict[str, Any]:
        """Return what `LaneEnv` says of the step that ended a car's episode."""
        cars, slot = self.cars, int(self.cars.slot[car])
        trace, reason = cars.trace[car, : cars.steps[car]], END_REASONS[cars.end[car] - 1]
        floor_mps = self.world.task.min_mean_speed_mps
        seed, tier = int(self.ring.seeds[slot]), self.ring.tiers[slot]
        return {
            "reward_terms": dict(zip(TERMS, cars.terms[car].tolist(), strict=True)),
            "metrics": dict(zip(METRICS, cars.metrics[car].tolist(), strict=True)),
            **summarise(trace, self._plan.rules.half_lane, floor_mps, reason, seed, tier).summary(),
        }

    def get_state(self) -> dict[str, NDArray[Any]]:
        """Return arrays from which `set_state` goes on exactly here, in this or another process."""
        longest = int(self.cars.steps.max())
        kept = self.cars._asdict() | {"trace": self.cars.trace[:, :longest], "slot": self.ring.seeds[self.cars.slot]}
        return {name: array.copy() for name, array in kept.items()} | {"frames": self.frames.copy()}

    def set_state(self, state: dict[str, NDArray[Any]]) -> None:
        """Go on where `get_state` was called, on a batch of the same world and N.

        Raises:
            DriveRLError: the state is of another N or another camera; nothing has changed.
        """
        if state["drives"].shape != self.cars.drives.shape or state["frames"].shape != self.frames.shape:
            raise DriveRLError(
                f"state of {len(state['drives'])} cars with pictures {state['frames'].shape[1:]}: expected"
                f" {self.num_cars} with {self.frames.shape[1:]}; mend: the world and num_envs that it was taken from"
            )
        seeds = state["slot"].tolist()
        for car in range(self.num_cars):
            self.idle(car)
        for car in np.flatnonzero(state["drives"]).tolist():
            self.cars.slot[car] = self.ring.take(seeds[car])
        for name, array in self.cars._asdict().items():
            if name == "trace":
                array[:, : state["trace"].shape[1]] = state["trace"]
            elif name != "slot":
                array[:] = state[name]
        self.frames[:] = state["frames"]

    def close(self) -> None:
        """End the threads."""
        if self._pool is not None:
            self._pool.shutdown()

    def idle(self, car: int) -> None:
        """Take a car off its road: `step` leaves it as it is."""
        if self.cars.drives[car]:
            self.cars.drives[car] = False
            self.ring.leave(int(self.cars.slot[car]))


def check_batch(world: WorldSpec, num_cars: int) -> None:
    """Refuse what the batch engine cannot run, before anything is allocated.

    Raises:
        DriveRLError: N is no positive number, memory does not suffice, or only PyBullet can run this world.
    """
    if isinstance(num_cars, bool) or not isinstance(num_cars, int | np.integer) or num_cars < 1:
        raise DriveRLError(f"num_envs = {num_cars!r}: expected an integer >= 1")
    if world.camera.renderer != "field":
        raise DriveRLError(
            f"world.camera.renderer = {world.camera.renderer}: only engine = bullet can paint with Bullet's renderers;"
            " mend: world.camera.renderer=field, or engine=bullet"
        )
    camera, task = world.camera, world.task
    pictures = 2 * camera.frame_stack * camera.planes * camera.height_px * camera.width_px
    trace = 8 * len(TRACE) * task.time_limit_s * task.control_hz
    needed, free = (
        num_cars * (pictures + trace + slot_bytes(world)),
        os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
    )
    if needed > free:
        raise DriveRLError(
            f"num_envs = {num_cars}: about {needed / 1e9:,.1f} GB are needed and {free / 1e9:,.1f} GB are free; mend:"
            f" num_envs <= {int(num_cars * free / needed)}, a shorter road or a smaller camera"
        )


@njit(cache=True, nogil=True)
def _begin(chosen, cars, roads, plan, lens, frames):
    """Put some cars at the start of their roads; the first stack shows the way there at the same speed."""
    for i in chosen:
        slot = cars.slot[i]
        cars.body[:, i] = roads.start[slot]
        cars.steer[i], cars.steps[i], cars.end[i], cars.reward[i] = 0.0, 0, RUNNING, 0.0
        cars.metrics[i, S] = roads.route[slot, 0]
        _judge(i, cars, roads, plan.rules, cars.body[3, i], 0.0, False)
        if plan.sees:
            x, y, yaw = cars.body[0, i], cars.body[1, i], cars.body[2, i]
            way = cars.body[3, i] / plan.rules.control_hz  # between two pictures
            last = frames.shape[1] - 1
            for k in range(last + 1):
                back_x, back_y = math.cos(yaw) * way * (last - k), math.sin(yaw) * way * (last - k)
                _photograph(x - back_x, y - back_y, yaw, slot, roads, lens, frames[i, k])


@njit(cache=True, nogil=True)
def _step(first, last, cars, roads, plan, lens, commands, before, after):
    """Drive the cars [first, last) one control step, judge them and photograph what they see."""
    for i in range(first, last):
        if not cars.drives[i]:
            continue
        slot, vx_before = cars.slot[i], cars.body[3, i]
        steer, pedal = min(max(commands[i, 0], -1.0), 1.0), min(max(commands[i, 1], -1.0), 1.0)
        touched = _drive(i, cars.body, steer, pedal, plan, roads.parked[slot], roads.solids[slot, 0])
        cars.steps[i] += 1
        _judge(i, cars, roads, plan.rules, vx_before, steer - cars.steer[i], touched)
        cars.steer[i] = steer
        row = cars.trace[i, cars.steps[i] - 1]
        metrics = cars.metrics[i]
        row[0], row[1], row[2], row[3] = metrics[TIME], metrics[COMPLETION], metrics[SPEED], metrics[OFFSET]
        row[4], row[5], row[6] = metrics[LATERAL], metrics[LONGITUDINAL], metrics[YAW]
        if plan.sees:
            after[i, :-1] = before[i, 1:]
            x, y, yaw = cars.body[0, i], cars.body[1, i], cars.body[2, i]
            _photograph(x, y, yaw, slot, roads, lens, after[i, -1])


@njit(cache=True)
def _judge(i, cars, roads, rules, vx_before, turned, touched):
    slot, body = cars.slot[i], cars.body
    car = (body[0, i], body[1, i], body[2, i], body[3, i], body[4, i], body[5, i], body[6, i])
    knots, route = roads.knots[slot], roads.route[slot]
    cars.reward[i], cars.end[i] = judge(
        knots, roads.pace[slot], route[0], route[1], rules, cars.metrics[i, S], car, vx_before, turned, cars.steps[i],
        touched, cars.metrics[i], cars.terms[i],
    )  # fmt: skip
    lane_state(knots, cars.metrics[i], car, rules.lane_d, cars.state[i])


@njit(cache=True)
def _drive(i, body, command, pedal, plan, parked, parked_count):
    """Integrate one car over a control step (semi-implicit Euler); return whether it touched a parked car."""
    x, y, yaw, yaw_rate, angle = body[0, i], body[1, i], body[2, i], body[5, i], body[6, i]
    cos, sin = math.cos(yaw), math.sin(yaw)
    wx, wy = body[3, i] * cos - body[4, i] * sin, body[3, i] * sin + body[4, i] * cos
    dt, touched = plan.dt, False
    for _ in range(plan.substeps):
        angle, fx, fy, moment = push(yaw, wx, wy, yaw_rate, angle, command, pedal, dt, plan.car)
        for k in range(parked_count):
            if _overlap(x, y, yaw, parked[k], plan.half_length, plan.half_width):
                touched = True
        if touched:
            break
        wx += fx / plan.car.mass * dt
        wy += fy / plan.car.mass * dt
        yaw_rate += moment / plan.car.yaw_inertia * dt
        x += wx * dt
        y += wy * dt
        yaw += yaw_rate * dt
    yaw = wrap(yaw)
    cos, sin = math.cos(yaw), math.sin(yaw)
    body[0, i], body[1, i], body[2, i], body[5, i], body[6, i] = x, y, yaw, yaw_rate, angle
    body[3, i], body[4, i] = wx * cos + wy * sin, wy * cos - wx * sin
    return touched


@njit(cache=True)
def _overlap(x, y, yaw, other, half_length, half_width):
    """Return whether two equal rectangles overlap (separating axes, Gottschalk et al. 1996)."""
    dx, dy = other[0] - x, other[1] - y
    if dx * dx + dy * dy > 4 * (half_length + half_width) ** 2:
        return False
    turn = other[2] - yaw
    cos, sin = abs(math.cos(turn)), abs(math.sin(turn))
    reach_l = half_length + half_length * cos + half_width * sin
    reach_w = half_width + half_length * sin + half_width * cos
    for heading in (yaw, other[2]):
        c, s = math.cos(heading), math.sin(heading)
        if abs(c * dx + s * dy) > reach_l or abs(c * dy - s * dx) > reach_w:
            return False
    return True


@njit(cache=True)
def _photograph(x, y, yaw, slot, roads, lens, picture):
    size = roads.solids[slot, 1]
    solids = Solids(size, roads.shape[slot], roads.top_colour[slot], roads.side_colour[slot])
    paint_picture(
        roads.rays[slot],
        lens.bearings,
        roads.origin[slot],
        roads.d_cells[slot],
        roads.s_cells[slot],
        (roads.size[slot, 0], roads.size[slot, 1]),
        roads.corner[slot, 0],
        roads.corner[slot, 1],
        solids,
        roads.paint[slot],
        roads.palette[slot],
        lens.textures,
        x,
        y,
        math.cos(yaw),
        math.sin(yaw),
        picture,
        np.empty((0, 0), np.uint8),
        np.empty((0, 0), np.float32),
    )
