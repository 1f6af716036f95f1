from typing import Any

import numpy as np
import small_specs
import torch

from drive_rl.learn.build import build_model, make_envs


def test_environments_explore_independently() -> None:
    agent = small_specs.dqn("guidance=null", "observation=state", "num_envs=8")
    envs = make_envs(small_specs.world(), agent, "train", 8, 0, "batch")
    model: Any = build_model(agent, envs, torch.device("cpu"), 0)
    states = envs.reset()
    best = model.predict(states, deterministic=True)[0]
    model.exploration_rate = 0.0
    assert np.array_equal(model.predict(states)[0], best)
    model.exploration_rate = 0.5
    rounds = np.array([model.predict(states)[0] != best for _ in range(50)])  # (rounds, environments)
    envs.close()
    assert 0.3 < rounds.mean() < 0.6, "half explore; some draw the best action"
    assert any(0 < row.sum() < 8 for row in rounds), "not all together"
