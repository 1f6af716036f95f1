"""Streets as nodes and the curves between them, before there are lanes. Two streets meet at nodes only.

Seen from a node, its streets are arms, in counter-clockwise order.
"""

import math
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from drive_rl.sim.compiled import njit
from drive_rl.sim.map.geometry import Knots, wrap
from drive_rl.sim.map.network import Marking
from drive_rl.sim.map.streets.curves import Curve, Pose, pose

MAJOR_RAD = math.radians(40)
"""Two arms that differ from a straight line by less are one street that goes on."""

Right = Literal["signals", "stop", "give_way", "none"]
"""Who may go: signals, or signs for the minor arms, or the right before the left."""


@dataclass(frozen=True)
class Street:
    """A two-way street between two nodes; its curve leads from the centre of one to the centre of the other."""

    start: int
    end: int
    curve: Curve
    speed_limit_mps: float
    lanes: int = 1  # in each direction
    lane_width_m: float = 3.5
    shoulder_m: float = 0.5
    centre: Marking = Marking.YELLOW_DASHED
    edge: Marking = Marking.WHITE_SOLID
    parking: bool = False

    @property
    def half_width_m(self) -> float:
        """Half of the paved width."""
        return self.lanes * self.lane_width_m + self.shoulder_m


@dataclass(frozen=True)
class Node:
    """Where streets meet: a roundabout or a junction; where two meet, a bend.

    Attributes:
        right: Who may go first.
        crossings: Share of arms with a zebra crossing.
        corner_m: Radius of the kerb at corners.
        roundabout_m: Radius of a roundabout's lane; 0: none.
    """

    right: Right = "none"
    crossings: float = 0.0
    corner_m: float = 6.5
    roundabout_m: float = 0.0


@dataclass
class Arm:
    """One street as a node sees it; its lanes are numbered from the middle of the street outwards.

    Attributes:
        street: The street.
        number: Which one of the graph's it is.
        outward: Whether the street's curve leads away from the node.
        yaw_rad: Its heading at the node, away from it.
        setback_m: Distance from the node to where the street's lanes end.
        into: Lanes that lead to the node.
        out: Lanes that lead away.
    """

    street: Street
    number: int
    outward: bool
    yaw_rad: float
    setback_m: float = 0.0
    into: list[int] = field(default_factory=list)
    out: list[int] = field(default_factory=list)

    def at(self, from_node_m: float, d_m: float = 0.0) -> Pose:
        """Return the pose at a distance from the node that heads away from it, `d_m` left of the street's middle."""
        curve = self.street.curve
        if self.outward:
            return pose(curve, from_node_m, d_m)
        found = pose(curve, curve.length_m - from_node_m, -d_m)
        return Pose(found.x, found.y, found.yaw + math.pi)

    @property
    def half_width_m(self) -> float:
        """Half of the paved width."""
        return self.street.half_width_m


@dataclass
class StreetGraph:
    """Nodes and the streets between them."""

    nodes: list[Node]
    streets: list[Street]

    def arms(self) -> list[list[Arm]]:
        """Return the arms of each node, counter-clockwise."""
        arms: list[list[Arm]] = [[] for _ in self.nodes]
        for number, street in enumerate(self.streets):
            first, last = street.curve.points[0].tolist(), street.curve.points[-1].tolist()
            arms[street.start].append(Arm(street, number, True, wrap(first[2])))
            arms[street.end].append(Arm(street, number, False, wrap(last[2] + math.pi)))
        for at_node in arms:
            at_node.sort(key=lambda arm: arm.yaw_rad)
        for node, at_node in zip(self.nodes, arms, strict=True):
            for index, arm in enumerate(at_node):
                arm.setback_m = _setback(node, at_node, index)
        return arms


def _setback(node: Node, arms: Sequence[Arm], index: int) -> float:
    """Return how far from the node an arm's lanes end, so that the corners to both its neighbours are round."""
    if node.roundabout_m and len(arms) > 2:
        return node.roundabout_m + 12.0
    arm, furthest = arms[index], 4.0
    for other in (arms[index - 1], arms[(index + 1) % len(arms)]):
        between = abs(wrap(other.yaw_rad - arm.yaw_rad))
        if 1e-3 < between < math.radians(150):
            meet = (other.half_width_m + arm.half_width_m * math.cos(between)) / math.sin(between)
            furthest = max(furthest, meet + node.corner_m / math.tan(between / 2))
    return furthest


def straight_pair(arms: Sequence[Arm]) -> tuple[int, int] | None:
    """Return the two arms that are one street going on, that with the most lanes first; None: there are none."""
    found = []
    for one in range(len(arms)):
        for other in range(one + 1, len(arms)):
            bend = abs(wrap(arms[one].yaw_rad - arms[other].yaw_rad - math.pi))
            if bend < MAJOR_RAD:
                lanes = arms[one].street.lanes + arms[other].street.lanes
                found.append((-lanes, bend, (one, other)))
    return min(found)[2] if found else None


def is_clear(graph: StreetGraph, gap_m: float = 3.0) -> bool:
    """Return whether streets keep apart, except near nodes that they share."""
    reach = [max([arm.setback_m for arm in arms], default=0.0) for arms in graph.arms()]
    for index, one in enumerate(graph.streets):
        for other in graph.streets[index + 1 :]:
            shared = {one.start, one.end} & {other.start, other.end}
            apart = one.half_width_m + other.half_width_m + gap_m
            free = max([apart, *(reach[node] for node in shared)])
            if _near(_trimmed(one, shared, free), _trimmed(other, shared, free), apart):
                return False
    return True


def _trimmed(street: Street, shared: set[int], free_m: float) -> Knots:
    """Return a street's points but for those near shared nodes."""
    points = street.curve.points
    skip = math.ceil(free_m / street.curve.length_m * (len(points) - 1))
    return points[skip if street.start in shared else 0 : len(points) - (skip if street.end in shared else 0)]


@njit
def _near(one: Knots, other: Knots, gap_m: float) -> bool:
    for i in range(0, one.shape[0], 6):
        for j in range(0, other.shape[0], 6):
            if (one[i, 0] - other[j, 0]) ** 2 + (one[i, 1] - other[j, 1]) ** 2 < gap_m**2:
                return True
    return False


def are_joined(nodes: Iterable[Hashable], pairs: Sequence[tuple[Hashable, Hashable]]) -> bool:
    """Return whether streets between these pairs join all nodes, with at least two at each."""
    beside: dict[Hashable, list[Hashable]] = {node: [] for node in nodes}
    for one, other in pairs:
        beside[one].append(other)
        beside[other].append(one)
    ahead = list(beside)[:1]
    seen = set(ahead)
    while ahead:
        new = [node for node in beside[ahead.pop()] if node not in seen]
        seen.update(new)
        ahead += new
    return len(seen) == len(beside) and all(len(ways) > 1 for ways in beside.values())
