"""The outcome of a step: metrics, reward and the end of the episode. Scalar functions that all engines call.

It knows roads, speed profiles, rewards and end reasons; it knows no engine and no camera.
"""

import math
from typing import NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from drive_rl.config.specs.world import WorldSpec
from drive_rl.sim.compiled import njit
from drive_rl.sim.map.geometry import KNOT_M, Knots, pose_at, project, wrap
from drive_rl.sim.map.speed_profile import lane_curvature
from drive_rl.sim.task.episode import lane_centre_d_m
from drive_rl.sim.task.reward import (
    RewardRules,
    combine,
    comfort_term,
    heading_term,
    lane_term,
    speed_term,
    steering_term,
)
from drive_rl.sim.task.scoring import TRACE, EndReason
from drive_rl.sim.traffic.passing import PASSING_FIELDS
from drive_rl.sim.vehicle import CarState

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
    "lane_offset_m",
)
"""The metrics in `info`, in the order of a row of metrics.

`offset_m` is from the line of the route. So is `lane_offset_m`, but near a change of lanes: there both lanes are the
route's, and it is from the nearer one's middle, 0 between the two.
"""
OFFSET, HEADING_ERROR, SPEED, TARGET_SPEED, COMPLETION, LATERAL, LONGITUDINAL, STEER, S, X, Y, YAW, TIME = range(13)
LANE_OFFSET = METRICS.index("lane_offset_m")

TRACE_METRICS = tuple(METRICS.index(name) for name in TRACE)
"""Where a row of metrics holds those of a row of the trace."""
TRACE_COMPLETION = TRACE.index("route_completion")

TERMS = ("lane", "speed", "heading", "comfort", "steering")
"""The reward terms in `info` (`reward_lane`, ...), in the order of a row of terms."""
LANE_TERM, SPEED_TERM, HEADING_TERM, COMFORT_TERM, STEERING_TERM = range(5)

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
LANE_STATE = len(STATE_FIELDS)
"""How many of a state's fields are the lane's."""
_FIRST_CURVATURE = STATE_FIELDS.index("curvature_0m")


def state_fields(world: WorldSpec) -> tuple[str, ...]:
    """Return the fields of a world's privileged observation."""
    return STATE_FIELDS + PASSING_FIELDS if world.streets and world.streets.has_passing_fields else STATE_FIELDS


END_REASONS: tuple[EndReason, ...] = get_args(EndReason)
"""The reason of end code n is `END_REASONS[n - 1]`; code 0 is an episode that has not ended."""
RUNNING, ARRIVED, OFF_ROAD, WRONG_WAY, COLLISION, TIMEOUT, BLOCKED = range(7)

STREET_HALF_LANE_M = 1.5
"""Half the width of the narrowest lanes of streets [m]; a route is one lane's centre line after another's."""
STREET_EDGE_M = 2.5
"""Further beside its route a car has left it, for the verge or for another lane [m]."""
_AHEAD_M = (0.0, 5.0, 10.0, 20.0)
_WRONG_HEADING_RAD = math.pi / 2
_BLOCKED_MPS = 1.0


class Rules(NamedTuple):
    """The numbers of a `WorldSpec` that the outcome depends on, SI units."""

    lane_d: float
    half_lane: float
    kept_half: float  # an episode in which the car was farther from its lane's middle is no success
    right_edge_d: float
    left_edge_d: float  # of the lanes in the driving direction
    oncoming: bool
    control_hz: float
    max_steps: int
    blocked_steps: int  # 0: a car may stand
    steering_reach: float  # how far a command moves the steering in a step, at most; 0: it sets the angle
    reward: RewardRules


def rules_of(world: WorldSpec) -> Rules:
    """Return the rules of a world; each field has one type, since numba compiles a function once per type."""
    road, task, reward, car = world.road, world.task, world.reward, world.car
    by_rate = task.steering == "rate"
    leaves = world.streets is not None and world.streets.may_leave_lane
    lane, half, right, left = (
        (0.0, STREET_HALF_LANE_M, -STREET_EDGE_M, STREET_EDGE_M)
        if world.streets
        else (lane_centre_d_m(road), road.lane_width_m / 2, -road.lanes_ahead * road.lane_width_m, 0.0)
    )
    return Rules(
        float(lane),
        float(half),
        math.inf if leaves else float(half),
        float(right),
        float(left),
        road.lanes_oncoming > 0,
        float(task.control_hz),
        task.max_steps,
        task.blocked_steps,
        float(car.steer_rate_radps / (task.control_hz * car.max_steer_rad)) if by_rate else 0.0,
        RewardRules(
            reward.combine == "product",
            tuple(float(getattr(reward, term)) for term in TERMS),
            float(reward.arrival),
            float(reward.failure),
        ),
    )


class Route(NamedTuple):
    """A road as a task: where to drive and how fast."""

    knots: Knots
    speed_profile: NDArray[np.float64]  # (knots,), target speed [m/s]
    start_s: float  # [m]
    end_s: float  # [m]


class Ahead(NamedTuple):
    """What is around a car, and how much room it has."""

    touched: bool  # whether a contact began
    allowed_mps: float  # what is ahead allows no more; infinite: nothing is
    waits: bool  # whether it had to wait within the time after which a car that stands counts as blocked
    leeway_m: float  # so much farther to the left may it be here, to the right if negative
    right_m: float  # from here to `left_m`, left-positive from the line of the route, reach the middles of its lanes
    left_m: float  # both are 0 but near a change of lanes


@njit
def free_road(touched: bool) -> Ahead:
    """Return what is around a car on a single road."""
    return Ahead(touched, math.inf, False, 0.0, 0.0, 0.0)


class Step(NamedTuple):
    """What a step did, beside the car's new state."""

    near_s: float  # an s [m] within some metres of the car's, such as that of the step before
    vx_before: float  # [m/s]
    turned: float  # how far the steering command moved
    steps: int  # of the episode, this one included
    completion_then: float  # route completion `Rules.blocked_steps` earlier; -1 before there is one
    ahead: Ahead


@njit
def outcome(
    route: Route,
    rules: Rules,
    car: CarState,
    step: Step,
    metrics: NDArray[np.float64],
    terms: NDArray[np.float64],
) -> tuple[float, int]:
    """Fill a row of metrics, (14,), and one of reward terms, (5,); return the reward and the end code."""
    x, y, yaw, vx, _, yaw_rate, steer = car
    s, d, road_heading, _ = project(route.knots, x, y, step.near_s)
    offset, heading_error = d - rules.lane_d, wrap(yaw - road_heading)
    ahead = step.ahead
    target = min(speed_at(route.speed_profile, s), ahead.allowed_mps)
    lateral = vx * yaw_rate
    start_s, end_s = route.start_s, route.end_s
    metrics[OFFSET], metrics[HEADING_ERROR] = offset, heading_error
    metrics[SPEED], metrics[TARGET_SPEED] = vx, target
    metrics[COMPLETION] = min(max((s - start_s) / (end_s - start_s), 0.0), 1.0)
    metrics[LATERAL], metrics[LONGITUDINAL] = lateral, (vx - step.vx_before) * rules.control_hz
    metrics[STEER], metrics[S], metrics[X], metrics[Y], metrics[YAW] = steer, s, x, y, yaw
    metrics[TIME] = step.steps / rules.control_hz
    metrics[LANE_OFFSET] = offset - min(max(offset, ahead.right_m), ahead.left_m)
    terms[LANE_TERM] = lane_term(metrics[LANE_OFFSET], rules.half_lane)
    terms[SPEED_TERM] = speed_term(vx, target)
    terms[HEADING_TERM] = heading_term(heading_error)
    terms[COMFORT_TERM] = comfort_term(lateral)
    terms[STEERING_TERM] = steering_term(step.turned)
    right_edge_d = rules.right_edge_d + ahead.right_m + min(ahead.leeway_m, 0.0)
    left_edge_d = rules.left_edge_d + ahead.left_m + max(ahead.leeway_m, 0.0)
    end = RUNNING
    if ahead.touched:
        end = COLLISION
    elif d < right_edge_d or (d > left_edge_d and not rules.oncoming):
        end = OFF_ROAD
    elif d > left_edge_d or abs(heading_error) > _WRONG_HEADING_RAD:
        end = WRONG_WAY
    elif s >= end_s:
        end = ARRIVED
    elif step.steps >= rules.max_steps:
        end = TIMEOUT
    elif step.completion_then >= 0:
        driven_m = (metrics[COMPLETION] - step.completion_then) * (end_s - start_s)
        if driven_m * rules.control_hz < _BLOCKED_MPS * rules.blocked_steps:
            end = BLOCKED
    return step_reward(terms, end, rules.reward), end


@njit
def step_reward(terms: NDArray[np.float64], end: int, rules: RewardRules) -> float:
    """Return the reward of a step: its terms, combined, and what the end of the episode adds or costs."""
    reward = combine(terms, rules.weights, rules.product)
    if end == ARRIVED:
        return reward + rules.arrival
    if end != RUNNING and end != TIMEOUT:
        return reward - rules.failure
    return reward


@njit
def lane_state(
    knots: Knots, metrics: NDArray[np.float64], car: CarState, lane_d: float, state: NDArray[np.float32]
) -> None:
    """Fill `state`, (11,) of `STATE_FIELDS`, from a row of metrics and the car's state."""
    _, _, _, vx, vy, yaw_rate, steer = car
    values = metrics[OFFSET], metrics[HEADING_ERROR], vx, vy, yaw_rate, steer, metrics[TARGET_SPEED]
    for i in range(_FIRST_CURVATURE):
        state[i] = values[i]
    for i in range(len(_AHEAD_M)):
        _, _, _, curvature = pose_at(knots, metrics[S] + _AHEAD_M[i])
        state[_FIRST_CURVATURE + i] = lane_curvature(curvature, lane_d)


@njit
def speed_at(profile: NDArray[np.float64], s: float) -> float:
    """Return the target speed [m/s] of a profile, a knot each, at `s` [m], kept within it."""
    at = min(max(s / KNOT_M, 0.0), profile.size - 1.001)
    i = int(at)
    return profile[i] + (profile[i + 1] - profile[i]) * (at - i)
