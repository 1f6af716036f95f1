"""Whether a road network can be driven: what is wrong is named with its lane, what was expected, and the fix."""

import math

import numpy as np

from drive_rl.errors import DriveRLError
from drive_rl.sim.map.network import RoadNetwork, StreetMap
from drive_rl.sim.map.routes import strong_parts

GAP_M = 0.05
"""Largest gap between the end of a lane and the start of its successor [m]."""
KINK_RAD = math.radians(3)
"""Largest change of heading there [rad]."""


def check_network(streets: StreetMap) -> None:
    """Refuse a map that cannot be driven.

    Raises:
        DriveRLError: it has no lanes, a lane without a successor, a gap or kink between lanes, a crossing without
            lanes, or lanes that cannot be reached from the others.
    """
    network = streets.network
    if not network.length_m.size:
        raise DriveRLError(f"{streets.name}: no lanes: expected at least one; fix: a map with roads for cars")
    _check_ends(streets)
    _check_gaps(streets)
    _check_crossings(streets)
    _check_reach(streets)


def _check_ends(streets: StreetMap) -> None:
    network = streets.network
    for lane in np.flatnonzero(np.diff(network.first_successor) == 0):
        raise DriveRLError(
            f"{streets.name}: lane {streets.lanes[lane]!r} is a dead end at {_end(network, lane)}: expected a"
            " successor; fix: connect it to a lane, or leave it out"
        )


def _check_gaps(streets: StreetMap) -> None:
    network = streets.network
    before = np.repeat(np.arange(network.length_m.size), np.diff(network.first_successor))
    end, start = network.first_point[before + 1] - 1, network.first_point[network.successor]
    gap = np.hypot(network.x_m[end] - network.x_m[start], network.y_m[end] - network.y_m[start])
    turn = network.yaw_rad[start] - network.yaw_rad[end]
    kink = np.abs((turn + math.pi) % (2 * math.pi) - math.pi)
    for at in np.flatnonzero((gap > GAP_M) | (kink > KINK_RAD)):
        one, other = streets.lanes[before[at]], streets.lanes[network.successor[at]]
        raise DriveRLError(
            f"{streets.name}: lane {one!r} ends at {_end(network, before[at])}, {gap[at]:.2f} m and"
            f" {math.degrees(kink[at]):.1f} degrees from the start of its successor {other!r}: expected at most"
            f" {GAP_M:g} m and {math.degrees(KINK_RAD):g} degrees; fix: let the one begin where the other ends"
        )


def _check_crossings(streets: StreetMap) -> None:
    network = streets.network
    for crossing in np.setdiff1d(np.arange(len(network.crossing_corners)), network.crossing):
        x, y = network.crossing_corners[crossing].mean(axis=0)
        raise DriveRLError(
            f"{streets.name}: crossing {crossing} at ({x:.1f}, {y:.1f}) crosses no lane: expected at least one; fix:"
            " move it onto a road, or leave it out"
        )


def _check_reach(streets: StreetMap) -> None:
    part = strong_parts(streets.network)
    main = np.bincount(part).argmax()
    for lane in np.flatnonzero(part != main):
        other = streets.lanes[int(np.flatnonzero(part == main)[0])]
        raise DriveRLError(
            f"{streets.name}: lane {streets.lanes[lane]!r} cannot be reached from {other!r} and back: expected every"
            f" lane to reach every other ({int((part != main).sum())} do not); fix: connect it both ways, or leave it"
            " out"
        )


def _end(network: RoadNetwork, lane: np.intp) -> str:
    point = network.first_point[lane + 1] - 1
    return f"({network.x_m[point]:.1f}, {network.y_m[point]:.1f})"
