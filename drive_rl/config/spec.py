"""What can be declared: frozen specs of worlds, drivers and experiments. Knows nothing of how they are run.

The field descriptions are the one documentation of every key; `drive-rl show NAME` prints the resolved values.
Units: SI, radians, seconds; the suffix of a field names its unit.
"""

import math
import re
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import CoreSchema

from drive_rl.plain_text import readable

Observation = Literal["camera", "camera+state", "state"]
Actions = Literal["continuous", "discrete"]
Renderer = Literal["field", "tiny", "egl"]
Split = Literal["train", "val", "test"]
Engine = Literal["bullet", "batch"]
Track = Literal["wandb", "tensorboard", "csv", "none"]

ENCODERS = ("small", "nature", "impala", "pilotnet", "resnet18", "unet")

SPLITS: dict[str, range] = {
    "train": range(0, 10_000),
    "val": range(10_000, 11_000),
    "test": range(20_000, 21_000),
}
"""Road seeds of each split. Nothing is ever trained or tuned on `test`."""

FREE_CAR_LENGTHS = 6
"""How much of a road stays free of parked cars at its start."""

Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Weight = Annotated[float, Field(gt=0, le=1000)]
Bounds = tuple[float, float]
LogStd = Annotated[float, Field(ge=-10, le=5)]


_LEAST_WEIGHT = 0.001
"""Of the reward's largest weight: t^w of a smaller one is 1 whatever the driver does."""


def _make_scalars_strict(schema: Any) -> None:
    if isinstance(schema, dict):
        if schema.get("type") in ("bool", "int", "float", "str"):
            schema["strict"] = True
        for part in schema.values():
            _make_scalars_strict(part)
    elif isinstance(schema, list):
        for part in schema:
            _make_scalars_strict(part)


class Spec(BaseModel):
    """A frozen declaration in which an unknown key is an error, and so is a value that only looks like its type.

    A number is a number: neither `true` nor the text "3" is one. `true` and `false` alone are booleans.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, protected_namespaces=())

    @field_validator("*")
    @classmethod
    def _readable(cls, value: Any, field: ValidationInfo) -> Any:
        """Refuse text that would steer a terminal; bring a description onto one line."""
        if isinstance(value, str):
            return readable(" ".join(value.split()) if field.field_name == "description" else value)
        if isinstance(value, dict):
            for key in value:
                readable(str(key))
        return value

    @classmethod
    def __get_pydantic_core_schema__(cls, source: type[BaseModel], handler: GetCoreSchemaHandler) -> CoreSchema:
        """Make scalars strict. Not `strict=True` for all: a YAML list is to be a tuple, and a mapping a spec."""
        schema = handler(source)
        _make_scalars_strict(schema)
        return schema


def _ordered(name: str, bounds: Bounds, low: float, high: float) -> None:
    if not low <= bounds[0] <= bounds[1] <= high:
        raise ValueError(f"{name} = {list(bounds)}: expected two values, low <= high, within [{low:g}, {high:g}]")


class TierSpec(Spec):
    """One difficulty tier of roads."""

    min_radius_m: float = Field(ge=8, le=1000, description="Smallest radius of the reference line [m].")
    weight: Weight = Field(description="How often the tier is drawn, relative to the others.")


class RoadSpec(Spec):
    """The road: right-hand traffic; the reference line (d = 0) parts the two directions."""

    length_m: float = Field(default=400, ge=60, le=5000, description="Length of the route [m].")
    lane_width_m: float = Field(default=3.5, ge=2, le=8, description="Width of each lane [m].")
    lanes_ahead: int = Field(
        default=1, ge=1, le=4, description="Lanes in the driving direction; the car keeps the rightmost."
    )
    lanes_oncoming: int = Field(default=1, ge=0, le=4, description="Lanes in the other direction (0: a one-way road).")
    shoulder_m: float = Field(default=0.75, ge=0, le=5, description="Paved width beyond each edge line [m].")
    line_width_m: float = Field(default=0.15, ge=0.05, le=0.5, description="Width of the painted lines [m].")
    dash_length_m: float = Field(default=3, ge=0.5, le=20, description="Painted length of a dashed line [m].")
    dash_gap_m: float = Field(default=6, ge=0.5, le=20, description="Unpainted length of a dashed line [m].")
    parked_cars_per_km: float = Field(default=0, ge=0, le=50, description="Cars parked on the right-hand side [1/km].")
    parked_gap_m: float = Field(
        default=0.2,
        ge=-0.5,
        le=5,
        description="From the right edge line to the parked cars' sides [m]; negative: in the lane.",
    )
    tiers: dict[str, TierSpec] = Field(min_length=1, description="Difficulty tiers by name.")

    @property
    def parked_cars(self) -> int:
        """How many parked cars are drawn; those that would stand too near to another are left out."""
        return round(self.parked_cars_per_km * self.length_m / 1000)

    @model_validator(mode="after")
    def _turns_are_wider_than_the_road(self) -> Self:
        half_m = max(self.lanes_ahead, self.lanes_oncoming) * self.lane_width_m + self.shoulder_m
        for name, tier in self.tiers.items():
            if tier.min_radius_m < half_m + 2:
                raise ValueError(
                    f"tiers.{name}.min_radius_m = {tier.min_radius_m:g} is tighter than the road is wide: expected at"
                    f" least {half_m + 2:g} (half width {half_m:g} m + 2 m); fix: a larger radius or a narrower road"
                )
        return self


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
    """A pinhole camera on the car; its axes start as the vehicle's (x forward, y left, z up)."""

    width_px: int = Field(default=64, ge=16, le=4096, description="Image width [px].")
    height_px: int = Field(default=40, ge=16, le=4096, description="Image height [px].")
    channels: Literal["grey", "rgb"] = Field(default="grey", description="`grey` (1 channel) or `rgb` (3).")
    frame_stack: int = Field(
        default=3, ge=1, le=16, description="Latest frames stacked along the channels, newest last."
    )
    fov_rad: float = Field(default=1.3, ge=0.1, le=2.8, description="Horizontal field of view [rad].")
    forward_m: float = Field(default=0.4, ge=-50, le=10, description="Mount ahead of the centre of gravity [m].")
    height_m: float = Field(default=1.7, ge=0.1, le=100, description="Mount above the ground [m].")
    pitch_rad: float = Field(default=0.25, ge=-1.5, le=1.57, description="Rotation about y, positive looks down [rad].")
    renderer: Renderer = Field(default="field", description="`field` (numba), or Bullet's `tiny` or `egl`.")

    @property
    def planes(self) -> int:
        """Colour channels of one picture: 1 or 3."""
        return 3 if self.channels == "rgb" else 1


class TaskSpec(Spec):
    """What the driver must do, and how an episode starts and ends."""

    control_hz: int = Field(default=10, ge=1, le=100, description="Actions a second [Hz].")
    physics_hz: int = Field(
        default=100, ge=10, le=1000, description="Bullet steps a second, a multiple of control_hz [Hz]."
    )
    target_speed_mps: float = Field(default=12, ge=1, le=60, description="Speed asked for on a straight road [m/s].")
    lateral_accel_mps2: float = Field(
        default=2.5, ge=0.2, le=10, description="Bends are asked to be driven at this [m/s^2]."
    )
    braking_mps2: float = Field(default=2, ge=0.2, le=10, description="Slowing down asked for ahead of a bend [m/s^2].")
    min_mean_speed_mps: float = Field(default=5, ge=0, le=60, description="Mean speed that success asks for [m/s].")
    time_limit_s: float = Field(default=90, ge=1, le=3600, description="The clock; an episode is truncated there [s].")
    start_offset_m: float = Field(default=0.5, ge=0, le=2, description="Start: offset from the lane centre, +- [m].")
    start_heading_rad: float = Field(default=0.08, ge=0, le=0.5, description="Start: heading error, +- [rad].")
    start_speed_mps: Bounds = Field(default=(0, 12), description="Start: lowest and highest speed [m/s].")
    steer_grid: tuple[Annotated[float, Field(ge=-1, le=1)], ...] = Field(
        default=(-0.8, -0.35, -0.12, 0.0, 0.12, 0.35, 0.8),
        min_length=1,
        max_length=64,
        description="Discrete steering.",
    )
    pedal_grid: tuple[Annotated[float, Field(ge=-1, le=1)], ...] = Field(
        default=(-0.5, 0.05, 0.6), min_length=1, max_length=64, description="Discrete pedal; actions = steer x pedal."
    )

    @property
    def max_steps(self) -> int:
        """Control steps after which the clock ends an episode."""
        return math.ceil(self.time_limit_s * self.control_hz)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        _ordered("start_speed_mps", self.start_speed_mps, 0, 60)
        if min(self.steer_grid) >= 0 or max(self.steer_grid) <= 0:
            raise ValueError(
                f"steer_grid = {list(self.steer_grid)}: discrete actions could not steer both ways; fix: a value above"
                " 0 and one below"
            )
        if max(self.pedal_grid) <= 0:
            raise ValueError(
                f"pedal_grid = {list(self.pedal_grid)}: discrete actions could never speed up; fix: a value above 0"
            )
        if self.min_mean_speed_mps > self.target_speed_mps:
            raise ValueError(
                f"min_mean_speed_mps = {self.min_mean_speed_mps:g} is more than target_speed_mps ="
                f" {self.target_speed_mps:g}: success would ask for more speed than is ever asked for; fix: "
                f"min_mean_speed_mps <= {self.target_speed_mps:g}"
            )
        if self.physics_hz % self.control_hz:
            raise ValueError(
                f"physics_hz = {self.physics_hz} is no multiple of control_hz = {self.control_hz};"
                f" fix: physics_hz = {self.control_hz * math.ceil(self.physics_hz / self.control_hz)}"
            )
        return self


class RewardSpec(Spec):
    """Reward = weighted product (or sum) of terms in [0, 1]; the score never looks at it."""

    combine: Literal["product", "sum"] = Field(
        default="product", description="product: prod(t^w); sum: sum(w t) / sum(w)."
    )
    lane: NonNegative = Field(default=1, le=100, description="Weight: near the lane's centre line.")
    speed: NonNegative = Field(default=1, le=100, description="Weight: near the speed asked for.")
    heading: NonNegative = Field(default=0, le=100, description="Weight: along the road.")
    comfort: NonNegative = Field(default=0, le=100, description="Weight: small lateral acceleration and steering rate.")

    @model_validator(mode="after")
    def _some_weight(self) -> Self:
        weights = self.lane, self.speed, self.heading, self.comfort
        if max(weights) <= 0:
            raise ValueError("all weights are 0: the reward would say nothing; fix: give one term a weight > 0")
        if max(weights) < _LEAST_WEIGHT:
            raise ValueError(
                f"the largest weight is {max(weights):g}: the reward would hardly depend on the driving; fix: give one"
                f" term a weight of {_LEAST_WEIGHT:g} or more"
            )
        return self


class AppearanceSpec(Spec):
    """Ranges (low, high) that each episode's look is drawn from; shades are reflectances in [0, 1]."""

    asphalt: Bounds = Field(default=(0.18, 0.38), description="Shade of the asphalt.")
    verge: Bounds = Field(default=(0.25, 0.55), description="Shade of the verge.")
    greenness: Bounds = Field(default=(0.2, 1.0), description="Verge colour from dry earth (0) to grass (1).")
    marking: Bounds = Field(default=(0.75, 1.0), description="Shade of the painted lines.")
    sky: Bounds = Field(default=(0.6, 0.95), description="Shade of the sky.")
    wear: Bounds = Field(default=(0.0, 0.5), description="How worn lines and asphalt are.")
    brightness: Bounds = Field(default=(0.75, 1.2), description="Factor on the whole picture.")
    camera_height_error_m: float = Field(default=0.05, ge=0, le=0.5, description="Mount height error, +- [m].")
    camera_pitch_error_rad: float = Field(default=0.01, ge=0, le=0.2, description="Mount pitch error, +- [rad].")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for name in ("asphalt", "verge", "greenness", "marking", "sky", "wear"):
            _ordered(name, getattr(self, name), 0, 1)
        _ordered("brightness", self.brightness, 0.1, 3)
        return self


class WorldSpec(Spec):
    """A world: one file in `envs/`, one Gymnasium id."""

    name: str = Field(description="The file's name; `lane_follow` becomes `drive_rl/LaneFollow-v0`.")
    description: str = Field(default="", description="One line for `drive-rl list`.")
    road: RoadSpec = Field(description="The road.")
    car: CarSpec = Field(default=CarSpec(), description="The car.")
    camera: CameraSpec = Field(default=CameraSpec(), description="The driver's camera.")
    task: TaskSpec = Field(default=TaskSpec(), description="The task.")
    reward: RewardSpec = Field(default=RewardSpec(), description="The reward.")
    appearance: AppearanceSpec = Field(default=AppearanceSpec(), description="The look.")

    @model_validator(mode="after")
    def _camera_above_ground(self) -> Self:
        if self.appearance.camera_height_error_m >= self.camera.height_m:
            raise ValueError(
                f"appearance.camera_height_error_m = {self.appearance.camera_height_error_m:g} would put the camera"
                f" under ground: expected less than camera.height_m = {self.camera.height_m:g}"
            )
        return self

    @model_validator(mode="after")
    def _starts_in_the_lane(self) -> Self:
        half_m = self.road.lane_width_m / 2
        if self.task.start_offset_m >= half_m:
            raise ValueError(
                f"task.start_offset_m = {self.task.start_offset_m:g} reaches out of the lane: expected less than half"
                f" of road.lane_width_m = {self.road.lane_width_m:g}; fix: task.start_offset_m < {half_m:g}"
            )
        return self

    @model_validator(mode="after")
    def _car_can_do_the_task(self) -> Self:
        fastest_mps = max(self.car.top_speed_mps, self.task.start_speed_mps[1])
        if fastest_mps < self.task.min_mean_speed_mps:
            raise ValueError(
                f"task.min_mean_speed_mps = {self.task.min_mean_speed_mps:g} is more than the car's top speed of"
                f" {fastest_mps:.3g} m/s; fix: a smaller task.min_mean_speed_mps, or more car.drive_force_n and"
                " car.power_w"
            )
        for name, tier in self.road.tiers.items():
            if tier.min_radius_m < self.car.turning_radius_m:
                raise ValueError(
                    f"road.tiers.{name}.min_radius_m = {tier.min_radius_m:g} is tighter than the car turns: its radius"
                    f" at car.max_steer_rad = {self.car.max_steer_rad:g} is {self.car.turning_radius_m:.3g} m; fix: a"
                    " larger radius or car.max_steer_rad"
                )
        return self

    @model_validator(mode="after")
    def _parked_cars_leave_room(self) -> Self:
        room_m = self.road.lanes_ahead * self.road.lane_width_m + self.road.parked_gap_m
        if self.road.parked_cars_per_km and room_m <= self.car.width_m / 2:
            raise ValueError(
                f"road.parked_gap_m = {self.road.parked_gap_m:g} leaves no way past the parked cars for a car of"
                f" car.width_m = {self.car.width_m:g}; fix: a larger road.parked_gap_m or road.lane_width_m, or"
                " road.parked_cars_per_km = 0"
            )
        return self

    @model_validator(mode="after")
    def _parked_cars_have_room(self) -> Self:
        free_m = FREE_CAR_LENGTHS * self.car.length_m
        if self.road.parked_cars and free_m > self.road.length_m:
            raise ValueError(
                f"road.parked_cars_per_km = {self.road.parked_cars_per_km:g}: the first {FREE_CAR_LENGTHS} car lengths"
                f" stay free, {free_m:g} m with car.length_m = {self.car.length_m:g}, and the road has road.length_m ="
                f" {self.road.length_m:g}; fix: road.length_m >= {free_m:g}, a shorter car, or"
                " road.parked_cars_per_km = 0"
            )
        return self

    @model_validator(mode="after")
    def _camera_sees_the_road(self) -> Self:
        camera = self.camera
        lowest_rad = camera.pitch_rad + math.atan(
            (camera.height_px - 1) / camera.width_px * math.tan(camera.fov_rad / 2)
        )
        needed_rad = math.atan(camera.height_m / self.road.length_m)
        if lowest_rad < needed_rad:
            raise ValueError(
                f"camera.pitch_rad = {camera.pitch_rad:g}: no road in the picture, only sky and what lies more than"
                f" road.length_m = {self.road.length_m:g} away; fix: camera.pitch_rad >="
                f" {camera.pitch_rad + needed_rad - lowest_rad:.3g}, or a larger camera.fov_rad"
            )
        return self

    @model_validator(mode="after")
    def _road_stands_out(self) -> Self:
        look, grey = self.appearance, self.camera.channels == "grey"
        darkest = min(look.asphalt[0], look.verge[0], look.marking[0])
        lightest = max(look.asphalt[1], look.verge[1], look.marking[1])
        contrast = max(min(1, light * lightest) - min(1, light * darkest) for light in look.brightness)
        if contrast < 1 / 255 and (grey or look.brightness[1] * lightest < 1 / 255):
            raise ValueError(
                f"appearance: asphalt = {list(look.asphalt)}, verge = {list(look.verge)} and marking ="
                f" {list(look.marking)} look the same at brightness = {list(look.brightness)}: the pictures would not"
                " show the road; fix: shades that differ"
            )
        return self


class EncoderSpec(Spec):
    """The image encoder of drivers and of perception models."""

    kind: str = Field(
        default="small", description=f"Network family: {', '.join(ENCODERS)}; or timm:NAME (the extra `timm`)."
    )
    features: int = Field(default=128, ge=8, le=4096, description="Length of the feature vector.")

    @model_validator(mode="after")
    def _known_kind(self) -> Self:
        # A plain name alone: timm reads `hf-hub:OWNER/NAME` and `local-dir:/PATH` from elsewhere.
        if self.kind not in ENCODERS and not re.fullmatch(r"timm:[a-z0-9_.]{1,100}", self.kind):
            raise ValueError(
                f"kind = {self.kind[:100]!r}: expected one of {', '.join(ENCODERS)}, or timm:NAME, a name of"
                " timm.list_models()"
            )
        return self


class DriverEncoderSpec(EncoderSpec):
    """The image encoder of a driver, which may start from what a perception model has learned."""

    init_from: str | None = Field(
        default=None, description="A perception run or model whose encoder this one starts from (null: from scratch)."
    )
    frozen: bool = Field(default=False, description="Leave it as it started; the rest of the driver learns alone.")

    @model_validator(mode="after")
    def _frozen_has_a_start(self) -> Self:
        if self.frozen and self.init_from is None:
            raise ValueError("frozen = true: a random encoder would stay random; fix: set encoder.init_from")
        return self


class GuidanceSpec(Spec):
    """How a driver that sees the camera alone is helped by the true lane state while it learns.

    A CNN learns to tell the lane state from the pictures, and the policy learns from what it tells.
    """

    learning_rate: Positive = Field(default=3e-3, ge=1e-8, le=1, description="Adam step size of the CNN.")
    learning_rate_end: NonNegative = Field(
        default=1e-4, le=1, description="Step size at the end of the budget (linear)."
    )
    batch_size: int = Field(default=64, ge=1, le=100_000, description="Pictures in a minibatch of the CNN.")
    passes: Positive = Field(default=2, le=100, description="How often a picture is learned from, on average.")
    pictures: int = Field(default=8192, ge=1, le=10_000_000, description="Latest pictures kept to learn from.")
    truth_fraction: Fraction = Field(
        default=0.5,
        description="Part of the budget over which fewer and fewer episodes show the policy the true state.",
    )
    at_rest: Fraction = Field(
        default=0.0,
        description="Share of the CNN's lessons made into those of a car at rest: one picture at all times, no motion.",
    )


class _LearnerSpec(Spec):
    """What PPO and DQN have in common."""

    name: str = Field(description="The file's name.")
    description: str = Field(default="", description="One line for `drive-rl list`.")
    observation: Observation = Field(default="camera", description="What the driver sees.")
    encoder: DriverEncoderSpec = Field(default=DriverEncoderSpec(), description="The image encoder.")
    perception_model: str | None = Field(
        default=None,
        description="A perception run or model that tells the policy the lane state, learning nothing more; asks for"
        " observation = camera+state, of which it takes the pictures and what a car measures of itself.",
    )
    guidance: GuidanceSpec | None = Field(
        default=None,
        description="Help from the true lane state while learning from `camera`; null: pixels and reward alone.",
    )
    hidden: tuple[Annotated[int, Field(ge=1, le=4096)], ...] = Field(
        default=(64, 64), description="Layers between what is seen and actions or values."
    )
    num_envs: int = Field(default=8, ge=1, le=100_000, description="Environments stepped together.")

    learning_rate: Positive = Field(default=5e-4, ge=1e-8, le=1, description="Adam step size.")
    learning_rate_end: NonNegative = Field(
        default=5e-5, le=1, description="Step size at the end of the budget (linear)."
    )
    gamma: Fraction = Field(default=0.95, description="Discount.")
    retry: Fraction = Field(
        default=0.5, description="Chance that an episode takes place on a road that was failed before."
    )

    @property
    def is_guided(self) -> bool:
        """Whether a driver that sees the camera alone is helped by the true lane state while it learns."""
        return self.observation == "camera" and self.guidance is not None

    @model_validator(mode="after")
    def _sees_what_it_learns_from(self) -> Self:
        if self.perception_model is not None and self.observation != "camera+state":
            raise ValueError(
                f"perception_model = {self.perception_model!r}: with observation = {self.observation} it lacks"
                " pictures or the car's sensors; fix: observation = camera+state"
            )
        if self.encoder.init_from is not None and (self.perception_model is not None or self.observation == "state"):
            raise ValueError(
                f"encoder.init_from = {self.encoder.init_from!r}: a policy that sees the lane state has no encoder;"
                " fix: encoder.init_from = null"
            )
        return self


def _dqn_learns(agent: "DqnSpec", budget_steps: int) -> None:
    """Refuse a DQN that would end its budget without an update, or on the target network that it began with."""
    if agent.learning_starts >= budget_steps:
        raise ValueError(
            f"agent.learning_starts = {agent.learning_starts}: DQN would learn nothing within budget_steps ="
            f" {budget_steps}; fix: a smaller agent.learning_starts, or budget_steps > {agent.learning_starts}"
        )
    if agent.target_update_every > budget_steps:
        raise ValueError(
            f"agent.target_update_every = {agent.target_update_every} is more than budget_steps = {budget_steps}: the"
            f" target network would never learn; fix: agent.target_update_every <= {budget_steps}"
        )


class PpoSpec(_LearnerSpec):
    """PPO (Schulman et al. 2017, arXiv 1707.06347) on stable-baselines3."""

    algorithm: Literal["ppo"]
    actions: Actions = Field(default="continuous", description="Continuous steering and pedal, or the world's grid.")
    steps_per_update: int = Field(
        default=256, ge=2, le=100_000, description="Steps of each environment between updates."
    )
    batch_size: int = Field(default=256, ge=2, le=1_000_000, description="Samples in a minibatch.")
    epochs: int = Field(default=4, ge=1, le=100, description="Passes over the samples of an update.")
    gae_lambda: Fraction = Field(default=0.9, description="Lambda of the advantage estimate.")
    clip_range: Positive = Field(default=0.2, ge=1e-6, le=10, description="PPO's clip.")
    entropy_coef: NonNegative = Field(default=0.0, le=10, description="Weight of the entropy bonus.")
    value_coef: NonNegative = Field(default=0.5, le=10, description="Weight of the value loss.")
    max_grad_norm: Positive = Field(default=0.5, ge=1e-6, le=1000, description="Gradient clip.")
    log_std_init: tuple[LogStd, LogStd] = Field(
        default=(-1.8, -0.7), description="Log of the first action noise of steering and pedal (continuous)."
    )

    @model_validator(mode="after")
    def _batch_fits(self) -> Self:
        samples = self.num_envs * self.steps_per_update
        if self.batch_size > samples:
            raise ValueError(
                f"batch_size = {self.batch_size} is more than the {samples} samples of an update"
                f" (num_envs x steps_per_update); fix: batch_size <= {samples}"
            )
        return self


class DqnSpec(_LearnerSpec):
    """DQN (Mnih et al. 2015, doi 10.1038/nature14236) on stable-baselines3."""

    algorithm: Literal["dqn"]
    actions: Literal["discrete"] = Field(default="discrete", description="DQN chooses from the world's action grid.")
    buffer_size: int = Field(default=40_000, ge=100, le=10_000_000, description="Transitions kept.")
    learning_starts: int = Field(default=1000, ge=1, le=10_000_000, description="Steps before the first update.")
    batch_size: int = Field(default=64, ge=1, le=100_000, description="Samples in a minibatch.")
    train_every: int = Field(default=1, ge=1, le=100_000, description="Steps of each environment between updates.")
    gradient_steps: int = Field(default=2, ge=1, le=10_000, description="Gradient steps in an update.")
    n_steps: int = Field(
        default=1, ge=1, le=100, description="Rewards summed before a value is asked for (n-step returns)."
    )
    target_update_every: int = Field(
        default=500, ge=1, le=10_000_000, description="Steps between updates of the target network."
    )
    tau: Fraction = Field(
        default=1.0, gt=0, description="How far such an update moves it towards the values; 1: copies them."
    )
    exploration_fraction: Fraction = Field(default=0.3, description="Part of the budget over which exploration falls.")
    exploration_end: Fraction = Field(default=0.02, description="Chance of a random action from then on.")
    max_grad_norm: Positive = Field(default=10, ge=1e-6, le=1000, description="Gradient clip.")

    @model_validator(mode="after")
    def _a_step_fits(self) -> Self:
        if self.buffer_size < self.num_envs:
            raise ValueError(
                f"buffer_size = {self.buffer_size} does not hold one step of num_envs = {self.num_envs}; fix:"
                f" buffer_size >= {self.num_envs}"
            )
        return self

    @model_validator(mode="after")
    def _one_step_of_two_observations(self) -> Self:
        if self.observation == "camera+state" and self.perception_model is None and self.n_steps > 1:
            raise ValueError(
                f"n_steps = {self.n_steps}: the replay buffer of observation = camera+state knows single steps only;"
                " fix: n_steps = 1"
            )
        return self


class ReferenceSpec(Spec):
    """A privileged driver: pure-pursuit steering and proportional speed control (Coulter 1992; Snider 2009)."""

    name: str = Field(description="The file's name.")
    description: str = Field(default="", description="One line for `drive-rl list`.")
    algorithm: Literal["reference"]
    observation: Literal["state"] = Field(default="state", description="It is given the true lane state.")
    actions: Literal["continuous"] = Field(default="continuous", description="Continuous steering and pedal.")
    lookahead_s: Positive = Field(default=0.6, le=10, description="Look-ahead distance over speed [s].")
    min_lookahead_m: Positive = Field(default=4.0, le=100, description="Smallest look-ahead distance [m].")
    speed_gain: Positive = Field(default=0.6, le=100, description="Pedal over speed error [s/m].")


LearnerSpec = PpoSpec | DqnSpec
AgentSpec = Annotated[PpoSpec | DqnSpec | ReferenceSpec, Field(discriminator="algorithm")]


class EvalSpec(Spec):
    """Held-out evaluation while training: always the first roads of the val split."""

    every_steps: int = Field(default=10_000, ge=1, description="Training steps between evaluations.")
    episodes: int = Field(default=20, ge=1, le=1000, description="Val roads driven each time.")
    stop_at_success: Fraction | None = Field(
        default=None, description="Stop once this success rate is held (null: never)."
    )
    stop_after: int = Field(default=2, ge=1, le=100, description="Evaluations in a row that must hold the bar.")


class RunSpec(Spec):
    """An experiment: which driver learns in which world, with what budget."""

    name: str = Field(description="The file's name.")
    description: str = Field(default="", description="One line for `drive-rl list`.")
    world: WorldSpec = Field(description="The world: a name, or a mapping with `base: NAME` and differences.")
    agent: Annotated[LearnerSpec, Field(discriminator="algorithm")] = Field(
        description="The driver: a name, or a mapping with `base: NAME` and differences."
    )
    train_tiers: dict[str, Weight] = Field(
        default={}, description="Weights of the world's road tiers on training roads, where they are to differ."
    )
    engine: Engine = Field(
        default="bullet", description="`bullet` (PyBullet, one car at a time), or `batch` (all cars in compiled code)."
    )
    seed: int = Field(default=0, ge=0, le=2**31 - 1, description="Seed of weights, exploration and the order of roads.")
    budget_steps: int = Field(default=100_000, ge=1, le=10**12, description="Environment steps to train for.")
    checkpoint_every: int = Field(default=20_000, ge=1, le=10**12, description="Steps between numbered checkpoints.")
    keep_checkpoints: int = Field(default=2, ge=1, le=10_000, description="Numbered checkpoints kept, newest first.")
    evaluation: EvalSpec = Field(default=EvalSpec(), description="Held-out evaluation.")
    track: Track = Field(default="wandb", description="Tracker.")
    project: str = Field(default="drive-rl", description="The tracker's project.")

    @model_validator(mode="after")
    def _trains_on_tiers_of_its_world(self) -> Self:
        known = self.world.road.tiers
        for tier, weight in self.train_tiers.items():
            if tier not in known:
                raise ValueError(
                    f"train_tiers.{tier} = {weight:g}: expected a tier of the world; fix: one of {', '.join(known)}"
                )
        return self

    @model_validator(mode="after")
    def _learns_something(self) -> Self:
        if isinstance(self.agent, DqnSpec):
            _dqn_learns(self.agent, self.budget_steps)
        guidance = self.agent.guidance if self.agent.observation == "camera" else None
        if guidance is not None and guidance.batch_size > guidance.passes * self.budget_steps:
            raise ValueError(
                f"agent.guidance.batch_size = {guidance.batch_size} is more than the {guidance.passes:g} passes over"
                f" budget_steps = {self.budget_steps} pictures make: the CNN would never learn; fix: a smaller"
                " agent.guidance.batch_size, or a larger budget_steps"
            )
        return self

    @model_validator(mode="after")
    def _route_can_be_driven_in_time(self) -> Self:
        car, task, length_m = self.world.car, self.world.task, self.world.road.length_m
        start_mps, limit_s = task.start_speed_mps[1], task.time_limit_s
        farthest_m = min(
            start_mps * limit_s + car.drive_force_n / car.mass_kg * limit_s**2 / 2,
            max(start_mps, car.top_speed_mps) * limit_s,
        )
        if farthest_m < length_m:
            raise ValueError(
                f"world.task.time_limit_s = {limit_s:g} is too short for world.road.length_m = {length_m:g}: at full"
                f" throttle the car gets {farthest_m:.3g} m far, and no driver could succeed; fix: a longer"
                " world.task.time_limit_s or a shorter road"
            )
        return self

    @property
    def training_world(self) -> WorldSpec:
        """The world with the weights that its road tiers have on training roads."""
        raw = self.world.model_dump()
        for name, weight in self.train_tiers.items():
            raw["road"]["tiers"][name]["weight"] = weight
        return WorldSpec.model_validate(raw)
