"""Who cuts in: it waits beside the ego car's lane, parked, standing or driving, and takes the lane as that comes near.

From then on it is in the way as any driver who changes lanes is, and drives along the ego car's route.
"""

from drive_rl.sim.compiled import njit_scalar
from drive_rl.sim.traffic.actors import ASIDE, DRIVES, GOALS, LANE, PUSH, SPEED, S, Traffic
from drive_rl.sim.traffic.change_lane import begin_change, is_free, next_behind
from drive_rl.sim.traffic.follow import find_way, follow, list_by_lane
from drive_rl.sim.traffic.idm import bounded
from drive_rl.sim.traffic.step import move
from drive_rl.sim.traffic.streets import LANE_LENGTH, abreast

CHANGE_S = 5.0
"""Who drives no longer begins when its lane ends sooner than this [s]."""
_LEAST_CLOSING_MPS = 1.0


@njit_scalar
def cuts_in(i: int, traffic: Traffic, at: int, early_s: float) -> bool:
    """Return whether actor i begins now, and have it then take lane `at` of the ego car's route.

    It does if the ego car is next behind it there and would come up to it within `early_s` if both kept their speeds,
    and nobody is beside it.
    """
    whole, real, to = traffic.whole, traffic.real, traffic.route[at]
    s = abreast(traffic.streets, whole[i, LANE], real[i, S], to)
    list_by_lane(traffic)
    behind, gap = next_behind(i, traffic, to, s)
    closing = max(real[0, SPEED] - real[i, SPEED], _LEAST_CLOSING_MPS)
    if behind != 0 or gap > early_s * closing or not is_free(i, traffic, to, s):
        return False
    if whole[i, DRIVES] != ASIDE:  # who is parked is in the frame of that lane already
        begin_change(i, traffic, to)
    whole[i, GOALS] = at
    return True


@njit_scalar
def drive_beside(i: int, traffic: Traffic, speed: float) -> bool:
    """Move actor i, which waits, by one step with a speed [m/s], or behind who is ahead; return whether its lane goes
    on for long enough to begin.
    """
    whole, real = traffic.whole, traffic.real
    if traffic.streets.lane[whole[i, LANE], LANE_LENGTH] - real[i, S] < CHANGE_S * speed:
        return False
    list_by_lane(traffic)
    find_way(i, traffic)
    push = (speed - real[i, SPEED]) / traffic.dt_s
    real[i, PUSH] = bounded(min(push, follow(i, traffic, whole[i, LANE], real[i, S], 2.0 * speed)))
    move(i, traffic)
    return True
