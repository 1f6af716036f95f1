"""A reward term of one's own: gentle driving, 1 without acceleration and falling smoothly with its square."""

import math

from drive_rl import extend


@extend.reward_term("gentle")
def gentle(lateral_accel_mps2: float, longitudinal_accel_mps2: float) -> float:
    return math.exp(-0.05 * (lateral_accel_mps2**2 + longitudinal_accel_mps2**2))
