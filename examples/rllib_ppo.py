"""PPO from the camera with RLlib: its own networks over the batch engine.

python examples/rllib_ppo.py --steps 50000
"""

import argparse

import gymnasium
import numpy as np
import ray
from gymnasium.wrappers.vector import DtypeObservation, RescaleObservation
from ray import tune
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.core.rl_module.default_model_config import DefaultModelConfig

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--env", default="drive_rl:drive_rl/LaneKeep-v1")
parser.add_argument("--steps", type=int, default=50_000)
parser.add_argument("--cars", type=int, default=8)
parser.add_argument("--rollout", type=int, default=128)
args = parser.parse_args()


def cars(config: dict) -> gymnasium.vector.VectorEnv:
    """Return cars of the batch engine, with pictures as RLlib's networks read them: (H, W, channels) of floats."""
    envs = gymnasium.make_vec(args.env, num_envs=config["num_envs"], channels_last=True)
    return RescaleObservation(DtypeObservation(envs, np.float32), 0.0, 1.0)


ray.init(num_cpus=1, include_dashboard=False)
tune.register_env("cars", cars)
config = (
    PPOConfig()
    .environment("cars")
    .env_runners(num_env_runners=0, num_envs_per_env_runner=args.cars, gym_env_vectorize_mode="vector_entry_point")
    .training(train_batch_size_per_learner=args.cars * args.rollout, minibatch_size=256, num_epochs=4, lr=2.5e-4)
    .rl_module(
        model_config=DefaultModelConfig(
            conv_filters=[[32, 8, 4], [64, 4, 2], [64, 3, 1]],  # it has none for 64 x 40
            vf_share_layers=True,
        )
    )
    .debugging(seed=0)
)
algorithm = config.build_algo()
steps = 0
while steps < args.steps:
    results = algorithm.train()["env_runners"]
    steps = int(results["num_env_steps_sampled_lifetime"])
    print(f"{steps} steps, return {results.get('episode_return_mean', float('nan')):.1f}", flush=True)
algorithm.stop()
ray.shutdown()
