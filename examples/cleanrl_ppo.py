"""PPO from the camera in one loop, as CleanRL writes it: needs torch and Gymnasium alone.

python examples/cleanrl_ppo.py --steps 50000
"""

import argparse

import gymnasium
import torch
from gymnasium.wrappers.vector import RecordEpisodeStatistics
from torch import nn
from torch.distributions import Categorical

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--env", default="drive_rl:drive_rl/LaneKeep-v1")
parser.add_argument("--steps", type=int, default=50_000)
parser.add_argument("--cars", type=int, default=8)
parser.add_argument("--rollout", type=int, default=128)
args = parser.parse_args()
gamma, lambda_, clip, entropy, epochs, minibatches = 0.99, 0.95, 0.1, 0.01, 4, 4

torch.manual_seed(0)
envs = gymnasium.make_vec(args.env, num_envs=args.cars, actions="discrete", autoreset_mode="SameStep")
envs = RecordEpisodeStatistics(envs)
channels, height, width = envs.single_observation_space.shape
cnn = nn.Sequential(
    nn.Conv2d(channels, 32, 8, 4), nn.ReLU(), nn.Conv2d(32, 64, 4, 2), nn.ReLU(), nn.Flatten(), nn.LazyLinear(256),
    nn.ReLU(),
)  # fmt: skip
cnn(torch.zeros(1, channels, height, width))
actor, critic = nn.Linear(256, envs.single_action_space.n), nn.Linear(256, 1)
nn.init.orthogonal_(actor.weight, 0.01)
net = nn.ModuleList([cnn, actor, critic])
optimizer = torch.optim.Adam(net.parameters(), lr=2.5e-4, eps=1e-5)


def forward(pictures: torch.Tensor) -> tuple[Categorical, torch.Tensor]:
    """Return the policy and the value of pictures, (B, channels, H, W) uint8."""
    features = cnn(pictures / 255.0)
    return Categorical(logits=actor(features)), critic(features).squeeze(-1)


size = (args.rollout, args.cars)
obs = torch.zeros((*size, channels, height, width), dtype=torch.uint8)
actions, logprobs, rewards, dones, values = (torch.zeros(size) for _ in range(5))
seen = torch.as_tensor(envs.reset(seed=0)[0])
for update in range(1, max(1, args.steps // (args.rollout * args.cars)) + 1):
    for t in range(args.rollout):
        with torch.no_grad():
            policy, values[t] = forward(seen)
        obs[t], actions[t] = seen, policy.sample()
        logprobs[t] = policy.log_prob(actions[t])
        now, reward, terminated, truncated, _ = envs.step(actions[t].long().numpy())
        seen, rewards[t], dones[t] = map(torch.as_tensor, (now, reward, terminated | truncated))
    with torch.no_grad():
        value, advantage, advantages = forward(seen)[1], 0.0, torch.zeros(size)
    for t in reversed(range(args.rollout)):
        delta = rewards[t] + gamma * (1 - dones[t]) * value - values[t]
        advantages[t] = advantage = delta + gamma * lambda_ * (1 - dones[t]) * advantage
        value = values[t]
    old = [part.flatten(0, 1) for part in (obs, actions, logprobs, advantages, advantages + values)]
    for _ in range(epochs):
        for batch in torch.randperm(size[0] * size[1]).chunk(minibatches):
            b_obs, b_actions, b_logprobs, b_advantages, b_returns = (part[batch] for part in old)
            policy, b_values = forward(b_obs)
            ratio = (policy.log_prob(b_actions) - b_logprobs).exp()
            scaled = (b_advantages - b_advantages.mean()) / (b_advantages.std() + 1e-8)
            policy_loss = -torch.min(ratio * scaled, ratio.clamp(1 - clip, 1 + clip) * scaled).mean()
            loss = policy_loss + 0.5 * (b_values - b_returns).pow(2).mean() - entropy * policy.entropy().mean()
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 0.5)
            optimizer.step()
    recent = list(envs.return_queue)
    print(f"{update * args.rollout * args.cars} steps, return {sum(recent) / max(len(recent), 1):.1f}", flush=True)
envs.close()
