"""What every batch engine does for one car: begin, drive a step, be judged. Scalar functions over arrays of cars.

Cars are integrated as Bullet integrates its rigid bodies (semi-implicit Euler), contacts are tests between rectangles,
and everything else (vehicle, judge) is the very function that the PyBullet world calls. CPU loops and CUDA kernels call
these functions; they know no pictures.
"""

import math
from typing import NamedTuple

from drive_rl.config.world_spec import WorldSpec
from drive_rl.sim.compiled import njit
from drive_rl.sim.engines.map_cache import Array
from drive_rl.sim.map.geometry import wrap
from drive_rl.sim.task.outcome import (
    COMPLETION,
    LATERAL,
    LONGITUDINAL,
    OFFSET,
    RUNNING,
    SPEED,
    TIME,
    YAW,
    Rules,
    S,
    judge,
    lane_state,
    rules_of,
)
from drive_rl.sim.vehicle import CarParams, car_params, push


class Cars(NamedTuple):
    """What is known of each of N cars; every array but the last two is written by the compiled functions."""

    body: Array  # (7, N) float64: x, y [m], yaw [rad], vx, vy [m/s], yaw rate [rad/s], steer angle [rad]
    steer: Array  # (N,) float64, the last steering command
    steps: Array  # (N,) int64, of the episode
    metrics: Array  # (N, 13) float64, judge.METRICS
    terms: Array  # (N, 4) float64, judge.TERMS
    trace: Array  # (N, steps, 7) float64, scoring.TRACE
    reward: Array  # (N,) float64
    end: Array  # (N,) int64, end codes of the last step, judge.END_REASONS
    state: Array  # (N, 11) float32, judge.STATE_FIELDS
    slot: Array  # (N,) int64, the road of each
    drives: Array  # (N,) bool, false: idle, nothing of it changes


class Plan(NamedTuple):
    """The numbers of a `WorldSpec` that driving needs."""

    rules: Rules
    car: CarParams
    half_length: float
    half_width: float
    dt: float
    substeps: int


def plan_of(world: WorldSpec) -> Plan:
    """Return the plan of a world, all numbers of one type: numba compiles a function once for each."""
    task, half = world.task, (float(world.car.length_m / 2), float(world.car.width_m / 2))
    substeps = task.physics_hz // task.control_hz
    return Plan(rules_of(world), car_params(world.car), *half, 1 / task.physics_hz, substeps)


@njit
def begin_car(i, cars, roads, plan):
    """Put car i at the start of its road."""
    slot = cars.slot[i]
    for k in range(7):
        cars.body[k, i] = roads.start[slot, k]
    cars.steer[i], cars.steps[i], cars.end[i], cars.reward[i] = 0.0, 0, RUNNING, 0.0
    cars.metrics[i, S] = roads.route[slot, 0]
    _judge(i, cars, roads, plan.rules, cars.body[3, i], 0.0, False)


@njit
def pose_before(i, cars, plan, pictures):
    """Return where car i, driving straight at its present speed, was when so many pictures fewer were taken."""
    way, yaw = cars.body[3, i] / plan.rules.control_hz, cars.body[2, i]
    return cars.body[0, i] - math.cos(yaw) * way * pictures, cars.body[1, i] - math.sin(yaw) * way * pictures


@njit
def step_car(i, cars, roads, plan, steer, pedal):
    """Drive car i one control step and judge it."""
    slot, vx_before = cars.slot[i], cars.body[3, i]
    steer, pedal = min(max(steer, -1.0), 1.0), min(max(pedal, -1.0), 1.0)
    touched = _drive(i, cars.body, steer, pedal, plan, roads.parked[slot], roads.solids[slot, 0])
    cars.steps[i] += 1
    _judge(i, cars, roads, plan.rules, vx_before, steer - cars.steer[i], touched)
    cars.steer[i] = steer
    row = cars.trace[i, cars.steps[i] - 1]
    metrics = cars.metrics[i]
    row[0], row[1], row[2], row[3] = metrics[TIME], metrics[COMPLETION], metrics[SPEED], metrics[OFFSET]
    row[4], row[5], row[6] = metrics[LATERAL], metrics[LONGITUDINAL], metrics[YAW]


@njit
def _judge(i, cars, roads, rules, vx_before, turned, touched):
    slot, body = cars.slot[i], cars.body
    car = (body[0, i], body[1, i], body[2, i], body[3, i], body[4, i], body[5, i], body[6, i])
    knots, route = roads.knots[slot], roads.route[slot]
    cars.reward[i], cars.end[i] = judge(
        knots, roads.pace[slot], route[0], route[1], rules, cars.metrics[i, S], car, vx_before, turned, cars.steps[i],
        touched, cars.metrics[i], cars.terms[i],
    )  # fmt: skip
    lane_state(knots, cars.metrics[i], car, rules.lane_d, cars.state[i])


@njit
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


@njit
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
