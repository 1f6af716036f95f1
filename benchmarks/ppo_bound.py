"""Claim: PPO with the batch engine trains at >= 80 % of the speed at which its networks alone run forward and backward.

The bound is what no other implementation of the rest can beat: the same forward passes (a step's pictures through the
lane network, a step's lane states through the policy) and the same forward and backward passes (minibatches of the lane
network and of the policy), as many as in an update, on tensors in memory; without environment, optimizer or buffer.
Training and bound alternate on the same core.
"""

import argparse
import os
import time
from typing import cast

import torch
from record import Bar, Bench, show, spread

from drive_rl.config.reader import load_run
from drive_rl.config.specs.driver import PpoSpec
from drive_rl.learn.build import build_model, make_envs
from drive_rl.learn.guidance.lane_net import LANE_STATE
from drive_rl.learn.guidance.policies import GuidedActorCritic, GuidedPPO
from drive_rl.run.process.allocator import keep_freed_memory

CPU = torch.device("cpu")


class Training:
    """PPO as `drive-rl train` runs it, without evaluations."""

    def __init__(self, experiment: str) -> None:
        run = load_run(experiment)
        self.agent = cast(PpoSpec, run.agent)
        envs = make_envs(run.world, self.agent, "train", self.agent.num_envs, 0, run.engine)
        self.model = cast(GuidedPPO, build_model(self.agent, envs, CPU, 0))
        self.rollout = self.agent.num_envs * self.agent.steps_per_update

    def block(self, updates: int) -> float:
        """Learn for some updates; return the seconds of one."""
        begin = time.perf_counter()
        self.model.learn(updates * self.rollout, reset_num_timesteps=self.model.num_timesteps == 0)
        return (time.perf_counter() - begin) / updates


class Passes:
    """The passes of one update, through the same networks."""

    def __init__(self, training: Training) -> None:
        agent, model = training.agent, training.model
        assert agent.guidance is not None, "the lane network is the larger part"
        policy = cast(GuidedActorCritic, model.policy)
        self._agent, self._policy, self._lane_net = agent, policy, policy.lane_net
        n, self._fields = agent.num_envs, cast(tuple[int], LANE_STATE.shape)[0]
        shape = cast(tuple[int, ...], policy.camera.shape)
        self._pictures = torch.randint(0, 256, (n, *shape), dtype=torch.uint8)
        self._predicted = torch.randn(n, self._fields)
        self._batch = torch.randint(0, 256, (agent.guidance.batch_size, *shape), dtype=torch.uint8)
        self._truths = torch.randn(agent.guidance.batch_size, self._fields)
        self._states, self._actions = torch.randn(agent.batch_size, self._fields), torch.randn(agent.batch_size, 2)
        self._lane_minibatches = round(training.rollout * agent.guidance.passes / agent.guidance.batch_size)
        self._minibatches = agent.epochs * training.rollout // agent.batch_size

    def block(self, updates: int) -> float:
        """Run the passes of some updates; return the seconds of one."""
        begin = time.perf_counter()
        for _ in range(updates):
            with torch.no_grad():
                for _ in range(self._agent.steps_per_update):
                    self._lane_net(self._pictures)
                    self._policy(self._predicted)
            for _ in range(self._lane_minibatches):
                self._backward((self._lane_net(self._batch) - self._truths).square().mean(), self._lane_net)
            for _ in range(self._minibatches):
                values, log_prob, _ = self._policy.evaluate_actions(self._states, self._actions)
                self._backward(values.mean() + log_prob.mean(), self._policy)
        return (time.perf_counter() - begin) / updates

    def _backward(self, loss: torch.Tensor, network: torch.nn.Module) -> None:
        for parameter in network.parameters():
            parameter.grad = None
        loss.backward()


def main() -> None:
    """Alternate training and passes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--experiment", default="ppo-batch", help="a guided PPO of configs/")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--updates", type=int, default=12, help="of each in each round")
    bench = Bench("ppo_bound", parser)
    args = bench.args
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
    keep_freed_memory()
    torch.set_num_threads(1)
    torch.distributions.Distribution.set_default_validate_args(False)
    training = Training(args.experiment)
    passes = Passes(training)
    training.block(args.updates)  # warm-up, and samples to train on
    passes.block(args.updates)
    rows = [(training.block(args.updates), passes.block(args.updates)) for _ in range(args.rounds)]
    figures = {
        "samples_an_update": training.rollout,
        "update_s": spread([row[0] for row in rows]),
        "bound_s": spread([row[1] for row in rows]),
        "share_of_bound": spread([bound / whole for whole, bound in rows]),
        "steps_per_s": spread([training.rollout / whole for whole, _ in rows]),
        "bound_steps_per_s": spread([training.rollout / bound for _, bound in rows]),
    }
    columns = ["PPO, 2 cores", "median", "min", "max"]
    shown = [
        (key, *(value[k] for k in ("median", "min", "max")))
        for key, value in figures.items()
        if key != columns[0] and isinstance(value, dict)
    ]
    show(f"{args.experiment}: {training.rollout} samples an update", columns, shown)
    bar = Bar("PPO's speed over its networks' own", figures["share_of_bound"]["median"], least=0.8)
    bench.finish(figures, [{"update_s": whole, "bound_s": bound} for whole, bound in rows], [bar])


if __name__ == "__main__":
    main()
