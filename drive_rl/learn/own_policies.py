"""Specs -> policies that stable-baselines3 has no name for, and their options. It does not know learners."""

from typing import Any

import torch
from stable_baselines3.common.policies import BasePolicy

from drive_rl.config.specs.driver import DaggerSpec, LearnerSpec, PpoSpec, RecurrentPpoSpec
from drive_rl.config.specs.off_policy import QrdqnSpec, SacSpec
from drive_rl.learn.imitation.policy import StatePredictingPolicy
from drive_rl.learn.sb3.sac import EncodedSacPolicy
from drive_rl.learn.sb3.self_supervised import InverseDynamicsPolicy
from drive_rl.perception.optional import need

Kwargs = dict[str, Any]  # of stable-baselines3's constructors


def own_policy(spec: LearnerSpec) -> type[BasePolicy] | None:
    """Return the class of a policy that stable-baselines3 has no name for, for any observation; None: it has one.

    Raises:
        DriveRLError: sb3-contrib is needed, and not installed.
    """
    if isinstance(spec, QrdqnSpec):
        need("sb3_contrib", "contrib")
        from sb3_contrib.qrdqn.policies import QRDQNPolicy

        return QRDQNPolicy
    if isinstance(spec, RecurrentPpoSpec):
        need("sb3_contrib", "contrib")
        from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy

        return RecurrentActorCriticPolicy
    if isinstance(spec, DaggerSpec) and spec.state_loss:
        return StatePredictingPolicy
    if isinstance(spec, PpoSpec) and spec.self_supervised:
        return InverseDynamicsPolicy
    return EncodedSacPolicy if isinstance(spec, SacSpec) else None


def policy_options(spec: LearnerSpec) -> Kwargs:
    """Return the keyword arguments of a policy that only some algorithms have."""
    # with stable-baselines3's orthogonal weights, the encoder's units die
    torch_weights: Kwargs = {"ortho_init": False}
    if isinstance(spec, QrdqnSpec):
        adam = {"fused": True, "eps": 0.01 / spec.batch_size}  # Dabney et al.
        return {"n_quantiles": spec.quantiles, "optimizer_class": torch.optim.Adam, "optimizer_kwargs": adam}
    if isinstance(spec, RecurrentPpoSpec):
        return {"lstm_hidden_size": spec.lstm_units, **torch_weights}
    if isinstance(spec, DaggerSpec) or (isinstance(spec, PpoSpec) and spec.observation == "camera"):
        return torch_weights
    return {"entropy_coef_init": spec.entropy_coef_init} if isinstance(spec, SacSpec) else {}
