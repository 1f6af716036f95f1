"""Checkpoints of learners without pickle, from which training resumes bit for bit.

A checkpoint is a folder: `weights.safetensors`, `optimizer.safetensors` and `.json`, `counters.json`, `rng.json`,
`last_step.npz`, `env.npz`; with a replay buffer `replay.npz`; for drivers that are guided or imitate `samples.json`,
`samples_optimizer.*` and `samples.npz`; where a run resumes from it `training.json`; and `manifest.json` with the
SHA-256 of each. It knows where stable-baselines3 2.9 keeps its state. It does not build models, or decide when to save.

**When to save.** Save in a callback's `_on_rollout_start`, or after `learn` has ended by itself: only there is
stable-baselines3 between two steps. In a step, the environment moves before the model gets the result; after a rollout,
PPO has yet to learn from it. To stop early, set a flag, save at the next `_on_rollout_start`, and return False from the
`_on_step` after that (and do not save again after `learn`). At any other time `save` works, but marks the checkpoint
`exact: false`: resuming from it starts new episodes.

**How to resume.** Build the model from the run's spec, `restore(model, folder)`, then
`model.learn(remaining_steps(model, total), reset_num_timesteps=False)`. stable-baselines3 adds the steps already done
to that number, so the learning-rate and exploration schedules run over `total`, as in an unbroken run.
"""

from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.type_aliases import TrainFreq, TrainFrequencyUnit
from torch import Tensor

from drive_rl.errors import DriveRLError
from drive_rl.learn.checkpoint.counters import Counters, ExploringCounters, ReplayCounters
from drive_rl.learn.checkpoint.env_state import capture_env, restore_env
from drive_rl.learn.checkpoint.last_step import last_step, read_last_step, set_last_step
from drive_rl.learn.checkpoint.replay_state import fill_replay, read_replay, write_replay
from drive_rl.learn.checkpoint.rng_state import capture_rng, read_rng, restore_rng
from drive_rl.learn.samples.wrapper import SamplingWrapper
from drive_rl.run.storage.arrays import read_arrays
from drive_rl.run.storage.atomic import write_directory, write_json
from drive_rl.run.storage.manifest import DRIVERS, FIX, DriverManifest, verify, verify_driver, write_manifest
from drive_rl.run.storage.schema import Table, read_table
from drive_rl.run.storage.tensors import check_weights, read_optimizer, read_tensors, write_optimizer, write_tensors

__all__ = ["at_boundary", "remaining_steps", "restore", "save", "step_of", "verify", "verify_driver", "weights_only"]

_COUNTERS = ("num_timesteps", "_total_timesteps", "_episode_num", "_n_updates", "_current_progress_remaining")
_LEARNERS_OWN = ("exploration_rate", "_n_calls")
"""Of some algorithms with a replay buffer."""


def save(
    model: BaseAlgorithm,
    folder: Path,
    env_state: dict[str, np.ndarray] | None = None,
    replay: bool = True,
    history: Table | None = None,
) -> None:
    """Write `model` to `folder`, whole or not at all; an older checkpoint there is replaced.

    Args:
        model: A learner with its environment.
        folder: The checkpoint folder to write.
        env_state: The state for `restore_env`; by default `capture_env` of the model's environment.
        replay: Whether to write the learner's memory too (replay buffer, samples): needed to resume,
            not to evaluate.
        history: The run's history, for `training.json`.

    Raises:
        DriveRLError: no space left, another algorithm, or a vector wrapper with state.
    """
    algorithm = _algorithm(model)
    boundary = at_boundary(model)
    if env_state is None:
        env_state = capture_env(model.env) if boundary and model.env is not None else {}
    samples = _samples(model)
    exact = boundary and bool(env_state) and (replay or not (isinstance(model, OffPolicyAlgorithm) or samples))
    with write_directory(folder) as new:
        write_tensors(new / "weights.safetensors", model.policy.state_dict())
        write_optimizer(new, model.policy.optimizer)
        write_json(new / "counters.json", _counters(model))
        write_json(new / "rng.json", capture_rng(model.action_space))
        if boundary and env_state:
            np.savez(new / "last_step.npz", allow_pickle=False, **last_step(model))
            np.savez(new / "env.npz", allow_pickle=False, **env_state)
        if isinstance(model, OffPolicyAlgorithm) and replay and model.replay_buffer is not None:
            write_replay(new / "replay.npz", model.replay_buffer)
        if samples is not None:
            samples.write(new, replay)
        if history is not None:
            write_json(new / "training.json", history.model_dump())
        head = {"algorithm": algorithm, "num_timesteps": _learned_steps(model), "exact": exact}
        write_manifest(new, head)


def restore(model: BaseAlgorithm, folder: Path) -> None:
    """Restore `model`, built from the same spec, and its environment to where `save` was called.

    Raises:
        DriveRLError: the checkpoint is damaged, or belongs to another algorithm, network, world or buffer
            size.
    """
    folder = Path(folder)
    manifest = verify_driver(folder)
    if manifest.algorithm != _algorithm(model):
        raise DriveRLError(
            f"{folder / 'manifest.json'}: algorithm = {manifest.algorithm}, but this driver is "
            f"{_algorithm(model)}; fix: resume with the run's own spec.yaml"
        )
    # read and check everything first: a damaged checkpoint changes nothing
    policy, names, path = model.policy, manifest.files, folder / "weights.safetensors"
    exact = manifest.exact
    _check_complete(folder, manifest, model)
    weights = read_tensors(path)
    check_weights(policy, weights, path)
    optimizer = read_optimizer(folder, policy.optimizer)
    counters = read_table(folder / "counters.json", _counters_of(model), FIX)
    if counters.num_timesteps != manifest.num_timesteps:
        raise DriveRLError(
            f"{folder / 'counters.json'}: num_timesteps = {counters.num_timesteps}, but manifest.json has"
            f" {manifest.num_timesteps}; {FIX}"
        )
    buffer = model.replay_buffer if isinstance(model, OffPolicyAlgorithm) and "replay.npz" in names else None
    replay = read_replay(folder / "replay.npz", buffer) if buffer is not None else {}
    samples = _samples(model)
    sampled = samples.read(folder, _rollout_steps(model), exact) if samples is not None else None
    rng = read_rng(folder / "rng.json")
    last = read_last_step(model, folder / "last_step.npz") if "env.npz" in names and model.env else None
    if last is not None and model.env is not None:
        restore_env(model.env, read_arrays(folder / "env.npz"), folder / "env.npz")
    policy.load_state_dict(weights)
    policy.optimizer.load_state_dict(optimizer)
    _set_counters(model, counters)
    if buffer is not None:
        fill_replay(buffer, replay)
    set_last_step(model, last)
    if samples is not None and sampled is not None:
        samples.resume(sampled)
    restore_rng(rng, model.action_space)


def weights_only(folder: Path) -> dict[str, Tensor]:
    """Return the policy's state dict, checked against the manifest: all that evaluation needs."""
    verify_driver(folder)
    return read_tensors(Path(folder) / "weights.safetensors")


def step_of(folder: Path) -> int | None:
    """Return the step at which a checkpoint was saved; None where there is none."""
    if not (folder / "manifest.json").is_file():
        return None
    return verify_driver(folder).num_timesteps


def remaining_steps(model: BaseAlgorithm, total: int) -> int:
    """Return the steps for `model.learn(..., reset_num_timesteps=False)` that end training at `total`."""
    return max(total - model.num_timesteps, 0)


def at_boundary(model: BaseAlgorithm) -> bool:
    """Whether `model` is between two rollouts, where a checkpoint is exact."""
    steps = (model.num_timesteps - model._num_timesteps_at_start) // model.n_envs
    if isinstance(model, OnPolicyAlgorithm):
        return steps % model.n_steps == 0
    received = _received(model)  # one step fewer after a callback returned False
    return received == model.num_timesteps and steps % _replay_rollout(model) == 0


def _received(model: BaseAlgorithm) -> int:
    """Return the steps that a learner with a replay buffer has in it."""
    learner: Any = model  # DQN, QR-DQN and our SAC count calls, their base does not
    return learner._n_calls * model.n_envs


def _replay_rollout(model: BaseAlgorithm) -> int:
    """Return the environment steps of one rollout; 1 where rollouts are counted in episodes."""
    assert isinstance(model, OffPolicyAlgorithm)
    frequency = model.train_freq
    assert isinstance(frequency, TrainFreq)  # stable-baselines3 makes it one when built
    return frequency.frequency if frequency.unit is TrainFrequencyUnit.STEP else 1


def _algorithm(model: BaseAlgorithm) -> str:
    for kind in type(model).__mro__:
        if kind.__name__ in DRIVERS:
            return kind.__name__
    raise DriveRLError(f"{type(model).__name__}: checkpoints are for {', '.join(DRIVERS)}; fix: choose one of them")


def _samples(model: BaseAlgorithm) -> SamplingWrapper | None:
    """Return what keeps the samples of a driver that is guided or imitates."""
    return getattr(model, "guidance", None)


def _counters(model: BaseAlgorithm) -> dict[str, object]:
    names = [name for name in _LEARNERS_OWN if hasattr(model, name)]
    counters: dict[str, object] = {name: getattr(model, name) for name in (*_COUNTERS, *names)}
    counters["num_timesteps"] = _learned_steps(model)
    counters["ep_info_buffer"] = [_numbers(info) for info in model.ep_info_buffer or ()]
    counters["ep_success_buffer"] = [float(success) for success in model.ep_success_buffer or ()]
    return counters


def _counters_of(model: BaseAlgorithm) -> type[Counters]:
    """Return the table of a learner's counters."""
    if hasattr(model, "exploration_rate"):
        return ExploringCounters
    return ReplayCounters if isinstance(model, OffPolicyAlgorithm) else Counters


def _learned_steps(model: BaseAlgorithm) -> int:
    """Return the steps that the model got: not those of an unfinished PPO rollout or a stopped step."""
    if isinstance(model, OnPolicyAlgorithm):
        rollout = model.n_steps * model.n_envs
        return model.num_timesteps - (model.num_timesteps - model._num_timesteps_at_start) % rollout
    received = _received(model)
    return received if received == model.num_timesteps - model.n_envs else model.num_timesteps


def _numbers(info: Mapping[str, Any]) -> dict[str, float]:
    """Return the finite numbers of an episode's record."""
    return {k: float(v) for k, v in info.items() if isinstance(v, (int, float, np.number)) and np.isfinite(v)}


def _set_counters(model: BaseAlgorithm, counters: Counters) -> None:
    size = model._stats_window_size
    model.ep_info_buffer = deque((row.model_dump() for row in counters.ep_info_buffer), maxlen=size)
    model.ep_success_buffer = deque(counters.ep_success_buffer, maxlen=size)
    model.num_timesteps = model._num_timesteps_at_start = counters.num_timesteps
    model._total_timesteps = counters.total_timesteps
    model._episode_num, model._n_updates = counters.episode_num, counters.n_updates
    model._current_progress_remaining = counters.current_progress_remaining
    learner: Any = model  # as in `_received`
    if isinstance(counters, ReplayCounters):
        learner._n_calls = counters.n_calls
    if isinstance(counters, ExploringCounters):
        learner.exploration_rate = counters.exploration_rate


def _check_complete(folder: Path, manifest: DriverManifest, model: BaseAlgorithm) -> None:
    """Refuse a manifest that does not list the files it must have."""
    needed = ["rng.json"]
    if manifest.exact:
        needed += ["env.npz", "replay.npz"] if isinstance(model, OffPolicyAlgorithm) else ["env.npz"]
        needed += ["samples.npz"] if _samples(model) is not None else []
    if "env.npz" in manifest.files:
        needed += ["last_step.npz"]
    if absent := [name for name in needed if name not in manifest.files]:
        raise DriveRLError(f"{folder / 'manifest.json'}: files: {', '.join(absent)} not listed; {FIX}")


def _rollout_steps(model: BaseAlgorithm) -> int:
    """Return the most environment steps between two updates, two resets included."""
    if isinstance(model, OnPolicyAlgorithm):
        return (model.n_steps + 2) * model.n_envs
    assert isinstance(model, OffPolicyAlgorithm)
    return (_replay_rollout(model) + 2) * model.n_envs + model.learning_starts
