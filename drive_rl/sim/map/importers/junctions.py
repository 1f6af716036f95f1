"""Which lanes of a foreign map are connections of one junction, and which way they turn."""

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

from drive_rl.sim.map.build import LaneDraft, NetworkDraft
from drive_rl.sim.map.conflicts import zone
from drive_rl.sim.map.geometry import wrap
from drive_rl.sim.map.network import Turn

_STRAIGHT_RAD = math.radians(30)
_NEAR_M = 3.0


def find_junctions(draft: NetworkDraft, are_connections: Sequence[bool]) -> None:
    """Number the junctions: connections that begin together, end together or cross are in one.

    Args:
        draft: The lanes; their junctions and turns are set.
        are_connections: Whether the source says so of each lane; where lanes fork or join, they are too.
    """
    inside = [index for index, said in enumerate(are_connections) if said] or _forks(draft.lanes)
    for index in inside:
        points = draft.lanes[index].points
        turned = wrap(float(points[-1, 2] - points[0, 2]))
        straight = abs(turned) < _STRAIGHT_RAD
        draft.lanes[index].turn = Turn.STRAIGHT if straight else Turn.LEFT if turned > 0 else Turn.RIGHT
    for number, members in enumerate(_groups(draft.lanes, inside)):
        draft.outlines.append(np.empty((0, 2)))
        for index in members:
            draft.lanes[index].junction = number


def _forks(lanes: Sequence[LaneDraft]) -> list[int]:
    """Return the lanes that begin where lanes fork or end where they join, and have no neighbours."""
    led = Counter(after for lane in lanes for after in lane.successors)
    forked = {after for lane in lanes for after in lane.successors if len(lane.successors) > 1}
    joins = {index for index, lane in enumerate(lanes) if any(led[after] > 1 for after in lane.successors)}
    return sorted(index for index in forked | joins if lanes[index].left < 0 and lanes[index].right < 0)


def _groups(lanes: Sequence[LaneDraft], inside: Sequence[int]) -> list[list[int]]:
    """Return the connections of each junction: those that come close to each other, directly or through others."""
    places = [np.ascontiguousarray(lanes[index].points[:, :2]) for index in inside]
    low, high = (np.array([edge(xy, axis=0) for xy in places]).reshape(-1, 2) for edge in (np.min, np.max))
    groups, left = [], set(range(len(inside)))
    while left:
        members = [left.pop()]
        for one in members:  # grows meanwhile
            near = (low[one] - _NEAR_M < high).all(axis=1) & (low - _NEAR_M < high[one]).all(axis=1)
            met = [at for at in np.flatnonzero(near).tolist() if at in left and zone(places[one], places[at])[0] >= 0]
            left.difference_update(met)
            members += met
        groups.append(sorted(inside[at] for at in members))
    return sorted(groups)
