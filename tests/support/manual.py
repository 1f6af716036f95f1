"""The code blocks of the README and the manual, and how each is run: in a folder of its own, with small budgets.

A comment in front of a block says how it differs from the rest:

    <!-- test: skip, WHY -->     it is not run
    <!-- test: resolve, WHY -->  `drive-rl` commands are parsed and their specs resolved, and nothing is run
    <!-- test: as written -->    it is run as it stands; other commands get the small budgets below
    <!-- test: output -->        each line was printed by the block before (spaces apart)

A `yaml` block is written to the path in its first line. Commands of other tools (make, pip, python) are checked against
the files that they name.
"""

import os
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import typer

from drive_rl.cli import main as cli
from drive_rl.config.reader import load_perception, load_run

ROOT = Path(__file__).resolve().parents[2]

_FENCE = re.compile(
    r"(?:^<!-- test: (?P<how>[a-z ]+?)(?:, (?P<why>[^\n]+?))? -->\n)?^```(?P<language>\w*)\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_HOWS = ("", "skip", "resolve", "as written", "output")
_SHORT_ROAD = ("world.road.length_m=60", "world.task.time_limit_s=4")
_GUIDANCE = ("agent.guidance.pictures=100", "agent.guidance.batch_size=16")
_IMITATION = ("agent.num_envs=2", "agent.samples=100", "agent.batch_size=16")
_ROLLOUT = ("agent.num_envs=2", "agent.steps_per_update=32", "agent.batch_size=32", "agent.epochs=1")
_REPLAY = (
    *("agent.num_envs=2", "agent.learning_starts=32", "agent.batch_size=8", "agent.buffer_size=400"),
    "agent.gradient_steps=1",
)
_LEARNER = {
    "ppo": (*_GUIDANCE, *_ROLLOUT),
    "recurrent-ppo": _ROLLOUT,
    "dqn": (*_GUIDANCE, *_REPLAY, "agent.target_update_every=64"),
    "qrdqn": (*_REPLAY, "agent.target_update_every=64"),
    "sac": _REPLAY,
    "dagger": _IMITATION,
    "bc": _IMITATION,
}
_RUN = ("budget_steps=256", "evaluation.every_steps=128", "evaluation.episodes=2", "checkpoint_every=128")
_FIT = (
    "world.camera.width_px=64",
    "world.camera.height_px=40",
    "fit.samples=64",
    "fit.batch_size=16",
    "fit.evaluate_every=64",
    "fit.val_samples=16",
    "fit.head_finetune_samples=0",
    "data.per_road=4",
)


class Block(NamedTuple):
    """A fenced block of a page."""

    line: int
    language: str
    how: str
    why: str
    code: str


def blocks(page: Path) -> list[Block]:
    """Return the blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    found = [
        Block(
            text.count("\n", 0, match.start("code")),
            match["language"],
            match["how"] or "",
            match["why"] or "",
            match["code"],
        )
        for match in _FENCE.finditer(text)
    ]
    assert len(found) == len(re.findall(r"^```\w", text, re.MULTILINE)), f"{page}: a fence has no end"
    for block in found:
        assert block.how in _HOWS, f"{page}:{block.line}: unknown `test: {block.how}`"
        assert block.why or block.how not in ("skip", "resolve"), f"{page}:{block.line}: say why it is not run"
    return found


def commands(block: Block) -> Iterator[list[str]]:
    """Return the commands of a `sh` block, word by word, without comments."""
    for line in block.code.splitlines():
        bare = re.sub(r"'[^']*'|\"[^\"]*\"|#.*", "", line)
        assert not re.search(r"[<>|&;*?\[\]]", bare), f"line {block.line}: a shell would not take {line!r} as it stands"
        if words := shlex.split(line, comments=True):
            yield [os.path.expanduser(word) for word in words]


def is_ours(words: list[str]) -> bool:
    """Whether a command is `drive-rl`."""
    return words[0].rpartition("/")[2] == "drive-rl"


def verb_of(words: list[str]) -> tuple[str, list[str]]:
    """Return the verb of a command, such as `perception fit`, and what follows it."""
    two = words[1] in ("perception", "data", "bench")
    return (" ".join(words[1:3]), words[3:]) if two else (words[1], words[2:])


def resolve(words: list[str]) -> None:
    """Parse a command as it is written, and resolve its experiment or recipe; nothing is run."""
    verb, rest = verb_of(words)
    command: Any = typer.main.get_command(cli.app)  # Any: typer's own copy of click
    for name in verb.split():
        command = command.commands[name]
    context = command.make_context(verb, list(rest))
    changes = context.params.get("overrides") or []
    if verb == "train" and context.params["resume"] is None:
        load_run(context.params["experiment"], changes)
    if verb == "perception fit" and context.params["resume"] is None:
        load_perception(context.params["recipe"], changes)


def small(words: list[str]) -> list[str]:
    """Return a command with a budget that takes seconds."""
    verb, rest = verb_of(words)
    if "--resume" in rest:
        longer = "budget_steps=320" if verb == "train" else "fit.samples=96"
        return [longer if "=" in word else word for word in words]
    tracker = [] if "--track" in rest else ["--track", "none"]
    match verb:
        case "train":
            agent = load_run(rest[0], [part for part in rest[1:] if "=" in part and part[0] != "-"]).agent
            own = [word for word in _LEARNER[agent.algorithm] if agent.help == "guided" or "guidance" not in word]
            budget = [*_SHORT_ROAD, *own, *_RUN]
            fewer = ["2" if before == "--seeds" else word for before, word in zip(["", *words], words, strict=False)]
            return [*fewer, *budget, *tracker, "--no-film"]
        case "perception fit":
            return [*words, *_FIT, *tracker]
        case "eval":
            road = [] if rest[0].startswith("runs/") else [_SHORT_ROAD[0]]
            return [*words, *road, "--episodes", "2"]
        case "compare":
            return [*words, *_SHORT_ROAD, "--episodes", "2"]
        case "render":
            return [
                *words,
                _SHORT_ROAD[0],
                "world.task.time_limit_s=2",
                *([] if "--seeds" in rest else ["--episodes", "1"]),
            ]
        case "perception explain":
            return [*words, "--samples", "2"]
        case "data make":
            return [*words, "--samples", "6"]
        case "data record":
            return [*words, *_SHORT_ROAD, *_IMITATION, "--samples", "64"]
    return words


def check_other(words: list[str]) -> None:
    """Check a command of another tool against the files that it names."""
    tool = words[0].rpartition("/")[2]
    if tool == "make":
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        wrong = [word for word in words[1:] if "=" not in word and word not in targets]
        assert not wrong, f"no such target: {wrong}"
    elif tool == "python":
        script = (ROOT / words[1]).read_text()
        wrong = [word for word in words[2:] if word.startswith("--") and word != "--help" and word not in script]
        assert not wrong, f"{words[1]} has no option {wrong}"
    elif tool == "pip":
        extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
        for word in words:
            for extra in re.findall(r"\[([\w,]+)\]", word):
                assert set(extra.split(",")) <= set(extras), word
    elif tool == "conda":
        assert (ROOT / words[-1]).is_file()
    else:
        assert words in (["source", ".venv/bin/activate"], [".ci/run"], [".venv/bin/pre-commit", "install"]), words
