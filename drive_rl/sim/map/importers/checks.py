"""Whether the lanes of a foreign map can be lanes at all."""

import math
from collections.abc import Sequence

import numpy as np

from drive_rl.sim.map.importers.assemble import ForeignLane

_FARTHEST_M = 100_000.0  # from the start of a map's first lane
_WIDEST_M = 100.0


def check_lanes(lanes: Sequence[ForeignLane]) -> None:
    """Refuse lanes without a place, a width or a speed, and those far from all others.

    Raises:
        ValueError: there is one.
    """
    for lane in lanes:
        limit, width = lane.speed_limit_mps, lane.width_m
        far = float(np.hypot(*(lane.centre - lanes[0].centre[0]).T).max())
        if not far <= _FARTHEST_M:  # or not a number
            raise ValueError(
                f"{lane.name} reaches {far / 1000:.0f} km from the first lane, expected at most"
                f" {_FARTHEST_M / 1000:g} km"
            )
        if not 0 < width <= _WIDEST_M:
            raise ValueError(f"{lane.name} is {width:g} m wide, expected more than 0 and at most {_WIDEST_M:g} m")
        if not (math.isfinite(limit) and limit > 0):
            raise ValueError(f"{lane.name}: speed_limit = {limit * 3.6:g} km/h, expected more than 0, such as 50 km/h")
