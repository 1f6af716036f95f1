"""The wrapper between environments and a guided learner: what it returns, keeps and trains.

It covers `lane_net`, `samples.trainer` and `samples.state`, too.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_specs
import torch
from gymnasium import spaces
from stable_baselines3.common.vec_env import VecEnv

from drive_rl.config.reader import load_world
from drive_rl.config.specs.learner import GuidanceSpec
from drive_rl.learn.build import make_envs
from drive_rl.learn.guidance.lane_net import LaneStateNet
from drive_rl.learn.guidance.wrapper import GuidanceWrapper
from drive_rl.sim.task.outcome import STATE_FIELDS, state_fields

SHAPE = (2, 16, 24)
FIELDS = len(STATE_FIELDS)
CAMERA = spaces.Box(0, 255, SHAPE, np.uint8)


def wrapper_of(
    returns_both: bool = False, count: int = 2, **guidance: Any
) -> tuple[GuidanceWrapper, LaneStateNet, VecEnv]:
    """Return the wrapper of some small worlds, its lane network, and the worlds."""
    spec = small_specs.ppo()
    envs = make_envs(small_specs.world(), spec, "train", count, 0)
    wrapper = GuidanceWrapper(envs, GuidanceSpec(**guidance), 0, returns_both)
    torch.manual_seed(0)
    lane_net = LaneStateNet(CAMERA, spec.encoder, 2)
    wrapper.attach_net(lane_net)
    return wrapper, lane_net, envs


def twin(count: int = 2) -> VecEnv:
    """Return the environments that `wrapper_of` has, without the wrapper."""
    return make_envs(small_specs.world(), small_specs.ppo(), "train", count, 0)


def by_hand(state: np.ndarray) -> np.ndarray:
    """Scale a lane state: 3 a metre of offset, 15 a radian of heading error, 0.3 a metre a second of speed."""
    factors = {"offset_m": 3, "heading_error_rad": 15, "speed_mps": 0.3}
    return np.stack([state[:, STATE_FIELDS.index(name)] * factor for name, factor in factors.items()], axis=1)


def known(state: np.ndarray) -> np.ndarray:
    return state[:, [STATE_FIELDS.index(name) for name in ("offset_m", "heading_error_rad", "speed_mps")]]


def test_fields_of_an_obstacle_are_no_lane_state() -> None:
    _, lane_net, _ = wrapper_of()
    state = torch.rand(2, len(state_fields(load_world("scenarios/accident"))))
    assert torch.equal(lane_net.scaled(state), lane_net.scaled(state[:, :FIELDS]))


@pytest.mark.parametrize("returns_both", [False, True])
def test_at_first_the_truth_is_returned(returns_both: bool) -> None:
    wrapper, _, envs = wrapper_of(returns_both, truth_fraction=0.5)
    other = twin()
    truth: Any = other.reset()
    assert np.allclose(known(wrapper.reset()), by_hand(truth["state"]), atol=1e-5)
    for _ in range(3):
        action = np.zeros((2, 2), np.float32)
        truth = other.step(action)[0]
        returned: Any = wrapper.step(action)[0]
        assert np.allclose(known(returned), by_hand(truth["state"]), atol=1e-5)
        assert np.array_equal(returned[:, -FIELDS:], returned[:, :FIELDS])
    envs.close()
    other.close()


@pytest.mark.parametrize("returns_both", [False, True])
def test_later_the_prediction_is_returned(returns_both: bool) -> None:
    wrapper, lane_net, envs = wrapper_of(returns_both, truth_fraction=0)
    other = twin()
    truth: Any = other.reset()
    returned = wrapper.reset()
    with torch.no_grad():
        predicted = lane_net(torch.as_tensor(truth["camera"])).numpy()
    assert np.array_equal(returned[:, -FIELDS:], predicted)
    if returns_both:
        assert np.allclose(known(returned), by_hand(truth["state"]), atol=1e-5)
        assert returned.shape == (2, 2 * FIELDS)
    envs.close()
    other.close()


@pytest.mark.parametrize(("returns_both", "truth_fraction"), [(False, 0), (False, 1), (True, 0)])
def test_an_episodes_last_lane_state_is_of_the_kind_returned(returns_both: bool, truth_fraction: float) -> None:
    wrapper, lane_net, envs = wrapper_of(returns_both, truth_fraction=truth_fraction)
    other = twin()
    wrapper.reset()
    other.reset()
    for _ in range(40):
        action = np.array([[1, 1], [1, 1]], np.float32)
        _, _, dones, infos = wrapper.step(action)
        theirs = other.step(action)[3]
        if dones[0]:
            last = theirs[0]["terminal_observation"]
            found = infos[0]["terminal_observation"]
            assert found.shape == (FIELDS * (1 + returns_both),)
            if returns_both or truth_fraction:
                assert np.allclose(known(found[None]), by_hand(last["state"][None]), atol=1e-5)
            if not truth_fraction:
                assert np.array_equal(found[-FIELDS:], lane_net.lane_state(last["camera"][None])[0])
            break
    else:
        pytest.fail("no episode ended")
    envs.close()
    other.close()


def test_fewer_and_fewer_episodes_show_the_truth() -> None:
    wrapper, lane_net, envs = wrapper_of(truth_fraction=0.5, passes=1e-9)
    other = twin()
    shares = []
    for remaining in (1.0, 0.75, 0.5, 0.25):
        wrapper.fit(remaining)
        predicted = 0
        for _ in range(100):
            returned = wrapper.reset()
            seen: Any = other.reset()
            predicted += (returned == lane_net.lane_state(seen["camera"])).all(axis=1).sum()
        shares.append(1 - predicted / 200)
    assert shares[0] == 1
    assert 0.35 < shares[1] < 0.65
    assert shares[2:] == [0, 0]
    envs.close()
    other.close()


def test_it_takes_as_many_gradient_steps_as_asked() -> None:
    wrapper, lane_net, envs = wrapper_of(passes=2, batch_size=16)
    before = [part.clone() for part in lane_net.parameters()]
    wrapper.reset()
    for _ in range(3):
        wrapper.step(np.zeros((2, 2), np.float32))
    assert (wrapper.fit(1.0) or 0) > 0  # 8 pictures, twice: one minibatch of 16
    assert not all(map(torch.equal, before, lane_net.parameters()))
    after = [part.clone() for part in lane_net.parameters()]
    assert wrapper.fit(1.0) is None, "nothing new to learn from"
    assert all(map(torch.equal, after, lane_net.parameters()))
    envs.close()


@pytest.mark.parametrize("at_rest", [0.0, 1.0])
def test_it_learns_from_cars_at_rest(at_rest: float) -> None:
    wrapper, lane_net, envs = wrapper_of(passes=100, batch_size=4, at_rest=at_rest)
    wrapper.reset()
    for _ in range(3):
        wrapper.step(np.zeros((2, 2), np.float32))
    seen: Any = envs.step(np.zeros((2, 2), np.float32))[0]
    wrapper.fit(1.0)
    newest = seen["camera"][:, SHAPE[0] // 2 :]
    predicted, true = known(lane_net.lane_state(np.concatenate([newest, newest], axis=1))), by_hand(seen["state"])
    envs.close()
    assert true[:, 2].max() > 2, "7 m/s"
    assert np.abs(predicted[:, 2] - (0 if at_rest else true[:, 2])).max() < 0.3, "1 m/s"
    assert np.abs(predicted[:, :2] - true[:, :2]).max() < 0.5, "the place is that of the newest picture"


def test_the_step_size_stays_at_its_end_beyond_the_budget() -> None:
    wrapper, lane_net, envs = wrapper_of(passes=2, batch_size=16, learning_rate_end=0)
    wrapper.reset()
    for _ in range(3):
        wrapper.step(np.zeros((2, 2), np.float32))
    before = [part.clone() for part in lane_net.parameters()]
    assert wrapper.fit(-0.2) is not None
    assert all(map(torch.equal, before, lane_net.parameters()))
    envs.close()


@pytest.mark.parametrize("room", [1, 2, 5, 7, 12])
def test_the_latest_pictures_are_kept_however_few(room: int, tmp_path: Path) -> None:
    count = 5
    wrapper, _, envs = wrapper_of(count=count, pictures=room, batch_size=1)
    other = twin(count)
    expected = np.zeros((room, *CAMERA.shape), np.uint8)
    seen: Any = other.reset()
    wrapper.reset()
    for step in range(4):
        for row in range(count):
            expected[(count * step + row) % room] = seen["camera"][row]
        seen = other.step(np.zeros((count, 2), np.float32))[0]
        if step < 3:
            wrapper.step(np.zeros((count, 2), np.float32))
    wrapper.write(tmp_path, samples=True)
    assert np.array_equal(np.load(tmp_path / "samples.npz")["pictures"], expected)
    envs.close()
    other.close()
