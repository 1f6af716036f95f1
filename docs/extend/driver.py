"""A driver of one's own: Stanley steering (Thrun et al. 2006, doi 10.1002/rob.20147) on the true lane state."""

import numpy as np

from drive_rl import extend
from drive_rl.config.specs.world import WorldSpec
from drive_rl.sim.task.outcome import STATE_FIELDS

OFFSET, HEADING, SPEED, TARGET = (
    STATE_FIELDS.index(name) for name in ("offset_m", "heading_error_rad", "speed_mps", "target_speed_mps")
)


@extend.driver("stanley")
class Stanley:
    observation = "state"
    actions = "continuous"

    def __init__(self, world: WorldSpec, gain: float = 1.0) -> None:
        self.max_steer_rad = world.car.max_steer_rad
        self.numbers = len(world.task.command_names)  # 1 where the car holds its speed by itself
        self.gain = gain

    def act(self, state: np.ndarray) -> np.ndarray:
        speed = np.maximum(state[:, SPEED], 1.0)
        steer_rad = -state[:, HEADING] - np.arctan(self.gain * state[:, OFFSET] / speed)
        pedal = 0.6 * (state[:, TARGET] - state[:, SPEED])
        return np.clip(np.stack([steer_rad / self.max_steer_rad, pedal], axis=1), -1, 1)[:, : self.numbers]
