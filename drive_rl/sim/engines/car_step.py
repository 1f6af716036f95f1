"""What every batch engine does for one car: begin an episode, drive a step. Scalar functions over arrays of cars.

Cars are integrated as Bullet integrates its rigid bodies (semi-implicit Euler), contacts are tests between rectangles,
and everything else (vehicle, outcome) is the very function that the PyBullet world calls. CPU loops and CUDA kernels
call these functions; they know no pictures. Arrays are NumPy's, or on a GPU torch's.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from drive_rl.config.specs.world import WorldSpec
from drive_rl.sim.compiled import njit
from drive_rl.sim.map.geometry import wrap
from drive_rl.sim.task.outcome import (
    RUNNING,
    SPEED,
    TARGET_SPEED,
    TRACE_COMPLETION,
    TRACE_METRICS,
    Route,
    Rules,
    S,
    Step,
    free_road,
    lane_state,
    outcome,
    rules_of,
)
from drive_rl.sim.vehicle import CarParams, CarState, car_params, cruise_pedal, push, steering_of

PARKED_X, PARKED_Y, PARKED_YAW = range(3)
"""Columns of `map_cache.Roads.parked`."""


class Cars(NamedTuple):
    """The state of N cars; compiled functions write every array but the last two."""

    body: NDArray[np.float64]  # (7, N), vehicle.CarState
    steer: NDArray[np.float64]  # (N,), the last steering command
    steps: NDArray[np.int64]  # (N,), of the episode
    metrics: NDArray[np.float64]  # (N, 14), outcome.METRICS
    terms: NDArray[np.float64]  # (N, 5), outcome.TERMS, and a world's extra ones
    trace: NDArray[np.float64]  # (N, steps, 8), scoring.TRACE
    reward: NDArray[np.float64]  # (N,)
    end: NDArray[np.int64]  # (N,), end codes of the last step, outcome.END_REASONS
    state: NDArray[np.float32]  # (N, fields), outcome.state_fields
    slot: NDArray[np.int64]  # (N,), the road of each
    drives: NDArray[np.bool_]  # (N,), false: idle, nothing of it changes


class Plan(NamedTuple):
    """The numbers of a `WorldSpec` that driving needs."""

    rules: Rules
    car: CarParams
    half_length: float
    half_width: float
    substeps: int
    cruise: bool  # commands have no pedal: the car holds the target speed


def plan_of(world: WorldSpec) -> Plan:
    """Return the plan of a world; each field has one type, since numba compiles a function once per type."""
    task, half = world.task, (float(world.car.length_m / 2), float(world.car.width_m / 2))
    substeps = task.physics_hz // task.control_hz
    cruise = task.controls == "steering"
    return Plan(rules_of(world), car_params(world.car, 1 / task.physics_hz), *half, substeps, cruise)


@njit
def body_of(i, body):
    """Return the state of car i."""
    return CarState(body[0, i], body[1, i], body[2, i], body[3, i], body[4, i], body[5, i], body[6, i])


@njit
def begin_car(i, cars, roads, plan):
    """Put car i at the start of its road."""
    slot = cars.slot[i]
    for k in range(cars.body.shape[0]):
        cars.body[k, i] = roads.start[slot, k]
    cars.steer[i], cars.steps[i], cars.end[i], cars.reward[i] = 0.0, 0, RUNNING, 0.0
    cars.metrics[i, S] = roads.start_s[slot]
    take_in(i, cars, roads, plan.rules, body_of(i, cars.body).vx_mps, 0.0, free_road(False))


@njit
def position_before(i, cars, plan, pictures):
    """Return x, y [m] of car i so many pictures earlier, if it drove straight at its present speed."""
    car = body_of(i, cars.body)
    way = car.vx_mps / plan.rules.control_hz
    return car.x_m - math.cos(car.yaw_rad) * way * pictures, car.y_m - math.sin(car.yaw_rad) * way * pictures


@njit
def step_car(i, cars, roads, plan, command):
    """Drive car i one control step, with a command in [-1, 1]: steering, and the pedal unless it holds its speed."""
    vx_before = body_of(i, cars.body).vx_mps
    turned, touched = drive_car(i, cars, roads, plan, command)
    take_in(i, cars, roads, plan.rules, vx_before, turned, free_road(touched))
    record(i, cars)


@njit
def drive_car(i, cars, roads, plan, command):
    """Move car i by one control step; return how far its steering moved, and whether it touched a parked car."""
    slot = cars.slot[i]
    steer = steering_of(command[0], cars.steer[i], plan.rules.steering_reach)
    pedal = cruise_pedal(cars.metrics[i, SPEED], cars.metrics[i, TARGET_SPEED]) if plan.cruise else command[1]
    touched = _drive(i, cars.body, steer, pedal, plan, roads.parked[slot], roads.parked_count[slot])
    turned = steer - cars.steer[i]
    cars.steps[i], cars.steer[i] = cars.steps[i] + 1, steer
    return turned, touched


@njit
def record(i, cars):
    """Add car i's metrics to its trace."""
    for k in range(len(TRACE_METRICS)):
        cars.trace[i, cars.steps[i] - 1, k] = cars.metrics[i, TRACE_METRICS[k]]


@njit
def take_in(i, cars, roads, rules, vx_before, turned, ahead):
    """Work out car i's metrics, reward, end code and lane state from its new state."""
    slot, car = cars.slot[i], body_of(i, cars.body)
    route = Route(roads.knots[slot], roads.speed_profile[slot], roads.start_s[slot], roads.end_s[slot])
    then = cars.steps[i] - 1 - rules.blocked_steps  # the row of the trace so many steps earlier
    counts = rules.blocked_steps > 0 and then >= 0 and not ahead.waits
    completion_then = cars.trace[i, then, TRACE_COMPLETION] if counts else -1.0
    step = Step(cars.metrics[i, S], vx_before, turned, cars.steps[i], completion_then, ahead)
    cars.reward[i], cars.end[i] = outcome(route, rules, car, step, cars.metrics[i], cars.terms[i])
    lane_state(route.knots, cars.metrics[i], car, rules.lane_d, cars.state[i])


@njit
def _drive(i, body, command, pedal, plan, parked, parked_count):
    """Integrate one car over a control step (semi-implicit Euler); return whether it touched a parked car."""
    x, y, yaw, vx, vy, yaw_rate, angle = body_of(i, body)
    cos, sin = math.cos(yaw), math.sin(yaw)
    wx, wy = vx * cos - vy * sin, vx * sin + vy * cos
    dt, touched = plan.car.dt, False
    for _ in range(plan.substeps):
        angle, fx, fy, moment = push(yaw, wx, wy, yaw_rate, angle, command, pedal, plan.car)
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
    after = x, y, yaw, wx * cos + wy * sin, wy * cos - wx * sin, yaw_rate, angle
    for k in range(len(after)):
        body[k, i] = after[k]
    return touched


@njit
def _overlap(x, y, yaw, other, half_length, half_width):
    """Return whether two equal rectangles overlap (separating axes, Gottschalk et al. 1996)."""
    dx, dy = other[PARKED_X] - x, other[PARKED_Y] - y
    if dx * dx + dy * dy > 4 * (half_length + half_width) ** 2:
        return False
    turn = other[PARKED_YAW] - yaw
    cos, sin = abs(math.cos(turn)), abs(math.sin(turn))
    reach_l = half_length + half_length * cos + half_width * sin
    reach_w = half_width + half_length * sin + half_width * cos
    for heading in (yaw, other[PARKED_YAW]):
        c, s = math.cos(heading), math.sin(heading)
        if abs(c * dx + s * dy) > reach_l or abs(c * dy - s * dx) > reach_w:
            return False
    return True
