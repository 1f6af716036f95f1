"""Specs of hazards: what happens on every route beside the traffic."""

from typing import Annotated, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from drive_rl.config.specs.base import Bounds, Spec, ordered

ObstacleBody = Literal["car", "van", "lorry", "bus", "cyclist", "works"]
"""What stands in a lane; works are barriers around a hole in the road."""


class _HazardSpec(Spec):
    @property
    def actors(self) -> int:
        """How many actors it has."""
        return 1

    @field_validator("*")
    @classmethod
    def _within(cls, value: object, info: ValidationInfo) -> object:
        if info.field_name in _HAZARD_LIMITS and isinstance(value, tuple):
            ordered(info.field_name, value, *_HAZARD_LIMITS[info.field_name])
        return value


_HAZARD_LIMITS: dict[str, Bounds] = {
    "gap_m": (5, 100),
    "after_m": (0, 1000),
    "distance_m": (0, 1000),
    "stands_s": (0, 60),
    "speed_mps": (0.5, 20),
    "early_s": (-5, 5),
    "beside_m": (0.5, 3),
    "into_m": (0.3, 3.5),
    "rides_mps": (0.5, 6),
}


class HardBrakeSpec(_HazardSpec):
    """A car ahead on the route brakes as hard as it can, stands, and drives on (CARLA: HardBreakRoute)."""

    kind: Literal["hard_brake"] = Field(default="hard_brake", description="Which kind of hazard.")
    gap_m: Bounds = Field(default=(15, 25), description="How far ahead of the ego car it begins [m].")
    after_m: Bounds = Field(default=(30, 80), description="It brakes after the ego car has driven so far ... [m]")
    within_m: float = Field(default=25, ge=5, le=100, description="... once that is so near behind it [m].")
    stands_s: Bounds = Field(default=(2, 5), description="How long it stands then [s].")


class BlockedLaneSpec(_HazardSpec):
    """A car stands on the route and drives on after a while (CARLA: BlockedIntersection, behind a junction)."""

    kind: Literal["blocked_lane"] = Field(default="blocked_lane", description="Which kind of hazard.")
    beyond: Literal["start", "junction"] = Field(
        default="junction", description="What it stands beyond: the start, or the first junction on the route."
    )
    distance_m: Bounds = Field(default=(4, 10), description="How far beyond it its rear is [m].")
    within_m: float = Field(default=60, ge=5, le=100, description="Once the ego car is so near to it [m] ...")
    stands_s: Bounds = Field(default=(6, 12), description="... it stands for so long [s].")

    @model_validator(mode="after")
    def _is_seen_from_the_junction(self) -> Self:
        if self.beyond == "junction" and self.within_m < _ACROSS_M:
            raise ValueError(
                f"within_m = {self.within_m:g}: expected at least {_ACROSS_M:g} with beyond = junction, where the ego"
                f" car waits before the junction; fix: within_m = {_ACROSS_M:g}"
            )
        return self


_ACROSS_M = 60.0
"""From a stop line to behind a large junction, along the route [m]."""


class CrossingVehicleSpec(_HazardSpec):
    """At the junction that the route begins before, a car drives across the ego car's way without the right to.

    It runs its red light, or takes the priority (CARLA: OppositeVehicleRunningRedLight, OppositeVehicleTakingPriority).
    """

    kind: Literal["runs_red_light", "takes_priority"] = Field(
        default="takes_priority", description="Which kind of hazard."
    )
    comes_from: Literal["left", "right", "ahead"] | None = Field(
        default=None, description="Where it comes from, seen from the ego car; null: anywhere."
    )
    speed_mps: Bounds = Field(default=(7, 10), description="How fast it crosses [m/s].")
    early_s: Bounds = Field(
        default=(-0.5, 0.5),
        description="How long before the ego car it would come to where their ways meet, if that kept its speed [s].",
    )


class CrossingPedestrianSpec(_HazardSpec):
    """A pedestrian walks across the street before the ego car (CARLA: DynamicObjectCrossing, PedestrianCrossing)."""

    kind: Literal["crossing_pedestrian"] = Field(default="crossing_pedestrian", description="Which kind of hazard.")
    beyond: Literal["start", "junction"] = Field(
        default="start", description="Beyond what it crosses: the start, or the first junction on the route."
    )
    distance_m: Bounds = Field(default=(40, 80), description="How far beyond it [m].")
    side: Literal["left", "right"] | None = Field(default=None, description="Where it comes from; null: either.")
    beside_m: Bounds = Field(default=(1, 2.5), description="How far beside the outermost lane it waits [m].")
    speed_mps: Bounds = Field(default=(1, 1.8), description="How fast it walks [m/s].")
    early_s: Bounds = Field(
        default=(0, 0.5),
        description="How long before the ego car it would be in the middle of its lane, if that kept its speed [s].",
    )
    behind: tuple[ObstacleBody, ...] = Field(
        default=(),
        max_length=4,
        exclude_if=lambda behind: not behind,
        description="What is parked beside the street before it, the nearest first, so that it is seen late.",
    )

    @property
    def actors(self) -> int:
        """How many actors it has."""
        return 1 + len(self.behind)

    @model_validator(mode="after")
    def _hides_on_the_right(self) -> Self:
        if self.behind and self.side != "right":
            raise ValueError(
                f"behind = {list(self.behind)}, with side = {self.side or 'null'}: expected side = right, where cars"
                " park; fix: side = right, or behind = []"
            )
        return self


class ObstacleSpec(_HazardSpec):
    """Something stands in the ego car's lane for good, or rides slowly at its edge, and has to be passed.

    CARLA: Accident, ConstructionObstacle, ParkedObstacle, HazardAtSideLane, and the same with TwoWays. In such worlds
    the ego car may use the lane on its left near it.
    """

    kind: Literal["obstacle"] = Field(default="obstacle", description="Which kind of hazard.")
    bodies: tuple[ObstacleBody, ...] = Field(
        default=("car",), min_length=1, max_length=4, description="What stands there, the nearest first."
    )
    beside: Literal["own", "oncoming"] = Field(
        default="oncoming", description="Which way the lane on the left goes, in which the ego car passes."
    )
    distance_m: Bounds = Field(default=(35, 50), description="How far beyond the start the nearest one's rear is [m].")
    into_m: Bounds = Field(default=(1.2, 2.2), description="How far they reach into the lane, from its right edge [m].")
    rides_mps: Bounds | None = Field(default=None, description="How fast they ride [m/s]; null: they stand.")

    @property
    def actors(self) -> int:
        """How many actors it has."""
        return len(self.bodies)

    @model_validator(mode="after")
    def _works_do_not_ride(self) -> Self:
        if self.rides_mps is not None and "works" in self.bodies:
            raise ValueError("rides_mps of works: expected null; fix: rides_mps = null, or other bodies")
        return self


HazardSpec = Annotated[
    HardBrakeSpec | BlockedLaneSpec | CrossingVehicleSpec | CrossingPedestrianSpec | ObstacleSpec,
    Field(discriminator="kind"),
]
"""A hazard of any kind."""
