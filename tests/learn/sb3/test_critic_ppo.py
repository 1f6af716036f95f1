"""Passes of the value alone."""

from typing import Any

import numpy as np
import pytest
import small_specs
import torch
from torch import Tensor

from drive_rl.learn.build import build_model, make_envs
from drive_rl.learn.sb3.critic_ppo import CriticPPO

PIXELS, STATE = ("guidance=null",), ("guidance=null", "critic=state")


def values(model: CriticPPO, observed: Any) -> Tensor:
    with torch.no_grad():
        return model.policy.predict_values(model.policy.obs_to_tensor(observed)[0])


@pytest.mark.parametrize("changes", [PIXELS, STATE, ("observation=camera+state",), ("observation=state",)])
def test_passes_of_the_value_alone_fit_it_and_leave_the_rest_alone(changes: tuple[str, ...]) -> None:
    models = []
    for passes in (1, 30):
        spec = small_specs.ppo(*changes, "guidance=null", f"critic_epochs={passes}")
        envs = make_envs(small_specs.world(), spec, "train", 2, 0, "batch")
        models.append(build_model(spec, envs, torch.device("cpu"), 0))
        models[-1].learn(64)  # one update
        envs.close()
        assert type(models[-1]) is CriticPPO
    few, many = (model.policy.state_dict() for model in models)
    moved = {name for name, part in few.items() if not torch.equal(part, many[name])}
    assert moved == {name for name in few if "value" in name and "picture" not in name}
    rollout = models[1].rollout_buffer
    errors = [np.square(values(model, rollout.observations).numpy() - rollout.returns).mean() for model in models]
    assert errors[1] < errors[0]
