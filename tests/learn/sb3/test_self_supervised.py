"""What an encoder learns from the pictures and actions of rollouts, without rewards."""

from typing import Any

import numpy as np
import pytest
import small_specs
import torch

from drive_rl.config.specs.base import Engine
from drive_rl.errors import DriveRLError
from drive_rl.learn.build import build_model, make_envs
from drive_rl.learn.sb3.self_supervised import InverseDynamicsPolicy


def learned(*changes: str, engine: Engine = "batch", steps: int = 64) -> Any:
    """Return a model after its first updates."""
    spec = small_specs.learner("pixels", *changes)
    envs = make_envs(small_specs.world(), spec, "train", 2, 0, engine)
    model = build_model(spec, envs, torch.device("cpu"), 0)
    model.learn(steps)
    envs.close()
    return model


def squares(policy: Any, pictures: torch.Tensor, actions: torch.Tensor, begins: torch.Tensor) -> float:
    """Return the loss, step by step."""
    errors = []
    for drive in range(len(pictures)):
        for step in range(pictures.shape[1] - 1):
            if not begins[drive, step + 1]:
                features = policy.features_extractor(pictures[drive, step : step + 2]).reshape(-1)
                predicted = policy.inverse_net(features).detach().numpy()
                errors.append((predicted - np.clip(actions[drive, step].numpy(), -1, 1)) ** 2)
    return float(np.mean(errors))


def test_the_loss_is_of_actions_between_two_pictures_of_an_episode() -> None:
    policy = learned("self_supervised=1").policy
    assert type(policy) is InverseDynamicsPolicy
    rng = np.random.default_rng(0)
    pictures = torch.as_tensor(rng.integers(0, 256, (3, 5, 2, 16, 24), np.uint8))
    actions = torch.as_tensor(rng.normal(size=(3, 5, 2)).astype(np.float32))
    begins = torch.zeros(3, 5, dtype=torch.bool)
    begins[1, 0] = begins[2, 3] = True
    loss = policy.inverse_loss(pictures, actions, begins)
    assert float(loss.detach()) == pytest.approx(squares(policy, pictures, actions, begins), rel=1e-4)
    begins[:] = True  # nothing follows
    assert float(policy.inverse_loss(pictures, actions, begins).detach()) == 0


@pytest.mark.parametrize("engine", ["bullet", "batch"])
@pytest.mark.parametrize("actions", ["continuous", "discrete"])
def test_it_falls_and_teaches_the_encoder_alone(engine: Engine, actions: str) -> None:
    model = learned("self_supervised=1", f"actions={actions}", engine=engine)
    drives = model._drives(np.arange(2))
    optimizer = torch.optim.Adam(model.policy.parameters(), 3e-3)
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        loss = model.policy.inverse_loss(*drives)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    reached = {name.split(".")[0] for name, part in model.policy.named_parameters() if part.grad is not None}
    assert reached == {"features_extractor", "inverse_net"}
    assert losses[-1] < 0.8 * losses[0]


def test_drives_are_the_rollouts_steps_in_order() -> None:
    model = learned("self_supervised=1", steps=128)
    pictures, actions, begins = model._drives(np.array([1, 0]))
    buffer = model.rollout_buffer
    rows = np.array([32, 0])[:, None] + np.arange(32)  # environment by environment
    np.testing.assert_array_equal(pictures, buffer.observations[rows])
    np.testing.assert_array_equal(actions, buffer.actions[rows])
    assert begins.tolist() == [[bool(start) for start in buffer.episode_starts[:, row]] for row in (1, 0)]
    assert begins.any(), "an episode must begin within the rollout"
    older, newer = pictures[:, :-1, -1], pictures[:, 1:, 0]  # stacks of two frames
    assert torch.equal(older[~begins[:, 1:]], newer[~begins[:, 1:]])


def test_each_update_adds_its_gradient_and_logs_the_loss() -> None:
    off, on = learned("self_supervised=0"), learned("self_supervised=1e-9")
    assert not isinstance(off.policy, InverseDynamicsPolicy)
    assert "train/self_supervised_loss" not in off.logger.name_to_value
    assert 0 < on.logger.name_to_value["train/self_supervised_loss"] < 1
    fresh = build_model(small_specs.learner("pixels", "self_supervised=1"), on.env, torch.device("cpu"), 0).policy
    moved = [not torch.equal(a, b) for a, b in zip(on.policy.parameters(), fresh.parameters(), strict=True)]
    assert all(moved)


@pytest.mark.parametrize(
    ("algorithm", "changes", "message"),
    [
        (
            "ppo",
            (),
            r"self_supervised = 1: the driver learns from guided, but expected pictures and rewards alone; fix:",
        ),
        ("asymmetric", (), r"self_supervised = 1: the driver learns from asymmetric, .*; fix: self_supervised = 0"),
        ("pixels", ("observation=state",), r"self_supervised = 1: the driver learns from state"),
        ("pixels", ("encoder.init_from=x", "encoder.frozen=true"), r"from pixels, whose encoder is frozen, but"),
        ("dqn", (), r"self_supervised = '?1'?: unknown key; it is a key of ppo"),
        ("recurrent-ppo", (), r"self_supervised = '?1'?: unknown key"),
    ],
)
def test_where_it_does_not_apply_it_is_refused(algorithm: str, changes: tuple[str, ...], message: str) -> None:
    with pytest.raises(DriveRLError, match=message):
        small_specs.learner(algorithm, *changes, "self_supervised=1")
