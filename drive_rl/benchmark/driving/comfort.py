"""Whether a drive was comfortable by nuPlan's bounds.

Source: `ego_is_comfortable.py`, `state_extractors.py` and the metric's configuration of nuPlan's devkit 1.2 (arXiv
2106.11810). Its windows are numbers of samples at 10 Hz, and are so here.
"""

import numpy as np

from drive_rl.benchmark.driving.record import DriveRecord, Floats
from drive_rl.benchmark.driving.smoothing import smoothed

LONGITUDINAL_MPS2 = (-4.05, 2.40)
LATERAL_MPS2 = 4.89
YAW_RATE_RADPS = 0.95
YAW_ACCEL_RADPS2 = 1.93
LONGITUDINAL_JERK_MPS3 = 4.13
JERK_MPS3 = 8.37


def motion(record: DriveRecord) -> dict[str, Floats]:
    """Return what the bounds are about, by name, (T,) each: SI units, smoothed as nuPlan does."""
    ego, step_s = record.ego, record.step_s
    forward = np.diff(ego.vx_mps) / step_s
    forward = np.concatenate([forward[:1], forward]) if len(forward) else np.zeros(1)  # there is none before the start
    sideways, yaw = ego.vx_mps * ego.yaw_rate_radps, np.unwrap(ego.pose[:, 2])
    along, across, both = (smoothed(each, 8, 2) for each in (forward, sideways, np.hypot(forward, sideways)))
    return {
        "longitudinal_mps2": along,
        "lateral_mps2": across,
        "yaw_rate_radps": smoothed(yaw, 5, 2, 1, step_s),
        "yaw_accel_radps2": smoothed(yaw, 5, 3, 2, step_s),
        "longitudinal_jerk_mps3": smoothed(along, 15, 2, 1, step_s),
        "jerk_mps3": smoothed(both, 15, 2, 1, step_s),
    }


def is_comfortable(record: DriveRecord) -> bool:
    """Return whether a drive stayed within all bounds throughout."""
    found = motion(record)
    low, high = LONGITUDINAL_MPS2
    bounds = {
        "lateral_mps2": LATERAL_MPS2,
        "yaw_rate_radps": YAW_RATE_RADPS,
        "yaw_accel_radps2": YAW_ACCEL_RADPS2,
        "longitudinal_jerk_mps3": LONGITUDINAL_JERK_MPS3,
        "jerk_mps3": JERK_MPS3,
    }
    within = (found["longitudinal_mps2"] > low).all() and (found["longitudinal_mps2"] < high).all()
    return bool(within and all((np.abs(found[name]) < bound).all() for name, bound in bounds.items()))
