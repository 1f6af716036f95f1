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
    "opens_m": (5, 50),
    "behind_m": (20, 300),
    "speed_factor": (1, 2),
    "room_m": (3, 30),
    "comes_m": (5, 60),
    "apart_m": (5, 50),
    "overlap_m": (0, 0.5),
}
_WITH_DOORS = ("car", "van", "lorry")


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
    """A pedestrian walks across the street before the ego car (CARLA: DynamicObjectCrossing, PedestrianCrossing).

    Or a cyclist rides across it (CARLA: VehicleTurningRoute).
    """

    kind: Literal["crossing_pedestrian"] = Field(default="crossing_pedestrian", description="Which kind of hazard.")
    who: Literal["pedestrian", "cyclist"] = Field(
        default="pedestrian", exclude_if=lambda who: who == "pedestrian", description="Who crosses."
    )
    beyond: Literal["start", "junction"] = Field(
        default="start", description="Beyond what it crosses: the start, or the first junction on the route."
    )
    distance_m: Bounds = Field(default=(40, 80), description="How far beyond it [m].")
    side: Literal["left", "right"] | None = Field(default=None, description="Where it comes from; null: either.")
    beside_m: Bounds = Field(default=(1, 2.5), description="How far beside the outermost lane its middle waits [m].")
    speed_mps: Bounds = Field(default=(1, 1.8), description="How fast it walks or rides [m/s].")
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

    CARLA: Accident, ConstructionObstacle, ParkedObstacle, HazardAtSideLane, and the same with TwoWays; with a door,
    VehicleOpensDoorTwoWays. In such worlds the ego car may use the lane on its left near it.
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
    opens_m: Bounds | None = Field(
        default=None,
        exclude_if=lambda opens_m: opens_m is None,
        description="The last one's left door, 1.1 m wide, opens once the ego car is so near behind it [m]; null:"
        " none does.",
    )

    @property
    def actors(self) -> int:
        """How many actors it has; a door is one."""
        return len(self.bodies) + (self.opens_m is not None)

    @model_validator(mode="after")
    def _has_a_door(self) -> Self:
        if self.opens_m is not None and (self.bodies[-1] not in _WITH_DOORS or self.rides_mps is not None):
            raise ValueError(
                f"opens_m = {list(self.opens_m)} of bodies = {list(self.bodies)}, rides_mps ="
                f" {self.rides_mps and list(self.rides_mps)}: expected one that stands and has doors to be the last;"
                " fix: bodies = [car] and rides_mps = null, or opens_m = null"
            )
        return self

    @model_validator(mode="after")
    def _works_do_not_ride(self) -> Self:
        if self.rides_mps is not None and "works" in self.bodies:
            raise ValueError("rides_mps of works: expected null; fix: rides_mps = null, or other bodies")
        return self


class CutInSpec(_HazardSpec):
    """A car comes into the ego car's lane close before it (CARLA: ParkingCutIn, StaticCutIn, HighwayCutIn)."""

    kind: Literal["cut_in"] = Field(default="cut_in", description="Which kind of hazard.")
    comes_from: Literal["parking", "left", "right"] = Field(
        default="parking", description="Where it comes from: a place beside the street, or the lane on that side."
    )
    distance_m: Bounds = Field(default=(20, 30), description="How far beyond the start its rear is there [m].")
    behind: tuple[ObstacleBody, ...] = Field(
        default=(),
        max_length=4,
        description="What stands behind it, the nearest first, so that it is seen late; with none it drives in the lane"
        " that it comes from.",
    )
    speed_mps: Bounds = Field(default=(4, 5.5), description="How fast it drives [m/s].")
    early_s: Bounds = Field(
        default=(1.8, 2.5),
        description="It begins so long before the ego car would be there, if both kept their speeds [s].",
    )

    @property
    def actors(self) -> int:
        """How many actors it has."""
        return 1 + len(self.behind)


class EmergencyVehicleSpec(_HazardSpec):
    """An emergency vehicle comes from behind, faster than anybody, and keeps its lane (CARLA: YieldToEmergencyVehicle).

    Every route begins in that lane, and leaves it to the right.
    """

    kind: Literal["emergency_vehicle"] = Field(default="emergency_vehicle", description="Which kind of hazard.")
    behind_m: Bounds = Field(default=(50, 80), description="How far behind the ego car it begins [m].")
    speed_factor: Bounds = Field(default=(1.3, 1.5), description="Its desired speed over the speed limit [-].")


class ParkingExitSpec(_HazardSpec):
    """The ego car begins beside its lane, between two parked cars, and has to pull out (CARLA: ParkingExit).

    Until it has come into the lane it may be on the right of it.
    """

    kind: Literal["parking_exit"] = Field(default="parking_exit", description="Which kind of hazard.")
    room_m: Bounds = Field(default=(6, 8), description="From the ego car to the one before it, and behind [m].")
    comes_m: Bounds = Field(default=(8, 16), description="So far behind the ego car one comes in the lane [m].")

    @property
    def actors(self) -> int:
        """How many actors it has."""
        return 3


class InvadingCarsSpec(_HazardSpec):
    """Oncoming cars come around a bend partly in the ego car's lane, one after another (CARLA: InvadingTurn).

    They would touch a car in the middle of its lane; one at its right edge they pass.
    """

    kind: Literal["invading_cars"] = Field(default="invading_cars", description="Which kind of hazard.")
    cars: int = Field(default=3, ge=1, le=5, description="How many come.")
    distance_m: Bounds = Field(default=(40, 80), description="How far beyond the start the bend is [m].")
    radius_m: float = Field(default=150, ge=20, le=500, description="Its radius at most [m].")
    speed_mps: Bounds = Field(default=(7, 10), description="How fast they drive [m/s].")
    apart_m: Bounds = Field(default=(10, 25), description="From one to the next [m].")
    overlap_m: Bounds = Field(
        default=(0.15, 0.35), description="How far they reach into the way of a car in the middle of its lane [m]."
    )

    @property
    def actors(self) -> int:
        """How many actors it has."""
        return self.cars


HazardSpec = Annotated[
    HardBrakeSpec
    | BlockedLaneSpec
    | CrossingVehicleSpec
    | CrossingPedestrianSpec
    | ObstacleSpec
    | CutInSpec
    | EmergencyVehicleSpec
    | ParkingExitSpec
    | InvadingCarsSpec,
    Field(discriminator="kind"),
]
"""A hazard of any kind."""
