"""Random input: whatever is typed is taken or explained, and every world that is accepted can be driven."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import run_main
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from drive_rl.config.reader import load_perception, load_run, load_world
from drive_rl.config.specs.driver import DqnSpec, PpoSpec
from drive_rl.config.specs.experiment import RunSpec
from drive_rl.config.specs.learner import GuidanceSpec
from drive_rl.config.specs.perception import PerceptionSpec
from drive_rl.config.specs.world import WorldSpec
from drive_rl.errors import DriveRLError


def keys(model: type[BaseModel], prefix: str = "") -> list[str]:
    """Return every dotted key of a spec."""
    found = []
    for name, field in model.model_fields.items():
        found.append(prefix + name)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            found += keys(field.annotation, f"{prefix}{name}.")
    return found


KEYS = [*keys(RunSpec), *(f"agent.{key}" for key in ("epochs", "gamma", "hidden", "encoder.kind", "encoder.features"))]
VALUES = st.one_of(
    st.integers().map(str),
    st.floats().map(str),
    st.sampled_from(
        ["", "null", "true", "[]", "{}", "[1, 2]", "{a: 1}", "!!python/name:os", "&a [*a]", "1e999", "field"]
    ),
    st.text(max_size=12),
)
OVERRIDES = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(KEYS), VALUES).map("=".join),
        st.tuples(st.sampled_from(KEYS), st.text(max_size=5), VALUES).map(lambda t: f"{t[0]}.{t[1]}={t[2]}"),
        st.text(max_size=20),
    ),
    min_size=1,
    max_size=4,
)


@given(OVERRIDES)
@settings(max_examples=300, deadline=None)
def test_any_override_is_taken_or_explained(overrides: list[str]) -> None:
    try:
        load_run("quickstart", overrides)
    except DriveRLError as error:
        shown = str(error)
    else:
        return
    assert shown
    assert "\n\n" not in shown


PERCEPTION = st.tuples(st.sampled_from(keys(PerceptionSpec)), VALUES).map("=".join)


@given(st.lists(st.one_of(PERCEPTION, st.text(max_size=20)), min_size=1, max_size=4))
@settings(max_examples=100, deadline=None)
def test_any_override_of_a_perception_recipe_is_taken_or_explained(overrides: list[str]) -> None:
    try:
        load_perception("unet", overrides)
    except DriveRLError as error:
        shown = str(error)
    else:
        return
    assert shown
    assert "\n\n" not in shown


BOUNDED = {"camera.width_px": 80, "camera.height_px": 60, "camera.frame_stack": 3, "road.length_m": 300}
"""Sizes kept small here, for speed."""


def within_bounds(model: type[BaseModel], prefix: str = "") -> Iterator[st.SearchStrategy[str]]:
    """Yield, for each number of a world, overrides that its own bounds allow."""
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from within_bounds(field.annotation, f"{prefix}{name}.")
        low = next(
            (getattr(m, "ge", getattr(m, "gt", None)) for m in field.metadata if hasattr(m, "ge") or hasattr(m, "gt")),
            None,
        )
        high = next((m.le for m in field.metadata if hasattr(m, "le")), None)
        if low is None or high is None:
            continue
        high = BOUNDED.get(prefix + name, high)
        numbers = st.integers(low, high) if field.annotation is int else st.floats(low, high, exclude_min=low == 0)
        yield numbers.map(f"{prefix}{name}={{}}".format)


@given(st.lists(st.one_of(list(within_bounds(WorldSpec))), max_size=4))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_world_that_is_accepted_can_be_driven(changes: list[str]) -> None:
    from drive_rl.sim.envs.lane_env import LaneEnv
    from drive_rl.sim.envs.vector_env import BatchVectorEnv

    try:
        world = load_world("lane_follow", changes)
    except DriveRLError:
        return
    env = LaneEnv(world)
    try:
        observation, _ = env.reset(seed=0)
        assert env.observation_space.contains(observation)
        for _ in range(2):
            _, reward, terminated, truncated, _ = env.step(env.action_space.sample())
            assert -10 <= reward <= 11
            if terminated or truncated:
                break
        batch = BatchVectorEnv(world, 2)
        batch.reset(seed=0)
        for _ in range(2):
            rewards = batch.step(batch.action_space.sample())[1]
            assert ((rewards >= -10) & (rewards <= 11)).all()
        batch.close()
    finally:
        env.close()


TINY = (
    "world.road.length_m=60", "world.task.time_limit_s=4", "world.camera.width_px=24", "world.camera.height_px=16",
    "world.camera.frame_stack=2", "agent.num_envs=2", "agent.hidden=[8]", "agent.encoder.features=8", "engine=batch",
    "evaluation.episodes=1", "track=none", "budget_steps=64", "agent.guidance.pictures=50",
    "agent.guidance.batch_size=16",
)  # fmt: skip
LEARNERS = {
    "ppo": (PpoSpec, ("agent.steps_per_update=16", "agent.batch_size=16", "agent.epochs=1")),
    "dqn": (
        DqnSpec,
        ("agent.learning_starts=16", "agent.batch_size=8", "agent.buffer_size=200", "agent.target_update_every=16"),
    ),
}
BOUNDED |= {
    "agent.num_envs": 16, "agent.batch_size": 64, "agent.epochs": 3, "agent.steps_per_update": 64,
    "agent.buffer_size": 1000, "agent.gradient_steps": 4, "agent.guidance.pictures": 500,
    "agent.guidance.batch_size": 64, "agent.guidance.passes": 4,
}  # fmt: skip


@pytest.mark.parametrize("algorithm", list(LEARNERS))
def test_any_numbers_of_a_learner_that_are_accepted_learn(algorithm: str) -> None:
    """Or learning says that it diverged, and what to change."""
    from rich.console import Console

    from drive_rl.learn.checkpoint.checkpoint import weights_only
    from drive_rl.learn.train import train

    model, tiny = LEARNERS[algorithm]
    numbers = [*within_bounds(model, "agent."), *within_bounds(GuidanceSpec, "agent.guidance.")]

    @given(st.lists(st.one_of(numbers), min_size=1, max_size=2))
    @settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    def learns(changes: list[str]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            try:
                spec = load_run(f"{algorithm}-lane-follow", [*TINY, *tiny, *changes])
                run = train(spec, Path(folder), "cpu", console=Console(quiet=True))
            except DriveRLError:
                return
            assert all(weights.isfinite().all() for weights in weights_only(run.last).values())

    learns()


WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=15)


@given(st.lists(WORDS, max_size=3))
@settings(max_examples=100, deadline=None)
def test_any_words_are_answered(words: list[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        assert run_main(["show", *words], patch) in (0, 2)
