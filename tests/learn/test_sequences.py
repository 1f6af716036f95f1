"""Minibatches of a recurrent learner: short shuffled sequences that begin with the state which the driver had."""

from typing import Any

import pytest
import small_specs
import torch

from drive_rl.learn.build import build_model, make_envs


def rollout(steps: int, *changes: str) -> Any:
    """Return a model with a rollout of 3 cars x `steps`, from which it has not learned."""
    sizes = ("num_envs=3", f"steps_per_update={steps}", "batch_size=16", "sequence_steps=8", "learning_rate_end=0")
    spec = small_specs.learner("recurrent-ppo", *sizes, *changes)
    envs = make_envs(small_specs.world(), spec, "train", 3, 0, "batch")
    model = build_model(spec, envs, torch.device("cpu"), 0)
    model.learn(3 * steps)
    envs.close()
    return model


@pytest.mark.parametrize("observation", ["camera", "camera+state", "state"])
@pytest.mark.parametrize("steps", [32, 37])
def test_every_sample_is_learned_from_with_the_memory_that_it_was_driven_with(observation: str, steps: int) -> None:
    model = rollout(steps, f"observation={observation}")
    seen, lengths = [], []
    for batch in model.rollout_buffer.get(16):
        keep = batch.mask > 0
        with torch.no_grad():
            values, likely, _ = model.policy.evaluate_actions(
                batch.observations, batch.actions, batch.lstm_states, batch.episode_starts
            )
        torch.testing.assert_close(values.flatten()[keep], batch.old_values[keep], rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(likely[keep], batch.old_log_prob[keep], rtol=1e-3, atol=1e-3)
        lengths.append(len(keep) // batch.lstm_states.pi[0].shape[1])
        seen.append(batch.old_log_prob[keep])
    assert max(lengths) == 8
    assert sorted(torch.cat(seen).tolist()) == sorted(model.rollout_buffer.log_probs.flatten().tolist())


def test_minibatches_are_of_many_environments_in_another_order_each_time() -> None:
    model = rollout(32, "observation=state", "batch_size=24")
    place = {value: row // 32 for row, value in enumerate(_by_environment(model).tolist())}
    passes = [[batch.old_log_prob[batch.mask > 0].tolist() for batch in model.rollout_buffer.get(24)] for _ in range(2)]
    assert passes[0] != passes[1]
    environments = [{place[value] for value in batch} for batch in passes[0]]
    assert max(len(each) for each in environments) > 1


def _by_environment(model: Any) -> torch.Tensor:
    next(model.rollout_buffer.get(2))  # the buffer orders itself by environment
    return torch.as_tensor(model.rollout_buffer.log_probs).flatten()
