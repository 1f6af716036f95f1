"""A plugin with an encoder, a reward term and a driver, and one with a metric, as the text of their files."""

PLUGIN = """
import numpy as np
from torch import nn
from drive_rl import extend

@extend.encoder("two_conv")
def two_conv(channels, height, width):
    return nn.Sequential(nn.Conv2d(channels, 8, 5, 4, 2), nn.ReLU(), nn.Flatten())

@extend.reward_term("gentle")
def gentle(lateral_accel_mps2, longitudinal_accel_mps2):
    return 1 / (1 + lateral_accel_mps2**2 + longitudinal_accel_mps2**2)

@extend.driver("ahead")
class Ahead:
    observation, actions = "state", "continuous"
    def __init__(self, world, pedal: float = 0.5):
        self.pedal = pedal
    def act(self, state):
        return np.tile(np.float32([0, self.pedal]), (len(state), 1))
"""

METRIC = "from drive_rl import extend\n@extend.metric('bad'{of})\ndef bad(measured): return {value}\n"
