"""Specs of drivers that learn from a replay buffer: DQN, QR-DQN and SAC."""

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from drive_rl.config.specs.base import Fraction, NonNegative, Positive
from drive_rl.config.specs.learner import RewardedSpec


class OffPolicySpec(RewardedSpec):
    """What all of them share."""

    buffer_size: int = Field(default=40_000, ge=100, le=10_000_000, description="Transitions kept.")
    learning_starts: int = Field(default=1000, ge=1, le=10_000_000, description="Steps before the first update.")
    batch_size: int = Field(default=64, ge=1, le=100_000, description="Samples in a minibatch.")
    train_every: int = Field(default=1, ge=1, le=100_000, description="Steps of each environment between updates.")
    gradient_steps: int = Field(default=2, ge=1, le=10_000, description="Gradient steps in an update.")
    n_steps: int = Field(default=1, ge=1, le=100, description="Rewards summed before bootstrapping (n-step returns).")
    max_grad_norm: Positive = Field(default=10, ge=1e-6, le=1000, description="Gradient clip.")

    @model_validator(mode="after")
    def _a_step_fits(self) -> Self:
        if self.buffer_size < self.num_envs:
            raise ValueError(
                f"buffer_size = {self.buffer_size} does not hold one step of num_envs = {self.num_envs}; fix:"
                f" buffer_size >= {self.num_envs}"
            )
        return self

    @model_validator(mode="after")
    def _one_step_of_two_observations(self) -> Self:
        if self.observation == "camera+state" and self.perception_model is None and self.n_steps > 1:
            raise ValueError(
                f"n_steps = {self.n_steps}: the replay buffer of observation = camera+state holds single steps only;"
                " fix: n_steps = 1"
            )
        return self


class ValueSpec(OffPolicySpec):
    """What DQN and QR-DQN share, which learn the values of a grid of actions."""

    actions: Literal["discrete"] = Field(default="discrete", description="It picks from the world's action grid.")
    target_update_every: int = Field(
        default=500, ge=1, le=10_000_000, description="Steps between updates of the target network."
    )
    tau: Fraction = Field(default=1.0, gt=0, description="Weight of the online network in such an update; 1 copies it.")
    exploration_fraction: Fraction = Field(default=0.3, description="Share of the budget in which exploration decays.")
    exploration_end: Fraction = Field(default=0.02, description="Probability of a random action from then on.")


class DqnSpec(ValueSpec):
    """DQN (Mnih et al. 2015, doi 10.1038/nature14236) on stable-baselines3."""

    algorithm: Literal["dqn"]
    steering_temperature: NonNegative = Field(
        default=0,
        le=1000,
        description="With guidance: steer by the mean of a Boltzmann distribution of the values, of this temperature;"
        " 0: by the best action.",
    )

    @model_validator(mode="after")
    def _guided_where_it_steers_by_means(self) -> Self:
        if self.steering_temperature and self.help != "guided":
            raise ValueError(
                f"steering_temperature = {self.steering_temperature}: only guided DQN steers by means; fix:"
                " steering_temperature = 0"
            )
        return self


class QrdqnSpec(ValueSpec):
    """QR-DQN, which learns the distribution of returns (Dabney et al. 2018, arXiv 1710.10044), on sb3-contrib."""

    takes_guidance: ClassVar[bool] = False

    algorithm: Literal["qrdqn"]
    quantiles: int = Field(default=50, ge=2, le=1000, description="Quantiles of the return of each action.")


class SacSpec(OffPolicySpec):
    """SAC (Haarnoja et al. 2018, arXiv 1812.05905) on stable-baselines3.

    Sampled pictures are randomly shifted (DrQ: Kostrikov et al. 2020, arXiv 2004.13649).
    """

    takes_guidance: ClassVar[bool] = False

    algorithm: Literal["sac"]
    actions: Literal["continuous"] = Field(default="continuous", description="Continuous steering and pedal.")
    tau: Fraction = Field(default=0.01, gt=0, description="Weight of the critics in each update of their targets.")
    entropy_coef_init: Positive = Field(
        default=0.1, ge=1e-6, le=10, description="First weight of the entropy, which is then learned."
    )
    random_shift_px: int = Field(
        default=4, ge=0, le=64, description="Largest shift of sampled pictures, each way [px]; 0: none (DrQ)."
    )


ReplaySpec = DqnSpec | QrdqnSpec | SacSpec
"""Any of them."""
