"""The pages of docs/extend are true: each shows its file as it stands, and its commands run as they are written."""

import re
import shlex
import shutil
from pathlib import Path

import pytest
from command_line import call

from drive_rl.config.extensions import forgotten
from drive_rl.sim.task.extra_terms import RANGES
from drive_rl.testing import check_plugin

PAGES = Path(__file__).parents[2] / "docs" / "extend"
EXAMPLES = sorted(path.stem for path in PAGES.glob("*.py"))
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(name: str, language: str) -> list[str]:
    text = (PAGES / f"{name}.md").read_text(encoding="utf-8")
    return [code for found, code in BLOCK.findall(text) if found == language]


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_page_shows_its_files(name: str) -> None:
    shown = {code.partition("\n")[0].removeprefix("# "): code.partition("\n")[2] for code in files_in(name)}
    assert f"{name}.py" in shown
    for file, code in shown.items():
        assert code == (PAGES / file).read_text(encoding="utf-8"), file


def files_in(name: str) -> list[str]:
    return [code for language in ("python", "yaml") for code in blocks(name, language) if code.startswith("# ")]


@pytest.mark.parametrize("name", EXAMPLES)
def test_its_commands_run(name: str, tmp_path: Path) -> None:
    shutil.copytree(PAGES, tmp_path, dirs_exist_ok=True)
    commands = [line for code in blocks(name, "sh") for line in code.replace("\\\n", " ").splitlines() if line]
    assert commands
    for command in commands:
        words = shlex.split(command)
        assert words[0] == "drive-rl"
        call(tmp_path, *words[1:])


@pytest.mark.parametrize("name", EXAMPLES)
def test_its_plugin_keeps_the_contract(name: str) -> None:
    with forgotten():
        checked = check_plugin(PAGES / f"{name}.py")
        assert {what.split()[0] for what in checked} == {name}


def test_the_ranges_of_metrics_are_those_that_terms_are_tried_at() -> None:
    text = (PAGES / "reward_term.md").read_text(encoding="utf-8")
    shown = re.findall(r"^\| `(\w+)` \| ([^|]*) \| (\S+) \| (\S+) \| ([^|]*) \|$", text, re.MULTILINE)
    assert [(name, low, high) for name, _, low, high, _ in shown] == [
        (name, f"{low:.4g}", f"{high:.4g}") for name, (low, high) in RANGES.items()
    ]
    page = (PAGES.parent / "environments" / "lane_follow.md").read_text(encoding="utf-8")
    for name, unit, _, _, meaning in shown:
        assert f"| `{name}` | {unit} | {meaning} |" in page


def test_every_decorator_has_a_page() -> None:
    text = (PAGES / "plugins.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"@extend\.(\w+)`\]\(\1\.md\)", text)) == EXAMPLES
