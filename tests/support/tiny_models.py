"""Tiny PPO and DQN on a cart-pole with `get_state` and `set_state`. Run as a program it resumes them elsewhere."""

import sys
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.envs.classic_control import CartPoleEnv
from gymnasium.wrappers import TimeLimit
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv

from drive_rl.learn.checkpoint.checkpoint import remaining_steps, restore

TOTAL = 1024
_WORD = (1 << 64) - 1


class StatefulCartPole(CartPoleEnv):
    """CartPole with the contract of `drive_rl.learn.checkpoint.env_state`."""

    def get_state(self) -> dict[str, np.ndarray]:
        generator = self.np_random.bit_generator.state
        numbers = [generator["state"]["state"], generator["state"]["inc"]]
        words = [word for number in numbers for word in (number >> 64, number & _WORD)]
        words += [generator["has_uint32"], generator["uinteger"]]
        return {"state": np.asarray(self.state, dtype=np.float64), "rng": np.array(words, dtype=np.uint64)}

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        a, b, c, d, has_uint32, uinteger = (int(word) for word in state["rng"])
        self.np_random.bit_generator.state = {
            "bit_generator": "PCG64",
            "state": {"state": a << 64 | b, "inc": c << 64 | d},
            "has_uint32": has_uint32,
            "uinteger": uinteger,
        }
        self.state = state["state"]
        self.steps_beyond_terminated = None


def make_env() -> gymnasium.Env:
    return Monitor(TimeLimit(StatefulCartPole(), 60))


def vec_env(n_envs: int = 2) -> DummyVecEnv:
    return DummyVecEnv([make_env] * n_envs)


def decaying(progress_remaining: float) -> float:
    return 3e-3 * progress_remaining


def build(algorithm: str, n_envs: int = 2, seed: int = 0, net: tuple[int, ...] = (16,), **kwargs: Any) -> BaseAlgorithm:
    common: dict[str, Any] = {"learning_rate": decaying, "seed": seed, "device": "cpu"}
    policy_kwargs = {"net_arch": list(net)}
    if algorithm == "PPO":
        common |= {"n_steps": 64, "batch_size": 32, "n_epochs": 2}
        return PPO("MlpPolicy", vec_env(n_envs), policy_kwargs=policy_kwargs, **(common | kwargs))
    common |= {"buffer_size": 600, "learning_starts": 100, "train_freq": 4, "target_update_interval": 96}
    common |= {"exploration_fraction": 0.8, "exploration_final_eps": 0.1}
    return DQN("MlpPolicy", vec_env(n_envs), policy_kwargs=policy_kwargs, **(common | kwargs))


def resume(algorithm: str, folder: Path) -> BaseAlgorithm:
    """Resume from a checkpoint to TOTAL steps, in a model of another seed, so that only the checkpoint counts."""
    model = build(algorithm, seed=99)
    restore(model, folder)
    return model.learn(remaining_steps(model, TOTAL), reset_num_timesteps=False)


def weights(model: BaseAlgorithm) -> dict[str, np.ndarray]:
    return {name: tensor.numpy().copy() for name, tensor in model.policy.state_dict().items()}


if __name__ == "__main__":
    torch.set_num_threads(1)
    for argument in sys.argv[1:]:
        name, _, path = argument.partition("=")
        np.savez(Path(path) / "resumed.npz", allow_pickle=False, **weights(resume(name, Path(path))))
