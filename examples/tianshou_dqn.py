"""DQN from the camera with Tianshou: its own network, collectors and trainer, over cars in PyBullet.

python examples/tianshou_dqn.py --steps 20000
"""

import argparse

import gymnasium
import torch
from tianshou.algorithm import DQN
from tianshou.algorithm.modelfree.dqn import DiscreteQLearningPolicy
from tianshou.algorithm.optim import AdamOptimizerFactory
from tianshou.data import Collector, CollectStats, VectorReplayBuffer
from tianshou.env import DummyVectorEnv
from tianshou.env.atari.atari_network import DQNet, ScaledObsInputActionReprNet
from tianshou.trainer import OffPolicyTrainerParams

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--env", default="drive_rl:drive_rl/LaneKeep-v1")
parser.add_argument("--steps", type=int, default=20_000)
parser.add_argument("--cars", type=int, default=4)
args = parser.parse_args()

torch.manual_seed(0)
cars = DummyVectorEnv([lambda: gymnasium.make(args.env, actions="discrete")] * args.cars)
cars.seed(0)
seen, actions = cars.observation_space[0], cars.action_space[0]
policy = DiscreteQLearningPolicy(
    model=ScaledObsInputActionReprNet(DQNet(*seen.shape, action_shape=int(actions.n))),
    action_space=actions,
    observation_space=seen,
    eps_training=0.1,
)
algorithm = DQN(
    policy=policy, optim=AdamOptimizerFactory(lr=1e-4), gamma=0.97, n_step_return_horizon=3, target_update_freq=500
)
buffer = VectorReplayBuffer(args.steps, args.cars)
collector = Collector[CollectStats](algorithm, cars, buffer, exploration_noise=True)
collector.reset()
random_steps = min(args.steps // 4, 1000)
collector.collect(n_step=random_steps, random=True)
epochs = max(1, args.steps // 2000)
algorithm.run_training(
    OffPolicyTrainerParams(
        training_collector=collector,
        max_epochs=epochs,
        epoch_num_steps=(args.steps - random_steps) // epochs,
        collection_step_num_env_steps=4 * args.cars,
        update_step_num_gradient_steps_per_sample=0.25,
        batch_size=64,
        verbose=False,
        show_progress=False,
    )
)
steps = collector.collect_step
returns = collector.collect(n_episode=2 * args.cars, reset_before_collect=True).returns
print(f"{steps} steps, return {returns.mean():.1f}", flush=True)
cars.close()
