"""Asymmetric drivers: the critic reads the true state alone, the actor the camera alone."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_specs
import torch

from drive_rl.config.specs.base import Engine
from drive_rl.errors import DriveRLError
from drive_rl.learn.build import build_model, make_envs
from drive_rl.learn.own_drivers import restore_driver
from drive_rl.learn.sb3.asymmetric_policy import AsymmetricActorCritic

CPU = torch.device("cpu")


def observed(engine: Engine, *changes: str) -> tuple[Any, dict[str, torch.Tensor]]:
    """Return a policy as lively as a trained one, and observations of 2 x 20 steps."""
    spec = small_specs.run("asymmetric", *changes).agent
    envs = make_envs(small_specs.world(), spec, "train", 2, 0, engine)
    model = build_model(spec, envs, CPU, 0)
    envs.action_space.seed(0)
    rows: list[Any] = [envs.reset()]
    rows += [envs.step(np.array([envs.action_space.sample() for _ in range(2)]))[0] for _ in range(19)]
    parts = {key: torch.as_tensor(np.concatenate([row[key] for row in rows])) for key in ("camera", "state")}
    envs.close()
    torch.manual_seed(0)
    for part in model.policy.parameters():
        part.data += 0.3 * torch.randn_like(part)
    return model.policy, parts


@pytest.mark.parametrize("engine", ["bullet", "batch"])
def test_the_value_ignores_the_pictures_and_the_actions_the_state(engine: Engine) -> None:
    policy, rows = observed(engine)
    assert type(policy) is AsymmetricActorCritic
    blind = rows | {"camera": torch.zeros_like(rows["camera"])}
    lost = rows | {"state": torch.zeros_like(rows["state"])}
    with torch.no_grad():
        value, other_state, other_picture = (policy.predict_values(each) for each in (rows, lost, blind))
        means = [policy.get_distribution(each).mode() for each in (rows, lost, blind)]
    assert torch.equal(value, other_picture)
    assert torch.equal(means[0], means[1])
    assert not torch.allclose(value, other_state)
    assert not torch.allclose(means[0], means[2])


def reached(policy: Any, loss: torch.Tensor) -> set[str]:
    """Return the names of the weights that a loss changes."""
    policy.zero_grad()
    loss.backward()
    return {name for name, part in policy.named_parameters() if part.grad is not None and part.grad.any()}


def test_actor_and_critic_share_no_weight() -> None:
    policy, rows = observed("batch")
    critic = reached(policy, policy.predict_values(rows).sum())
    actor = reached(policy, policy.get_distribution(rows).mode().sum())
    assert not critic & actor
    own = {name for name, _ in policy.named_parameters() if name.startswith("picture_value_net")}
    assert critic | actor | own | {"log_std"} == {name for name, _ in policy.named_parameters()}


def test_a_value_of_the_pictures_teaches_the_actors_encoder_on_half_of_the_rows() -> None:
    policy, rows = observed("batch")
    actions = torch.zeros(len(rows["state"]), *policy.action_space.shape)
    values, log_prob, entropy = policy.evaluate_actions(rows, actions)
    half = len(values) // 2
    torch.testing.assert_close(values[:half], policy.predict_values(rows)[:half])
    torch.testing.assert_close(log_prob, policy.get_distribution(rows).log_prob(actions))
    assert entropy is not None
    assert values.shape == (len(actions), 1)
    names = reached(policy, policy.evaluate_actions(rows, actions)[0][half:].sum())
    assert {name.split(".")[0] for name in names} == {"features_extractor", "picture_value_net"}
    assert not any(".state." in name for name in names)


@pytest.mark.parametrize("actions", ["continuous", "discrete"])
def test_an_asymmetric_driver_needs_pictures_only(actions: str) -> None:
    spec = small_specs.run("asymmetric", f"agent.actions={actions}")
    assert spec.agent.help == "asymmetric"
    policy, rows = observed("batch", f"agent.actions={actions}")
    squares = np.random.default_rng(0).integers(0, 256, (len(rows["camera"]), 2, 2, 3), np.uint8)
    images = squares.repeat(8, axis=2).repeat(8, axis=3)  # each far from the others
    rows["camera"] = torch.as_tensor(images)
    both: Any = {key: part.numpy() for key, part in rows.items()}
    with torch.no_grad():
        expected = policy.get_distribution(policy.obs_to_tensor(both)[0]).get_actions(deterministic=True).numpy()
    found, _ = policy.predict(images, deterministic=True)
    np.testing.assert_allclose(found, np.clip(expected, -1, 1) if actions == "continuous" else expected, atol=1e-6)
    assert len(np.unique(found, axis=0)) > 1
    np.testing.assert_allclose(policy.predict(images[3], deterministic=True)[0], found[3], atol=1e-4)
    driver = restore_driver(spec, policy.state_dict(), Path("weights.safetensors"), CPU)
    assert driver.observation == "camera"
    np.testing.assert_array_equal(driver.act(images), found)


@pytest.mark.parametrize(
    ("algorithm", "changes", "message"),
    [
        ("ppo", ("critic=state",), r"critic = state: .* guidance = its own, expected .*; fix: .*guidance = null"),
        ("ppo", ("critic=state", "guidance=null", "observation=state"), r"observation = state .*; fix: .*= camera"),
        ("ppo", ("critic=state", "guidance=null", "observation=motion"), r"observation = motion .*; fix: .*= camera"),
        ("ppo", ("critic=true",), r"critic = true: expected 'observation' or 'state'"),
        ("ppo", ("critic_epochs=3",), r"critic_epochs = 3: is for guidance = null; fix: critic_epochs = 0"),
        ("dqn", ("critic=state",), r"critic = 'state': unknown key"),
        ("dagger", ("critic=state",), r"critic = 'state': unknown key"),
    ],
)
def test_a_critic_that_cannot_be_is_refused(algorithm: str, changes: tuple[str, ...], message: str) -> None:
    make: dict[str, Any] = {"ppo": small_specs.ppo, "dqn": small_specs.dqn, "dagger": small_specs.dagger}
    with pytest.raises(DriveRLError, match=message):
        make[algorithm](*changes)
