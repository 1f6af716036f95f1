"""The batch engine's compiled loops on the CPU: threads share the cars, each taking a few at a time."""

import math
from collections.abc import Callable

import numpy as np

from drive_rl.sim.compiled import njit
from drive_rl.sim.engines.car_step import Cars, begin_car, body_of, position_before, step_car
from drive_rl.sim.engines.map_cache import view_of
from drive_rl.sim.engines.work_queue import take
from drive_rl.sim.sensors.pinhole import Viewpoint
from drive_rl.sim.sensors.renderer import Picture, paint_picture
from drive_rl.sim.task.extra_terms import ExtraTerms, compile_here

SHARE = 4
"""Cars that a thread takes at a time."""


@njit(nogil=True)
def begin_cars(counter, chosen, cars, roads, plan, lens, frames):
    """Put some cars at the start of their roads; the first stack shows the approach at the same speed."""
    first = take(counter, SHARE)
    while first < chosen.size:
        for i in chosen[first : first + SHARE]:
            begin_car(i, cars, roads, plan)
            yaw = body_of(i, cars.body).yaw_rad
            for k in range(frames.shape[1]):
                x, y = position_before(i, cars, plan, frames.shape[1] - 1 - k)
                _photograph(x, y, yaw, cars.slot[i], roads, lens, frames[i, k])
        first = take(counter, SHARE)


@njit(nogil=True)
def step_cars(counter, cars, roads, plan, lens, commands, before, after):
    """Drive the cars that no other thread takes one control step, and render what they see."""
    first = take(counter, SHARE)
    while first < cars.drives.size:
        for i in range(first, min(first + SHARE, cars.drives.size)):
            if not cars.drives[i]:
                continue
            step_car(i, cars, roads, plan, commands[i])
            if after.shape[1] > 0:
                shift(before[i].reshape(-1), after[i].reshape(-1), after[i, 0].size)
                car = body_of(i, cars.body)
                _photograph(car.x_m, car.y_m, car.yaw_rad, cars.slot[i], roads, lens, after[i, -1])
        first = take(counter, SHARE)


def weighing(extra: ExtraTerms) -> Callable[[Cars], None]:
    """Return a loop over the cars that drive, which weighs a world's extra reward terms."""
    weigh = extra.weigh

    @compile_here
    def weigh_cars(cars):
        for i in range(cars.drives.size):
            if cars.drives[i]:
                cars.reward[i] = weigh(cars.metrics[i], cars.terms[i], cars.end[i])

    return weigh_cars


@njit
def shift(before, after, picture):
    """Copy all but the oldest picture one place back, byte by byte: slices are slower."""
    for k in range(after.size - picture):
        after[k] = before[np.uint64(k + picture)]


@njit
def _photograph(x, y, yaw, slot, roads, lens, image):
    """Render what a car at a pose sees on the road of a slot, without ground truth."""
    at = Viewpoint(x, y, math.cos(yaw), math.sin(yaw))
    no_truth = np.empty((0, 0), np.uint8), np.empty((0, 0), np.float32)
    paint_picture(view_of(slot, roads, lens), at, Picture(image, no_truth[0], no_truth[1]))
