"""Shipped specs made wrong at random, and random overrides: taken or explained, in a few lines, at once."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.mutations import ODD_WORDS, mutate_yaml
from drive_rl.config.reader import dump, load_agent, load_perception, load_run, load_world, read_perception, read_run
from drive_rl.config.shelf import entries
from drive_rl.errors import DriveRLError

_fuzz = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
SEEDS = st.integers(0, 2**32 - 1)

LOADED: dict[str, Callable[..., object]] = {
    **{str(path): load_world for path in entries("envs").values()},
    **{str(path): load_agent for path in entries("agents").values() if path.is_file()},
    **{str(path): load_run for path in entries("configs").values()},
    **{str(path): load_perception for path in entries("configs/perception").values()},
}


def explained(load: Callable[..., object], *words: object) -> None:
    try:
        load(*words)
    except DriveRLError as error:
        said = str(error)
        assert said.strip()
        assert "\n\n" not in said
        assert len(said.splitlines()) <= 21


@_fuzz
@given(st.sampled_from(sorted(LOADED)), SEEDS)
def test_a_mutated_file_of_the_shelf_loads_or_is_explained(tmp_path: Path, shipped: str, seed: int) -> None:
    text = mutate_yaml(Path(shipped).read_text(), random.Random(seed))
    path = tmp_path / "mutated.yaml"
    path.write_text(text, errors="surrogatepass")
    explained(LOADED[shipped], str(path))


@pytest.mark.parametrize(
    ("spec", "read"),
    [
        (dump(load_run("quickstart")), read_run),
        (dump(load_run("dqn-lane-follow")), read_run),
        (dump(load_perception("unet")), read_perception),
    ],
    ids=["ppo", "dqn", "perception"],
)
@settings(parent=_fuzz, max_examples=30)
@given(seed=SEEDS)
def test_a_mutated_spec_of_a_run_loads_or_is_explained(
    tmp_path: Path, spec: str, read: Callable[..., object], seed: int
) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(mutate_yaml(spec, random.Random(seed)), errors="surrogatepass")
    explained(read, path)


KEYS = ("seed", "budget_steps", "agent.gamma", "agent.hidden", "agent.encoder.kind", "world.road.tiers", "world.camera")


@_fuzz
@given(
    st.sampled_from(KEYS),
    st.lists(st.sampled_from(ODD_WORDS), min_size=1, max_size=3),
    st.sampled_from(["", ", ", " "]),
)
def test_an_odd_override_is_taken_or_explained(key: str, words: list[str], between: str) -> None:
    explained(load_run, "quickstart", [f"{key}={between.join(words)}"])
