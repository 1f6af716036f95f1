"""Guided drivers: the true state helps them learn, and their actions depend on the camera alone."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_specs
import torch
from gymnasium import spaces
from stable_baselines3.common.policies import ActorCriticCnnPolicy
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.dqn.policies import CnnPolicy

from drive_rl.config.specs.driver import DqnSpec, PpoSpec
from drive_rl.errors import DriveRLError
from drive_rl.learn.budget import BudgetPPO
from drive_rl.learn.build import build_model, make_envs
from drive_rl.learn.guidance.lane_net import LANE_STATE
from drive_rl.learn.guidance.policies import GuidedActorCritic, GuidedDQN, GuidedPPO, GuidedQ
from drive_rl.learn.guidance.wrapper import TRUE_AND_SHOWN
from drive_rl.learn.own_drivers import restore_driver
from drive_rl.learn.sb3.exploration import PerEnvDQN
from drive_rl.learn.sb3.feature_extractors import ImageEncoder
from drive_rl.sim.task.outcome import STATE_FIELDS

CPU = torch.device("cpu")
MAKE = {"ppo": small_specs.ppo, "dqn": small_specs.dqn}
ALGORITHMS = tuple(MAKE)
SHAPE = (2, 16, 24)
FIELDS = len(STATE_FIELDS)


def model_of(spec: PpoSpec | DqnSpec, device: torch.device = CPU) -> tuple[Any, VecEnv]:
    envs = make_envs(small_specs.world(), spec, "train", spec.num_envs, 0)
    return build_model(spec, envs, device, 0), envs


def pictures(count: int) -> np.ndarray:
    """Return pictures of random squares."""
    coarse = np.random.default_rng(0).integers(0, 256, (count, SHAPE[0], SHAPE[1] // 8, SHAPE[2] // 8), np.uint8)
    return coarse.repeat(8, axis=2).repeat(8, axis=3)


def by_hand(state: np.ndarray) -> np.ndarray:
    """Scale a lane state: 3 a metre of offset, 15 a radian of heading error, 0.3 a metre a second of speed."""
    factors = {"offset_m": 3, "heading_error_rad": 15, "speed_mps": 0.3}
    return np.stack([state[:, STATE_FIELDS.index(name)] * factor for name, factor in factors.items()], axis=1)


def known(shown: np.ndarray) -> np.ndarray:
    return shown[:, [STATE_FIELDS.index(name) for name in ("offset_m", "heading_error_rad", "speed_mps")]]


def device_is_here(name: str) -> bool:
    return name == "cpu" or torch.cuda.is_available()


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_lane_loss_falls_in_training(algorithm: str, device: str) -> None:
    if not device_is_here(device):
        pytest.skip("no GPU")
    # pictures of more than one place: so early, what DQN thinks best may be to stand still
    everywhere = {"ppo": (), "dqn": ("exploration_fraction=1", "exploration_end=1")}[algorithm]
    model, envs = model_of(MAKE[algorithm](*everywhere), torch.device(device))
    other = make_envs(small_specs.world(), MAKE[algorithm](), "train", 2, 5)
    rows: list[Any] = [other.reset() for _ in range(50)]
    images = np.concatenate([row["camera"] for row in rows])
    truth = by_hand(np.concatenate([row["state"] for row in rows]))

    def error() -> float:
        return float(((known(model.policy.lane_net.lane_state(images)) - truth) ** 2).mean())

    before = error()
    model.learn(2048)
    envs.close()
    other.close()
    assert error() < 0.7 * before
    assert model.logger.name_to_value["train/lane_loss"] > 0


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_policys_gradients_are_clipped_without_the_lane_networks(algorithm: str) -> None:
    """The lane network has its own optimizer: stable-baselines3 must neither train nor clip nor count it."""
    model, envs = model_of(MAKE[algorithm]())
    own = {id(part) for part in model.policy.lane_net.parameters()}
    assert own
    assert not own & {id(part) for part in model.policy.parameters()}
    assert not own & {id(part) for group in model.policy.optimizer.param_groups for part in group["params"]}
    assert {f"lane_net.{name}" for name, _ in model.policy.lane_net.named_parameters()} <= set(
        model.policy.state_dict()
    )
    envs.close()


@pytest.mark.parametrize("deterministic", [True, False])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_guided_driver_needs_pictures_only(algorithm: str, deterministic: bool) -> None:
    spec = small_specs.run(algorithm)
    assert spec.agent.help == "guided"
    assert isinstance(spec.agent, PpoSpec | DqnSpec)
    model, envs = model_of(spec.agent)
    envs.close()
    torch.manual_seed(0)
    for part in [
        *model.policy.parameters(),
        *model.policy.lane_net.parameters(),
    ]:  # as lively as a trained one: other pictures, other actions
        part.data += 0.3 * torch.randn_like(part)
    images = pictures(16)
    torch.manual_seed(1)
    actions = model.policy.predict(images, deterministic=deterministic)[0]
    torch.manual_seed(1)
    predicted = model.policy.lane_net.lane_state(images)
    assert np.array_equal(actions, model.policy.predict_from_lane_state(predicted, deterministic=deterministic)[0])
    assert len(np.unique(actions, axis=0)) > 1
    single = model.policy.predict(images[5], deterministic=True)[0]
    assert np.allclose(single, model.policy.predict(images, deterministic=True)[0][5], atol=1e-4)
    driver = restore_driver(spec, model.policy.state_dict(), Path("weights.safetensors"), CPU)
    assert driver.observation == "camera"
    assert np.array_equal(driver.act(images), model.policy.predict(images, deterministic=True)[0])


def test_the_policys_optimizer_leaves_the_lane_network_alone() -> None:
    for algorithm in ALGORITHMS:
        model, envs = model_of(MAKE[algorithm]("guidance.passes=1e-9"))
        before = [part.clone() for part in model.policy.lane_net.parameters()]
        model.learn(256)
        envs.close()
        assert all(map(torch.equal, before, model.policy.lane_net.parameters()))


def test_dqn_acts_on_predictions_and_learns_from_the_truth() -> None:
    model, envs = model_of(small_specs.dqn("guidance.truth_fraction=0", "exploration_end=0", "exploration_fraction=0"))
    model.learn(64)
    model.exploration_rate = 0.0
    both = model._last_obs
    shown = both[:, FIELDS:]
    assert not np.allclose(both[:, :FIELDS], shown)
    acts = model.predict(both)[0]
    assert np.array_equal(acts, model.policy.predict_from_lane_state(shown, deterministic=True)[0])
    kept = model.replay_buffer.observations[: model.replay_buffer.pos]
    assert np.array_equal(model.replay_buffer.next_observations[model.replay_buffer.pos - 1], both)
    assert kept.shape[1:] == (2, 2 * FIELDS)
    envs.close()


def by_numpy(network: Any, states: np.ndarray) -> np.ndarray:
    """Return the values of lane states: linear layers, each but the last normalised and times its logistic."""
    x = states.astype(np.float64)
    *hidden, last = [layer for layer in network.q_net if isinstance(layer, torch.nn.Linear)]
    for layer in hidden:
        x = x @ layer.weight.detach().numpy().T.astype(np.float64) + layer.bias.detach().numpy()
        x = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5)
        x = x / (1 + np.exp(-x))
    return x @ last.weight.detach().numpy().T.astype(np.float64) + last.bias.detach().numpy()


def steering_by_hand(values: np.ndarray, temperature: float, steers: list[float], pedals: int) -> int:
    """Return the action whose pedal is the likeliest, and whose steering is nearest to the mean."""
    weights = np.exp((values - values.max()) / temperature)
    mean = sum(w * steers[i // pedals] for i, w in enumerate(weights)) / weights.sum()
    nearest = min(range(len(steers)), key=lambda i: abs(steers[i] - mean))
    return nearest * pedals + max(range(pedals), key=lambda pedal: weights[pedal::pedals].sum())


def test_a_temperature_steers_by_the_mean_and_takes_the_likeliest_pedal() -> None:
    model, envs = model_of(small_specs.dqn("steering_temperature=0.1"))
    task = small_specs.world().task
    steers, pedals = list(task.steer_grid), len(task.pedal_grid)
    values = np.random.default_rng(0).normal(0, 0.2, (200, len(steers) * pedals)).astype(np.float32)
    chosen = model.policy.choose(torch.tensor(values)).tolist()
    assert chosen == [steering_by_hand(row.astype(np.float64), 0.1, steers, pedals) for row in values]
    assert chosen != values.argmax(1).tolist()
    model.policy.temperature = 0.0
    assert model.policy.choose(torch.tensor(values)).tolist() == values.argmax(1).tolist()
    envs.close()


def test_unguided_dqn_has_no_steering_temperature() -> None:
    with pytest.raises(DriveRLError, match=r"steering_temperature = 0.1: only guided DQN .*fix: steering_temp.* = 0"):
        small_specs.dqn("steering_temperature=0.1", "guidance=null")


@pytest.mark.parametrize("n_steps", [1, 3])
def test_dqns_targets_are_true_values_of_actions_chosen_from_predictions(n_steps: int) -> None:
    changes = ("guidance.truth_fraction=0", f"n_steps={n_steps}", "hidden=[16,16]", "learning_starts=400")
    model, envs = model_of(small_specs.dqn(*changes))
    model.learn(400)  # not one update yet
    for part in model.q_net_target.parameters():  # as lively as a trained one: other states, other actions
        part.data += 0.5 * torch.randn_like(part)
    random = np.random.get_state()
    batch = model.replay_buffer.sample(32)
    rows = {name: getattr(batch, name).numpy() for name in ("observations", "next_observations", "rewards", "dones")}
    at, true, shown = (
        rows["observations"][:, :FIELDS],
        rows["next_observations"][:, :FIELDS],
        rows["next_observations"][:, FIELDS:],
    )
    chosen = by_numpy(model.q_net_target, shown).argmax(1)
    following = by_numpy(model.q_net_target, true)
    assert (chosen != following.argmax(1)).any()
    discounts = model.gamma if n_steps == 1 else batch.discounts.numpy()[:, 0]
    targets = rows["rewards"][:, 0] + (1 - rows["dones"][:, 0]) * discounts * following[np.arange(32), chosen]
    errors = np.abs(by_numpy(model.q_net, at)[np.arange(32), batch.actions.numpy()[:, 0]] - targets)
    loss = np.where(errors < 1, errors**2 / 2, errors - 0.5).mean()
    np.random.set_state(random)
    before = [part.clone() for part in model.q_net.parameters()]
    model.train(1, 32)
    assert model.logger.name_to_value["train/loss"] == pytest.approx(loss, rel=1e-4)
    assert not any(map(torch.equal, before, model.q_net.parameters()))
    envs.close()


def test_guided_models_are_their_own() -> None:
    for algorithm, kind, policy, kept in (
        ("ppo", GuidedPPO, GuidedActorCritic, LANE_STATE),
        ("dqn", GuidedDQN, GuidedQ, TRUE_AND_SHOWN),
    ):
        model, envs = model_of(MAKE[algorithm]())
        envs.close()
        assert type(model) is kind
        assert type(model.policy) is policy
        assert model.observation_space == kept
        assert model.policy.observation_space == LANE_STATE


@pytest.mark.parametrize(
    ("algorithm", "kind", "policy"), [("ppo", BudgetPPO, ActorCriticCnnPolicy), ("dqn", PerEnvDQN, CnnPolicy)]
)
def test_without_guidance_it_is_stable_baselines3s_own(algorithm: str, kind: type[Any], policy: type[Any]) -> None:
    model, envs = model_of(MAKE[algorithm]("guidance=null"))
    envs.close()
    assert isinstance(envs.observation_space, spaces.Box)
    assert type(model) is kind
    assert type(model.policy) is policy
    extractor = model.policy.features_extractor if algorithm == "ppo" else model.q_net.features_extractor
    assert type(extractor) is ImageEncoder


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_an_agent_that_observes_the_state_is_not_guided(algorithm: str) -> None:
    assert MAKE[algorithm]("observation=state").help == "state"
