"""Specs -> environments and stable-baselines3 models. It does not train, evaluate, save or print."""

from collections.abc import Callable
from functools import partial
from typing import Any

import gymnasium
import numpy as np
import torch
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.vec_env import VecEnv

from drive_rl.errors import DriveRLError
from drive_rl.learn.encoders import CameraStateEncoder, ImageEncoder, StateEncoder
from drive_rl.learn.threads import learning_threads
from drive_rl.learn.vec_env import SerialVecEnv
from drive_rl.sim.lane_env import LaneEnv
from drive_rl.spec import DqnSpec, Observation, PpoSpec, ReferenceSpec, Split, WorldSpec

_POLICY: dict[Observation, str] = {
    "camera": "CnnPolicy",
    "camera+state": "MultiInputPolicy",
    "state": "MlpPolicy",
}


def make_env(world: WorldSpec, agent: PpoSpec | DqnSpec | ReferenceSpec, split: Split) -> LaneEnv:
    """Return one environment that shows `agent` what its spec asks for."""
    return LaneEnv(world, observation=agent.observation, actions=agent.actions, split=split)


def make_envs(world: WorldSpec, agent: PpoSpec | DqnSpec, split: Split, count: int, seed: int) -> SerialVecEnv:
    """Return `count` environments as a stable-baselines3 `VecEnv`, seeded but not yet reset.

    Raises:
        DriveRLError: stable-baselines3 would take the image's rows for its channels.
    """
    envs = SerialVecEnv([partial(make_env, world, agent, split)] * count)
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
    algorithm = PPO if isinstance(spec, PpoSpec) else DQN
    policy = algorithm.policy_aliases[_POLICY[spec.observation]]
    schedule = linear_schedule(spec.learning_rate, spec.learning_rate_end)
    return policy(env.observation_space, env.action_space, schedule, **_policy(spec)).to(device)


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


class _PerEnvDqn(DQN):
    """DQN whose environments explore apart: stable-baselines3 tosses one coin for all of them."""

    def predict(
        self,
        observation: Any,
        state: tuple[np.ndarray, ...] | None = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = False,
    ) -> tuple[np.ndarray, tuple[np.ndarray, ...] | None]:
        """Return epsilon-greedy actions, one coin an environment."""
        actions, state = self.policy.predict(observation, state, episode_start, deterministic=True)
        if deterministic:
            return actions, state
        explore = np.random.rand(*actions.shape) < self.exploration_rate
        if explore.any():
            random = np.array([self.action_space.sample() for _ in range(actions.size)])
            actions = np.where(explore, random.reshape(actions.shape), actions)
        return actions, state


def _ppo(spec: PpoSpec, envs: VecEnv, schedule: Callable[[float], float], device: torch.device, seed: int) -> PPO:
    return PPO(
        _POLICY[spec.observation],
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
        policy_kwargs=_policy(spec),
        device=device,
        seed=seed,
    )


def _dqn(spec: DqnSpec, envs: VecEnv, schedule: Callable[[float], float], device: torch.device, seed: int) -> DQN:
    # One copy of each picture instead of two, for which a timeout counts as an end: 1 step in 900 at most, and gamma
    # looks 20 steps ahead. The buffer for camera and state together knows no such thing.
    lean = spec.observation != "camera+state"
    return _PerEnvDqn(
        _POLICY[spec.observation],
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
        policy_kwargs=_policy(spec),
        device=device,
        seed=seed,
    )


def _policy(spec: PpoSpec | DqnSpec) -> dict[str, Any]:
    extractor: dict[Observation, tuple[type, dict[str, Any]]] = {
        "camera": (ImageEncoder, {"encoder": spec.encoder}),
        "camera+state": (CameraStateEncoder, {"encoder": spec.encoder}),
        "state": (StateEncoder, {}),
    }
    kind, kwargs = extractor[spec.observation]
    own: dict[str, Any] = {}
    if isinstance(spec, PpoSpec):
        own = {"share_features_extractor": True, "log_std_init": spec.log_std_init}
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
