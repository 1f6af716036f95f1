"""Specs of streets: the maps of a world, the routes on them, their traffic, and a hazard on the way."""

from typing import Literal, Self

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)

from drive_rl.config.specs.base import Spec
from drive_rl.config.specs.streets.hazard import (
    BlockedLaneSpec,
    CrossingPedestrianSpec,
    CutInSpec,
    EmergencyVehicleSpec,
    HardBrakeSpec,
    HazardSpec,
    InvadingCarsSpec,
    ObstacleSpec,
    ParkingExitSpec,
)
from drive_rl.config.specs.streets.map import FileMapSpec, MapSpec, origin_of
from drive_rl.config.specs.streets.roadside import RoadsideSpec
from drive_rl.config.specs.streets.traffic import TrafficSpec


class JunctionSpec(Spec):
    """A junction that every route begins before; null leaves it open."""

    control: Literal["none", "stop_sign", "give_way", "signal"] | None = Field(
        default=None, description="What governs the lane that the route comes from; none: it has priority."
    )
    arms: Literal[3, 4] | None = Field(default=None, description="How many streets meet there.")
    turn: Literal["left", "straight", "right", "left_or_right"] | None = Field(
        default=None, description="Which way the route takes."
    )
    light: Literal["red", "green"] | None = Field(
        default=None, description="What the signal shows when a car that nothing hinders comes there."
    )
    approach_m: float = Field(default=60, ge=20, le=300, description="The route begins at most so far before it [m].")

    @model_validator(mode="after")
    def _has_a_light(self) -> Self:
        if self.light is not None and self.control != "signal":
            raise ValueError(
                f"light = {self.light}: expected control = signal, found {self.control or 'null'}; fix: control ="
                " signal, or light = null"
            )
        return self


_NEEDS = {
    "runs_red_light": ({"control": ("signal",), "light": ("green",)}, "{control: signal, light: green}"),
    "takes_priority": ({"control": ("none", "signal"), "light": (None, "green")}, "{control: none}"),
}
"""Hazards that need a junction: what it may be, and such a one."""


_MAPS = 16


class StreetsSpec(Spec):
    """Streets instead of a single road: an episode is a route on one of several maps, in traffic of its own."""

    map: MapSpec = Field(description="Which kind of map, and its few parameters.")
    maps: int = Field(
        default=_MAPS,
        ge=1,
        le=1000,
        description="Maps of each split; road seeds share them. Not of a map from a file, which is one for all splits.",
    )
    roadside: RoadsideSpec | None = Field(
        default=None,
        exclude_if=lambda roadside: roadside is None,
        description="What stands beside the streets; null: nothing.",
    )
    route_m: float = Field(default=300, ge=100, le=2000, description="Length of the routes [m].")
    junction: JunctionSpec | None = Field(
        default=None, description="A kind of junction that every route begins before; null: routes begin anywhere."
    )
    lane_changes: int = Field(
        default=0,
        ge=0,
        le=3,
        exclude_if=lambda count: count == 0,
        description="How often every route changes lanes first, to one side, before the junction if it begins before"
        " one.",
    )
    navigation: Literal["none", "command"] = Field(
        default="command",
        description="What the driver is given of the route: nothing, or how to turn at the next junction, as an arrow"
        " in the upper left corner of the picture from 40 m before it, and to which side to change lanes, from 5 s"
        " before; a bar below the arrow counts down to where that begins.",
    )
    seen_within_s: float | None = Field(
        default=None,
        gt=0,
        le=60,
        exclude_if=lambda seconds: seconds is None,
        description="The privileged state holds only others that the camera showed in the last so many seconds [s], as"
        " they are now, and takes a signal whose lamp it did not show for red, as `--fair` asks for; null: all there"
        " is. Reward and ends stay as they are.",
    )
    traffic: TrafficSpec = Field(default=TrafficSpec(actors=40), description="The traffic on each map.")
    hazard: HazardSpec | None = Field(
        default=None,
        exclude_if=lambda hazard: hazard is None,
        description="What happens on every route, beside the traffic; null: nothing.",
    )

    @property
    def map_count(self) -> int:
        """How many maps each split has; a file is one, for all splits."""
        return 1 if isinstance(self.map, FileMapSpec) else self.maps

    @property
    def may_leave_lane(self) -> bool:
        """Whether the ego car has to be beside its lane somewhere."""
        return isinstance(self.hazard, ObstacleSpec | ParkingExitSpec)

    @property
    def has_passing_fields(self) -> bool:
        """Whether the privileged state says who drives in the lane on the left."""
        return isinstance(self.hazard, ObstacleSpec | InvadingCarsSpec)

    @field_validator("maps")
    @classmethod
    def _are_drawn(cls, value: int, info: ValidationInfo) -> int:
        own = info.data.get("map")
        if isinstance(own, FileMapSpec) and value != _MAPS and origin_of(info) == "recipe":
            raise ValueError(
                f"expected none beside map.kind = {own.kind}, for a file is one map; fix: leave it out, or null where"
                " its base has it"
            )
        return value

    @model_serializer(mode="wrap")
    def _without_what_a_file_is(self, serialize: SerializerFunctionWrapHandler) -> dict[str, object]:
        found: dict[str, object] = serialize(self)
        if isinstance(self.map, FileMapSpec):
            found.pop("maps", None)
        return found

    @model_validator(mode="after")
    def _keeps_or_leaves_its_lane(self) -> Self:
        if isinstance(self.hazard, EmergencyVehicleSpec):
            if not self.lane_changes:
                raise ValueError(
                    "lane_changes = 0: expected 1 or more beside hazard.kind = emergency_vehicle, for which the ego car"
                    " leaves its lane; fix: lane_changes = 1"
                )
        elif self.hazard and self.lane_changes:
            raise ValueError(
                f"lane_changes = {self.lane_changes}: expected 0 beside hazard.kind = {self.hazard.kind}, for hazards"
                " have their places on routes that keep their lane; fix: lane_changes = 0, or hazard = null"
            )
        return self

    @model_validator(mode="after")
    def _happens_on_the_route(self) -> Self:
        hazard, key, far_m = self.hazard, "", 0.0
        if isinstance(hazard, HardBrakeSpec):
            key, far_m = "after_m", hazard.after_m[1]
        elif isinstance(hazard, ObstacleSpec | CutInSpec | InvadingCarsSpec) or (
            isinstance(hazard, BlockedLaneSpec | CrossingPedestrianSpec) and hazard.beyond == "start"
        ):
            key, far_m = "distance_m", hazard.distance_m[1]
        if key and far_m >= self.route_m:
            raise ValueError(
                f"hazard.{key} = {list(getattr(hazard, key))}: expected less than route_m = {self.route_m:g}, for"
                f" nothing happens behind the route; fix: a smaller hazard.{key}, or a larger route_m"
            )
        return self

    @model_validator(mode="after")
    def _has_the_junction(self) -> Self:
        kind = self.hazard.kind if self.hazard else ""
        if kind in _NEEDS:
            allowed, such = _NEEDS[kind]
            found = self.junction and {name: getattr(self.junction, name) for name in allowed}
            if found is None or any(found[name] not in allowed[name] for name in allowed):
                raise ValueError(
                    f"hazard.kind = {kind}: expected a junction where the ego car may go first, found junction ="
                    f" {found or 'null'}; fix: junction = {such}"
                )
        return self
