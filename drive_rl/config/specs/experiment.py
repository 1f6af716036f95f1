"""Specs of experiments: which driver learns in which world, with what budget and evaluation."""

from typing import Annotated, Self

from pydantic import Field, ValidationError, field_serializer, model_validator

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
    train_worlds: tuple[WorldSpec, ...] = Field(
        default=(),
        exclude_if=lambda worlds: not worlds,
        description="Worlds to learn in instead of `world`, as many environments in each; the car, its camera and its"
        " controls are those of `world`. A name, all that a pattern such as `scenarios/*` names, or a mapping with"
        " `base: NAME` and differences.",
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

    @field_serializer("train_worlds")
    def _without_defaults(self, worlds: tuple[WorldSpec, ...]) -> list[dict[str, object]]:
        sections = ("car", "camera", "task", "reward", "appearance")
        usual = {key: WorldSpec.model_fields[key].default.model_dump(mode="json") for key in sections}
        return [_differences(world.model_dump(mode="json"), usual) for world in worlds]

    @model_validator(mode="after")
    def _has_environments_in_each_world(self) -> Self:
        if not self.train_worlds:
            return self
        if self.train_tiers:
            raise ValueError(
                "train_tiers: are of `world`, but train_worlds names others; fix: train_tiers={}, or null in the file"
            )
        if len(self.train_worlds) > self.agent.num_envs:
            raise ValueError(
                f"train_worlds: {len(self.train_worlds)} worlds, but agent.num_envs = {self.agent.num_envs}; fix:"
                f" agent.num_envs >= {len(self.train_worlds)}"
            )
        if not isinstance(self.agent, DaggerSpec):
            for other in self.train_worlds:
                if _state_of(other) != _state_of(self.world):
                    raise ValueError(
                        f"train_worlds: the privileged state of {other.name} has other fields than {self.world.name};"
                        " fix: leave it out, or an agent that imitates"
                    )
        return self

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
    def _routes_can_be_driven_in_time(self) -> Self:
        _in_time(self.world, "world.")
        return self

    @model_validator(mode="after")
    def _car_and_camera_suit_all_worlds(self) -> Self:
        for at, other in enumerate(self.train_worlds):
            try:
                _in_time(_driven_as(self.world, other), "")
            except ValueError as error:
                reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
                raise ValueError(
                    f"train_worlds.{at} ({other.name}), with the car, camera and controls of {self.world.name}:"
                    f" {reason.removeprefix('Value error, ')}; or leave it out"
                ) from error
        return self

    @property
    def world_names(self) -> tuple[str, ...]:
        """The names of the worlds that the driver learns in."""
        return tuple(dict.fromkeys(world.name for world in self.train_worlds or (self.world,)))

    @property
    def learned_in(self) -> str:
        """The same in words."""
        names = self.world_names
        return ", ".join(names) if len(names) <= _MOST_NAMED else f"{len(names)} worlds"

    @property
    def training_worlds(self) -> tuple[WorldSpec, ...]:
        """The worlds that the driver learns in: `world` with the tier weights of training roads, or the others."""
        if self.train_worlds:
            return tuple(_driven_as(self.world, other) for other in self.train_worlds)
        raw = self.world.model_dump()
        for name, weight in self.train_tiers.items():
            raw["road"]["tiers"][name]["weight"] = weight
        return (WorldSpec.model_validate(raw),)


_MOST_NAMED = 4
CONTROLS = ("controls", "steering", "steer_grid", "pedal_grid", "control_hz", "physics_hz")
"""Keys of a task that are the car's and the driver's: in all worlds that a driver learns in those of its own."""


def _driven_as(own: WorldSpec, other: WorldSpec) -> WorldSpec:
    """Return another world with the car, the camera and the controls of a driver's own."""
    task = other.task.model_copy(update={key: getattr(own.task, key) for key in CONTROLS})
    parts = {name: getattr(other, name) for name in WorldSpec.model_fields}
    return WorldSpec.model_validate({**parts, "car": own.car, "camera": own.camera, "task": task})


def _differences(values: dict[str, object], usual: dict[str, object]) -> dict[str, object]:
    """Return the values that differ from the usual ones, of sections those in them."""
    found: dict[str, object] = {}
    for key, value in values.items():
        before = usual.get(key)
        if key not in usual or value != before:
            found[key] = _differences(value, before) if isinstance(value, dict) and isinstance(before, dict) else value
    return found


def _state_of(world: WorldSpec) -> bool:
    """Return that in which the privileged states of worlds differ."""
    return world.streets is not None and world.streets.has_passing_fields


def _in_time(world: WorldSpec, prefix: str) -> None:
    """Refuse a world whose route takes longer than an episode may."""
    car, task, streets = world.car, world.task, world.streets
    key, length_m = ("streets.route_m", streets.route_m) if streets else ("road.length_m", world.road.length_m)
    start_mps, limit_s = task.start_speed_mps[1], task.time_limit_s
    farthest_m = min(
        start_mps * limit_s + car.drive_force_n / car.mass_kg * limit_s**2 / 2,
        max(start_mps, car.top_speed_mps) * limit_s,
    )
    if farthest_m < length_m:
        raise ValueError(
            f"{prefix}task.time_limit_s = {limit_s:g} is too short for {prefix}{key} = {length_m:g}: at full"
            f" throttle the car gets {farthest_m:.3g} m far, and no driver could succeed; fix: a longer"
            f" {prefix}task.time_limit_s or a shorter way"
        )
