"""The batch engine's compiled loops for streets: threads share the cars, each taking a few at a time."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from drive_rl.sim.compiled import njit
from drive_rl.sim.engines.car_step import begin_car, body_of, position_before
from drive_rl.sim.engines.cpu_loop import SHARE, shift
from drive_rl.sim.engines.streets.maps import ground_at
from drive_rl.sim.engines.streets.step import fill_solids, find_allowed, step_street_car, turn_of
from drive_rl.sim.engines.work_queue import take
from drive_rl.sim.sensors.pinhole import Rays, Viewpoint
from drive_rl.sim.sensors.renderer import Picture
from drive_rl.sim.sensors.solids import Solids
from drive_rl.sim.sensors.streets.ground import GroundAppearance, StreetView
from drive_rl.sim.sensors.streets.renderer import paint_street
from drive_rl.sim.sensors.streets.route_sign import paint_sign
from drive_rl.sim.sensors.streets.solids import new_rows


class StreetLens(NamedTuple):
    """What all cameras of a world share."""

    bearings: NDArray[np.float32]  # (W,), pinhole.Rays.bearings
    texels: NDArray[np.int8]  # view.TEXELS
    commands: bool  # whether they show the turn ahead


@njit(nogil=True)
def begin_street_cars(counter, chosen, cars, around, plan, lens, frames):
    """Put some cars at the start of their routes; the first stack shows the approach at the same speed."""
    first = take(counter, SHARE)
    while first < chosen.size:
        for i in chosen[first : first + SHARE]:
            begin_car(i, cars, around.routes, plan)
            find_allowed(i, cars, around, plan)
            yaw = body_of(i, cars.body).yaw_rad
            for k in range(frames.shape[1]):
                x, y = position_before(i, cars, plan, frames.shape[1] - 1 - k)
                _photograph((x, y, yaw), i, cars, around, plan, lens, frames[i, k])
        first = take(counter, SHARE)


@njit(nogil=True)
def step_street_cars(counter, cars, around, plan, lens, commands, before, after):
    """Drive the cars that no other thread takes one control step, and render what they see."""
    first = take(counter, SHARE)
    while first < cars.drives.size:
        for i in range(first, min(first + SHARE, cars.drives.size)):
            if not cars.drives[i]:
                continue
            step_street_car(i, cars, around, plan, commands[i])
            if after.shape[1] > 0:
                shift(before[i].reshape(-1), after[i].reshape(-1), after[i, 0].size)
                car = body_of(i, cars.body)
                pose = car.x_m, car.y_m, car.yaw_rad
                _photograph(pose, i, cars, around, plan, lens, after[i, -1])
        first = take(counter, SHARE)


@njit
def _photograph(pose, i, cars, around, plan, lens, image):
    """Render what car i sees from a pose."""
    roads, streets, maps = around.routes, around.cars, around.maps
    at = Viewpoint(pose[0], pose[1], math.cos(pose[2]), math.sin(pose[2]))
    rays = Rays(roads.rays[i], lens.bearings, roads.origin[i])
    shades = GroundAppearance(roads.wear[i], roads.palette[i], lens.texels)
    time_s = (streets.first_step[i] + cars.steps[i]) / plan.rules.control_hz
    rows = new_rows()  # made here and not kept for each car: it stays in the nearest cache
    count = fill_solids(i, at, rays, streets, maps, time_s, rows)
    solids = Solids(count, rows.shape, rows.top_colour, rows.side_colour)
    no_truth = np.empty((0, 0), np.uint8), np.empty((0, 0), np.float32)
    view = StreetView(rays, ground_at(streets.map[i], maps), shades, solids)
    paint_street(view, at, Picture(image, no_truth[0], no_truth[1]))
    if lens.commands:
        turn, left = turn_of(i, streets, maps)
        paint_sign(turn, left, image)
