"""The words of the field, and none of the old ones: in code, YAML keys, the command line, messages, docs and pages.

`docs/log.md` is history, and uses the names that things had. Old names stay where they are refused (`ALLOWED`), so that
a user finds the new ones.
"""

import ast
import io
import json
import re
import tokenize
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from pydantic import BaseModel

import drive_rl
from drive_rl.cli.main import app
from drive_rl.config.specs.adapter import AdapterSpec
from drive_rl.config.specs.experiment import RunSpec
from drive_rl.config.specs.perception import PerceptionSpec

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = Path(drive_rl.__file__).parent

TEXT = {
    r"tell|tells|telling|told|untold": "predict, predicts, predicted; name, list, report",
    r"eyes": "perception model, lane estimator",
    r"driver[-_]eyes": "lane-state",
    r"sight": "lane_net",
    r"seen_env": "lane_state_wrapper",
    r"measure_sight": "evaluate_accuracy",
    r"mend|mends|mended|mending": "fix",
    r"polish|polishes|polished|polishing": "head_finetune, fine-tune",
    r"judge|judges|judged|judging": "outcome; score, compare",
    r"in the box": "shipped, pre-trained",
    r"seat|seats": "EnvSlot",
    r"duty|duties": "Callback",
    r"go on with|goes on with|going on with|goes on where": "resume, continue",
    r"perception look": "perception explain",
    r"looks? inside": "explain",
    r"where (?:a|the) model looks": "what a model's output depends on",
    r"--floor|missed_floors?": "--require, requirements",
    r"(?:val_|polish_)frames|fit\.frames": "val_samples, head_finetune_samples, fit.samples",
    r"encoder\.start|model\.start": "init_from",
}
"""Words that nobody reads anywhere, code and prose alike: a pattern -> what to write now."""

NAMES = {
    "told": "predicted", "say": "echo, report", "says": "predicts", "looks": "validation",
    "look": "validation, saliency, appearance", "looked": "validation", "looking": "saliency", "guide": "guidance",
    "guides": "guidance", "eye": "frame_stack", "eyes": "perception_model", "sight": "lane_net", "seat": "EnvSlot",
    "duty": "Callback", "polish": "head_finetune", "polished": "head_finetune", "judge": "outcome", "mend": "fix",
    "course": "road_sampler", "pace": "speed_profile", "official": "lane_benchmarks", "delayed": "perturbed",
}  # fmt: skip
"""Parts of identifiers (`_told_lanes` has two) -> what to name it now. Sentences may use them, names of tests too."""

CLASSES = {"Seen": "Predictions"}
"""Whole identifiers, for a picture is still `seen`."""

ROOM_NAMES = {
    "perception": {"engines": "runtimes", "engine": "runtime"},
    "sim": {"ring": "map_cache"},
    "benchmark": {
        "engines": "runtimes", "floor": "requirement", "floors": "requirements", "fast": "latency",
        "robust": "robustness", "sees": "accuracy", "drives": "closed_loop",
    },
}  # fmt: skip
"""The same, in one room: elsewhere an engine simulates, and a floor is one."""

MODULES = (
    "choice", "stage", "ring", "sharing", "cars", "pixel", "interface", "fast", "robust", "exported",
)  # fmt: skip
"""Names of modules that are words of their own elsewhere (`rng.choice`)."""

BENCHMARK_PARTS = {"sees": "accuracy", "fast": "latency", "robust": "robustness", "drives": "closed_loop"}
"""Keys of a benchmark's results before -> now."""

ALLOWED = {
    "config/old_names.py": "refuses old keys",
    "tests/config/test_explain.py": "old keys are refused",
    "tests/cli/test_bad_input.py": "old keys and flags are refused",
    "tests/cli/test_perception.py": "old verbs and flags are refused",
    "tests/test_words.py": "this list",
}
"""Files that may hold old words, and why."""

ALLOWED_LINES = {
    r"^  \| .* \| now `": "the changelog's table of new names",
    r"replaced\(": "a flag or verb that is refused with the new one named",
    r"drive_rl\.sim\.engines": "the engines that simulate",
    r"\b(np|torch|math)\.(eye|floor)\(|file\.tell\(": "names of NumPy, torch and Python",
    r"perception look|def _look": "a verb that is refused with the new one named",
    r"line of sight": "the field's word for what a sensor's ray meets first",
}
"""Lines that may, and why."""

HISTORY = {"docs/log.md"}
FOLDERS = ("drive_rl", "benchmarks", "examples", "tests", "docs", "envs", "agents", "configs")
KINDS = {".py", ".md", ".html", ".yaml", ".yml", ".toml", ".ipynb", ".css", ".js"}


def files() -> list[Path]:
    found = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.suffix in KINDS]
    found += [path for path in ROOT.iterdir() if path.suffix in KINDS or path.name == "Makefile"]
    return sorted(path for path in found if named(path) not in HISTORY and "__pycache__" not in path.parts)


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def room(path: Path) -> str:
    """Return the part of the house that a file belongs to: `drive_rl/sim`, `tests/sim`, `docs`, `README.md`."""
    parts = path.relative_to(ROOT).parts
    return "/".join(parts[:2] if parts[0] in ("drive_rl", "tests") else parts[:1])


def allowed(path: Path) -> bool:
    return any(named(path).endswith(name) for name in ALLOWED)


def old_words(text: str) -> Iterator[str]:
    """Yield each old word of a text and what to write now."""
    for pattern, now in TEXT.items():
        for hit in re.finditer(rf"(?<![A-Za-z])(?:{pattern})(?![A-Za-z])", text, re.IGNORECASE):
            yield f"{hit[0]!r} -> {now}"


def in_lines(path: Path) -> Iterator[str]:
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not any(re.search(pattern, line) for pattern in ALLOWED_LINES):
            for hit in old_words(re.sub(r"base64,\S+", "", line)):
                yield f"{named(path)}:{number}: {hit}"


def parts_of(name: str) -> list[str]:
    """Return the words of an identifier: `_told_lanes`, `LaneSight`."""
    return [part.lower() for part in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)]


def in_names(path: Path) -> Iterator[str]:
    of_room = next((names for part, names in ROOM_NAMES.items() if room(path).endswith(f"/{part}")), {})
    words = NAMES | of_room
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    names = {(token.string, token.start[0]) for token in tokens(text) if token.type == tokenize.NAME}
    for name, number in sorted(names, key=lambda found: found[1]):
        if name.startswith("test_") or any(re.search(pattern, lines[number - 1]) for pattern in ALLOWED_LINES):
            continue
        if name in CLASSES:
            yield f"{named(path)}:{number}: name {name} -> {CLASSES[name]}"
        for word in set(parts_of(name)) & words.keys():
            yield f"{named(path)}:{number}: name {name} -> {words[word]}"


def tokens(text: str) -> Iterable[tokenize.TokenInfo]:
    return tokenize.generate_tokens(io.StringIO(text).readline)


FILES = [path for path in files() if not allowed(path)]


@pytest.mark.parametrize("where", sorted({room(path) for path in FILES}))
def test_no_old_word_in(where: str) -> None:
    found = [hit for path in FILES if room(path) == where for hit in in_lines(path)]
    found += [hit for path in FILES if room(path) == where and path.suffix == ".py" for hit in in_names(path)]
    assert not found, "\n" + "\n".join(found)


def test_no_module_has_an_old_name() -> None:
    stems = {path.stem: named(path) for path in PACKAGE.rglob("*.py")}
    assert not {stems[old] for old in {*MODULES, *NAMES} & stems.keys()}


def keys(model: type[BaseModel], above: str = "") -> Iterator[tuple[str, str]]:
    """Yield every key that can be declared, and its description."""
    for name, field in model.model_fields.items():
        yield f"{above}{name}", field.description or ""
        for part in models(field.annotation):
            yield from keys(part, f"{above}{name}.")


def models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in getattr(annotation, "__args__", ()):
        yield from models(argument)


def test_no_key_or_description_of_a_spec_has_an_old_word() -> None:
    old_keys = {"start", "frames", "val_frames", "polish_frames", *NAMES}
    for spec in (RunSpec, PerceptionSpec, AdapterSpec):
        for key, description in keys(spec):
            assert key.rpartition(".")[2] not in old_keys, key
            assert not list(old_words(f"{key}: {description}")), key


def test_no_help_text_has_an_old_word() -> None:
    verbs = helps(typer.main.get_command(app), "drive-rl")
    found = [f"{verb}: {hit}" for verb, text in verbs for hit in old_words(text)]
    assert not found, "\n" + "\n".join(found)


def helps(command: Any, name: str) -> Iterator[tuple[str, str]]:
    """Yield what each verb's help says, the hidden options' left out."""
    shown = [part for part in command.params if not getattr(part, "hidden", False)]
    words = [word for part in shown for word in (*part.opts, getattr(part, "help", None) or "", part.metavar or "")]
    yield name, "\n".join([name, command.help or "", *words])
    for verb, below in getattr(command, "commands", {}).items():
        if below.hidden:  # an old name, refused
            continue
        yield from helps(below, f"{name} {verb}")


def strings(value: Any) -> Iterator[str]:
    """Yield the keys of nested mappings."""
    if isinstance(value, dict):
        for key, below in value.items():
            yield str(key)
            yield from strings(below)
    elif isinstance(value, list):
        for below in value:
            yield from strings(below)


def test_no_shipped_yaml_has_an_old_key() -> None:
    old_keys = {"start", "eyes", "frames", "val_frames", "polish_frames", *BENCHMARK_PARTS}
    for folder in ("envs", "agents", "configs"):
        for path in (ROOT / folder).rglob("*.yaml"):
            assert not old_keys & set(strings(yaml.safe_load(path.read_text()))), path


def test_benchmark_results_use_the_parts_names() -> None:
    found = [
        f"{named(path)}: {key}"
        for path in (ROOT / "docs" / "perception").glob("results.json")
        for key in {*BENCHMARK_PARTS, "missed_floors", "floors"} & set(strings(json.loads(path.read_text())))
    ]
    assert not found


def literals(path: Path) -> set[str]:
    return {
        node.value
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def test_no_part_of_the_benchmark_goes_by_its_old_name() -> None:
    for path in (PACKAGE / "benchmark").glob("*.py"):
        assert not {*BENCHMARK_PARTS, "and so"} & literals(path), path


def test_each_word_is_found_where_it_stands() -> None:
    """The check can fail: every pattern finds a word that it is there for, and none that only contains it."""
    for pattern in TEXT:
        word = re.sub(r"\(\?:(\w+)[^)]*\)|\?", lambda hit: hit[1] or "", pattern).split("|")[0].replace("\\", "")
        assert list(old_words(f"a {word.replace('[-_]', '-')} b")), pattern
    assert not list(old_words("seating, mender, storytelling, fortune-teller, nutshell, heavyduty"))
    assert parts_of("_told_lanes") == ["told", "lanes"]
    assert parts_of("LaneSight") == ["lane", "sight"]
    assert parts_of("is_ONNXEye2") == ["is", "onnx", "eye"]
