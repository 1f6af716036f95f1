"""Specs of experiments: which driver learns in which world, with what budget and evaluation."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from drive_rl.config.specs.base import Engine, Fraction, Spec, Track, Weight
from drive_rl.config.specs.driver import DaggerSpec, LearnerSpec
from drive_rl.config.specs.off_policy import OffPolicySpec, ReplaySpec, ValueSpec
from drive_rl.config.specs.plugin import Plugins
from drive_rl.config.specs.world import WorldSpec


def _replay_learns(agent: ReplaySpec, budget_steps: int) -> None:
    """Refuse a learner whose budget ends before its first update, or before its target network's first."""
    if agent.learning_starts >= budget_steps:
        raise ValueError(
            f"agent.learning_starts = {agent.learning_starts}: {agent.algorithm.upper()} would learn nothing within"
            f" budget_steps = {budget_steps}; fix: a smaller agent.learning_starts, or budget_steps >"
            f" {agent.learning_starts}"
        )
    if isinstance(agent, ValueSpec) and agent.target_update_every > budget_steps:
        raise ValueError(
            f"agent.target_update_every = {agent.target_update_every} is more than budget_steps = {budget_steps}: the"
            f" target network would never learn; fix: agent.target_update_every <= {budget_steps}"
        )


class EvalSpec(Spec):
    """Held-out evaluation during training, always on the first roads of the val split."""

    every_steps: int = Field(default=10_000, ge=1, description="Training steps between evaluations.")
    episodes: int = Field(default=20, ge=1, le=1000, description="Val roads driven in each evaluation.")
    stop_at_success: Fraction | None = Field(
        default=None, description="Stop early once this success rate is held (null: never)."
    )
    stop_after: int = Field(default=2, ge=1, le=100, description="Consecutive evaluations that must reach it.")


class RunSpec(Spec):
    """An experiment: which driver learns in which world, with what budget."""

    name: str = Field(description="The file's name.")
    description: str = Field(default="", description="One line for `drive-rl list`.")
    world: WorldSpec = Field(description="The world: a name, or a mapping with `base: NAME` and differences.")
    agent: Annotated[LearnerSpec, Field(discriminator="algorithm")] = Field(
        description="The driver: a name, or a mapping with `base: NAME` and differences."
    )
    train_tiers: dict[str, Weight] = Field(
        default={}, description="Weights of road tiers on training roads, where they differ from the world's."
    )
    engine: Engine = Field(
        default="bullet", description="`bullet` (PyBullet, one car at a time), or `batch` (all cars in compiled code)."
    )
    seed: int = Field(default=0, ge=0, le=2**31 - 1, description="Seed of weights, exploration and the order of roads.")
    budget_steps: int = Field(default=100_000, ge=1, le=10**12, description="Environment steps to train for.")
    checkpoint_every: int = Field(default=20_000, ge=1, le=10**12, description="Steps between numbered checkpoints.")
    keep_checkpoints: int = Field(default=2, ge=1, le=10_000, description="Numbered checkpoints kept, newest first.")
    evaluation: EvalSpec = Field(default=EvalSpec(), description="Held-out evaluation.")
    track: Track = Field(default="wandb", description="Tracker of metrics, beside metrics.csv.")
    project: str = Field(default="drive-rl", description="The tracker's project.")
    film: bool = Field(default=True, description="Film one held-out road at the end.")
    plugins: Plugins = ()

    @model_validator(mode="after")
    def _trains_on_tiers_of_its_world(self) -> Self:
        if self.train_tiers and self.world.streets:
            raise ValueError("train_tiers: streets have no tiers; fix: train_tiers={}")
        known = self.world.road.tiers
        for tier, weight in self.train_tiers.items():
            if tier not in known:
                raise ValueError(
                    f"train_tiers.{tier} = {weight:g}: expected a tier of the world; fix: one of {', '.join(known)}"
                )
        return self

    @model_validator(mode="after")
    def _learns_something(self) -> Self:
        if isinstance(self.agent, OffPolicySpec):
            _replay_learns(self.agent, self.budget_steps)
        key = "agent" if isinstance(self.agent, DaggerSpec) else "agent.guidance"
        recipe = self.agent if isinstance(self.agent, DaggerSpec) else self.agent.guidance
        learns = self.agent.help in ("guided", "imitation")
        if learns and recipe and recipe.batch_size > recipe.passes * self.budget_steps:
            raise ValueError(
                f"{key}.batch_size = {recipe.batch_size} is more than the {recipe.passes:g} passes over"
                f" budget_steps = {self.budget_steps} images make: the CNN would never learn; fix: a smaller"
                f" {key}.batch_size, or a larger budget_steps"
            )
        return self

    @model_validator(mode="after")
    def _route_can_be_driven_in_time(self) -> Self:
        car, task, streets = self.world.car, self.world.task, self.world.streets
        key, length_m = ("streets.route_m", streets.route_m) if streets else ("road.length_m", self.world.road.length_m)
        start_mps, limit_s = task.start_speed_mps[1], task.time_limit_s
        farthest_m = min(
            start_mps * limit_s + car.drive_force_n / car.mass_kg * limit_s**2 / 2,
            max(start_mps, car.top_speed_mps) * limit_s,
        )
        if farthest_m < length_m:
            raise ValueError(
                f"world.task.time_limit_s = {limit_s:g} is too short for world.{key} = {length_m:g}: at full"
                f" throttle the car gets {farthest_m:.3g} m far, and no driver could succeed; fix: a longer"
                " world.task.time_limit_s or a shorter way"
            )
        return self

    @property
    def training_world(self) -> WorldSpec:
        """The world with the tier weights of training roads."""
        raw = self.world.model_dump()
        for name, weight in self.train_tiers.items():
            raw["road"]["tiers"][name]["weight"] = weight
        return WorldSpec.model_validate(raw)
