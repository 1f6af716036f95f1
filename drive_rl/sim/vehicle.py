"""The vehicle model: forces and yaw moment of a dynamic single track. Knows nothing of engines or roads.

States are body-frame: vx forward, vy left [m/s], yaw rate [rad/s], steer angle [rad]. Tyre side force is
`F_y = mu F_z sin(C atan(B alpha))` (Rajamani, Vehicle Dynamics and Control, 2012; the shape is Pacejka's), scaled by
the friction ellipse; near walking speed, where slip angles lose their meaning, the car follows the kinematic model
(Kong et al., IV 2015). Both engines call the same scalar functions.
"""

import math
from typing import NamedTuple

from drive_rl.config.specs.car import CarSpec
from drive_rl.sim.compiled import njit

GRAVITY_MPS2 = 9.81
KINEMATIC_BELOW_MPS = 1.0
"""At this speed and below the car is purely kinematic [m/s]."""
DYNAMIC_ABOVE_MPS = 4.0
"""At this speed and above only the tyre model counts [m/s]."""

_FASTEST_SPIN_RADPS = 100.0
"""Far beyond what tyres can do to a car; only an impossible car reaches it."""

CRUISE_GAIN_SPM = 0.6
"""Pedal over speed error of a car that holds its speed by itself [s/m]."""

_SETTLE_S = 0.05  # time constant of the approach to kinematic motion


class CarState(NamedTuple):
    """The car's state: world-frame pose, body-frame speeds."""

    x_m: float = 0.0
    y_m: float = 0.0
    yaw_rad: float = 0.0
    vx_mps: float = 0.0
    vy_mps: float = 0.0
    yaw_rate_radps: float = 0.0
    steer_rad: float = 0.0


class CarParams(NamedTuple):
    """The numbers of a `CarSpec` that the model needs, and the physics step; SI units."""

    mass: float
    yaw_inertia: float
    cg_to_front: float
    cg_to_rear: float
    mu: float
    b: float
    c: float
    max_steer: float
    steer_rate: float
    drive_force: float
    power: float
    brake_force: float
    drag: float
    rolling: float
    dt: float


def car_params(spec: CarSpec, dt_s: float = 0.01) -> CarParams:
    """Return the parameters of a car simulated in steps of `dt_s`; all floats, as numba compiles once per type."""
    values = (
        spec.mass_kg,
        spec.yaw_inertia_kgm2,
        spec.cg_to_front_m,
        spec.cg_to_rear_m,
        spec.tyre_mu,
        spec.tyre_b,
        spec.tyre_c,
        spec.max_steer_rad,
        spec.steer_rate_radps,
        spec.drive_force_n,
        spec.power_w,
        spec.brake_force_n,
        spec.drag_ns2pm2,
        spec.rolling_n,
        dt_s,
    )
    return CarParams(*map(float, values))


@njit
def steer_towards(steer: float, command: float, dt: float, car: CarParams) -> float:
    """Return the steer angle [rad] after `dt` [s], for a command in [-1, 1] (+1 = full left)."""
    change = car.steer_rate * dt
    target = command * car.max_steer
    return min(max(target, steer - change), steer + change)


@njit
def steering_of(command: float, before: float, reach: float) -> float:
    """Return the steering in [-1, 1] that a command sets: itself (reach = 0), or `before` moved by it times `reach`."""
    return command if reach == 0 else min(max(before + command * reach, -1.0), 1.0)


@njit
def cruise_pedal(speed: float, target: float) -> float:
    """Return the pedal in [-1, 1] that brings a speed [m/s] to its target: proportional control."""
    return min(max(CRUISE_GAIN_SPM * (target - speed), -1.0), 1.0)


@njit
def side_force(alpha: float, load: float, along: float, car: CarParams) -> float:
    """Return a tyre's side force [N] at slip angle `alpha` [rad], load [N] and longitudinal force [N]."""
    limit = car.mu * load
    left_over = math.sqrt(max(0.0, 1 - (along / limit) ** 2))
    return left_over * limit * math.sin(car.c * math.atan(car.b * alpha))


@njit
def forces(
    vx: float, vy: float, yaw_rate: float, steer: float, pedal: float, car: CarParams
) -> tuple[float, float, float]:
    """Return the forward force [N], left force [N] and yaw moment [N m] on the body, in the body frame.

    Args:
        vx: forward speed [m/s].
        vy: leftward speed [m/s].
        yaw_rate: counter-clockwise [rad/s].
        steer: front wheels, counter-clockwise [rad].
        pedal: in [-1, 1]; positive drives the rear axle, negative brakes both axles in proportion to their load.
        car: the car's parameters.
    """
    length = car.cg_to_front + car.cg_to_rear
    front_load = car.mass * GRAVITY_MPS2 * car.cg_to_rear / length
    rear_load = car.mass * GRAVITY_MPS2 * car.cg_to_front / length
    moving = math.tanh(vx / 0.2)
    brake = max(-pedal, 0.0) * car.brake_force * moving
    drive = max(pedal, 0.0) * min(car.drive_force, car.power / max(vx, 1.0))
    front_limit, rear_limit = car.mu * front_load, car.mu * rear_load
    front_along = min(max(-brake * front_load / (front_load + rear_load), -front_limit), front_limit)
    rear_along = min(max(drive - brake * rear_load / (front_load + rear_load), -rear_limit), rear_limit)
    drag = car.drag * vx * abs(vx) + car.rolling * moving
    cos, sin = math.cos(steer), math.sin(steer)

    rolling_vx = max(vx, KINEMATIC_BELOW_MPS)
    front_alpha = steer - math.atan2(vy + car.cg_to_front * yaw_rate, rolling_vx)
    rear_alpha = -math.atan2(vy - car.cg_to_rear * yaw_rate, rolling_vx)
    front_side = side_force(front_alpha, front_load, front_along, car)
    rear_side = side_force(rear_alpha, rear_load, rear_along, car)
    front_left = front_along * sin + front_side * cos
    forward = front_along * cos - front_side * sin + rear_along - drag
    left = front_left + rear_side
    moment = car.cg_to_front * front_left - car.cg_to_rear * rear_side

    speed = math.sqrt(vx * vx + vy * vy)
    dynamic = min(max((speed - KINEMATIC_BELOW_MPS) / (DYNAMIC_ABOVE_MPS - KINEMATIC_BELOW_MPS), 0.0), 1.0)
    if dynamic < 1.0:
        kinematic_rate = vx * math.tan(steer) / length
        kinematic_vy = car.cg_to_rear * kinematic_rate
        kinematic_left = car.mass * ((kinematic_vy - vy) / _SETTLE_S + vx * yaw_rate)
        kinematic_moment = car.yaw_inertia * (kinematic_rate - yaw_rate) / _SETTLE_S
        forward = dynamic * forward + (1 - dynamic) * (front_along * cos + rear_along - drag)
        left = dynamic * left + (1 - dynamic) * kinematic_left
        moment = dynamic * moment + (1 - dynamic) * kinematic_moment
    return forward, left, moment


@njit
def push(
    yaw: float, wx: float, wy: float, yaw_rate: float, steer: float, command: float, pedal: float, car: CarParams
) -> tuple[float, float, float, float]:
    """Return the new steer angle [rad], and the world-frame force [N] and yaw moment [N m] of one physics step.

    Args:
        yaw: counter-clockwise [rad].
        wx: speed along x, in the world's frame [m/s].
        wy: speed along y, in the world's frame [m/s].
        yaw_rate: counter-clockwise [rad/s].
        steer: front wheels, counter-clockwise [rad].
        command: steering, in [-1, 1].
        pedal: in [-1, 1].
        car: the car's parameters.
    """
    cos, sin = math.cos(yaw), math.sin(yaw)
    steer = steer_towards(steer, command, car.dt, car)
    forward, left, moment = forces(wx * cos + wy * sin, wy * cos - wx * sin, yaw_rate, steer, pedal, car)
    per_rate = car.yaw_inertia / car.dt  # a long step and a tiny inertia must not spin the car like a top
    moment = min(max(moment, (-_FASTEST_SPIN_RADPS - yaw_rate) * per_rate), (_FASTEST_SPIN_RADPS - yaw_rate) * per_rate)
    return steer, forward * cos - left * sin, forward * sin + left * cos, moment
