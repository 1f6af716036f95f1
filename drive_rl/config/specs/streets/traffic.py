"""Specs of traffic: which vehicles there are, and the populations that their drivers are drawn from.

Every driver's parameters are drawn uniformly from the ranges of one population. Drivers of `train` and `val` are
`normal`; those of `test` come from populations that training never meets, since traffic of one kind is nearly solved by
following the lane. Sources of the normal ranges: Treiber and Kesting, Traffic Flow Dynamics (2013), table 11.2 (T 1.0
to 1.5 s, s0 2 m, a 1 to 1.5, b 1.5 to 2 m/s^2); Kesting 2007 (politeness 0 to 0.5).
"""

from typing import Literal, Self

from pydantic import Field, model_validator

from drive_rl.config.specs.base import Bounds, Spec, Split, Weight, ordered

VehicleKind = Literal["car", "van", "lorry", "bus", "motorcycle", "cyclist"]
Population = Literal["normal", "aggressive", "timid", "erratic", "distracted", "slow"]


class PopulationSpec(Spec):
    """Ranges (low, high) of a population's drivers."""

    speed_factor: Bounds = Field(default=(0.85, 1.05), description="Desired speed over the speed limit [-].")
    time_gap_s: Bounds = Field(default=(1.0, 1.8), description="Time gap to the leader (T of IDM) [s].")
    min_gap_m: Bounds = Field(default=(1.5, 2.5), description="Gap in a queue (s0 of IDM) [m].")
    acceleration_mps2: Bounds = Field(default=(1.0, 2.0), description="Largest acceleration (a_max of IDM) [m/s^2].")
    braking_mps2: Bounds = Field(default=(1.5, 2.5), description="Comfortable braking (b of IDM) [m/s^2].")
    politeness: Bounds = Field(default=(0.0, 0.5), description="Weight of others' gains (p of MOBIL) [-].")
    accepted_gap_s: Bounds = Field(
        default=(1.0, 2.0), description="Time that must lie between leaving a conflict and the next car's arrival [s]."
    )
    patience_s: Bounds = Field(default=(20, 40), description="Wait at a junction after which one is served first [s].")
    offset_m: Bounds = Field(default=(-0.15, 0.15), description="Where in its lane one drives, left-positive [m].")
    speed_swing: Bounds = Field(default=(0.0, 0.0), description="How far the desired speed swings, as a share [-].")
    inattention_s: Bounds = Field(
        default=(0.0, 0.0), description="Time, once in 10 s, in which one does not look up and holds the pedal [s]."
    )

    @model_validator(mode="after")
    def _within(self) -> Self:
        for name, (low, high) in _LIMITS.items():
            ordered(name, getattr(self, name), low, high)
        return self


_LIMITS: dict[str, Bounds] = {
    "speed_factor": (0.3, 2),
    "time_gap_s": (0.3, 5),
    "min_gap_m": (0.5, 10),
    "acceleration_mps2": (0.3, 5),
    "braking_mps2": (0.5, 6),
    "politeness": (0, 1),
    "accepted_gap_s": (0, 10),
    "patience_s": (1, 600),
    "offset_m": (-0.5, 0.5),
    "speed_swing": (0, 0.5),
    "inattention_s": (0, 5),
}

POPULATIONS: dict[Population, PopulationSpec] = {
    "normal": PopulationSpec(),
    "aggressive": PopulationSpec(
        speed_factor=(1.1, 1.3),
        time_gap_s=(0.5, 0.9),
        min_gap_m=(1.0, 1.5),
        acceleration_mps2=(2.0, 3.0),
        braking_mps2=(2.5, 3.5),
        politeness=(0.0, 0.0),
        accepted_gap_s=(0.3, 0.8),
        patience_s=(5, 15),
    ),
    "timid": PopulationSpec(
        speed_factor=(0.6, 0.8),
        time_gap_s=(2.0, 3.0),
        min_gap_m=(2.5, 4.0),
        acceleration_mps2=(0.6, 1.0),
        braking_mps2=(1.0, 1.5),
        politeness=(0.5, 0.5),
        accepted_gap_s=(2.5, 4.0),
        patience_s=(40, 80),
    ),
    "erratic": PopulationSpec(speed_factor=(0.7, 1.2), offset_m=(-0.4, 0.4), speed_swing=(0.2, 0.4)),
    "distracted": PopulationSpec(inattention_s=(1.0, 2.5)),
    "slow": PopulationSpec(speed_factor=(0.3, 0.4)),
}
"""The populations by name."""

_TEST: dict[Population, Weight] = {"normal": 2, "aggressive": 1, "timid": 1, "erratic": 1, "distracted": 1}


class TrafficSpec(Spec):
    """The traffic of a world."""

    actors: int = Field(default=16, ge=0, le=1024, description="Vehicles on the map beside the ego car.")
    pedestrians: int = Field(
        default=0, ge=0, le=256, description="People on the map who cross at zebra crossings, back and forth."
    )
    kinds: dict[VehicleKind, Weight] = Field(
        default={"car": 12, "van": 3, "lorry": 2, "bus": 1, "motorcycle": 1, "cyclist": 1},
        min_length=1,
        description="How often each kind of vehicle is drawn, relative to the others.",
    )
    populations: dict[Population, Weight] = Field(
        default={"normal": 1}, min_length=1, description="How often each population is drawn in `train` and `val`."
    )
    test_populations: dict[Population, Weight] = Field(
        default=_TEST, min_length=1, description="How often each population is drawn in `test`."
    )

    def shares(self, split: Split) -> dict[Population, Weight]:
        """Return the weights of the populations of a split."""
        return self.test_populations if split == "test" else self.populations
