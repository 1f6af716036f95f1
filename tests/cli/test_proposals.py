"""What a message proposes is accepted: the nearest key, and the commands after `fix:` and `next:`."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import run_main
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from drive_rl.config.reader import load_part, load_run
from drive_rl.config.specs.driver import ALGORITHMS, AnyDriverSpec
from drive_rl.config.specs.experiment import RunSpec
from drive_rl.errors import DriveRLError

EXPERIMENTS = ("ppo-lane-follow", "pixels", "dqn-lane-follow", "qrdqn", "sac", "recurrent-ppo", "dagger")


def leaves(model: type[BaseModel]) -> set[str]:
    """Return the last part of every key of a spec."""
    found = set(model.model_fields)
    for field in model.model_fields.values():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            found |= leaves(field.annotation)
    return found


LEAVES = sorted(leaves(RunSpec).union(*(leaves(spec) for spec in AnyDriverSpec.__args__)))
TYPOS = st.sampled_from(LEAVES).flatmap(
    lambda leaf: st.sampled_from([leaf, leaf[:-1], leaf[1:], f"{leaf}s", leaf.partition("_")[2] or leaf])
)
PARTS = st.sampled_from(["", "agent.", "agent.encoder.", "agent.guidance.", "world.", "world.camera.", "evaluation."])


def said(load: Callable[..., object], name: str, change: str) -> str:
    """Return the error of a change; empty where it is accepted."""
    try:
        load(name, [change])
    except DriveRLError as error:
        return str(error)
    return ""


@given(st.sampled_from(EXPERIMENTS), PARTS, TYPOS)
@settings(max_examples=150, deadline=None)
def test_a_key_that_is_proposed_is_known(experiment: str, part: str, typo: str) -> None:
    proposed = re.search(r"unknown key; did you mean '([^']*)'\?", said(load_run, experiment, f"{part}{typo}=1"))
    if proposed is not None:
        key = proposed[1] if proposed[1].startswith(("agent.", "world.")) else f"{part}{proposed[1]}"
        answer = said(load_run, experiment, f"{key}=1")
        if "unknown key" in answer or "cannot be overridden" in answer:  # beside it, or written from the top
            answer = said(load_run, experiment, f"{proposed[1]}=1")
        assert "unknown key" not in answer
        assert "cannot be overridden" not in answer


@given(st.sampled_from([name for name in ALGORITHMS if name != "bc"]), st.sampled_from(["", "guidance."]), TYPOS)
@settings(max_examples=100, deadline=None)
def test_a_prefix_that_is_proposed_is_right(driver: str, part: str, typo: str) -> None:
    def load(name: str, changes: list[str]) -> object:
        return load_part("agent", name, changes)

    proposed = re.search(r"expected agent\.KEY=VALUE; fix: (agent\.\S+)", said(load, driver, f"{part}{typo}=1"))
    if proposed is not None:
        assert said(load, driver, proposed[1]) == ""


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["show", "ppo", "guidance.samples=3"], "agent.guidance.samples = 3: unknown key; fix: one of at_rest, batch"),
        (["show", "ppo", "epochs=x"], "command line: agent.epochs = 'x': expected a whole number"),
        (["show", "lane_follow", "camera.width=64"], "world.camera.width = 64: unknown key; did you mean 'width_px'?"),
        (["show", "pixels", "samples=3"], "samples = 3: unknown key; fix: one of agent, budget_steps, "),
    ],
)
def test_what_is_wrong_comes_before_how_it_is_written(refused: Callable[..., str], words: list[str], expected: str):
    assert expected in refused(*words)


def test_the_next_commands_run_as_they_are_printed(
    here: Path, done: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    printed = done("train", "tiny.yaml", "--no-film", "--runs", "my runs")
    commands = [shlex.split(line.removeprefix("next:")) for line in printed.splitlines() if "drive-rl " in line]
    assert [words[:2] for words in commands] == [["drive-rl", "eval"], ["drive-rl", "render"]]
    for words in commands:
        assert run_main([*words[1:], "--episodes", "1", "world.task.time_limit_s=3.5"], monkeypatch) == 0
    own = ("world=parked_cars", "agent.samples=8")
    printed = done("data", "record", "dagger", *own, "--samples", "16", "--out", "my demos")
    (words,) = [shlex.split(line.removeprefix("next:")) for line in printed.splitlines() if "drive-rl " in line]
    assert words == [
        *("drive-rl", "train", "dagger", "world=parked_cars", "agent.samples=16"),
        *("agent.demonstrations=my demos",),
    ]
