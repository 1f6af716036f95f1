"""What hazards are drawn on, and what drawing one returns. It knows no kind of hazard."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from drive_rl.config.specs.base import Bounds
from drive_rl.sim.map.network import RoadNetwork
from drive_rl.sim.map.street_route import StreetRoute
from drive_rl.sim.traffic.actors import Scripted
from drive_rl.sim.traffic.hazards.hazard import AT, AT_S, KIND, PLAN
from drive_rl.sim.traffic.hazards.strips import MOST_STRIPS
from drive_rl.sim.traffic.population import Vehicles
from drive_rl.sim.traffic.streets import Streets

NO_STRIPS = np.zeros((MOST_STRIPS, 5))
ROOM_M = 8.0
"""Nobody else begins so near to a hazard's actor [m]."""


class DrawnHazard(NamedTuple):
    """A hazard as an episode begins."""

    plan: NDArray[np.float64]  # traffic.hazards.hazard.Hazard
    strips: NDArray[np.float64]
    actors: Vehicles
    scripted: tuple[Scripted, ...]  # where each begins


class Site(NamedTuple):
    """What a hazard is drawn on."""

    network: RoadNetwork
    streets: Streets
    route: StreetRoute
    speed_mps: float  # of the ego car at its start
    target_mps: float  # the same on an empty road
    half_width_m: float  # of the ego car
    actor: tuple[int, int]  # the traffic's seed, and the actor's id


def new_plan(kind: int, at: int, at_s: float) -> NDArray[np.float64]:
    """Return a row of `Hazard.plan` with its first columns."""
    plan = np.zeros(PLAN)
    plan[KIND], plan[AT], plan[AT_S] = kind, at, at_s
    return plan


def drawn(bounds: Sequence[Bounds], rng: np.random.Generator) -> list[float]:
    """Return a number [as the bounds] within each of some bounds."""
    return [float(rng.uniform(*each)) for each in bounds]


def place_on(route: StreetRoute, at_m: float) -> tuple[int, float]:
    """Return the place of a lane in the route, and s on it [m], of a point along the route's line."""
    at = int(np.searchsorted(route.from_m, at_m, side="right")) - 1
    return at, at_m - float(route.from_m[at])


def stretch(site: Site, from_m: float, to_m: float) -> NDArray[np.float64]:
    """Return a part of the route's line as rows of `Scripted.free`."""
    route = site.route
    starts = np.maximum(from_m - route.from_m, 0.0)
    ends = np.minimum(to_m - route.from_m, site.network.length_m[route.lanes])
    return np.array([route.lanes, starts, ends], np.float64).T[ends > starts]


def end_of(network: RoadNetwork, lane: int) -> float:
    """Return s of a lane's stop line, or of its end where it has none [m]."""
    stop_s = network.stop_s_m[lane]
    return float(network.length_m[lane] if np.isnan(stop_s) else stop_s)
