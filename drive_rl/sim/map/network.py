"""A map of streets as arrays that compiled functions take: lanes, how they connect, and what governs them.

Right-hand traffic. `s` [m] runs along a lane's centre line in its driving direction, `d` [m] is left-positive from it.
Lists of differing length lie one after another: those of lane `i` are `successor[first_successor[i] :
first_successor[i + 1]]`, and so for every `first_...`. An index of -1 is none. It knows nothing of how maps are drawn
at random, of actors or of paint.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.int32]
Codes = NDArray[np.int8]


class Marking(IntEnum):
    """What is painted on one side of a lane."""

    NONE = 0
    WHITE_SOLID = 1
    WHITE_DASHED = 2
    YELLOW_SOLID = 3
    YELLOW_DASHED = 4

    @property
    def is_yellow(self) -> bool:
        """Whether the paint is yellow."""
        return self in (Marking.YELLOW_SOLID, Marking.YELLOW_DASHED)

    @property
    def is_dashed(self) -> bool:
        """Whether the line is broken."""
        return self in (Marking.WHITE_DASHED, Marking.YELLOW_DASHED)


class Turn(IntEnum):
    """Which way a connection leads through its junction; a lane outside junctions has `NONE`."""

    NONE = 0
    LEFT = 1
    STRAIGHT = 2
    RIGHT = 3


class Control(IntEnum):
    """What governs the end of a lane."""

    NONE = 0
    STOP_SIGN = 1
    GIVE_WAY = 2
    SIGNAL = 3


class Priority(IntEnum):
    """Who goes first where two connections meet, seen from one of them."""

    YIELDS = -1
    NEITHER = 0  # their signals are never green together
    GOES_FIRST = 1


class Light(IntEnum):
    """State of a signal."""

    RED = 0
    YELLOW = 1
    GREEN = 2


class RoadNetwork(NamedTuple):
    """A map of streets: `P` points, `L` lanes, `J` junctions, `G` signal groups, `Z` zebra crossings, `B` bays.

    A lane between junctions is one of a road's, a lane within a junction is a connection from one lane to another.
    Points of a lane are evenly spaced; its first is at s = 0 and its last at s = `length_m`.
    """

    x_m: Floats  # (P,)
    y_m: Floats  # (P,)
    yaw_rad: Floats  # (P,), without jumps of 2 pi within a lane
    curvature_1pm: Floats  # (P,), left-positive

    first_point: Indices  # (L + 1,)
    length_m: Floats  # (L,)
    step_m: Floats  # (L,), spacing of the points along the lane
    width_m: Floats  # (L,)
    speed_limit_mps: Floats  # (L,)
    left: Indices  # (L,), the next lane of the same direction
    right: Indices  # (L,)
    opposite: Indices  # (L,), the oncoming lane that borders on the left
    left_marking: Codes  # (L,), `Marking`; a neighbour may be changed to across a dashed line
    right_marking: Codes  # (L,)
    paint_from_s_m: Floats  # (L,), its markings begin here, after a crossing
    paint_to_s_m: Floats  # (L,), and end here, before a crossing or at the stop line
    junction: Indices  # (L,), the junction that it is a connection of
    turn: Codes  # (L,), `Turn`
    control: Codes  # (L,), `Control` at its end
    stop_s_m: Floats  # (L,), stop line; NaN: none
    signal: Indices  # (L,), group of its signal

    first_successor: Indices  # (L + 1,)
    successor: Indices
    first_predecessor: Indices  # (L + 1,)
    predecessor: Indices

    first_conflict: Indices  # (L + 1,), connections of one junction whose cars would touch
    conflict_lane: Indices  # the other connection
    conflict_s_m: Floats  # from here ...
    conflict_end_s_m: Floats  # ... to here, along this connection
    conflict_priority: Codes  # `Priority` of this one

    crossing_corners: Floats  # (Z, 4, 2) [m]: people walk between the sides 0-1 and 2-3
    first_crossing: Indices  # (L + 1,), where lanes meet crossings
    crossing: Indices  # the crossing
    crossing_s_m: Floats  # from here ...
    crossing_end_s_m: Floats  # ... to here, along the lane

    bay_lane: Indices  # (B,), the lane that a parking bay lies along
    bay_s_m: Floats  # (B,), its middle
    bay_d_m: Floats  # (B,), its middle
    bay_length_m: Floats  # (B,), along the lane
    bay_width_m: Floats  # (B,)

    signal_junction: Indices  # (G,)
    signal_cycle_s: Floats  # (G,), time after which the lights repeat
    signal_start_s: Floats  # (G,), when in the cycle green begins
    signal_green_s: Floats  # (G,), how long green lasts
    signal_yellow_s: Floats  # (G,), how long yellow lasts after it; the rest is red

    first_corner: Indices  # (J + 1,), the paved outline of each junction
    corner: Floats  # (corners, 2) [m], counter-clockwise

    shoulder_m: float  # paved width beyond the outermost lines


class LaneLines(NamedTuple):
    """The lanes' centre lines alone, as `RoadNetwork` has them."""

    x_m: Floats
    y_m: Floats
    yaw_rad: Floats
    first_point: Indices
    length_m: Floats
    step_m: Floats


@dataclass(frozen=True)
class StreetMap:
    """A road network, with names for people.

    Attributes:
        name: What the map is called, with its seed or file.
        network: The network.
        lanes: A name for each lane: what the map's source calls it.
        unsupported: What the source holds and the network does not -> how many of it.
    """

    name: str
    network: RoadNetwork
    lanes: tuple[str, ...]
    unsupported: dict[str, int]
