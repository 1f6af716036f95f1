"""One carriageway of a motorway, laid section by section.

`d` is counted from the carriageway's left edge, so its lanes lie at negative `d`.
"""

from dataclasses import dataclass, field

import numpy as np

from drive_rl.sim.map.build import LaneDraft, NetworkDraft
from drive_rl.sim.map.network import Marking, Turn
from drive_rl.sim.map.streets.curves import Curve, beside

LANE_M = 3.75
"""Width of a lane."""


@dataclass
class Carriageway:
    """A carriageway in the making: where its lanes end now, from the left."""

    draft: NetworkDraft
    lanes: int
    limit_mps: float
    name: str = ""
    ends: list[int] = field(default_factory=list)
    joining: list[int] = field(default_factory=list)  # lanes that join the rightmost at the next section

    def lay(self, curve: Curve, span: tuple[float, float], limit_mps: float, extra: int | None = None) -> list[int]:
        """Add a section of all lanes, after those before it; with `extra` one more at the right, after that lane."""
        first, count = len(self.draft.lanes), self.lanes + (extra is not None)
        for i in range(count):
            points, length = beside(curve, *span, -(i + 0.5) * LANE_M)
            lane = LaneDraft(f"{self.name}@{span[0]:.0f}:{i}", points, length, LANE_M, limit_mps)
            lane.left, lane.right = (first + i - 1 if i else -1), (first + i + 1 if i < count - 1 else -1)
            lane.left_marking = Marking.WHITE_DASHED if i else Marking.YELLOW_SOLID
            lane.right_marking = Marking.WHITE_DASHED if i < count - 1 else Marking.WHITE_SOLID
            self.draft.lanes.append(lane)
        new = list(range(first, first + count))
        for before, after in zip(self.ends, new, strict=False):
            self.draft.lanes[before].successors.append(after)
        for joins in self.joining:
            self.draft.lanes[joins].successors.append(new[self.lanes - 1])
        self.joining = []
        if extra is not None:
            self.draft.lanes[extra].successors.append(new[-1])
        self.ends = new[: self.lanes]
        return new

    def shift(self, curve: Curve, span: tuple[float, float], d_m: tuple[float, float], after: int, mps: float) -> int:
        """Add a single lane that moves from one place across the carriageway to another, after a lane."""
        points, length = beside(curve, *span, *d_m)
        lane = LaneDraft(f"{self.name}@{span[0]:.0f}:ramp", points, length, LANE_M, mps)
        lane.left_marking = lane.right_marking = Marking.WHITE_SOLID
        self.draft.lanes.append(lane)
        self.draft.lanes[after].successors.append(len(self.draft.lanes) - 1)
        return len(self.draft.lanes) - 1

    def mark_taper(self, right: int, moves: int) -> None:
        """Make a junction of the rightmost lane and of one that leaves or joins it."""
        lanes = [self.draft.lanes[right], self.draft.lanes[moves]]
        for lane, turn in zip(lanes, (Turn.STRAIGHT, Turn.RIGHT), strict=True):
            lane.junction, lane.turn = len(self.draft.outlines), turn
        lanes[0].right_marking = lanes[1].left_marking = Marking.NONE
        sides = lanes[1].points[:, :2], lanes[0].points[::-1, :2]
        self.draft.outlines.append(np.concatenate(sides))
