"""Specs -> learners with a replay buffer: DQN, QR-DQN and SAC.

It does not know environments, or what the policies read.
"""

from typing import Any

from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.vec_env import VecEnv

from drive_rl.config.specs.car import CameraSpec
from drive_rl.config.specs.off_policy import DqnSpec, QrdqnSpec, ReplaySpec, SacSpec
from drive_rl.learn.guidance.policies import GuidedDQN
from drive_rl.learn.learner_memory import keeps_frames
from drive_rl.learn.own_policies import Kwargs
from drive_rl.learn.sb3.exploration import PerEnvDQN
from drive_rl.learn.sb3.frame_replay import FrameReplayBuffer, NStepFrameReplayBuffer
from drive_rl.learn.sb3.sac import ShiftingSAC
from drive_rl.perception.optional import need


def build_off_policy(spec: ReplaySpec, policy: Any, envs: VecEnv, common: Kwargs) -> OffPolicyAlgorithm:
    """Return an untrained learner.

    Args:
        spec: The learner.
        policy: The class of its policy, or stable-baselines3's name of it.
        envs: Its environments.
        common: Keyword arguments that learners share.

    Raises:
        DriveRLError: sb3-contrib is needed, and not installed.
    """
    common |= {
        "buffer_size": spec.buffer_size,
        **_replay(spec, envs),
        "learning_starts": spec.learning_starts,
        "train_freq": (spec.train_every, "step"),
        "gradient_steps": spec.gradient_steps,
    }
    if isinstance(spec, SacSpec):
        return ShiftingSAC(policy, envs, tau=spec.tau, random_shift_px=spec.random_shift_px, **common)
    return _algorithm(spec)(
        policy,
        envs,
        tau=spec.tau,
        target_update_interval=max(spec.target_update_every, envs.num_envs),
        exploration_fraction=spec.exploration_fraction,
        exploration_final_eps=spec.exploration_end,
        **common,
    )


def _algorithm(spec: DqnSpec | QrdqnSpec) -> type[Any]:
    if isinstance(spec, DqnSpec):
        return GuidedDQN if spec.help == "guided" else PerEnvDQN
    need("sb3_contrib", "contrib")
    from drive_rl.learn.contrib.qrdqn import PerEnvQRDQN

    return PerEnvQRDQN


def _replay(spec: ReplaySpec, envs: VecEnv) -> Kwargs:
    """Return the keyword arguments of the replay; of stacked frames, it keeps each once."""
    camera: CameraSpec = envs.get_attr("world")[0].camera
    if not keeps_frames(spec, camera):
        return {"n_steps": spec.n_steps}
    kwargs: Kwargs = {"frame_stack": camera.frame_stack}
    if spec.n_steps == 1:
        return {"replay_buffer_class": FrameReplayBuffer, "replay_buffer_kwargs": kwargs}
    kwargs |= {"n_steps": spec.n_steps, "gamma": spec.gamma}
    return {"replay_buffer_class": NStepFrameReplayBuffer, "replay_buffer_kwargs": kwargs}
