"""Specs -> environments and stable-baselines3 models. It does not train, evaluate, save or print."""

from functools import partial
from typing import TYPE_CHECKING, Any, cast

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from numba.core import config
from stable_baselines3 import PPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.utils import LinearSchedule
from stable_baselines3.common.vec_env import VecEnv

from drive_rl.errors import DriveRLError
from drive_rl.learn.batch_env import BatchVecEnv
from drive_rl.learn.budget import BudgetPPO
from drive_rl.learn.device_ppo import DevicePPO, DeviceRolloutBuffer, GuidedDevicePPO
from drive_rl.learn.encoders import CameraStateEncoder, ImageEncoder, StateEncoder
from drive_rl.learn.exploration import PerEnvDQN
from drive_rl.learn.eyes import Eyes
from drive_rl.learn.guide import Guide
from drive_rl.learn.guided import GuidedActorCritic, GuidedDQN, GuidedPPO, GuidedQ, Sighted
from drive_rl.learn.seen_env import SeenEnvs
from drive_rl.learn.sight import LANE_STATE
from drive_rl.learn.start import freeze_encoders
from drive_rl.learn.vec_env import SerialVecEnv
from drive_rl.sim.batch import Batch
from drive_rl.sim.interface import action_space, observation_space
from drive_rl.spec import DqnSpec, Engine, Observation, PpoSpec, Split, WorldSpec

if TYPE_CHECKING:
    from drive_rl.sim.lane_env import LaneEnv

CPU = torch.device("cpu")

_POLICY: dict[Observation, str] = {
    "camera": "CnnPolicy",
    "camera+state": "MultiInputPolicy",
    "state": "MlpPolicy",
}


def is_guided(spec: PpoSpec | DqnSpec) -> bool:
    """Whether a driver that sees the camera alone is helped by the true lane state while it learns."""
    return spec.observation == "camera" and spec.guidance is not None


def make_env(world: WorldSpec, agent: PpoSpec | DqnSpec, split: Split) -> "LaneEnv":
    """Return one PyBullet environment that shows `agent` what it learns from."""
    from drive_rl.sim.lane_env import LaneEnv  # the batch engine does without PyBullet

    return LaneEnv(world, observation=_shown(agent), actions=agent.actions, split=split)


def make_envs(
    world: WorldSpec,
    agent: PpoSpec | DqnSpec,
    split: Split,
    count: int,
    seed: int,
    engine: Engine = "bullet",
    device: torch.device = CPU,
    eyes: Eyes | None = None,
) -> VecEnv:
    """Return `count` environments as a stable-baselines3 `VecEnv`, seeded but not yet reset.

    With `eyes`, which an agent that names some needs, they show the lane state that these tell.

    Rewards are scaled by 1 - gamma, so that returns lie in [0, 1] and no learner need know the reward's size. The batch
    engine runs on the device that PPO learns on; DQN's replay buffer is stable-baselines3's own, on the CPU.

    Raises:
        DriveRLError: stable-baselines3 would take the image's rows for its channels; or the engine cannot run the
            world, or not on this device.
    """
    scale = 1 - agent.gamma
    if engine == "batch":
        batch = _make_batch(world, count, _shown(agent), device if isinstance(agent, PpoSpec) else CPU)
        envs = BatchVecEnv(batch, agent.actions, split, scale, agent.retry)
    else:
        envs = SerialVecEnv([partial(make_env, world, agent, split)] * count, scale, agent.retry)
    try:
        _check_image(envs.observation_space)
    except DriveRLError:
        envs.close()
        raise
    # far apart for every (run seed, environment), unlike seed + i
    envs.seed(int(np.random.SeedSequence([seed, 1]).generate_state(1)[0] >> 2))
    return envs if eyes is None else SeenEnvs(envs, eyes)


def build_model(spec: PpoSpec | DqnSpec, envs: VecEnv, device: torch.device, seed: int) -> BaseAlgorithm:
    """Return an untrained model; like stable-baselines3, seed Python's, NumPy's and torch's generators."""
    common = {
        "learning_rate": LinearSchedule(spec.learning_rate, spec.learning_rate_end, 1.0),
        "gamma": spec.gamma,
        "batch_size": spec.batch_size,
        "max_grad_norm": spec.max_grad_norm,
        "policy_kwargs": _policy(spec, envs.get_attr("world")[0], envs.observation_space),
        "device": device,
        "seed": seed,
    }
    guide = Guide(envs, spec.guidance, seed, isinstance(spec, DqnSpec)) if is_guided(spec) and spec.guidance else None
    model = _ppo(spec, guide or envs, common) if isinstance(spec, PpoSpec) else _dqn(spec, guide or envs, common)
    if spec.encoder.frozen:
        freeze_encoders(model.policy)
    if isinstance(model, GuidedPPO | GuidedDQN):
        assert guide is not None
        guide.teach(cast(Sighted, model.policy).sight)
        model.guide = guide
    return model


def build_policy(spec: PpoSpec | DqnSpec, world: WorldSpec, device: torch.device) -> BasePolicy:
    """Return the untrained policy of a spec, for driving only: `build_model` without the learner."""
    shown = observation_space(world, "state" if spec.eyes else _shown(spec))
    policy = _policy_class(spec)
    if isinstance(policy, str):
        policy = (PPO if isinstance(spec, PpoSpec) else PerEnvDQN).policy_aliases[policy]
    space = LANE_STATE if is_guided(spec) else shown
    schedule = LinearSchedule(spec.learning_rate, spec.learning_rate_end, 1.0)
    return policy(space, action_space(world, spec.actions), schedule, **_policy(spec, world, shown)).to(device)


def _shown(agent: PpoSpec | DqnSpec) -> Observation:
    """Return what environments show a learner."""
    return "camera+state" if is_guided(agent) else agent.observation


def _fed(agent: PpoSpec | DqnSpec) -> Observation:
    """Return what a policy without guidance learns from."""
    return "state" if agent.eyes is not None else agent.observation


def _make_batch(world: WorldSpec, count: int, observation: Observation, device: torch.device) -> Batch:
    simulated = config.ENABLE_CUDASIM  # pyright: ignore - set from the environment; then the CPU stands in for a GPU
    if device.type == "cpu" and not simulated:
        return Batch(world, count, observation)
    from drive_rl.sim.cuda_batch import CudaBatch  # numba.cuda takes a while to import

    return CudaBatch(world, count, observation, device)


def _ppo(spec: PpoSpec, envs: VecEnv, common: dict[str, Any]) -> PPO:
    guided, world = is_guided(spec), envs.unwrapped
    on_device = isinstance(world, BatchVecEnv) and isinstance(world.batch.frames, torch.Tensor)
    plain, taught = (DevicePPO, GuidedDevicePPO) if on_device else (BudgetPPO, GuidedPPO)
    model = (taught if guided else plain)(
        _policy_class(spec),
        envs,
        rollout_buffer_class=DeviceRolloutBuffer if on_device else None,
        n_steps=spec.steps_per_update,
        n_epochs=spec.epochs,
        gae_lambda=spec.gae_lambda,
        clip_range=spec.clip_range,
        ent_coef=spec.entropy_coef,
        vf_coef=spec.value_coef,
        **common,
    )
    if spec.actions == "continuous":
        noise = model.policy.log_std
        noise.data = torch.tensor(spec.log_std_init, dtype=noise.dtype, device=noise.device)
    return model


def _dqn(spec: DqnSpec, envs: VecEnv, common: dict[str, Any]) -> PerEnvDQN:
    # One copy of each picture instead of two, for which a timeout counts as an end: 1 step in 900 at most, and gamma
    # looks 20 steps ahead. stable-baselines3 can do so neither for n-step returns nor for camera and state together.
    lean = _fed(spec) != "camera+state" and not is_guided(spec) and spec.n_steps == 1
    return (GuidedDQN if is_guided(spec) else PerEnvDQN)(
        _policy_class(spec),
        envs,
        buffer_size=spec.buffer_size,
        optimize_memory_usage=lean,
        replay_buffer_kwargs={"handle_timeout_termination": not lean},
        learning_starts=spec.learning_starts,
        train_freq=(spec.train_every, "step"),
        gradient_steps=spec.gradient_steps,
        n_steps=spec.n_steps,
        tau=spec.tau,
        target_update_interval=max(spec.target_update_every, envs.num_envs),
        exploration_fraction=spec.exploration_fraction,
        exploration_final_eps=spec.exploration_end,
        **common,
    )


def _policy_class(spec: PpoSpec | DqnSpec) -> Any:
    """Return a policy class, or stable-baselines3's name of one, of the spec's own algorithm."""
    if is_guided(spec):
        return GuidedActorCritic if isinstance(spec, PpoSpec) else GuidedQ
    return _POLICY[_fed(spec)]


def _policy(spec: PpoSpec | DqnSpec, world: WorldSpec, space: gymnasium.Space) -> dict[str, Any]:
    """Return the keyword arguments of a policy that learns from what environments of `space` show."""
    shared = {"net_arch": list(spec.hidden), "optimizer_kwargs": {"fused": True}}
    image = {"encoder": spec.encoder, "frames": world.camera.frame_stack}
    if is_guided(spec):
        return {**shared, **image, "camera": cast(spaces.Dict, space).spaces["camera"]}
    extractor: dict[Observation, tuple[type, dict[str, Any]]] = {
        "camera": (ImageEncoder, image),
        "camera+state": (CameraStateEncoder, image),
        "state": (StateEncoder, {}),
    }
    kind, kwargs = extractor[_fed(spec)]
    return {
        **shared,
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
            " channels than pixels a side; fix: a smaller world.camera.frame_stack or a larger image"
        )
