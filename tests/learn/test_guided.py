"""Guided drivers: the true state helps them learn, and what they do depends on the camera alone."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_specs
import torch
from gymnasium import spaces
from stable_baselines3 import PPO
from stable_baselines3.common.policies import ActorCriticCnnPolicy
from stable_baselines3.dqn.policies import CnnPolicy

from drive_rl.learn.build import build_model, is_guided, make_envs
from drive_rl.learn.drivers import policy_driver
from drive_rl.learn.encoders import ImageEncoder
from drive_rl.learn.guided import GuidedActorCritic, GuidedEncoder, GuidedQ
from drive_rl.learn.updates import GuidedDQN, GuidedPPO, PerEnvDQN
from drive_rl.learn.vec_env import SerialVecEnv
from drive_rl.spec import DqnSpec, PpoSpec

CPU = torch.device("cpu")
MAKE = {"ppo": small_specs.ppo, "dqn": small_specs.dqn}
ALGORITHMS = tuple(MAKE)
SHAPE = (2, 16, 24)
FIELDS = 11


def model_of(spec: PpoSpec | DqnSpec, device: torch.device = CPU) -> tuple[Any, SerialVecEnv]:
    envs = make_envs(small_specs.world(), spec, "train", spec.num_envs, 0)
    return build_model(spec, envs, device, 0), envs


@pytest.fixture(params=ALGORITHMS)
def model(request: pytest.FixtureRequest) -> Any:
    """An untrained guided model, its environments closed."""
    made, envs = model_of(MAKE[request.param]())
    envs.close()
    torch.manual_seed(0)
    for part in made.policy.parameters():  # as lively as a trained one: other pictures, other actions
        part.data += 0.1 * torch.randn_like(part)
    return made


def pictures(count: int) -> np.ndarray:
    """Return pictures of random squares."""
    coarse = np.random.default_rng(0).integers(0, 256, (count, SHAPE[0], SHAPE[1] // 8, SHAPE[2] // 8), np.uint8)
    return coarse.repeat(8, axis=2).repeat(8, axis=3)


def seen(images: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Return observations with these pictures and a random state."""
    state = np.random.default_rng(seed).normal(0, 10, (len(images), FIELDS)).astype(np.float32)
    return {"camera": images, "state": state}


def tensors(observations: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    return {key: torch.as_tensor(value) for key, value in observations.items()}


@pytest.mark.parametrize("deterministic", [True, False])
def test_actions_do_not_depend_on_the_true_state(model: Any, deterministic: bool) -> None:
    images, actions = pictures(64), []
    for observations in (seen(images, 1), seen(images, 2), images):
        torch.manual_seed(0)
        actions.append(model.policy.predict(observations, deterministic=deterministic)[0])
    assert len(np.unique(actions[0], axis=0)) > 2
    assert np.array_equal(actions[0], actions[1])
    assert np.array_equal(actions[0], actions[2]), "raw pictures are the observation of driving"
    # the row of a batch of one may be rounded otherwise; the action is the same
    single = model.policy.predict(images[5], deterministic=True)[0]
    assert np.allclose(single, model.policy.predict(images, deterministic=True)[0][5], atol=1e-4)


def test_ppos_actor_is_blind_to_the_state_and_its_critic_to_the_camera() -> None:
    model, envs = model_of(small_specs.ppo())
    envs.close()
    images = pictures(16)
    found = []
    for observations in (seen(images, 1), seen(images, 2), seen(images[::-1].copy(), 1)):
        torch.manual_seed(0)
        found.append(model.policy(tensors(observations)))
    (actions, values, log_prob), other_state, other_pictures = found
    assert torch.equal(actions, other_state[0])
    assert torch.equal(log_prob, other_state[2])
    assert not torch.equal(values, other_state[1])
    assert not torch.equal(actions, other_pictures[0])
    assert torch.equal(values, other_pictures[1])
    assert torch.equal(values, model.policy.predict_values(tensors(seen(images, 1))))


def test_dqns_values_are_blind_to_the_state() -> None:
    model, envs = model_of(small_specs.dqn())
    envs.close()
    values = [model.q_net(tensors(seen(pictures(16), seed))) for seed in (1, 2)]
    assert torch.equal(values[0], values[1])


def test_only_the_lane_loss_teaches_what_the_encoder_tells() -> None:
    model, envs = model_of(small_specs.ppo())
    envs.close()
    observations = tensors(seen(pictures(16), 1))
    actions = torch.zeros(16, 2)
    model.policy.evaluate_actions(observations, actions)[1].sum().backward(retain_graph=True)
    encoder: Any = model.policy.pi_features_extractor
    assert encoder.lane.bias.grad is None
    model.policy.lane_loss(observations).backward()
    lane: Any = encoder.lane.bias.grad
    assert lane.abs().sum() > 0
    assert all(part.grad is None for part in model.policy.vf_features_extractor.parameters())


def test_the_lane_loss_by_hand() -> None:
    space = spaces.Dict(
        {"camera": spaces.Box(0, 255, SHAPE, np.uint8), "state": spaces.Box(-1e3, 1e3, (2,), np.float32)}
    )
    encoder = GuidedEncoder(space, small_specs.ppo().encoder, 2)
    with torch.no_grad():
        encoder.lane.weight.zero_()
        encoder.lane.bias.copy_(torch.tensor([1.0, 0.0]))
    state = torch.tensor([[0.0, 0.5], [1.0, 0.0]])
    features = encoder({"camera": torch.zeros(2, *SHAPE), "state": state})
    assert features[:, -2:].tolist() == [[1, 0], [1, 0]]
    # three times the state: (0, 1.5) and (3, 0); told (1, 0) both times: (1 + 2.25 + 4 + 0) / 4
    assert encoder.lane_loss({"camera": torch.zeros(2, *SHAPE), "state": state}).item() == pytest.approx(7.25 / 4)


def device_is_here(name: str) -> bool:
    return name == "cpu" or torch.cuda.is_available()


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_lane_loss_falls_in_training(algorithm: str, device: str) -> None:
    if not device_is_here(device):
        pytest.skip("no GPU")
    model, envs = model_of(MAKE[algorithm]("learning_rate=1e-3", "learning_rate_end=1e-3"), torch.device(device))
    rows = [envs.reset()]
    rng = np.random.default_rng(0)
    for _ in range(100):
        actions = np.array([envs.action_space.sample() if rng.random() < 0.5 else rows_action(envs) for _ in range(2)])
        rows.append(envs.step(actions)[0])
    kept = {key: torch.as_tensor(np.concatenate([row[key] for row in rows]), device=device) for key in rows[0]}

    def loss() -> float:
        with torch.no_grad():
            model.policy.predict({key: value.cpu().numpy() for key, value in kept.items()}, deterministic=True)
            return model.policy.lane_loss(kept).item()

    before = loss()
    model.learn(768)
    after = loss()
    envs.close()
    assert after < 0.7 * before
    assert "train/lane_loss" in model.logger.name_to_value


def rows_action(envs: SerialVecEnv) -> Any:
    """Return the action that changes least: straight on, or the grid's middle."""
    return envs.action_space.n // 2 if isinstance(envs.action_space, spaces.Discrete) else np.zeros(2, np.float32)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_guided_driver_asks_for_pictures_only(algorithm: str) -> None:
    spec = small_specs.run(algorithm)
    assert is_guided(spec.agent)
    model, envs = model_of(spec.agent)
    envs.close()
    driver = policy_driver(spec, model.policy.state_dict(), Path("weights.safetensors"), CPU)
    assert driver.observation == "camera"
    images = pictures(8)
    assert np.array_equal(driver.act(images), model.policy.predict(seen(images, 1), deterministic=True)[0])


def test_guided_policies_are_their_own() -> None:
    for algorithm, kind, policy in (("ppo", GuidedPPO, GuidedActorCritic), ("dqn", GuidedDQN, GuidedQ)):
        model, envs = model_of(MAKE[algorithm]("guidance=0.25"))
        envs.close()
        assert type(model) is kind
        assert type(model.policy) is policy
        assert model.guidance == 0.25


@pytest.mark.parametrize(
    ("algorithm", "kind", "policy"), [("ppo", PPO, ActorCriticCnnPolicy), ("dqn", PerEnvDQN, CnnPolicy)]
)
def test_without_guidance_it_is_stable_baselines3s_own(algorithm: str, kind: type[Any], policy: type[Any]) -> None:
    model, envs = model_of(MAKE[algorithm]("guidance=0"))
    envs.close()
    assert isinstance(envs.observation_space, spaces.Box)
    assert type(model) is kind
    assert type(model.policy) is policy
    extractor = model.policy.features_extractor if algorithm == "ppo" else model.q_net.features_extractor
    assert type(extractor) is ImageEncoder


@pytest.mark.parametrize("observation", ["state", "camera+state"])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_who_sees_the_state_anyway_is_not_guided(algorithm: str, observation: str) -> None:
    assert not is_guided(MAKE[algorithm](f"observation={observation}"))


def test_a_last_minibatch_of_one_sample_does_not_end_in_nan() -> None:
    with pytest.warns(UserWarning, match="truncated mini-batch of size 1"):  # stable-baselines3's own word
        model, envs = model_of(small_specs.ppo("batch_size=63"))  # 64 samples an update
    model.learn(64)
    envs.close()
    assert all(torch.isfinite(part).all() for part in model.policy.parameters())
