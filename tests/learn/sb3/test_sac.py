"""SAC from pictures. It covers `random_shift`, too."""

from typing import Any

import numpy as np
import pytest
import small_specs
import torch

from drive_rl.learn.build import build_model, make_envs
from drive_rl.learn.sb3.random_shift import randomly_shifted


def test_a_shifted_picture_is_a_crop_of_the_padded_one() -> None:
    pictures = torch.randint(0, 256, (64, 3, 6, 9), dtype=torch.uint8)
    shifted = randomly_shifted(pictures, 2).numpy()
    places = set()
    for before, after in zip(pictures.numpy(), shifted, strict=True):
        padded = np.pad(before, ((0, 0), (2, 2), (2, 2)), mode="edge")
        crops = {(y, x): padded[:, y : y + 6, x : x + 9] for y in range(5) for x in range(5)}
        found = [place for place, crop in crops.items() if np.array_equal(crop, after)]
        assert len(found) == 1
        places.add(found[0])
    assert len(places) > 15
    assert randomly_shifted(pictures, 0) is pictures


@pytest.fixture
def model() -> Any:
    spec = small_specs.learner("sac", "n_steps=1", "learning_starts=1000")
    envs = make_envs(small_specs.world(), spec, "train", spec.num_envs, 0, "batch")
    model = build_model(spec, envs, torch.device("cpu"), 0).learn(64)
    envs.close()
    return model


def test_the_critics_train_the_encoder_and_the_actor_does_not(model: Any) -> None:
    policy, batch = model.policy, model.replay_buffer.sample(8)
    before = {name: tensor.clone() for name, tensor in policy.state_dict().items()}
    features = policy.encoded(batch.observations)
    loss = torch.stack([each.square().mean() for each in policy.critic(features, batch.actions)]).sum()
    asked = [*policy.encoder.parameters(), *policy.actor.parameters()]
    reached = [gradient is not None for gradient in torch.autograd.grad(loss, asked, allow_unused=True)]
    assert reached == [True] * len(list(policy.encoder.parameters())) + [False] * len(list(policy.actor.parameters()))
    policy.encoder.requires_grad_(False)
    policy.critic.requires_grad_(False)
    model.tau = 1
    model.train(1, 8)
    after = policy.state_dict()
    changed = {name.partition(".")[0] for name, tensor in after.items() if not torch.equal(before[name], tensor)}
    assert changed == {"actor", "log_entropy_coef"}


def test_an_end_is_worth_its_reward_alone(model: Any) -> None:
    """With every transition an end, the critics' loss is by hand that of their rewards."""
    model.replay_buffer.dones[:], model.replay_buffer.timeouts[:] = 1, 0
    model._random_shift_px = 0
    sampled = model.replay_buffer.sample(8)
    model.replay_buffer.sample = lambda *_, **__: sampled
    with torch.no_grad():
        values = model.policy.critic(model.policy.encoded(sampled.observations), sampled.actions)
    expected = sum(float((each - sampled.rewards).square().mean()) for each in values) / 2
    model.train(1, 8)
    assert model.logger.name_to_value["train/critic_loss"] == pytest.approx(expected, rel=1e-5)
