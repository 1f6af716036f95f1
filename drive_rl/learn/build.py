"""Specs -> environments, stable-baselines3 models and drivers. It does not train, evaluate, save or print."""

import math
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import gymnasium
import torch
from gymnasium import spaces
from numba.core import config
from stable_baselines3 import PPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.utils import LinearSchedule
from stable_baselines3.common.vec_env import VecEnv

from drive_rl.config.specs.base import Engine, Observation, Split
from drive_rl.config.specs.driver import (
    DaggerSpec,
    LearnerSpec,
    OnPolicySpec,
    PpoSpec,
    RecurrentPpoSpec,
    RewardedDriverSpec,
    normalises,
)
from drive_rl.config.specs.off_policy import DqnSpec
from drive_rl.config.specs.world import WorldSpec
from drive_rl.drivers.driver import Driver, PolicyDriver, RecurrentDriver
from drive_rl.drivers.lane_estimator import LaneEstimator
from drive_rl.errors import DriveRLError
from drive_rl.learn.budget import BudgetPPO
from drive_rl.learn.curriculum import first_seed
from drive_rl.learn.guidance.device_ppo import ON_DEVICE, DeviceRolloutBuffer
from drive_rl.learn.guidance.lane_net import LANE_STATE
from drive_rl.learn.guidance.policies import GuidedActorCritic, GuidedDQN, GuidedPPO, GuidedQ, LaneStatePolicy
from drive_rl.learn.guidance.wrapper import GuidanceWrapper
from drive_rl.learn.imitation.dagger import Dagger
from drive_rl.learn.imitation.wrapper import TeacherWrapper
from drive_rl.learn.learner_memory import check_learner
from drive_rl.learn.off_policy import build_off_policy
from drive_rl.learn.own_policies import Kwargs, own_policy, policy_options
from drive_rl.learn.pretrained import freeze_encoders
from drive_rl.learn.sb3.asymmetric_policy import AsymmetricActorCritic
from drive_rl.learn.sb3.batch_vec_env import BatchVecEnv
from drive_rl.learn.sb3.critic_ppo import CriticPPO
from drive_rl.learn.sb3.exploration import PerEnvDQN
from drive_rl.learn.sb3.feature_extractors import CameraStateEncoder, ImageEncoder, StateEncoder
from drive_rl.learn.sb3.observation_wrapper import LaneStateWrapper
from drive_rl.learn.sb3.serial_vec_env import SerialVecEnv
from drive_rl.perception.optional import need
from drive_rl.sim.engines.batch import Batch
from drive_rl.sim.engines.cpu_batch import cpu_batch
from drive_rl.sim.task.spaces import action_space, observation_space

if TYPE_CHECKING:
    from drive_rl.sim.envs.lane_env import LaneEnv

CPU = torch.device("cpu")

_LEAST_NOISE = 1e-3

_POLICY: dict[Observation, str] = {
    "camera": "CnnPolicy",
    "motion": "CnnPolicy",
    "camera+state": "MultiInputPolicy",
    "state": "MlpPolicy",
}


def make_env(world: WorldSpec, agent: LearnerSpec, split: Split) -> "LaneEnv":
    """Return one PyBullet environment with the observations that `agent` learns from."""
    from drive_rl.sim.envs.make_env import make_env as any_env  # the batch engine needs no PyBullet

    return any_env(world, observation=_observed(agent), actions=agent.actions, split=split)


def make_envs(
    world: WorldSpec,
    agent: LearnerSpec,
    split: Split,
    count: int,
    seed: int,
    engine: Engine = "bullet",
    device: torch.device = CPU,
    estimator: LaneEstimator | None = None,
) -> VecEnv:
    """Return `count` environments as a stable-baselines3 `VecEnv`, seeded but not yet reset.

    The batch engine runs on the device that PPO learns on; for other learners it runs on the CPU, where they keep what
    they learn from.

    Args:
        world: The world.
        agent: The learner: its observations, actions, scale of rewards and retries.
        split: Where road seeds are drawn from.
        count: How many environments.
        seed: The run's.
        engine: Which engine simulates.
        device: The learner's.
        estimator: Predicts the lane state that the environments return; needed by an agent with a `perception_model`.

    Raises:
        DriveRLError: stable-baselines3 would mistake the image's rows for its channels; or the engine cannot run the
            world, on this device, or so many cars in this machine's memory.
    """
    scale = 1.0 if isinstance(agent, DaggerSpec) else agent.reward_scale
    if engine == "batch":
        batch = _make_batch(world, count, _observed(agent), device if isinstance(agent, PpoSpec) else CPU)
        envs = BatchVecEnv(batch, agent.actions, split, scale, agent.retry)
    else:
        from drive_rl.sim.envs.capacity import check_envs  # the batch engine does without PyBullet

        check_envs(world, count)
        envs = SerialVecEnv([partial(make_env, world, agent, split)] * count, scale, agent.retry)
    try:
        _check_image(envs.observation_space)
    except DriveRLError:
        envs.close()
        raise
    envs.seed(first_seed(seed))
    return envs if estimator is None else predicting(envs, world, estimator)


def build_model(
    spec: LearnerSpec, envs: VecEnv, device: torch.device, seed: int, teacher: Driver | None = None
) -> BaseAlgorithm:
    """Return an untrained model; like stable-baselines3, seed Python's, NumPy's and torch's generators.

    Args:
        spec: The learner.
        envs: What `make_envs` returned.
        device: The networks'.
        seed: The run's.
        teacher: The driver that an agent which imitates learns from, unless it does so offline.

    Raises:
        DriveRLError: its buffers do not fit into memory.
    """
    space, world = envs.observation_space, envs.get_attr("world")[0]
    learned = LANE_STATE if spec.help == "guided" else space
    check_learner(spec, space, learned, device, world.camera)
    common: Kwargs = {
        "learning_rate": LinearSchedule(spec.learning_rate, spec.learning_rate_end, 1.0),
        "batch_size": spec.batch_size,
        "policy_kwargs": _policy(spec, world, space),
        "device": device,
        "seed": seed,
    }
    if isinstance(spec, DaggerSpec):
        assert spec.offline or teacher is not None, "an agent that imitates needs its teacher"
        return _dagger(spec, TeacherWrapper(envs, spec, seed, teacher), common)
    return _reinforced(spec, envs, common, seed)


def policy_driver(agent: LearnerSpec, policy: BasePolicy, estimator: LaneEstimator | None = None) -> PolicyDriver:
    """Return a driver that acts by a policy of `agent`'s; `estimator` is its perception model's, if it has one."""
    predict, source = policy.predict, estimator
    if isinstance(policy, LaneStatePolicy):
        predict, source = policy.predict_from_lane_state, policy.lane_net
    kind = RecurrentDriver if isinstance(agent, RecurrentPpoSpec) else PolicyDriver
    return kind(agent.name, predict, agent.observation, agent.actions, source)


def build_policy(spec: LearnerSpec, world: WorldSpec, device: torch.device) -> BasePolicy:
    """Return the untrained policy of a spec, for driving: `build_model` without the learner."""
    observed = observation_space(world, "state" if spec.help == "perception model" else _observed(spec))
    policy = _policy_class(spec)
    if isinstance(policy, str):
        policy = (PerEnvDQN if isinstance(spec, DqnSpec) else PPO).policy_aliases[policy]
    space = LANE_STATE if spec.help == "guided" else observed
    if spec.help == "imitation":
        space = cast(spaces.Dict, observed)["camera"]
    schedule = LinearSchedule(spec.learning_rate, spec.learning_rate_end, 1.0)
    return policy(space, action_space(world, spec.actions), schedule, **_policy(spec, world, observed)).to(device)


def predicting(envs: VecEnv, world: WorldSpec, estimator: LaneEstimator) -> LaneStateWrapper:
    """Return environments of the lane state that an estimator predicts."""
    return LaneStateWrapper(envs, cast(spaces.Box, observation_space(world, "state")), estimator)


def _observed(agent: LearnerSpec) -> Observation:
    """Return what a learner's environments return."""
    return "camera+state" if agent.help in ("guided", "imitation", "asymmetric") else agent.observation


def _policy_input(agent: LearnerSpec) -> Observation:
    """Return what a policy without guidance is made for."""
    if agent.help == "asymmetric":
        return "camera+state"
    return "state" if agent.help == "perception model" else agent.observation


def _make_batch(world: WorldSpec, count: int, observation: Observation, device: torch.device) -> Batch:
    simulated = config.ENABLE_CUDASIM  # pyright: ignore - set from the environment: numba simulates a GPU
    if device.type == "cpu" and not simulated:
        return cpu_batch(world, count, observation)
    from drive_rl.sim.engines.cuda import CudaBatch  # numba.cuda takes a while to import

    return CudaBatch(world, count, observation, device)


def _reinforced(spec: RewardedDriverSpec, envs: VecEnv, common: Kwargs, seed: int) -> BaseAlgorithm:
    """Return a model that learns from rewards, guided or not."""
    common |= {"gamma": spec.gamma, "max_grad_norm": spec.max_grad_norm}
    guidance = None
    if spec.help == "guided" and spec.guidance:
        guidance = GuidanceWrapper(envs, spec.guidance, seed, isinstance(spec, DqnSpec))
    build = _ppo if isinstance(spec, OnPolicySpec) else build_off_policy
    model = build(cast(Any, spec), _policy_class(spec), guidance or envs, common)
    _freeze(spec, model)
    if isinstance(model, GuidedPPO | GuidedDQN):
        assert guidance is not None
        guidance.attach_net(cast(LaneStatePolicy, model.policy).lane_net)
        model.guidance = guidance
    return model


def _dagger(spec: DaggerSpec, envs: TeacherWrapper, common: Kwargs) -> Dagger:
    common["batch_size"] = envs.num_envs * spec.steps_per_update  # PPO's own, of which nothing is learned
    model = Dagger(_policy_class(spec), envs, n_steps=spec.steps_per_update, **common)
    noise = model.policy.log_std
    noise.data.fill_(math.log(max(spec.noise, _LEAST_NOISE)))
    _freeze(spec, model)
    model.learn_from(envs)
    return model


def _freeze(spec: LearnerSpec, model: BaseAlgorithm) -> None:
    """Freeze the encoders of a spec that asks for it, before an optimizer of samples takes what is left."""
    if spec.encoder.frozen:
        freeze_encoders(model.policy)


def _ppo(spec: PpoSpec | RecurrentPpoSpec, policy: Any, envs: VecEnv, common: Kwargs) -> OnPolicyAlgorithm:
    world = envs.unwrapped
    on_device = isinstance(world, BatchVecEnv) and isinstance(world.batch.frames, torch.Tensor)
    if on_device:
        common["rollout_buffer_class"] = DeviceRolloutBuffer
    model = _on_policy(spec, on_device)(
        policy,
        envs,
        n_steps=spec.steps_per_update,
        n_epochs=spec.epochs,
        gae_lambda=spec.gae_lambda,
        clip_range=spec.clip_range,
        ent_coef=spec.entropy_coef,
        vf_coef=spec.value_coef,
        **common,
    )
    if isinstance(spec, PpoSpec) and isinstance(model, CriticPPO):
        model.critic_epochs, model.self_supervised = spec.critic_epochs, spec.self_supervised
    if isinstance(spec, RecurrentPpoSpec):
        cast(Any, model.rollout_buffer).sequence_steps = spec.sequence_steps
    if spec.actions == "continuous":
        noise = model.policy.log_std
        noise.data = torch.tensor(spec.log_std_init[: len(noise)], dtype=noise.dtype, device=noise.device)
    return model


def _on_policy(spec: PpoSpec | RecurrentPpoSpec, on_device: bool) -> type[Any]:
    if isinstance(spec, RecurrentPpoSpec):
        need("sb3_contrib", "contrib")
        from drive_rl.learn.contrib.recurrent_ppo import BudgetRecurrentPPO

        return BudgetRecurrentPPO
    kind = (
        GuidedPPO if spec.help == "guided" else CriticPPO if spec.critic_epochs or spec.self_supervised else BudgetPPO
    )
    return ON_DEVICE[kind] if on_device else kind


def _policy_class(spec: LearnerSpec) -> Any:
    """Return the policy class of a spec, or stable-baselines3's name of it."""
    if spec.help == "guided":
        return GuidedQ if isinstance(spec, DqnSpec) else GuidedActorCritic
    if spec.help == "asymmetric":
        return AsymmetricActorCritic
    return own_policy(spec) or _POLICY[_policy_input(spec)]


def _policy(spec: LearnerSpec, world: WorldSpec, space: gymnasium.Space) -> Kwargs:
    """Return the keyword arguments of a policy for environments of `space`."""
    shared = {"net_arch": list(spec.hidden), "optimizer_kwargs": {"fused": True}}
    image = {"encoder": spec.encoder, "frames": world.camera.frame_stack}
    if spec.help == "guided":
        guided: Kwargs = {**shared, **image, "camera": cast(spaces.Dict, space).spaces["camera"]}
        if isinstance(spec, DqnSpec):
            guided |= {"steers": world.task.steer_grid, "temperature": spec.steering_temperature}
        return guided
    extractors: dict[Observation, tuple[type, Kwargs]] = {
        "camera": (ImageEncoder, image),
        "motion": (ImageEncoder, {"encoder": spec.encoder}),
        "camera+state": (CameraStateEncoder, image),
        "state": (StateEncoder, {}),
    }
    kind, kwargs = extractors[_policy_input(spec)]
    if spec.observation == "camera" and normalises(spec):
        kwargs = kwargs | {"normed": True}
    return {
        **shared,
        **policy_options(spec),
        "features_extractor_class": kind,
        "features_extractor_kwargs": kwargs,
        "normalize_images": False,  # the encoders scale to [0, 1]
    }


def _check_image(space: gymnasium.Space) -> None:
    """Refuse an image that stable-baselines3 would transpose: it takes the smallest side for the channels."""
    image = space["camera"] if isinstance(space, gymnasium.spaces.Dict) else space
    shape = image.shape or ()
    if len(shape) == 3 and shape[0] >= min(shape[1:]):
        raise DriveRLError(
            f"camera: {shape[0]} stacked channels in an image of {shape[2]}x{shape[1]} px: expected fewer"
            " channels than pixels a side; fix: a smaller world.camera.frame_stack or a larger image"
        )
