"""Many cars at once: the same formulas as the PyBullet world, in one compiled loop over the cars.

Cars are integrated as Bullet integrates its rigid bodies (semi-implicit Euler), contacts are tests between rectangles,
and everything else (vehicle, judge, pixels) is the very function that the PyBullet world calls. It knows one world and
no learner; who decides which road comes next is the caller.
"""

import math
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from drive_rl.config.spec import Observation
from drive_rl.config.world_spec import WorldSpec
from drive_rl.errors import DriveRLError
from drive_rl.memory import free_bytes, require_memory
from drive_rl.sim.compiled import njit
from drive_rl.sim.engines.car_step import Cars, begin_car, plan_of, pose_before, step_car
from drive_rl.sim.engines.map_cache import Array, RoadRing, slot_bytes
from drive_rl.sim.engines.work_queue import new_counter, take
from drive_rl.sim.sensors.pinhole import cast_rays
from drive_rl.sim.sensors.renderer import paint_picture
from drive_rl.sim.sensors.shading import TEXELS
from drive_rl.sim.sensors.solids import Solids
from drive_rl.sim.state import FARTHEST, Expected, check_array, check_state
from drive_rl.sim.task.extra_terms import ExtraTerms, compile_here, extra_terms, term_names
from drive_rl.sim.task.outcome import END_REASONS, METRICS, RUNNING, STATE_FIELDS, S
from drive_rl.sim.task.scoring import TRACE, summarise

_SPARE_ROADS = 64
"""Slots beyond one a car, for roads that are driven on again."""
_SHARE = 4
"""Cars that a thread takes at a time."""
_MOST = 1e9
"""Largest size of what is measured, so that sums over an episode stay finite."""
_FIX = "fix: the world and num_envs that it was taken from"


class Lens(NamedTuple):
    """What all cameras share."""

    bearings: Array  # (W,) float32, camera.Rays.bearings
    texels: Array  # pixel.TEXELS


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
        if threads is not None and threads < 1:
            raise DriveRLError(f"threads = {threads}: expected at least 1, or None for as many as there are cores")
        check_batch(world, num_cars, free_bytes())
        self._made: tuple[Any, ...] = world, num_cars, observation, threads
        self._set_up(world, num_cars, observation, min(num_cars, _SPARE_ROADS), threads)

    def _set_up(
        self, world: WorldSpec, num_cars: int, observation: Observation, spare_roads: int, threads: int | None
    ) -> None:
        cores = len(os.sched_getaffinity(0)) if threads is None else threads
        self._helpers = max(1, min(cores, num_cars // _SHARE)) - 1  # threads beside the caller's
        self._closed = False
        self._start_threads()
        camera = world.camera
        self.world = world
        self.observation: Observation = observation
        self._plan = plan_of(world)
        self.term_names, self._extra = term_names(world), extra_terms(world)
        self._weigh = self._weighing(self._extra) if self._extra else None
        self.ring = RoadRing(world, num_cars + spare_roads)
        self._lens = Lens(self.of_numpy(cast_rays(camera).bearings), self.of_numpy(TEXELS))
        n = num_cars
        self.cars = Cars(
            body=self.zeros((7, n), np.float64),
            steer=self.zeros((n,), np.float64),
            steps=self.zeros((n,), np.int64),
            metrics=self.zeros((n, len(METRICS)), np.float64),
            terms=self.zeros((n, len(self.term_names)), np.float64),
            trace=self.zeros((n, self._plan.rules.max_steps, len(TRACE)), np.float64),
            reward=self.zeros((n,), np.float64),
            end=self.zeros((n,), np.int64),
            state=self.zeros((n, len(STATE_FIELDS)), np.float32),
            slot=self.zeros((n,), np.int64),
            drives=self.zeros((n,), np.bool_),
        )
        self.slot, self.drives = self.to_numpy(self.cars.slot), self.to_numpy(self.cars.drives)
        pictures = (n, camera.frame_stack, camera.planes, camera.height_px, camera.width_px)
        shape = (n, 0, 0, 0, 0) if observation == "state" else pictures
        self.frames, self._frames_before = self.zeros(shape, np.uint8), self.zeros(shape, np.uint8)

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy has threads and arrays of its own, and goes on from the same state."""
        return _again, (type(self), self._made, self.get_state(), self._closed)

    def _start_threads(self) -> None:
        self._pool, self._process = (ThreadPoolExecutor(self._helpers) if self._helpers else None), os.getpid()

    def _need_open(self, verb: str) -> None:
        if self._closed:
            raise DriveRLError(f"{verb}: the environment is closed; fix: make another one")

    @property
    def num_cars(self) -> int:
        """N."""
        return len(self.slot)

    @property
    def pictures(self) -> Any:
        """The stacks, oldest picture first, (N, frame_stack x C, H, W): a view of `frames`."""
        cars, stack, channels, height, width = self.frames.shape
        return self.frames.reshape(cars, stack * channels, height, width)

    def begin(self, cars: Sequence[int] | NDArray[np.int64], seeds: Iterable[int]) -> None:
        """Begin the episode of a road seed in each of some cars.

        Raises:
            DriveRLError: the batch is closed.
        """
        self._need_open("reset")
        for car, seed in zip(cars, seeds, strict=True):
            self.idle(car)
            self.slot[car] = self.ring.take(int(seed))
            self.drives[car] = True
        self._begin(np.asarray(cars, np.int64))

    def step(self, commands: Any) -> NDArray[np.int64]:
        """Drive each car one control step; return which episodes ended.

        Those cars stand idle until `begin`; until the next `begin`, `last_info` tells how they drove.

        Args:
            commands: (N, 2) float64, steering and pedal in [-1, 1].

        Raises:
            DriveRLError: the batch is closed.
        """
        self._need_open("step")
        self.frames, self._frames_before = self._frames_before, self.frames
        self._step(commands)
        if self._extra and self._weigh:
            self._weigh(self.cars)
            self._extra.check(self.cars.terms)
        ended = np.flatnonzero(self.drives & (self.to_numpy(self.cars.end) != RUNNING))
        for car in ended.tolist():
            self.idle(car)
        return ended

    def observe(self) -> Any:
        """Return what the drivers are given, (N, ...): pictures are a view of `frames`."""
        if self.observation == "camera":
            return self.pictures
        state = self.copy(self.cars.state)
        return state if self.observation == "state" else {"camera": self.pictures, "state": state}

    def observe_one(self, car: int) -> Any:
        """Return what one driver is given, which later steps cannot change."""
        picture, state = self.copy(self.pictures[car : car + 1]), self.copy(self.cars.state[car])
        if self.observation == "camera":
            return picture[0]
        return state if self.observation == "state" else {"camera": picture[0], "state": state}

    def last_info(self, car: int) -> dict[str, Any]:
        """Return what `LaneEnv` says of the step that ended a car's episode."""
        cars, slot = self.cars, int(self.slot[car])
        trace, reason = self.to_numpy(cars.trace[car, : int(cars.steps[car])]), END_REASONS[int(cars.end[car]) - 1]
        floor_mps = self.world.task.min_mean_speed_mps
        seed, tier = int(self.ring.seeds[slot]), self.ring.tiers[slot]
        return {
            "reward_terms": dict(zip(self.term_names, cars.terms[car].tolist(), strict=True)),
            "metrics": dict(zip(METRICS, cars.metrics[car].tolist(), strict=True)),
            **summarise(trace, self._plan.rules.half_lane, floor_mps, reason, seed, tier).summary(),
        }

    def get_state(self) -> dict[str, NDArray[Any]]:
        """Return NumPy arrays from which `set_state` goes on exactly here, in this or another process."""
        longest = int(self.cars.steps.max())
        kept = self.cars._asdict() | {"trace": self.cars.trace[:, :longest], "frames": self.frames}
        arrays = {name: self.to_numpy(array) for name, array in kept.items()}
        arrays |= {"slot": self.ring.seeds[self.slot], "drives": self.drives}
        return {name: array.copy() for name, array in arrays.items()}

    def set_state(self, state: dict[str, NDArray[Any]]) -> None:
        """Go on where `get_state` was called, on a batch of the same world and N, on a CPU or a GPU.

        Raises:
            DriveRLError: it is of another N or another camera, or no state that a car can be in; nothing has changed.
        """
        self.check_state(state)
        seeds = state["slot"].tolist()
        for car in range(self.num_cars):
            self.idle(car)
        for car in np.flatnonzero(state["drives"]).tolist():
            self.slot[car] = self.ring.take(seeds[car])
        self.drives[:] = state["drives"]
        for name, array in self.cars._asdict().items():
            if name == "trace":
                array[:, : state["trace"].shape[1]] = self.of_numpy(state["trace"])
            elif name not in ("slot", "drives"):
                array[:] = self.of_numpy(state[name])
        self.frames[:] = self.of_numpy(state["frames"])

    def check_state(self, state: dict[str, NDArray[Any]]) -> None:
        """Refuse a state that `set_state` cannot go on from.

        Raises:
            DriveRLError: with the array's name, what was found and what was expected.
        """
        n, most, f8 = self.num_cars, self._plan.rules.max_steps, np.float64
        frames, pictures = tuple(self.frames.shape), state.get("frames", np.empty(0)).shape
        if len(pictures) == len(frames) and pictures != frames:
            raise DriveRLError(
                f"state of {pictures[0]} cars with pictures {pictures[1:]}: expected {n} with {frames[1:]}; {_FIX}"
            )
        check_state(
            state,
            {
                "body": Expected((7, n), f8, -FARTHEST, FARTHEST),
                "steer": Expected((n,), f8, -1, 1),
                "steps": Expected((n,), np.int64, 0, most),
                "metrics": Expected((n, len(METRICS)), f8, -_MOST, _MOST),
                "terms": Expected((n, len(self.term_names)), f8, -_MOST, _MOST),
                "trace": Expected((n, None, len(TRACE)), f8, -_MOST, _MOST),
                "reward": Expected((n,), f8, -_MOST, _MOST),
                "end": Expected((n,), np.int64, RUNNING, len(END_REASONS)),
                "state": Expected((n, len(STATE_FIELDS)), np.float32, -_MOST, _MOST),
                "slot": Expected((n,), np.int64, -1),
                "drives": Expected((n,), np.bool_),
                "frames": Expected(frames, np.uint8),
            },
        )
        drives, steps, kept = state["drives"], state["steps"], state["trace"].shape[1]
        check_array("state: metrics: s_m", state["metrics"][:, S], Expected((n,), f8, -FARTHEST, FARTHEST), _FIX)
        check_array("state: slot of a car that drives", state["slot"][drives], Expected((None,), np.int64, 0), _FIX)
        check_array("state: steps of a car that drives", steps[drives], Expected((None,), np.int64, 0, most - 1), _FIX)
        if kept != steps.max():
            raise DriveRLError(f"state: trace: {kept} steps, but expected {steps.max()}; {_FIX}")
        if (state["end"][drives] != RUNNING).any():
            raise DriveRLError(f"state: end = {state['end'].tolist()}: of a car that drives; {_FIX}")

    def close(self) -> None:
        """End the threads; safe to call twice."""
        self._closed = True
        if self._pool is not None:
            self._pool.shutdown()

    def idle(self, car: int) -> None:
        """Take a car off its road: `step` leaves it as it is."""
        if self.drives[car]:
            self.drives[car] = False
            self.ring.leave(int(self.slot[car]))

    def _begin(self, chosen: NDArray[np.int64]) -> None:
        shared = self.cars, self.ring.roads, self._plan, self._lens, self.frames
        self._together(partial(_begin, new_counter(), chosen, *shared), len(chosen) // _SHARE)

    def _step(self, commands: NDArray[np.float64]) -> None:
        shared = self.cars, self.ring.roads, self._plan, self._lens, commands, self._frames_before, self.frames
        self._together(partial(_step, new_counter(), *shared), self.num_cars // _SHARE)

    def _together(self, work: Callable[[], Any], shares: int) -> None:
        """Call a function that takes what is left to do, on as many threads as there are shares; wait for all."""
        if os.getpid() != self._process:
            self._start_threads()  # a fork leaves them behind
        helpers = min(self._helpers, shares - 1)
        running = [self._pool.submit(work) for _ in range(helpers)] if self._pool else []
        work()
        for helper in running:
            helper.result()

    def _weighing(self, extra: ExtraTerms) -> Callable[[Cars], object]:
        """Return what weighs the extra reward terms of all cars that drive."""
        weigh = extra.weigh

        @compile_here
        def weigh_cars(drives, metrics, terms, reward):
            for i in range(drives.size):
                if drives[i]:
                    reward[i] = weigh(metrics[i], terms[i])

        return lambda cars: weigh_cars(cars.drives, cars.metrics, cars.terms, cars.reward)

    # where the arrays live: a batch on a GPU differs here
    def zeros(self, shape: tuple[int, ...], dtype: type[np.generic]) -> Any:
        """Return an array of zeros of the batch's kind."""
        return np.zeros(shape, dtype)

    def copy(self, array: Any) -> Any:
        """Return a copy of an array of the batch's kind."""
        return array.copy()

    def of_numpy(self, array: NDArray[Any]) -> Any:
        """Return a NumPy array as one of the batch's kind."""
        return array

    def to_numpy(self, array: Any) -> NDArray[Any]:
        """Return an array of the batch's kind as NumPy's."""
        return array


def _again(kind: type[Batch], made: tuple[Any, ...], state: dict[str, NDArray[Any]], closed: bool) -> Batch:
    """Return the copy of a batch."""
    batch = kind(*made)
    batch.set_state(state)
    if closed:
        batch.close()
    return batch


def check_batch(world: WorldSpec, num_cars: int, free: int) -> None:
    """Refuse what the batch engine cannot run, before anything is allocated.

    Args:
        world: The world.
        num_cars: N.
        free: How much memory there is [bytes].

    Raises:
        DriveRLError: N is no positive number, memory does not suffice, or only PyBullet can run this world.
    """
    if isinstance(num_cars, bool) or not isinstance(num_cars, int | np.integer) or num_cars < 1:
        raise DriveRLError(f"num_envs = {num_cars!r}: expected an integer >= 1")
    if world.camera.renderer != "field":
        raise DriveRLError(
            f"world.camera.renderer = {world.camera.renderer}: only engine = bullet can paint with Bullet's renderers;"
            " fix: world.camera.renderer=field, or engine=bullet"
        )
    camera, task = world.camera, world.task
    pictures = 2 * camera.frame_stack * camera.planes * camera.height_px * camera.width_px
    trace = 8 * len(TRACE) * task.time_limit_s * task.control_hz
    needed = num_cars * (pictures + trace + slot_bytes(world))
    fix = f"num_envs <= {int(num_cars * free / needed)}, a shorter road or a smaller camera"
    require_memory(f"num_envs = {num_cars}", needed, free, fix)


@njit(nogil=True)
def _begin(counter, chosen, cars, roads, plan, lens, frames):
    """Put some cars at the start of their roads; the first stack shows the way there at the same speed."""
    first = take(counter, _SHARE)
    while first < chosen.size:
        for i in chosen[first : first + _SHARE]:
            begin_car(i, cars, roads, plan)
            for k in range(frames.shape[1]):
                x, y = pose_before(i, cars, plan, frames.shape[1] - 1 - k)
                _photograph(x, y, cars.body[2, i], cars.slot[i], roads, lens, frames[i, k])
        first = take(counter, _SHARE)


@njit(nogil=True)
def _step(counter, cars, roads, plan, lens, commands, before, after):
    """Drive the cars that nobody has taken one control step, judge them and photograph what they see."""
    first = take(counter, _SHARE)
    while first < cars.drives.size:
        for i in range(first, min(first + _SHARE, cars.drives.size)):
            if not cars.drives[i]:
                continue
            step_car(i, cars, roads, plan, commands[i, 0], commands[i, 1])
            if after.shape[1] > 0:
                _shift(before[i].reshape(-1), after[i].reshape(-1), after[i, 0].size)
                _photograph(cars.body[0, i], cars.body[1, i], cars.body[2, i], cars.slot[i], roads, lens, after[i, -1])
        first = take(counter, _SHARE)


@njit
def _shift(before, after, picture):
    """Copy all but the oldest picture to where the one before them was; slices of bytes are copied one by one."""
    for k in range(after.size - picture):
        after[k] = before[np.uint64(k + picture)]


@njit
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
        lens.texels,
        x,
        y,
        math.cos(yaw),
        math.sin(yaw),
        picture,
        np.empty((0, 0), np.uint8),
        np.empty((0, 0), np.float32),
    )
