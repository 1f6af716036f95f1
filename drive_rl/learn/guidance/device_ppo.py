"""PPO whose rollouts stay on the device: stable-baselines3's, with rollouts collected and kept as torch tensors.

Policy, update, logs and checkpoints are stable-baselines3's own; only where a rollout is kept differs.
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
from drive_rl.learn.sb3.critic_ppo import CriticPPO


class DeviceRolloutBuffer(RolloutBuffer):
    """A `RolloutBuffer` of tensors (steps, environments, ...); observations may be a dictionary."""

    def reset(self) -> None:
        """Forget the rollout and keep its memory, or the part that a shorter rollout needs."""
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
        """Compute GAE(lambda) advantages (Schulman et al. 2016, arXiv 1506.02438) and returns."""
        rewards, values, starts = self._rows["reward"], self._rows["value"], self._rows["start"].float()
        advantages, gain = torch.zeros_like(rewards), torch.zeros_like(last_values)
        following, continues = last_values, 1 - dones.float()
        for step in reversed(range(self.buffer_size)):
            delta = rewards[step] + self.gamma * following * continues - values[step]
            gain = delta + self.gamma * self.gae_lambda * continues * gain
            advantages[step] = gain
            following, continues = values[step], 1 - starts[step]
        self._rows |= {"advantage": advantages, "return": advantages + values}
        self.observations = _observations({name: rows.flatten(0, 1) for name, rows in self._rows.items()})
        # for stable-baselines3's log of the explained variance
        self.values, self.returns = values.cpu().numpy(), self._rows["return"].cpu().numpy()

    def get(self, batch_size: int | None = None) -> Generator[RolloutBufferSamples, None, None]:
        """Yield the rollout in minibatches, in an order drawn from torch's generator."""
        flat = {name: rows.flatten(0, 1) for name, rows in self._rows.items()}
        order = torch.randperm(len(flat["value"]), device=flat["value"].device)
        for drawn in order.split(batch_size or len(order)):
            picked = {name: rows[drawn] for name, rows in flat.items()}
            yield RolloutBufferSamples(
                observations=_observations(picked),
                actions=picked["action"].float(),
                old_values=picked["value"],
                old_log_prob=picked["log_prob"],
                advantages=picked["advantage"],
                returns=picked["return"],
            )


class DevicePPO(BudgetPPO):
    """PPO over environments that return tensors (`BatchVecEnv` over a batch on a GPU)."""

    def collect_rollouts(self, env: Any, callback: BaseCallback, rollout_buffer: Any, n_rollout_steps: int) -> bool:
        """Collect as stable-baselines3 does; only the actions leave the device."""
        self.policy.set_training_mode(False)
        n_rollout_steps = self.within_budget(rollout_buffer)
        rollout_buffer.reset()
        callback.on_rollout_start()
        last_obs, starts = self._on_device(self._last_obs), self._on_device(self._last_episode_starts)
        for _ in range(n_rollout_steps):
            with torch.no_grad():
                actions, values, log_probs = self.policy(last_obs)
            new_obs, rewards, dones, infos = env.step(self._commands(actions))
            self.num_timesteps += env.num_envs
            callback.update_locals(locals())
            if not callback.on_step():
                return False
            ended = [info for info in infos if info]
            self._update_info_buffer(ended, np.ones(len(ended), bool))
            rewards = self._value_timeouts(rewards, infos)
            rollout_buffer.add(last_obs, actions.reshape(len(values), -1), rewards, starts, values.flatten(), log_probs)
            last_obs, starts = new_obs, dones
            self._last_obs, self._last_episode_starts = last_obs, starts
        with torch.no_grad():
            last_values = self.policy.predict_values(last_obs).flatten()
        rollout_buffer.compute_returns_and_advantage(last_values, starts)
        callback.update_locals(locals())
        callback.on_rollout_end()
        return True

    def _commands(self, actions: Tensor) -> np.ndarray:
        """Return actions for the environments, clipped to the action space."""
        given = actions.cpu().numpy()
        if isinstance(self.action_space, spaces.Box):
            return np.clip(given, self.action_space.low, self.action_space.high)
        return given

    def _value_timeouts(self, rewards: Tensor, infos: list[dict[str, Any]]) -> Tensor:
        """Return the rewards, plus the discounted value of the last state where the clock ended an episode."""
        cut = [row for row, info in enumerate(infos) if info.get("TimeLimit.truncated")]
        if not cut:
            return rewards
        last = [_parts(infos[row]["terminal_observation"]) for row in cut]
        stacked: Any = {key: torch.stack([parts[key] for parts in last]) for key in last[0]}
        with torch.no_grad():
            values = self.policy.predict_values(stacked.get("", stacked)).flatten()
        rewards = rewards.clone()
        rewards[cut] += self.gamma * values
        return rewards

    def _on_device(self, observations: Any) -> Any:
        """Return the last observations as tensors; resets and checkpoints leave arrays."""
        if isinstance(observations, dict):
            return {key: self._on_device(part) for key, part in observations.items()}
        return torch.as_tensor(observations, device=self.device)


class CriticDevicePPO(DevicePPO, CriticPPO):
    """`DevicePPO` whose value takes passes of its own over each rollout."""

    def _drives(self, rows: np.ndarray) -> tuple[Tensor, Tensor, Tensor]:
        buffer: Any = self.rollout_buffer
        kept, drawn = buffer._rows, torch.as_tensor(rows, device=self.device)
        pictures, actions, begins = (kept[name][:, drawn].transpose(0, 1) for name in ("obs/", "action", "start"))
        return pictures, actions, begins.bool()


class GuidedDevicePPO(DevicePPO, GuidedPPO):
    """`DevicePPO` that trains its policy's lane network with each update."""


ON_DEVICE: dict[type[BudgetPPO], type[DevicePPO]] = {
    BudgetPPO: DevicePPO,
    GuidedPPO: GuidedDevicePPO,
    CriticPPO: CriticDevicePPO,
}
"""What takes the place of a PPO whose environments return tensors."""


def _parts(observations: Any) -> dict[str, Tensor]:
    return observations if isinstance(observations, dict) else {"": observations}


def _observations(rows: dict[str, Tensor]) -> Any:
    """Return the observations among a buffer's rows, as policies take them: a tensor, or a dictionary of them."""
    parts = {name.removeprefix("obs/"): row for name, row in rows.items() if name.startswith("obs/")}
    return parts.get("", parts)
