"""Specs of a world's task, and of the reward that it gives."""

import math
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from drive_rl.config.extensions import find, reserve, unknown
from drive_rl.config.specs.base import Bounds, Controls, NonNegative, Spec, Steering, ordered
from drive_rl.config.specs.plugin import Extends

_TERMS = ("lane", "speed", "heading", "comfort", "steering")
reserve("reward_term", _TERMS)

_LEAST_WEIGHT = 0.001
"""Smallest useful value of the largest weight: t^w of a smaller one is 1 whatever the driver does."""


class TaskSpec(Spec):
    """What the driver has to do, and how an episode starts and ends."""

    control_hz: int = Field(default=10, ge=1, le=100, description="Actions per second [Hz].")
    physics_hz: int = Field(
        default=100, ge=10, le=1000, description="Bullet steps per second, a multiple of control_hz [Hz]."
    )
    target_speed_mps: float = Field(default=12, ge=1, le=60, description="Target speed on a straight road [m/s].")
    lateral_accel_mps2: float = Field(
        default=2.5, ge=0.2, le=10, description="Lateral acceleration that sets the target speed in bends [m/s^2]."
    )
    braking_mps2: float = Field(default=2, ge=0.2, le=10, description="Deceleration ahead of a bend [m/s^2].")
    min_mean_speed_mps: float = Field(default=5, ge=0, le=60, description="Mean speed required for success [m/s].")
    time_limit_s: float = Field(default=90, ge=1, le=3600, description="Time limit; an episode is truncated there [s].")
    blocked_s: float | None = Field(
        default=5,
        ge=1,
        le=3600,
        description="An episode ends where the car drives less than 1 m/s on average over this time [s] (null: never).",
    )
    start_offset_m: float = Field(default=0.5, ge=0, le=2, description="Start: offset from the lane centre, +- [m].")
    start_heading_rad: float = Field(default=0.08, ge=0, le=0.5, description="Start: heading error, +- [rad].")
    start_speed_mps: Bounds = Field(default=(0, 12), description="Start: lowest and highest speed [m/s].")
    controls: Controls = Field(
        default="steering+pedal",
        description="What actions control; with `steering` alone, the car holds the target speed by itself.",
    )
    steering: Steering = Field(
        default="angle",
        description="What a steering command sets: the front wheels' `angle`, where 1 is full left, or the `rate` at"
        " which it changes, where 1 is as fast as the car can.",
    )
    steer_grid: tuple[Annotated[float, Field(ge=-1, le=1)], ...] = Field(
        default=(-0.8, -0.35, -0.12, 0.0, 0.12, 0.35, 0.8),
        min_length=1,
        max_length=64,
        description="Discrete steering.",
    )
    pedal_grid: tuple[Annotated[float, Field(ge=-1, le=1)], ...] = Field(
        default=(-0.5, 0.05, 0.6),
        min_length=1,
        max_length=64,
        description="Discrete pedal; actions = steer x pedal, or steer where controls = steering.",
    )

    @property
    def max_steps(self) -> int:
        """Control steps after which an episode is truncated."""
        return math.ceil(self.time_limit_s * self.control_hz)

    @property
    def command_names(self) -> tuple[str, ...]:
        """Names of the numbers of a continuous action."""
        return ("steer",) if self.controls == "steering" else ("steer", "pedal")

    @property
    def blocked_steps(self) -> int:
        """Control steps over which a car that hardly moves counts as blocked; 0: never."""
        return 0 if self.blocked_s is None else math.ceil(self.blocked_s * self.control_hz)

    def limited(self, max_steps: int) -> Self:
        """Return the task with a time limit of so many control steps, if that is shorter."""
        if max_steps >= self.max_steps:
            return self
        return self.model_copy(update={"time_limit_s": math.nextafter(max_steps / self.control_hz, 0)})

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        ordered("start_speed_mps", self.start_speed_mps, 0, 60)
        if min(self.steer_grid) >= 0 or max(self.steer_grid) <= 0:
            raise ValueError(
                f"steer_grid = {list(self.steer_grid)}: discrete actions could not steer both ways; fix: a value above"
                " 0 and one below"
            )
        if max(self.pedal_grid) <= 0:
            raise ValueError(
                f"pedal_grid = {list(self.pedal_grid)}: discrete actions could never speed up; fix: a value above 0"
            )
        if self.controls == "steering" and self.pedal_grid != type(self).model_fields["pedal_grid"].default:
            raise ValueError(
                f"pedal_grid = {list(self.pedal_grid)}: there is no pedal where controls = steering; fix: leave it out"
            )
        if self.min_mean_speed_mps > self.target_speed_mps:
            raise ValueError(
                f"min_mean_speed_mps = {self.min_mean_speed_mps:g} is more than target_speed_mps ="
                f" {self.target_speed_mps:g}: success would require more than the target speed; fix: "
                f"min_mean_speed_mps <= {self.target_speed_mps:g}"
            )
        if self.physics_hz % self.control_hz:
            raise ValueError(
                f"physics_hz = {self.physics_hz} is not a multiple of control_hz = {self.control_hz};"
                f" fix: physics_hz = {self.control_hz * math.ceil(self.physics_hz / self.control_hz)}"
            )
        return self


class RewardSpec(Spec):
    """Reward of a step = weighted product (or sum) of terms in [0, 1], and a bonus or a cost at the end.

    The score does not depend on it, but the defaults rank drivers as scores do.
    """

    combine: Literal["product", "sum"] = Field(
        default="product", description="product: prod(t^w); sum: sum(w t) / sum(w)."
    )
    lane: NonNegative = Field(default=1, le=100, description="Weight of staying near the lane's centre line.")
    speed: NonNegative = Field(default=1, le=100, description="Weight of driving near the target speed.")
    heading: NonNegative = Field(default=0, le=100, description="Weight of pointing along the road.")
    comfort: NonNegative = Field(default=0, le=100, description="Weight of gentle cornering.")
    steering: NonNegative = Field(default=0, le=100, description="Weight of steady steering.")
    arrival: NonNegative = Field(default=10, le=1000, description="Added to the reward of the step that arrives.")
    failure: NonNegative = Field(
        default=10,
        le=1000,
        description="Taken from it where one leaves the road or its lane, touches something, or stands.",
    )
    extra: Annotated[dict[str, float], Extends("reward_term")] = Field(
        default={},
        exclude_if=lambda extra: not extra,
        description="Weights of plugins' terms by name, beside those above: > 0, <= 100.",
    )

    @model_validator(mode="after")
    def _known_terms(self) -> Self:
        for name, weight in self.extra.items():
            if name in _TERMS:
                raise ValueError(f"extra.{name} = {weight:g}: is a term of our own; fix: write it as reward.{name}")
            if find("reward_term", name) is None:
                raise ValueError(f"extra.{name} = {weight:g}: {unknown('reward_term', name, ())}")
            if not 0 < weight <= 100:
                raise ValueError(
                    f"extra.{name} = {weight:g}: expected a weight > 0, <= 100; fix: such as 1, or null to leave the"
                    " term out"
                )
        return self

    @model_validator(mode="after")
    def _some_weight(self) -> Self:
        weights = *(getattr(self, term) for term in _TERMS), *self.extra.values()
        if max(weights) <= 0:
            raise ValueError("all weights are 0: the reward would be constant; fix: give one term a weight > 0")
        if max(weights) < _LEAST_WEIGHT:
            raise ValueError(
                f"the largest weight is {max(weights):g}: the reward would hardly depend on the driving; fix: give one"
                f" term a weight of {_LEAST_WEIGHT:g} or more"
            )
        return self
