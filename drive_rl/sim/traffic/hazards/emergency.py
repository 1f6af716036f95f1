"""An emergency vehicle: it keeps its lane, minds those ahead in it, and neither lights, signs nor who has priority."""

from drive_rl.sim.compiled import njit_scalar
from drive_rl.sim.traffic.actors import LANE, PUSH, S, Traffic
from drive_rl.sim.traffic.follow import desired_speed, find_way, follow, list_by_lane
from drive_rl.sim.traffic.idm import bounded
from drive_rl.sim.traffic.step import move


@njit_scalar
def rush(i: int, traffic: Traffic) -> None:
    """Move actor i, an emergency vehicle, by one step."""
    list_by_lane(traffic)
    find_way(i, traffic)
    lane, s = traffic.whole[i, LANE], traffic.real[i, S]
    traffic.real[i, PUSH] = bounded(follow(i, traffic, lane, s, desired_speed(i, traffic, lane, s, 0)))
    move(i, traffic)
