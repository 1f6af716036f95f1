"""Where the car is on its road, what the step earned, and whether the episode is over: scalar functions of all engines.

It knows roads, the pace, rewards and ends; it knows no engine and no camera.
"""

import math
from typing import NamedTuple, get_args

from drive_rl.config.world_spec import WorldSpec
from drive_rl.sim.compiled import njit
from drive_rl.sim.map.geometry import KNOT_M, pose_at, project, wrap
from drive_rl.sim.map.speed_profile import lane_curvature
from drive_rl.sim.task.episode import lane_centre_d_m
from drive_rl.sim.task.reward import combine, comfort_term, heading_term, lane_term, speed_term
from drive_rl.sim.task.scoring import EndReason

METRICS = (
    "offset_m",
    "heading_error_rad",
    "speed_mps",
    "target_speed_mps",
    "route_completion",
    "lateral_accel_mps2",
    "longitudinal_accel_mps2",
    "steer_rad",
    "s_m",
    "x_m",
    "y_m",
    "yaw_rad",
    "time_s",
)
"""What `info["metrics"]` holds, in the order of a row of metrics."""
OFFSET, HEADING_ERROR, SPEED, TARGET_SPEED, COMPLETION, LATERAL, LONGITUDINAL, STEER, S, X, Y, YAW, TIME = range(13)

TERMS = ("lane", "speed", "heading", "comfort")
"""What `info["reward_terms"]` holds, in the order of a row of terms."""

STATE_FIELDS = (
    "offset_m",
    "heading_error_rad",
    "speed_mps",
    "lateral_speed_mps",
    "yaw_rate_radps",
    "steer_rad",
    "target_speed_mps",
    "curvature_0m",
    "curvature_5m",
    "curvature_10m",
    "curvature_20m",
)
"""The privileged observation, in SI units; curvatures [1/m] are the lane's, at distances ahead."""

END_REASONS: tuple[EndReason, ...] = get_args(EndReason)
"""The reason of end code n is `END_REASONS[n - 1]`; code 0 is an episode that goes on."""
RUNNING, ARRIVED, OFF_ROAD, WRONG_WAY, COLLISION, TIMEOUT = range(6)

_AHEAD_M = (0.0, 5.0, 10.0, 20.0)
_WRONG_HEADING_RAD = math.pi / 2


class Rules(NamedTuple):
    """The numbers of a `WorldSpec` that judging needs, SI units."""

    lane_d: float
    half_lane: float
    right_edge_d: float
    oncoming: bool
    control_hz: float
    max_steps: int
    product: bool
    weights: tuple[float, float, float, float]


def rules_of(world: WorldSpec) -> Rules:
    """Return the rules of a world, all numbers of one type: numba compiles a function once for each."""
    road, task, reward = world.road, world.task, world.reward
    return Rules(
        float(lane_centre_d_m(road)),
        float(road.lane_width_m / 2),
        float(-road.lanes_ahead * road.lane_width_m),
        road.lanes_oncoming > 0,
        float(task.control_hz),
        task.max_steps,
        reward.combine == "product",
        (float(reward.lane), float(reward.speed), float(reward.heading), float(reward.comfort)),
    )


@njit
def judge(knots, pace, start_s, end_s, rules, near_s, car, vx_before, turned, steps, touched, metrics, terms):
    """Fill a row of metrics and one of reward terms; return the reward and the end code.

    Args:
        knots: The road's.
        pace: The speed asked for at each knot [m/s].
        start_s: Where the route starts [m].
        end_s: Where it ends [m].
        rules: The world's.
        near_s: An s [m] within some metres of the car's, such as the step before's.
        car: x, y [m], yaw [rad], vx, vy [m/s], yaw rate [rad/s] and steer angle [rad].
        vx_before: The speed before the step [m/s].
        turned: How far the steering command moved in the step.
        steps: Steps of the episode, this one included.
        touched: Whether a contact began in the step.
        metrics: (13,) float64.
        terms: (4,) float64.
    """
    x, y, yaw, vx, _, yaw_rate, steer = car
    s, d, road_heading, _ = project(knots, x, y, near_s)
    offset, heading_error = d - rules.lane_d, wrap(yaw - road_heading)
    target = _between(pace, s / KNOT_M)
    lateral = vx * yaw_rate
    metrics[OFFSET], metrics[HEADING_ERROR] = offset, heading_error
    metrics[SPEED], metrics[TARGET_SPEED] = vx, target
    metrics[COMPLETION] = min(max((s - start_s) / (end_s - start_s), 0.0), 1.0)
    metrics[LATERAL], metrics[LONGITUDINAL] = lateral, (vx - vx_before) * rules.control_hz
    metrics[STEER], metrics[S], metrics[X], metrics[Y], metrics[YAW] = steer, s, x, y, yaw
    metrics[TIME] = steps / rules.control_hz
    terms[0] = lane_term(offset, rules.half_lane)
    terms[1] = speed_term(vx, target)
    terms[2] = heading_term(heading_error)
    terms[3] = comfort_term(lateral, turned)
    end = RUNNING
    if touched:
        end = COLLISION
    elif d < rules.right_edge_d or (d > 0 and not rules.oncoming):
        end = OFF_ROAD
    elif d > 0 or abs(heading_error) > _WRONG_HEADING_RAD:
        end = WRONG_WAY
    elif s >= end_s:
        end = ARRIVED
    elif steps >= rules.max_steps:
        end = TIMEOUT
    return combine(terms, rules.weights, rules.product), end


@njit
def lane_state(knots, metrics, car, lane_d, state):
    """Fill `state`, (11,) float32 of `STATE_FIELDS`, from a row of metrics and the car's state."""
    state[0], state[1], state[2] = metrics[OFFSET], metrics[HEADING_ERROR], car[3]
    state[3], state[4], state[5], state[6] = car[4], car[5], car[6], metrics[TARGET_SPEED]
    for i in range(4):
        state[7 + i] = lane_curvature(pose_at(knots, metrics[S] + _AHEAD_M[i])[3], lane_d)


@njit
def _between(values, at):
    """Return the value at a fractional index, kept within the array."""
    at = min(max(at, 0.0), values.size - 1.001)
    i = int(at)
    return values[i] + (values[i + 1] - values[i]) * (at - i)
