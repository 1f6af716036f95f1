"""Specs of streets: the maps of a world, the routes on them, and their traffic."""

from typing import Literal, Self

from pydantic import Field, model_validator

from drive_rl.config.specs.base import Spec
from drive_rl.config.specs.map import MapSpec
from drive_rl.config.specs.traffic import TrafficSpec


class JunctionSpec(Spec):
    """A junction that every route begins before; null leaves it open."""

    control: Literal["none", "stop_sign", "give_way", "signal"] | None = Field(
        default=None, description="What governs the lane that the route comes from; none: it has priority."
    )
    turn: Literal["left", "straight", "right"] | None = Field(default=None, description="Which way the route takes.")
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


class StreetsSpec(Spec):
    """Streets instead of a single road: an episode is a route on one of several maps, in traffic of its own."""

    map: MapSpec = Field(description="Which kind of map, and its few parameters.")
    maps: int = Field(default=16, ge=1, le=1000, description="Maps of each split; road seeds share them.")
    route_m: float = Field(default=300, ge=100, le=2000, description="Length of the routes [m].")
    junction: JunctionSpec | None = Field(
        default=None, description="A kind of junction that every route begins before; null: routes begin anywhere."
    )
    navigation: Literal["none", "command"] = Field(
        default="command",
        description="What the driver is given of the route: nothing, or how to turn at the next junction, as an arrow"
        " in the upper left corner of the picture from 40 m before it.",
    )
    traffic: TrafficSpec = Field(default=TrafficSpec(actors=40), description="The traffic on each map.")
