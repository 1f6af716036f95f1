"""Checkpoints of PPO and DQN that hold no pickle, and from which training goes on bit for bit.

A checkpoint is a folder: `weights.safetensors`, `optimizer.safetensors` and `.json`, `counters.json`, `rng.json`,
`last_step.npz`, `env.npz`; for DQN `replay.npz`; for guided drivers `guide.json`, `guide_optimizer.*` and
`pictures.npz`; where a run resumes from it `training.json`; and `manifest.json` with the SHA-256 of each. It knows
what stable-baselines3 2.9 keeps where. It does not build models (they come built from a spec), nor decide when to save.

**When to save.** stable-baselines3 is between two steps only when a rollout begins: earlier in a step the
environment has moved and the model has not heard of it, and after a rollout PPO still has to learn from it.
So save in a callback's `_on_rollout_start`, or after `learn` has come to its own end. To stop early, set a
flag, save at the next `_on_rollout_start`, and return False from the `_on_step` after that (and do not save
again after `learn`). At any other time `save` still works, but the checkpoint is marked `exact: false`:
resuming from it starts new episodes.

**How to resume.** Build the model from the run's spec, `restore(model, folder)`, then
`model.learn(remaining_steps(model, total), reset_num_timesteps=False)`. stable-baselines3 adds the steps
already done to that number, so the learning-rate and exploration schedules again run over `total`, as without
the break.
"""

from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.type_aliases import TrainFreq, TrainFrequencyUnit
from torch import Tensor

from drive_rl.errors import DriveRLError
from drive_rl.learn.env_state import capture_env, restore_env
from drive_rl.learn.guided import GuidedDQN, GuidedPPO
from drive_rl.learn.replay_state import load_replay, read_arrays, write_replay
from drive_rl.learn.rng_state import capture_rng, restore_rng
from drive_rl.run.files import read_json, write_directory, write_json
from drive_rl.run.manifest import MEND, verify, write_manifest
from drive_rl.run.tensors import load_optimizer, load_weights, read_tensors, write_optimizer, write_tensors

__all__ = ["at_boundary", "remaining_steps", "restore", "save", "step_of", "verify", "weights_only"]

_COUNTERS = ("num_timesteps", "_total_timesteps", "_episode_num", "_n_updates", "_current_progress_remaining")
_DQN_COUNTERS = ("exploration_rate", "_n_calls")


def save(
    model: BaseAlgorithm,
    folder: Path,
    env_state: dict[str, np.ndarray] | None = None,
    replay: bool = True,
    history: dict[str, Any] | None = None,
) -> None:
    """Write `model` to `folder`, whole or not at all; an older checkpoint there is replaced.

    Args:
        model: A PPO or DQN with its environment.
        folder: The checkpoint folder to write.
        env_state: What `restore_env` shall get on resuming; by default `capture_env` of the model's
            environment.
        replay: Whether what the learner remembers is written too (DQN's replay buffer, a guide's pictures): needed to
            resume, not to evaluate.
        history: What the run has seen of itself, as plain values; `training.json`.

    Raises:
        DriveRLError: no space left, another algorithm, or a vector wrapper that keeps a state of its own.
    """
    algorithm = _algorithm(model)
    boundary = at_boundary(model)
    if env_state is None:
        env_state = capture_env(model.env) if boundary and model.env is not None else {}
    exact = boundary and bool(env_state) and (replay or not isinstance(model, DQN | GuidedPPO))
    with write_directory(folder) as new:
        write_tensors(new / "weights.safetensors", model.policy.state_dict())
        write_optimizer(new, model.policy.optimizer)
        write_json(new / "counters.json", _counters(model))
        write_json(new / "rng.json", capture_rng(model.action_space))
        if boundary and env_state:
            np.savez(new / "last_step.npz", allow_pickle=False, **_last_step(model))
            np.savez(new / "env.npz", allow_pickle=False, **env_state)
        if isinstance(model, DQN) and replay and model.replay_buffer is not None:
            write_replay(new / "replay.npz", model.replay_buffer)
        if isinstance(model, GuidedPPO | GuidedDQN):
            model.guide.write(new, pictures=replay)
        if history is not None:
            write_json(new / "training.json", history)
        head = {"algorithm": algorithm, "num_timesteps": _learned_steps(model), "exact": exact}
        write_manifest(new, head)


def restore(model: BaseAlgorithm, folder: Path) -> None:
    """Bring `model`, built from the same spec, and its environment to where `save` saw them.

    Raises:
        DriveRLError: the checkpoint is damaged, or belongs to another algorithm, network, world or buffer
            size.
    """
    folder = Path(folder)
    manifest = verify(folder)
    if manifest["algorithm"] != _algorithm(model):
        raise DriveRLError(
            f"{folder / 'manifest.json'}: algorithm = {manifest['algorithm']}, but this driver is "
            f"{_algorithm(model)}: resume with the run's own spec.yaml"
        )
    weights = folder / "weights.safetensors"
    load_weights(model.policy, read_tensors(weights), weights)
    load_optimizer(folder, model.policy.optimizer)
    _set_counters(model, read_json(folder / "counters.json", MEND))
    if isinstance(model, DQN) and model.replay_buffer is not None and "replay.npz" in manifest["files"]:
        load_replay(folder / "replay.npz", model.replay_buffer)
    _restore_last_step(model, folder, manifest)
    if isinstance(model, GuidedPPO | GuidedDQN):
        model.guide.read(folder)
    restore_rng(read_json(folder / "rng.json", MEND), model.action_space)


def weights_only(folder: Path) -> dict[str, Tensor]:
    """The policy's state dict, checked against the manifest: all that evaluation needs."""
    verify(folder)
    return read_tensors(Path(folder) / "weights.safetensors")


def step_of(folder: Path) -> int | None:
    """The step at which a whole checkpoint was saved; None where there is none."""
    if not (folder / "manifest.json").is_file():
        return None
    return verify(folder)["num_timesteps"]


def remaining_steps(model: BaseAlgorithm, total: int) -> int:
    """Steps to give `model.learn(..., reset_num_timesteps=False)` so that training ends at `total` in all."""
    return max(total - model.num_timesteps, 0)


def at_boundary(model: BaseAlgorithm) -> bool:
    """Whether `model` stands between two rollouts, where a checkpoint is exact."""
    steps = (model.num_timesteps - model._num_timesteps_at_start) // model.n_envs
    if isinstance(model, PPO):
        return steps % model.n_steps == 0
    assert isinstance(model, DQN)
    heard_of = model._n_calls * model.n_envs  # one step fewer after a callback returned False
    return heard_of == model.num_timesteps and steps % _dqn_rollout(model) == 0


def _dqn_rollout(model: DQN) -> int:
    """Environment steps of one rollout; 1 when rollouts are counted in episodes."""
    frequency = model.train_freq
    assert isinstance(frequency, TrainFreq)  # DQN makes it one when built
    return frequency.frequency if frequency.unit is TrainFrequencyUnit.STEP else 1


def _algorithm(model: BaseAlgorithm) -> str:
    for algorithm in (PPO, DQN):
        if isinstance(model, algorithm):
            return algorithm.__name__
    raise DriveRLError(f"{type(model).__name__}: checkpoints are written for PPO and DQN only: choose one of them")


def _counters(model: BaseAlgorithm) -> dict[str, Any]:
    names = _COUNTERS + (_DQN_COUNTERS if isinstance(model, DQN) else ())
    counters = {name: getattr(model, name) for name in names}
    counters["num_timesteps"] = _learned_steps(model)
    counters["ep_info_buffer"] = [_numbers(info) for info in model.ep_info_buffer or ()]
    counters["ep_success_buffer"] = [float(success) for success in model.ep_success_buffer or ()]
    return counters


def _learned_steps(model: BaseAlgorithm) -> int:
    """Steps that reached the model: those of an unfinished PPO rollout, or of a stopped DQN step, did not."""
    if isinstance(model, PPO):
        rollout = model.n_steps * model.n_envs
        return model.num_timesteps - (model.num_timesteps - model._num_timesteps_at_start) % rollout
    assert isinstance(model, DQN)
    heard_of = model._n_calls * model.n_envs
    return heard_of if heard_of == model.num_timesteps - model.n_envs else model.num_timesteps


def _numbers(info: dict[str, Any]) -> dict[str, float]:
    """The finite numbers of an episode's record."""
    return {k: float(v) for k, v in info.items() if isinstance(v, (int, float, np.number)) and np.isfinite(v)}


def _set_counters(model: BaseAlgorithm, counters: dict[str, Any]) -> None:
    size = model._stats_window_size
    model.ep_info_buffer = deque(counters.pop("ep_info_buffer"), maxlen=size)
    model.ep_success_buffer = deque(counters.pop("ep_success_buffer"), maxlen=size)
    for name, value in counters.items():
        setattr(model, name, value)
    model._num_timesteps_at_start = model.num_timesteps


def _last_step(model: BaseAlgorithm) -> dict[str, np.ndarray]:
    """What the model last saw: the observations and, for PPO, whether an episode has just begun."""
    last = model._last_obs
    assert last is not None, "the model has not begun to learn"
    starts = model._last_episode_starts
    arrays = {"episode_starts": starts if starts is not None else np.zeros(model.n_envs, dtype=bool)}
    parts = last if isinstance(last, dict) else {"": last}
    arrays |= {f"obs/{key}": value for key, value in parts.items()}
    return {name: torch.as_tensor(value).cpu().numpy() for name, value in arrays.items()}


def _restore_last_step(model: BaseAlgorithm, folder: Path, manifest: dict[str, Any]) -> None:
    model._last_obs = None  # `learn` then resets the environments
    if "env.npz" not in manifest["files"] or model.env is None:
        return
    restore_env(model.env, read_arrays(folder / "env.npz"))
    arrays = read_arrays(folder / "last_step.npz")
    model._last_episode_starts = arrays.pop("episode_starts")
    parts = {name.removeprefix("obs/"): value for name, value in arrays.items()}
    model._last_obs = parts[""] if "" in parts else parts  # noqa: SIM401
