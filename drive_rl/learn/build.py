"""Specs -> environments and stable-baselines3 models. It does not train, evaluate, save or print."""

from collections.abc import Callable
from functools import partial
from typing import Any

import gymnasium
import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.vec_env import VecEnv

from drive_rl.errors import DriveRLError
from drive_rl.learn.encoders import CameraStateEncoder, ImageEncoder, StateEncoder
from drive_rl.learn.guided import GuidedActorCritic, GuidedEncoder, GuidedQ
from drive_rl.learn.threads import learning_threads
from drive_rl.learn.updates import GuidedDQN, GuidedPPO, PerEnvDQN
from drive_rl.learn.vec_env import SerialVecEnv
from drive_rl.sim.lane_env import LaneEnv
from drive_rl.spec import DqnSpec, Observation, PpoSpec, Split, WorldSpec

_POLICY: dict[Observation, str] = {
    "camera": "CnnPolicy",
    "camera+state": "MultiInputPolicy",
    "state": "MlpPolicy",
}


def is_guided(spec: PpoSpec | DqnSpec) -> bool:
    """Whether a driver that sees the camera alone is helped by the true lane state while it learns."""
    return spec.observation == "camera" and spec.guidance > 0


def make_env(world: WorldSpec, agent: PpoSpec | DqnSpec, split: Split) -> LaneEnv:
    """Return one environment that shows `agent` what it learns from."""
    observation = "camera+state" if is_guided(agent) else agent.observation
    return LaneEnv(world, observation=observation, actions=agent.actions, split=split)


def make_envs(world: WorldSpec, agent: PpoSpec | DqnSpec, split: Split, count: int, seed: int) -> SerialVecEnv:
    """Return `count` environments as a stable-baselines3 `VecEnv`, seeded but not yet reset.

    Rewards are scaled by 1 - gamma, so that returns lie in [0, 1] and no learner need know the reward's size.

    Raises:
        DriveRLError: stable-baselines3 would take the image's rows for its channels.
    """
    envs = SerialVecEnv([partial(make_env, world, agent, split)] * count, 1 - agent.gamma)
    try:
        _check_image(envs.observation_space)
    except DriveRLError:
        envs.close()
        raise
    # far apart for every (run seed, environment), unlike seed + i
    envs.seed(int(np.random.SeedSequence([seed, 1]).generate_state(1)[0] >> 2))
    return envs


def build_model(spec: PpoSpec | DqnSpec, envs: VecEnv, device: torch.device, seed: int) -> BaseAlgorithm:
    """Return an untrained model; like stable-baselines3, seed Python's, NumPy's and torch's generators."""
    schedule = linear_schedule(spec.learning_rate, spec.learning_rate_end)
    if isinstance(spec, PpoSpec):
        return _ppo(spec, envs, schedule, device, seed)
    return _dqn(spec, envs, schedule, device, seed)


def build_policy(spec: PpoSpec | DqnSpec, world: WorldSpec, device: torch.device) -> BasePolicy:
    """Return the untrained policy of a spec, for driving only: `build_model` without the learner."""
    env = make_env(world, spec, "test")
    env.close()
    policy = _policy_class(spec)
    if isinstance(policy, str):
        policy = (PPO if isinstance(spec, PpoSpec) else PerEnvDQN).policy_aliases[policy]
    schedule = linear_schedule(spec.learning_rate, spec.learning_rate_end)
    return policy(env.observation_space, env.action_space, schedule, **_policy(spec, world)).to(device)


def linear_schedule(first: float, last: float) -> Callable[[float], float]:
    """Return a schedule from `first` to `last` over the budget; its argument falls from 1 to 0."""

    def value(remaining: float) -> float:
        return last + (first - last) * min(max(remaining, 0.0), 1.0)

    return value


def choose_device(name: str) -> torch.device:
    """Return the device for `auto`, `cpu` or `cuda`; `describe_device` says what it is.

    Raises:
        DriveRLError: `cuda` without a usable GPU, or another name.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name.partition(":")[0] not in ("cpu", "cuda"):
        raise DriveRLError(f"device {name!r}: expected auto, cpu or cuda")
    if name.startswith("cuda") and not torch.cuda.is_available():
        build = "has no CUDA" if torch.version.cuda is None else f"is for CUDA {torch.version.cuda}"
        raise DriveRLError(
            f"device {name!r}: no usable GPU here (torch {torch.__version__} {build}); mend: --device cpu, or"
            " install a driver and a torch with CUDA"
        )
    return torch.device(name)


def describe_device(device: torch.device) -> str:
    """Return what a device is, for people: `cpu (2 threads)` or `cuda (NVIDIA H100)`."""
    if device.type == "cuda":
        return f"cuda ({torch.cuda.get_device_name(device)})"
    return f"cpu ({learning_threads()} threads)"


def _ppo(spec: PpoSpec, envs: VecEnv, schedule: Callable[[float], float], device: torch.device, seed: int) -> PPO:
    kind = GuidedPPO if is_guided(spec) else PPO
    model = kind(
        _policy_class(spec),
        envs,
        learning_rate=schedule,
        n_steps=spec.steps_per_update,
        batch_size=spec.batch_size,
        n_epochs=spec.epochs,
        gamma=spec.gamma,
        gae_lambda=spec.gae_lambda,
        clip_range=spec.clip_range,
        ent_coef=spec.entropy_coef,
        vf_coef=spec.value_coef,
        max_grad_norm=spec.max_grad_norm,
        policy_kwargs=_policy(spec, envs.get_attr("world")[0]),
        device=device,
        seed=seed,
    )
    if spec.actions == "continuous":
        noise = model.policy.log_std
        noise.data = torch.tensor(spec.log_std_init, dtype=noise.dtype, device=noise.device)
    if isinstance(model, GuidedPPO):
        model.guidance = spec.guidance
    return model


def _dqn(spec: DqnSpec, envs: VecEnv, schedule: Callable[[float], float], device: torch.device, seed: int) -> PerEnvDQN:
    # One copy of each picture instead of two, for which a timeout counts as an end: 1 step in 900 at most, and gamma
    # looks 20 steps ahead. The buffer for camera and state together knows no such thing.
    lean = spec.observation != "camera+state" and not is_guided(spec)
    kind = GuidedDQN if is_guided(spec) else PerEnvDQN
    model = kind(
        _policy_class(spec),
        envs,
        learning_rate=schedule,
        buffer_size=spec.buffer_size,
        optimize_memory_usage=lean,
        replay_buffer_kwargs={"handle_timeout_termination": not lean},
        learning_starts=spec.learning_starts,
        batch_size=spec.batch_size,
        train_freq=(spec.train_every, "step"),
        gradient_steps=spec.gradient_steps,
        target_update_interval=max(spec.target_update_every, envs.num_envs),
        gamma=spec.gamma,
        exploration_fraction=spec.exploration_fraction,
        exploration_final_eps=spec.exploration_end,
        max_grad_norm=spec.max_grad_norm,
        policy_kwargs=_policy(spec, envs.get_attr("world")[0]),
        device=device,
        seed=seed,
    )
    if isinstance(model, GuidedDQN):
        model.guidance = spec.guidance
    return model


def _policy_class(spec: PpoSpec | DqnSpec) -> Any:
    """Return a policy class, or stable-baselines3's name of one, of the spec's own algorithm."""
    if is_guided(spec):
        return GuidedActorCritic if isinstance(spec, PpoSpec) else GuidedQ
    return _POLICY[spec.observation]


def _policy(spec: PpoSpec | DqnSpec, world: WorldSpec) -> dict[str, Any]:
    image = {"encoder": spec.encoder, "frames": world.camera.frame_stack}
    extractor: dict[Observation, tuple[type, dict[str, Any]]] = {
        "camera": (ImageEncoder, image),
        "camera+state": (CameraStateEncoder, image),
        "state": (StateEncoder, {}),
    }
    guided = is_guided(spec)
    kind, kwargs = (GuidedEncoder, image) if guided else extractor[spec.observation]
    own: dict[str, Any] = {}
    if isinstance(spec, PpoSpec):
        own = {"share_features_extractor": not guided}
    return {
        **own,
        "net_arch": list(spec.hidden),
        "activation_fn": torch.nn.ReLU,
        "features_extractor_class": kind,
        "features_extractor_kwargs": kwargs,
        "normalize_images": False,  # the encoders scale to [0, 1]
    }


def _check_image(space: gymnasium.Space) -> None:
    """Stable-baselines3 takes the smallest side of an image for its channels, and would transpose."""
    image = space["camera"] if isinstance(space, gymnasium.spaces.Dict) else space
    shape = image.shape or ()
    if len(shape) == 3 and shape[0] >= min(shape[1:]):
        raise DriveRLError(
            f"camera: {shape[0]} stacked channels in an image of {shape[2]}x{shape[1]} px: expected fewer"
            " channels than pixels a side; mend: a smaller world.camera.frame_stack or a larger image"
        )
