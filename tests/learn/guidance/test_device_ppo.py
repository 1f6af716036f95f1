"""PPO whose rollouts stay on the device is stable-baselines3's PPO; tests/test_cuda.py runs this in the simulator."""

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import small_specs
import torch
from gymnasium import spaces
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback

from drive_rl.config.specs.driver import PpoSpec
from drive_rl.learn.build import build_model, make_envs
from drive_rl.learn.checkpoint import checkpoint
from drive_rl.learn.guidance.device_ppo import DevicePPO, DeviceRolloutBuffer

SIMULATED = os.environ.get("NUMBA_ENABLE_CUDASIM") == "1"
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
on_device = pytest.mark.skipif(not SIMULATED and DEVICE.type == "cpu", reason="needs a GPU or numba's simulator")

OTHER: Any = "bullet" if find_spec("pybullet") else "batch"  # PyBullet has no wheels for the Python of many GPU images
STEPS = 6
WORLD = small_specs.world("camera.width_px=16", "task.time_limit_s=1")


def learner(*changes: str, engine: Any = "batch", on: torch.device = DEVICE) -> Any:
    agent = small_specs.ppo(f"steps_per_update={STEPS}", "batch_size=6", *changes)
    envs = make_envs(WORLD, cast(PpoSpec, agent), "train", 2, 0, engine, on)
    return build_model(agent, envs, on, seed=0)


class Watch(BaseCallback):
    """Keeps each rollout, and ends training where an update would follow the last."""

    def __init__(self, rollouts: int) -> None:
        super().__init__()
        self.left, self.seen = rollouts, []

    def _on_rollout_end(self) -> None:
        buffer = cast(Any, self.model).rollout_buffer
        self.seen.append((np.array(buffer.values).reshape(-1), np.array(buffer.returns).reshape(-1)))

    def _on_step(self) -> bool:
        return len(self.seen) < self.left


def test_advantages_are_those_of_stable_baselines3() -> None:
    rng = np.random.default_rng(0)
    space, actions = spaces.Box(-1, 1, (3,), np.float32), spaces.Box(-1, 1, (2,), np.float32)
    ours, theirs = cast(
        Any,
        [
            kind(5, space, actions, "cpu", gae_lambda=0.9, gamma=0.8, n_envs=4)
            for kind in (DeviceRolloutBuffer, RolloutBuffer)
        ],
    )
    for _ in range(2):  # a buffer is used again
        ours.reset()
        theirs.reset()
        for _ in range(5):
            step = [rng.normal(size=shape).astype(np.float32) for shape in ((4, 3), (4, 2), 4)]
            starts, value, log_prob = rng.random(4) < 0.3, *(torch.tensor(rng.normal(size=4)).float() for _ in "vl")
            theirs.add(*step, starts, value, log_prob)
            ours.add(*map(torch.tensor, step), torch.tensor(starts), value, log_prob)
        last, dones = torch.tensor(rng.normal(size=4)).float(), rng.random(4) < 0.5
        theirs.compute_returns_and_advantage(last, dones)
        ours.compute_returns_and_advantage(last, torch.tensor(dones))
        assert ours.full
        assert ours.returns == pytest.approx(theirs.returns, abs=1e-5)
        rows = [torch.cat(parts) for parts in zip(*([*batch] for batch in ours.get(6)), strict=True)]
        expected = [torch.cat(parts) for parts in zip(*([*batch] for batch in theirs.get(6)), strict=True)]
        order, other = rows[2].argsort(), expected[2].argsort()  # both shuffle; values identify the rows
        for a, b in zip(rows, expected, strict=True):
            assert torch.allclose(a[order], b[other], atol=1e-5)


@on_device
@pytest.mark.parametrize(
    "changes",
    [
        ["guidance.truth_fraction=0.5"],
        ["guidance=null"],
        ["guidance=null", "critic=state", "critic_epochs=2"],
        ["guidance=null", "observation=camera+state", "gamma=0.5"],
    ],
)
def test_it_collects_what_stable_baselines3_collects(changes: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The same first rollouts as on the CPU, the ends of episodes and timeouts among them.

    Without noise, since a GPU draws other numbers, and in full precision.
    """
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    ours, theirs = learner(*changes), learner(*changes, engine=OTHER, on=torch.device("cpu"))
    assert [isinstance(model, DevicePPO) for model in (ours, theirs)] == [True, False]
    found = []
    for model in (ours, theirs):
        model.policy.log_std.data.fill_(-20)
        model.n_epochs = 0  # every rollout by the same policy
        model.train = lambda: None
        watch = Watch(3)
        model.learn(10**6, callback=watch)
        found.append((watch.seen, [info["l"] for info in model.ep_info_buffer]))
        model.env.close()
    assert len(found[0][0]) == 3
    assert found[0][1] == found[1][1]
    assert found[0][1], "an episode must end"
    for ours_seen, theirs_seen in zip(found[0][0], found[1][0], strict=True):
        for a, b in zip(ours_seen, theirs_seen, strict=True):
            assert np.sort(a) == pytest.approx(np.sort(b), abs=1e-3)  # stable-baselines3 flattens in another order


class StopAt(BaseCallback):
    """Saves when a rollout begins after some steps, and ends training."""

    def __init__(self, step: int, folder: Path) -> None:
        super().__init__()
        self.step, self.folder, self.saved = step, folder, False

    def _on_rollout_start(self) -> None:
        if self.model.num_timesteps == self.step:
            checkpoint.save(self.model, self.folder)
            self.saved = True

    def _on_step(self) -> bool:
        return not self.saved


@on_device
@pytest.mark.parametrize(
    "changes",
    [
        (),
        ("guidance=null", "critic_epochs=2"),
        ("guidance=null", "critic=state", "critic_epochs=2"),
        ("guidance=null", "self_supervised=0.5"),
    ],
)
def test_a_stopped_run_continues_exactly(changes: tuple[str, ...], tmp_path: Path) -> None:
    """It stops after one rollout and update, within an episode that the next rollout ends."""
    whole = learner(*changes)
    whole.learn(4 * STEPS)
    first = learner(*changes)  # building seeds torch's generator
    first.learn(4 * STEPS, callback=StopAt(2 * STEPS, tmp_path / "last"))
    second = learner(*changes)
    checkpoint.restore(second, tmp_path / "last")
    assert 0 < checkpoint.remaining_steps(second, 4 * STEPS) < 4 * STEPS
    second.learn(checkpoint.remaining_steps(second, 4 * STEPS), reset_num_timesteps=False)
    assert second.ep_info_buffer, "an episode must end"
    assert second.num_timesteps == whole.num_timesteps
    for name, weights in whole.policy.state_dict().items():
        assert torch.equal(weights, second.policy.state_dict()[name]), name
    for model in (whole, first, second):
        model.env.close()


@on_device
def test_the_cpu_continues_from_the_gpus_checkpoint(tmp_path: Path) -> None:
    """Policy and checkpoint are stable-baselines3's own."""
    first, second = learner(), learner(engine=OTHER, on=torch.device("cpu"))
    first.learn(4 * STEPS, callback=StopAt(2 * STEPS, tmp_path / "last"))
    assert type(second.policy) is type(first.policy)
    second.policy.load_state_dict(checkpoint.weights_only(tmp_path / "last"))
    for name, weights in first.policy.state_dict().items():
        assert torch.equal(weights.cpu(), second.policy.state_dict()[name]), name
    for model in (first, second):
        model.env.close()
