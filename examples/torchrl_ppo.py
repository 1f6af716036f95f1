"""PPO from the camera with TorchRL: its environment, collector, networks and loss.

python examples/torchrl_ppo.py --steps 50000
"""

import argparse

import gymnasium
import torch
from tensordict.nn import NormalParamExtractor, TensorDictModule, TensorDictSequential
from torchrl.collectors import Collector
from torchrl.envs import Compose, GymWrapper, RewardSum, ToTensorImage, TransformedEnv
from torchrl.modules import MLP, ConvNet, ProbabilisticActor, TanhNormal, ValueOperator
from torchrl.objectives import ClipPPOLoss
from torchrl.objectives.value import GAE

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--env", default="drive_rl:drive_rl/LaneKeep-v1")
parser.add_argument("--steps", type=int, default=50_000)
parser.add_argument("--cars", type=int, default=8)
parser.add_argument("--rollout", type=int, default=128)
args = parser.parse_args()

torch.manual_seed(0)
cars = GymWrapper(gymnasium.make_vec(args.env, num_envs=args.cars, autoreset_mode="Disabled"))
pictures = ToTensorImage(in_keys=["observation"], shape_tolerant=True)  # uint8 to float in [0, 1]
env = TransformedEnv(cars, Compose(pictures, RewardSum()))
env.set_seed(0)

(number,) = cars.action_spec_unbatched.shape
cnn = ConvNet(num_cells=[32, 64, 64], kernel_sizes=[8, 4, 3], strides=[4, 2, 1])
features = TensorDictModule(cnn, ["observation"], ["features"])
head = torch.nn.Sequential(MLP(out_features=2 * number, num_cells=[256]), NormalParamExtractor())
policy = TensorDictSequential(features, TensorDictModule(head, ["features"], ["loc", "scale"]))
actor = ProbabilisticActor(policy, ["loc", "scale"], distribution_class=TanhNormal, return_log_prob=True)
critic = TensorDictSequential(features, ValueOperator(MLP(out_features=1, num_cells=[256]), ["features"]))
with torch.no_grad():
    critic(actor(env.reset()))  # gives the lazy layers their sizes

loss = ClipPPOLoss(actor, critic, clip_epsilon=0.1, entropy_coeff=0.01)
advantage = GAE(gamma=0.99, lmbda=0.95, value_network=critic, average_gae=True)
optimizer = torch.optim.Adam(loss.parameters(), lr=2.5e-4)
collector = Collector(
    env, actor, frames_per_batch=args.rollout * args.cars, total_frames=args.steps, auto_register_policy_transforms=True
)
steps = 0
for data in collector:
    for _ in range(4):
        advantage(data)
        for batch in data.flatten().split(args.rollout * args.cars // 4):
            terms = loss(batch)
            optimizer.zero_grad()
            (terms["loss_objective"] + terms["loss_critic"] + terms["loss_entropy"]).backward()
            torch.nn.utils.clip_grad_norm_(loss.parameters(), 0.5)
            optimizer.step()
    steps += data.numel()
    ended = data["next", "episode_reward"][data["next", "done"]]
    print(f"{steps} steps, return {ended.mean().item():.1f}", flush=True)
collector.shutdown()
