"""Strips of lanes that who walks across a street comes to, one after another."""

import numpy as np
from numpy.typing import NDArray

from drive_rl.sim.compiled import njit_scalar
from drive_rl.sim.map.lane_geometry import locate, pose_at
from drive_rl.sim.map.network import RoadNetwork
from drive_rl.sim.traffic.actors import LANE, SHIFT, S

STRIP_LANE, STRIP_S, MIDDLE, SIDE, UNTIL = range(5)
"""Columns of strips: a lane that a pedestrian crosses, s on it [m], walked when it is in its middle [m], whether that
goes to the left (1) or to the right (-1) there, walked when it leaves it [m]."""
MOST_STRIPS = 8
_MARGIN_M = 0.25
"""Who crosses has left a lane so far beside it [m]."""


def strips_across(
    network: RoadNetwork, lane: int, s_m: float, body: tuple[float, float], from_left: bool
) -> tuple[NDArray[np.float64], float]:
    """Return the strips (n, 5) of a straight way across a street at a place on a lane, and the whole way's length [m].

    `body`: how far beside the street it begins and ends, and how far who crosses reaches before and behind it [m].
    """
    beside_m, reach_m = body
    x, y, _ = pose_at(network, lane, s_m, 0.0)
    lanes, right, left = [lane], int(network.right[lane]), int(network.left[lane])
    while right >= 0:
        lanes, right = [right, *lanes], int(network.right[right])
    while left >= 0:
        lanes, left = [*lanes, left], int(network.left[left])
    along, oncoming = len(lanes), int(network.opposite[lanes[-1]])
    while oncoming >= 0:
        lanes, oncoming = [*lanes, oncoming], int(network.right[oncoming])
    places = [locate(network, each, x, y) for each in lanes]
    ahead = np.where(np.arange(len(lanes)) < along, 1.0, -1.0)
    d_m = -ahead * [d for _, d in places]  # of each lane's middle, left-positive from the first one's
    half_m = network.width_m[lanes] / 2
    start_m = d_m[-1] + half_m[-1] + beside_m if from_left else d_m[0] - half_m[0] - beside_m
    walks = -1.0 if from_left else 1.0
    middle = walks * (d_m - start_m)
    left_m = middle + half_m + reach_m + _MARGIN_M
    rows = np.column_stack([lanes, [s for s, _ in places], middle, ahead * walks, left_m])
    rows = rows[:: int(walks)]
    return rows, float(rows[-1, MIDDLE] + network.width_m[int(rows[-1, STRIP_LANE])] / 2 + beside_m)


@njit_scalar
def place_on_strips(i, traffic, strips, way):
    """Put actor i where it is once it has walked some way [m]."""
    k = 0
    while k + 1 < MOST_STRIPS and way > strips[k, UNTIL] and strips[k + 1, UNTIL] > 0.0:
        k += 1
    traffic.whole[i, LANE], traffic.real[i, S] = int(strips[k, STRIP_LANE]), strips[k, STRIP_S]
    traffic.real[i, SHIFT] = strips[k, SIDE] * (way - strips[k, MIDDLE])
