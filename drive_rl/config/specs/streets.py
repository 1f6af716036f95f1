"""Specs of streets: the maps of a world, the routes on them, and their traffic."""

from typing import Literal

from pydantic import Field

from drive_rl.config.specs.base import Spec
from drive_rl.config.specs.map import MapSpec
from drive_rl.config.specs.traffic import TrafficSpec


class StreetsSpec(Spec):
    """Streets instead of a single road: an episode is a route on one of several maps, in traffic of its own."""

    map: MapSpec = Field(description="Which kind of map, and its few parameters.")
    maps: int = Field(default=16, ge=1, le=1000, description="Maps of each split; road seeds share them.")
    route_m: float = Field(default=300, ge=100, le=2000, description="Length of the routes [m].")
    navigation: Literal["none", "command"] = Field(
        default="command",
        description="What the driver is given of the route: nothing, or how to turn at the next junction, as an arrow"
        " in the upper left corner of the picture from 40 m before it.",
    )
    traffic: TrafficSpec = Field(default=TrafficSpec(actors=40), description="The traffic on each map.")
