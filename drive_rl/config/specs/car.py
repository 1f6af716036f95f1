"""Specs of the car and of the camera on it."""

import math
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from drive_rl.config.specs.base import Fraction, Renderer, Spec


class CarSpec(Spec):
    """The car: a dynamic single-track model (Rajamani, Vehicle Dynamics and Control, 2012)."""

    mass_kg: float = Field(default=1500, ge=50, le=50_000, description="Mass [kg].")
    yaw_inertia_kgm2: float = Field(default=2500, ge=5, le=500_000, description="Moment of inertia about z [kg m^2].")
    cg_to_front_m: float = Field(default=1.3, ge=0.1, le=10, description="Centre of gravity to the front axle [m].")
    cg_to_rear_m: float = Field(default=1.4, ge=0.1, le=10, description="Centre of gravity to the rear axle [m].")
    length_m: float = Field(default=4.4, ge=0.3, le=20, description="Body length [m].")
    width_m: float = Field(default=1.8, ge=0.2, le=4, description="Body width [m].")
    height_m: float = Field(default=1.45, ge=0.2, le=5, description="Body height [m].")
    tyre_mu: float = Field(default=1.0, ge=0.05, le=3, description="Friction coefficient (mu of the tyre formula) [-].")
    tyre_b: float = Field(default=8, ge=1, le=30, description="Stiffness factor (B of the tyre formula) [1/rad].")
    tyre_c: float = Field(default=1.4, ge=0.5, le=2, description="Shape factor (C of the tyre formula) [-].")
    max_steer_rad: float = Field(
        default=0.3, ge=0.05, le=1, description="Largest steering angle of the front wheels [rad]."
    )
    steer_rate_radps: float = Field(default=0.8, ge=0.05, le=20, description="Largest steering rate [rad/s].")
    drive_force_n: float = Field(default=6000, gt=0, le=200_000, description="Largest driving force [N].")
    power_w: float = Field(default=90_000, gt=0, le=2_000_000, description="Engine power [W].")
    brake_force_n: float = Field(default=6000, gt=0, le=500_000, description="Largest braking force [N].")
    drag_ns2pm2: float = Field(default=0.45, ge=0, le=20, description="Air drag over speed squared [N s^2/m^2].")
    rolling_n: float = Field(default=200, ge=0, le=5000, description="Rolling resistance [N].")
    colour: tuple[Fraction, Fraction, Fraction] = Field(
        default=(0.75, 0.1, 0.1), description="Body colour, RGB in [0, 1]."
    )

    @model_validator(mode="after")
    def _moves(self) -> Self:
        if self.top_speed_mps <= 1:
            raise ValueError(
                f"rolling_n = {self.rolling_n:g} holds the car: with drive_force_n = {self.drive_force_n:g}, power_w ="
                f" {self.power_w:g} and its tyres it could not drive faster than 1 m/s; fix: a smaller rolling_n, or"
                " more drive_force_n and power_w"
            )
        return self

    @property
    def turning_radius_m(self) -> float:
        """Radius of the tightest circle that the car drives at walking speed [m]."""
        return (self.cg_to_front_m + self.cg_to_rear_m) / math.tan(self.max_steer_rad)

    @property
    def top_speed_mps(self) -> float:
        """Speed at which full throttle just holds against drag and rolling resistance, at most 200 [m/s]."""
        load = 9.81 * self.mass_kg * self.cg_to_front_m / (self.cg_to_front_m + self.cg_to_rear_m)
        force_n = min(self.drive_force_n, self.tyre_mu * load)
        low, high = 0.0, 200.0
        for _ in range(40):
            speed = (low + high) / 2
            pulls = min(force_n, self.power_w / max(speed, 1.0)) > self.rolling_n + self.drag_ns2pm2 * speed**2
            low, high = (speed, high) if pulls else (low, speed)
        return low


class CameraSpec(Spec):
    """A pinhole camera on the car; its unrotated axes are the vehicle's (x forward, y left, z up)."""

    width_px: int = Field(default=64, ge=16, le=4096, description="Image width [px].")
    height_px: int = Field(default=40, ge=16, le=4096, description="Image height [px].")
    channels: Literal["grey", "rgb"] = Field(default="grey", description="`grey` (1 channel) or `rgb` (3).")
    frame_stack: int = Field(
        default=3, ge=1, le=16, description="Latest frames stacked along the channels, newest last."
    )
    frame_ages: tuple[Annotated[int, Field(ge=0, le=100)], ...] | None = Field(
        default=None,
        description="Ages of the frame_stack frames [steps], oldest first, such as [15, 5, 1, 0]; null: the latest.",
    )
    fov_rad: float = Field(default=1.3, ge=0.1, le=2.8, description="Horizontal field of view [rad].")
    forward_m: float = Field(default=0.4, ge=-50, le=10, description="Mount ahead of the centre of gravity [m].")
    height_m: float = Field(default=1.7, ge=0.1, le=100, description="Mount above the ground [m].")
    pitch_rad: float = Field(default=0.25, ge=-1.5, le=1.57, description="Rotation about y, positive looks down [rad].")
    renderer: Renderer = Field(default="field", description="`field` (numba), or Bullet's `tiny` or `egl`.")

    @model_validator(mode="after")
    def _stacks(self) -> Self:
        ages = self.frame_ages
        if ages is None:
            return self
        if ages[-1:] != (0,) or list(ages) != sorted(set(ages), reverse=True):
            raise ValueError(
                f"frame_ages = {list(ages)}: expected ages that fall to 0, for oldest frames come first; fix: such as"
                " [15, 5, 1, 0]"
            )
        if len(ages) != self.frame_stack:
            raise ValueError(
                f"frame_ages = {list(ages)}: expected frame_stack = {self.frame_stack} of them; fix: frame_stack ="
                f" {len(ages)}, or frame_ages = null"
            )
        return self

    @property
    def planes(self) -> int:
        """Colour channels of one picture: 1 or 3."""
        return 3 if self.channels == "rgb" else 1

    @property
    def ages(self) -> tuple[int, ...]:
        """Ages of a stack's frames [steps], oldest first, ending with 0."""
        return self.frame_ages or tuple(range(self.frame_stack - 1, -1, -1))

    @property
    def depth(self) -> int:
        """Latest frames that hold a stack: as many as frame_stack, or more where ages leave some out."""
        return self.ages[0] + 1

    @property
    def in_words(self) -> str:
        """The stack, such as `3 grey frames of 64x40 px`."""
        old = f", {', '.join(map(str, self.ages))} steps old," if self.depth > self.frame_stack else ""
        return f"{self.frame_stack} {self.channels} frames{old} of {self.width_px}x{self.height_px} px"
