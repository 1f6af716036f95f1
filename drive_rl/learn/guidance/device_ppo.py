"""PPO whose rollouts stay on the device: stable-baselines3's, with a buffer and a collection of torch tensors.

Policy, update, logs and checkpoints are stable-baselines3's own; only who holds a rollout differs.
"""

from collections.abc import Generator
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.type_aliases import RolloutBufferSamples
from torch import Tensor

from drive_rl.learn.budget import BudgetPPO
from drive_rl.learn.guidance.policies import GuidedPPO


class DeviceRolloutBuffer(RolloutBuffer):
    """A `RolloutBuffer` of tensors (steps, environments, ...); observations may be a dictionary."""

    def reset(self) -> None:
        """Forget the rollout; the memory stays, or as much of it as a shorter rollout takes."""
        self.pos, self.full = 0, False
        kept: dict[str, Tensor] = getattr(self, "_rows", {})
        self._rows = {name: rows[: self.buffer_size] for name, rows in kept.items()}

    def add(self, obs: Any, action: Any, reward: Any, episode_start: Any, value: Any, log_prob: Any) -> None:
        """Keep a step: observations, actions, rewards, episode starts, values and log probabilities.

        Each is a tensor (environments, ...) on the device; observations may be a dictionary of them.
        """
        rows = {f"obs/{key}": part for key, part in _parts(obs).items()}
        rows |= {"action": action, "reward": reward, "start": episode_start, "value": value, "log_prob": log_prob}
        for name, row in rows.items():
            if name not in self._rows:
                self._rows[name] = row.new_empty((self.buffer_size, *row.shape))
            self._rows[name][self.pos] = row
        self.pos += 1
        self.full = self.pos == self.buffer_size

    def compute_returns_and_advantage(self, last_values: Tensor, dones: Any) -> None:
        """Compute GAE(lambda) advantages (Schulman et al. 2016, arXiv 1506.02438) and the returns that they make."""
        rewards, values, starts = self._rows["reward"], self._rows["value"], self._rows["start"].float()
        advantages, gain = torch.zeros_like(rewards), torch.zeros_like(last_values)
        following, goes_on = last_values, 1 - dones.float()
        for step in reversed(range(self.buffer_size)):
            delta = rewards[step] + self.gamma * following * goes_on - values[step]
            gain = delta + self.gamma * self.gae_lambda * goes_on * gain
            advantages[step] = gain
            following, goes_on = values[step], 1 - starts[step]
        self._rows |= {"advantage": advantages, "return": advantages + values}
        # for stable-baselines3's log of the explained variance
        self.values, self.returns = values.cpu().numpy(), self._rows["return"].cpu().numpy()

    def get(self, batch_size: int | None = None) -> Generator[RolloutBufferSamples, None, None]:
        """Yield the rollout in minibatches, in an order drawn from torch's generator."""
        flat = {name: rows.flatten(0, 1) for name, rows in self._rows.items()}
        order = torch.randperm(len(flat["value"]), device=flat["value"].device)
        for drawn in order.split(batch_size or len(order)):
            picked = {name: rows[drawn] for name, rows in flat.items()}
            seen = {name.removeprefix("obs/"): rows for name, rows in picked.items() if name.startswith("obs/")}
            yield RolloutBufferSamples(
                observations=seen.get("", seen),  # pyright: ignore - a dictionary is what policies take
                actions=picked["action"].float(),
                old_values=picked["value"],
                old_log_prob=picked["log_prob"],
                advantages=picked["advantage"],
                returns=picked["return"],
            )


class DevicePPO(BudgetPPO):
    """PPO over environments that show tensors (`BatchVecEnv` over a batch on a GPU)."""

    def collect_rollouts(self, env: Any, callback: BaseCallback, rollout_buffer: Any, n_rollout_steps: int) -> bool:
        """Do as stable-baselines3; nothing but the actions leaves the device."""
        self.policy.set_training_mode(False)
        n_rollout_steps = self.within_budget(rollout_buffer)
        rollout_buffer.reset()
        callback.on_rollout_start()
        seen, starts = self._on_device(self._last_obs), self._on_device(self._last_episode_starts)
        for _ in range(n_rollout_steps):
            with torch.no_grad():
                actions, values, log_probs = self.policy(seen)
            new_obs, rewards, dones, infos = env.step(self._commands(actions))
            self.num_timesteps += env.num_envs
            callback.update_locals(locals())
            if not callback.on_step():
                return False
            ended = [info for info in infos if info]
            self._update_info_buffer(ended, np.ones(len(ended), bool))
            rewards = self._value_timeouts(rewards, infos)
            rollout_buffer.add(seen, actions.reshape(len(values), -1), rewards, starts, values.flatten(), log_probs)
            seen, starts = new_obs, dones
            self._last_obs, self._last_episode_starts = seen, starts
        with torch.no_grad():
            last_values = self.policy.predict_values(seen).flatten()
        rollout_buffer.compute_returns_and_advantage(last_values, starts)
        callback.update_locals(locals())
        callback.on_rollout_end()
        return True

    def _commands(self, actions: Tensor) -> np.ndarray:
        """Return what the environments take, within the action space."""
        given = actions.cpu().numpy()
        if isinstance(self.action_space, spaces.Box):
            return np.clip(given, self.action_space.low, self.action_space.high)
        return given

    def _value_timeouts(self, rewards: Tensor, infos: list[dict[str, Any]]) -> Tensor:
        """Return the rewards and, where the clock ended an episode, the value of what was still to come."""
        cut = [row for row, info in enumerate(infos) if info.get("TimeLimit.truncated")]
        if not cut:
            return rewards
        last = [_parts(infos[row]["terminal_observation"]) for row in cut]
        seen: Any = {key: torch.stack([parts[key] for parts in last]) for key in last[0]}
        with torch.no_grad():
            values = self.policy.predict_values(seen.get("", seen)).flatten()
        rewards = rewards.clone()
        rewards[cut] += self.gamma * values
        return rewards

    def _on_device(self, seen: Any) -> Any:
        """Return what was seen last as tensors: a reset and a checkpoint leave arrays."""
        if isinstance(seen, dict):
            return {key: self._on_device(part) for key, part in seen.items()}
        return torch.as_tensor(seen, device=self.device)


class GuidedDevicePPO(DevicePPO, GuidedPPO):
    """`DevicePPO` that teaches its policy's eyes before each update."""


def _parts(observations: Any) -> dict[str, Tensor]:
    return observations if isinstance(observations, dict) else {"": observations}
