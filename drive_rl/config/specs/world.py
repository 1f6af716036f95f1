"""Specs of worlds: road and appearance; `car` holds the car and its camera, `task` the task and the reward."""

import math
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from drive_rl.config.specs.base import Bounds, Observation, Spec, Weight, ordered
from drive_rl.config.specs.car import CameraSpec, CarSpec
from drive_rl.config.specs.plugin import Plugins
from drive_rl.config.specs.streets.streets import StreetsSpec
from drive_rl.config.specs.task import RewardSpec, TaskSpec

FREE_CAR_LENGTHS = 6
"""Car lengths at the start of a road without parked cars."""


class TierSpec(Spec):
    """One difficulty tier of roads."""

    min_radius_m: float = Field(ge=8, le=1000, description="Smallest radius of the reference line [m].")
    weight: Weight = Field(description="How often the tier is drawn, relative to the others.")


class RoadSpec(Spec):
    """The road: right-hand traffic; the reference line (d = 0) separates the two directions."""

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
        description="Gap from the right edge line to the parked cars [m]; negative: they stand in the lane.",
    )
    tiers: dict[str, TierSpec] = Field(min_length=1, description="Difficulty tiers by name.")

    @property
    def parked_cars(self) -> int:
        """Parked cars drawn; those too close to another are dropped."""
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


_NO_ROAD = RoadSpec(tiers={"none": TierSpec(min_radius_m=15, weight=1)})
"""The road of worlds that have streets."""


class AppearanceSpec(Spec):
    """Ranges (low, high) from which each episode's appearance is drawn; shades are reflectances in [0, 1]."""

    asphalt: Bounds = Field(default=(0.18, 0.38), description="Shade of the asphalt.")
    verge: Bounds = Field(default=(0.25, 0.55), description="Shade of the verge.")
    greenness: Bounds = Field(default=(0.2, 1.0), description="Verge colour from dry earth (0) to grass (1).")
    marking: Bounds = Field(default=(0.75, 1.0), description="Shade of the painted lines.")
    sky: Bounds = Field(default=(0.6, 0.95), description="Shade of the sky.")
    wear: Bounds = Field(default=(0.0, 0.5), description="Wear of lines and asphalt.")
    brightness: Bounds = Field(default=(0.75, 1.2), description="Factor on the whole image.")
    camera_height_error_m: float = Field(default=0.05, ge=0, le=0.5, description="Mount height error, +- [m].")
    camera_pitch_error_rad: float = Field(default=0.01, ge=0, le=0.2, description="Mount pitch error, +- [rad].")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for name in ("asphalt", "verge", "greenness", "marking", "sky", "wear"):
            ordered(name, getattr(self, name), 0, 1)
        ordered("brightness", self.brightness, 0.1, 3)
        return self


Ability = Literal["merging", "overtaking", "emergency_brake", "give_way", "traffic_signs"]
"""The abilities that scenarios test, as Bench2Drive has them (Jia et al. 2024, arXiv 2406.03877)."""


class ScenarioSpec(Spec):
    """What makes a world a scenario, one file in `envs/scenarios/`: what it tests, and when it is passed."""

    ability: Ability = Field(description="The ability that it tests.")
    forbids: tuple[Literal["red_light", "stop_sign", "yield_emergency"], ...] = Field(
        default=("red_light", "stop_sign"),
        description="What spoils success in `drive-rl bench driving`, beside what always does.",
    )


class WorldSpec(Spec):
    """A world: one file in `envs/`, one Gymnasium id."""

    name: str = Field(description="The file's name; `lane_follow` becomes `drive_rl/LaneFollow-v1`.")
    description: str = Field(default="", description="One line for `drive-rl list`.")
    road: RoadSpec = Field(exclude_if=lambda road: road == _NO_ROAD, description="The road.")
    streets: StreetsSpec | None = Field(
        default=None,
        exclude_if=lambda streets: streets is None,
        description="Streets instead of a single road; null: none.",
    )
    scenario: ScenarioSpec | None = Field(
        default=None,
        exclude_if=lambda scenario: scenario is None,
        description="The scenario that the world is, of streets; null: none.",
    )
    car: CarSpec = Field(default=CarSpec(), description="The car.")
    camera: CameraSpec = Field(default=CameraSpec(), description="The driver's camera.")
    task: TaskSpec = Field(default=TaskSpec(), description="The task.")
    reward: RewardSpec = Field(default=RewardSpec(), description="The reward.")
    appearance: AppearanceSpec = Field(default=AppearanceSpec(), description="The appearance.")
    observation: Observation = Field(
        default="motion",
        description="What gymnasium.make returns by default: frames (camera), the changes between them and"
        " the newest (motion), the true lane state, or camera+state.",
    )
    reward_threshold: float | None = Field(
        default=None,
        gt=0,
        exclude_if=lambda threshold: threshold is None,
        description="Mean return at which the world counts as solved, in Gymnasium's spec; null: none.",
    )
    plugins: Plugins = ()

    @property
    def tiers(self) -> tuple[str, ...]:
        """Names of the tiers of difficulty that an episode may belong to."""
        return tuple(self.road.tiers) if self.streets is None else (self.streets.map.kind,)

    @model_validator(mode="before")
    @classmethod
    def _streets_have_no_road(cls, values: Any) -> Any:
        if not isinstance(values, dict) or values.get("streets") is None:
            return values
        if values.get("road", _NO_ROAD) != _NO_ROAD:
            raise ValueError("streets beside a road: expected one of them; fix: leave road out, or take another base")
        return {**values, "road": _NO_ROAD}

    @model_validator(mode="after")
    def _scenarios_have_streets(self) -> Self:
        if self.scenario is not None and self.streets is None:
            raise ValueError(
                f"scenario.ability = {self.scenario.ability}, without streets: expected a world that has them; fix: a"
                " base such as town, or leave scenario out"
            )
        return self

    @model_validator(mode="after")
    def _camera_above_ground(self) -> Self:
        if self.appearance.camera_height_error_m >= self.camera.height_m:
            raise ValueError(
                f"appearance.camera_height_error_m = {self.appearance.camera_height_error_m:g} would put the camera"
                f" under ground: expected less than camera.height_m = {self.camera.height_m:g}; fix:"
                " a smaller error, or a higher camera"
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
        drawn, grey = self.appearance, self.camera.channels == "grey"
        darkest = min(drawn.asphalt[0], drawn.verge[0], drawn.marking[0])
        lightest = max(drawn.asphalt[1], drawn.verge[1], drawn.marking[1])
        contrast = max(min(1, light * lightest) - min(1, light * darkest) for light in drawn.brightness)
        if contrast < 1 / 255 and (grey or drawn.brightness[1] * lightest < 1 / 255):
            raise ValueError(
                f"appearance: asphalt = {list(drawn.asphalt)}, verge = {list(drawn.verge)} and marking ="
                f" {list(drawn.marking)} look the same at brightness = {list(drawn.brightness)}: the pictures would not"
                " show the road; fix: shades that differ"
            )
        return self
