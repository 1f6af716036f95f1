"""Guided drivers: the true state helps them learn, and what they do depends on the camera alone."""

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

from drive_rl.config.driver_spec import DqnSpec, GuidanceSpec, PpoSpec
from drive_rl.learn.budget import BudgetPPO
from drive_rl.learn.build import build_model, make_envs
from drive_rl.learn.guidance.lane_net import LANE_STATE, LaneStateNet
from drive_rl.learn.guidance.policies import GuidedActorCritic, GuidedDQN, GuidedPPO, GuidedQ
from drive_rl.learn.guidance.wrapper import TRUE_AND_SHOWN, GuidanceWrapper
from drive_rl.learn.load_driver import policy_driver
from drive_rl.learn.sb3.exploration import PerEnvDQN
from drive_rl.learn.sb3.feature_extractors import ImageEncoder
from drive_rl.sim.task.outcome import STATE_FIELDS

CPU = torch.device("cpu")
MAKE = {"ppo": small_specs.ppo, "dqn": small_specs.dqn}
ALGORITHMS = tuple(MAKE)
SHAPE = (2, 16, 24)
FIELDS = len(STATE_FIELDS)
CAMERA = spaces.Box(0, 255, SHAPE, np.uint8)


def model_of(spec: PpoSpec | DqnSpec, device: torch.device = CPU) -> tuple[Any, VecEnv]:
    envs = make_envs(small_specs.world(), spec, "train", spec.num_envs, 0)
    return build_model(spec, envs, device, 0), envs


def guide_of(
    returns_both: bool = False, count: int = 2, **guidance: Any
) -> tuple[GuidanceWrapper, LaneStateNet, VecEnv]:
    """Return a guide of some small worlds, its eyes, and the worlds themselves."""
    spec = small_specs.ppo()
    envs = make_envs(small_specs.world(), spec, "train", count, 0)
    guide = GuidanceWrapper(envs, GuidanceSpec(**guidance), 0, returns_both)
    torch.manual_seed(0)
    lane_net = LaneStateNet(CAMERA, spec.encoder, 2)
    guide.teach(lane_net)
    return guide, lane_net, envs


def twin(count: int = 2) -> VecEnv:
    """Return the environments that `guide_of` has, without the guide."""
    return make_envs(small_specs.world(), small_specs.ppo(), "train", count, 0)


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


@pytest.mark.parametrize("returns_both", [False, True])
def test_at_first_the_truth_is_shown(returns_both: bool) -> None:
    guide, _, envs = guide_of(returns_both, truth_fraction=0.5)
    other = twin()
    truth: Any = other.reset()
    assert np.allclose(known(guide.reset()), by_hand(truth["state"]), atol=1e-5)
    for _ in range(3):
        action = np.zeros((2, 2), np.float32)
        truth = other.step(action)[0]
        returned: Any = guide.step(action)[0]
        assert np.allclose(known(returned), by_hand(truth["state"]), atol=1e-5)
        assert np.array_equal(returned[:, -FIELDS:], guide.shown)
        assert np.array_equal(returned[:, :FIELDS], guide.shown)
    envs.close()
    other.close()


@pytest.mark.parametrize("returns_both", [False, True])
def test_later_what_the_eyes_tell_is_shown(returns_both: bool) -> None:
    guide, lane_net, envs = guide_of(returns_both, truth_fraction=0)
    other = twin()
    truth: Any = other.reset()
    returned = guide.reset()
    with torch.no_grad():
        told = lane_net(torch.as_tensor(truth["camera"])).numpy()
    assert np.array_equal(guide.shown, told)
    assert np.array_equal(returned[:, -FIELDS:], told)
    if returns_both:
        assert np.allclose(known(returned), by_hand(truth["state"]), atol=1e-5)
        assert returned.shape == (2, 2 * FIELDS)
    envs.close()
    other.close()


@pytest.mark.parametrize(("returns_both", "truth_fraction"), [(False, 0), (False, 1), (True, 0)])
def test_an_episodes_last_lane_state_is_of_the_kind_returned(returns_both: bool, truth_fraction: float) -> None:
    guide, lane_net, envs = guide_of(returns_both, truth_fraction=truth_fraction)
    other = twin()
    guide.reset()
    other.reset()
    for _ in range(40):
        action = np.array([[1, 1], [1, 1]], np.float32)
        _, _, dones, infos = guide.step(action)
        theirs = other.step(action)[3]
        if dones[0]:
            last = theirs[0]["terminal_observation"]
            found = infos[0]["terminal_observation"]
            assert found.shape == (FIELDS * (1 + returns_both),)
            if returns_both or truth_fraction:
                assert np.allclose(known(found[None]), by_hand(last["state"][None]), atol=1e-5)
            if not truth_fraction:
                assert np.array_equal(found[-FIELDS:], lane_net.tell(last["camera"][None])[0])
            break
    else:
        pytest.fail("no episode ended")
    envs.close()
    other.close()


def test_fewer_and_fewer_episodes_show_the_truth() -> None:
    guide, lane_net, envs = guide_of(truth_fraction=0.5, passes=1e-9)
    other = twin()
    shares = []
    for remaining in (1.0, 0.75, 0.5, 0.25):
        guide.learn(remaining)
        told = 0
        for _ in range(100):
            guide.reset()
            seen: Any = other.reset()
            told += (guide.shown == lane_net.tell(seen["camera"])).all(axis=1).sum()
        shares.append(1 - told / 200)
    assert shares[0] == 1
    assert 0.35 < shares[1] < 0.65
    assert shares[2:] == [0, 0]
    envs.close()
    other.close()


def test_the_eyes_learn_as_often_as_asked() -> None:
    guide, lane_net, envs = guide_of(passes=2, batch_size=16)
    before = [part.clone() for part in lane_net.parameters()]
    guide.reset()
    for _ in range(3):
        guide.step(np.zeros((2, 2), np.float32))
    assert (guide.learn(1.0) or 0) > 0  # 8 pictures, twice: one minibatch of 16
    assert not all(map(torch.equal, before, lane_net.parameters()))
    after = [part.clone() for part in lane_net.parameters()]
    assert guide.learn(1.0) is None, "nothing new to learn from"
    assert all(map(torch.equal, after, lane_net.parameters()))
    envs.close()


@pytest.mark.parametrize("at_rest", [0.0, 1.0])
def test_the_eyes_learn_what_a_car_at_rest_sees(at_rest: float) -> None:
    guide, lane_net, envs = guide_of(passes=100, batch_size=4, at_rest=at_rest)
    guide.reset()
    for _ in range(3):
        guide.step(np.zeros((2, 2), np.float32))
    seen: Any = envs.step(np.zeros((2, 2), np.float32))[0]
    guide.learn(1.0)
    newest = seen["camera"][:, SHAPE[0] // 2 :]
    told, true = known(lane_net.tell(np.concatenate([newest, newest], axis=1))), by_hand(seen["state"])
    envs.close()
    assert true[:, 2].max() > 2, "7 m/s"
    assert np.abs(told[:, 2] - (0 if at_rest else true[:, 2])).max() < 0.3, "1 m/s"
    assert np.abs(told[:, :2] - true[:, :2]).max() < 0.5, "the place is that of the newest picture"


def test_the_eyes_learn_no_backwards_when_the_last_steps_overshoot_the_budget() -> None:
    guide, lane_net, envs = guide_of(passes=2, batch_size=16, learning_rate_end=0)
    guide.reset()
    for _ in range(3):
        guide.step(np.zeros((2, 2), np.float32))
    before = [part.clone() for part in lane_net.parameters()]
    assert guide.learn(-0.2) is not None
    assert all(map(torch.equal, before, lane_net.parameters()))
    envs.close()


@pytest.mark.parametrize("room", [1, 2, 5, 7, 12])
def test_the_latest_pictures_are_kept_however_few(room: int, tmp_path: Path) -> None:
    count = 5
    guide, _, envs = guide_of(count=count, pictures=room, batch_size=1)
    other = twin(count)
    expected = np.zeros((room, *CAMERA.shape), np.uint8)
    seen: Any = other.reset()
    guide.reset()
    for step in range(4):
        for row in range(count):
            expected[(count * step + row) % room] = seen["camera"][row]
        seen = other.step(np.zeros((count, 2), np.float32))[0]
        if step < 3:
            guide.step(np.zeros((count, 2), np.float32))
    guide.write(tmp_path, pictures=True)
    assert np.array_equal(np.load(tmp_path / "pictures.npz")["pictures"], expected)
    envs.close()
    other.close()


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
        return float(((known(model.policy.lane_net.tell(images)) - truth) ** 2).mean())

    before = error()
    model.learn(2048)
    envs.close()
    other.close()
    assert error() < 0.7 * before
    assert model.logger.name_to_value["train/lane_loss"] > 0


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_policys_gradients_are_clipped_without_those_of_the_eyes(algorithm: str) -> None:
    """The eyes have an optimizer of their own: stable-baselines3 must neither learn nor clip nor count them."""
    model, envs = model_of(MAKE[algorithm]())
    eyes = {id(part) for part in model.policy.lane_net.parameters()}
    assert eyes
    assert not eyes & {id(part) for part in model.policy.parameters()}
    assert not eyes & {id(part) for group in model.policy.optimizer.param_groups for part in group["params"]}
    assert {f"sight.{name}" for name, _ in model.policy.lane_net.named_parameters()} <= set(model.policy.state_dict())
    envs.close()


@pytest.mark.parametrize("deterministic", [True, False])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_guided_driver_asks_for_pictures_only(algorithm: str, deterministic: bool) -> None:
    spec = small_specs.run(algorithm)
    assert spec.agent.is_guided
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
    told = model.policy.lane_net.tell(images)
    assert np.array_equal(actions, model.policy.predict(told, deterministic=deterministic)[0])
    assert len(np.unique(actions, axis=0)) > 1
    single = model.policy.predict(images[5], deterministic=True)[0]
    assert np.allclose(single, model.policy.predict(images, deterministic=True)[0][5], atol=1e-4)
    driver = policy_driver(spec, model.policy.state_dict(), Path("weights.safetensors"), CPU)
    assert driver.observation == "camera"
    assert np.array_equal(driver.act(images), model.policy.predict(images, deterministic=True)[0])


def test_the_policys_optimizer_leaves_the_eyes_alone() -> None:
    for algorithm in ALGORITHMS:
        model, envs = model_of(MAKE[algorithm]("guidance.passes=1e-9"))
        before = [part.clone() for part in model.policy.lane_net.parameters()]
        model.learn(256)
        envs.close()
        assert all(map(torch.equal, before, model.policy.lane_net.parameters()))


def test_dqn_acts_on_what_is_told_and_learns_from_the_truth() -> None:
    model, envs = model_of(small_specs.dqn("guidance.truth_fraction=0", "exploration_end=0", "exploration_fraction=0"))
    model.learn(64)
    model.exploration_rate = 0.0
    shown, both = model.guidance.shown, model._last_obs
    assert np.array_equal(both[:, FIELDS:], shown)
    assert not np.allclose(both[:, :FIELDS], shown)
    acts = model.predict(both)[0]
    assert np.array_equal(acts, model.policy.predict(shown, deterministic=True)[0])
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


@pytest.mark.parametrize("n_steps", [1, 3])
def test_dqns_targets_judge_by_the_truth_what_is_chosen_by_what_is_told(n_steps: int) -> None:
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
    worth = by_numpy(model.q_net_target, true)
    assert (chosen != worth.argmax(1)).any()
    discounts = model.gamma if n_steps == 1 else batch.discounts.numpy()[:, 0]
    targets = rows["rewards"][:, 0] + (1 - rows["dones"][:, 0]) * discounts * worth[np.arange(32), chosen]
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
def test_who_sees_the_state_anyway_is_not_guided(algorithm: str) -> None:
    assert not MAKE[algorithm]("observation=state").is_guided
