"""QR-DQN of sb3-contrib whose environments explore independently, and which ends at its budget."""

from sb3_contrib import QRDQN
from sb3_contrib.qrdqn.policies import QRDQNPolicy

from drive_rl.learn.budget import OffPolicyBudget
from drive_rl.learn.sb3.exploration import PerEnvExploration


class PerEnvQRDQN(PerEnvExploration, OffPolicyBudget, QRDQN):
    """QR-DQN (Dabney et al. 2018, arXiv 1710.10044) whose environments explore independently."""

    policy: QRDQNPolicy
