"""The README and the manual are true: commands and snippets run, links lead somewhere, figures are those measured.

How a block is run: `tests/support/manual.py`. Commands that train, fit, score or film get budgets of
seconds; what is marked `resolve` is parsed and resolved alone.
"""

import json
import os
import re
import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path

import manual
import pytest
import yaml
from command_line import call, run_main
from manual import ROOT, Block, blocks
from pages import pages

import drive_rl

DOCS = ROOT / "docs"
TEXTS = sorted(
    path
    for path in [
        *ROOT.glob("*.md"),
        *DOCS.rglob("*.md"),
        *(ROOT / d / "README.md" for d in ("agents", "benchmarks", "configs", "envs")),
    ]
    if path.name != "CHANGELOG.md"
)
RECORDS = (DOCS / "log.md",)  # of what was run once: commands there may be of older versions
RUN = [path for path in TEXTS if path not in RECORDS and blocks(path)]
LANGUAGES = ("bibtex", "python", "sh", "text", "toml", "yaml")

Run = Callable[[list[str]], str]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a run of `quickstart` and one of `unet`, which pages speak of."""
    folder = tmp_path_factory.mktemp("manual")
    for words in (["drive-rl", "train", "quickstart"], ["drive-rl", "perception", "fit", "unet"]):
        call(folder, *manual.small(words)[1:])
    return folder / "runs"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder that a page is read in: a home and a shelf of its own."""
    (tmp_path / "shelf" / "agents").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DRIVE_RL_PATH", str(tmp_path / "shelf"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    def run_one(words: list[str]) -> str:
        capfd.readouterr()
        code = run_main(words[1:], monkeypatch)
        out, err = capfd.readouterr()
        assert code in (0, None), f"{' '.join(words)}: {code}\n{out}\n{err}"
        return out

    return run_one


@pytest.mark.parametrize("page", RUN, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_block_runs(
    page: Path, here: Path, runs: Path, run: Run, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    if "runs/" in page.read_text(encoding="utf-8"):
        shutil.copytree(runs, here / "runs")
    names: dict[str, object] = {}
    printed = ""
    for block in blocks(page):
        where = f"{page.relative_to(ROOT)}:{block.line}"
        assert block.language in LANGUAGES, f"{where}: {block.language}: expected one of {LANGUAGES}"
        if block.how == "output":
            _check_output(where, block, printed)
        elif block.how == "skip" or block.language == "bibtex":
            continue
        elif block.language == "python":
            capfd.readouterr()
            exec(compile(block.code, where, "exec"), names)
            printed = capfd.readouterr().out
        elif block.language == "toml":
            tomllib.loads(block.code)
        elif block.language == "yaml":
            _write(block, here)
        else:
            assert block.language == "sh", f"{where}: text that is no output; mark it `test: skip, WHY`"
            printed = _shell(block, run, monkeypatch)


def _shell(block: Block, run: Run, monkeypatch: pytest.MonkeyPatch) -> str:
    printed = ""
    for words in manual.commands(block):
        if words[0] == "export":
            name, _, value = words[1].partition("=")
            monkeypatch.setenv(name, os.path.expanduser(value))
        elif words[:2] == ["mkdir", "-p"]:
            for folder in words[2:]:
                os.makedirs(folder, exist_ok=True)
        elif not manual.is_ours(words):
            manual.check_other(words)
        else:
            manual.resolve(words)
            if block.how != "resolve":
                printed += run(words if block.how == "as written" else manual.small(words))
    return printed


def _write(block: Block, here: Path) -> None:
    first = block.code.splitlines()[0]
    assert first.startswith("# "), f"line {block.line}: a yaml block names its file in the first line"
    path = here / os.path.expanduser(first[2:].split()[0])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(block.code)


def _check_output(where: str, block: Block, printed: str) -> None:
    lines = [" ".join(line.split()) for line in printed.splitlines()]
    for line in block.code.splitlines():
        assert " ".join(line.split()) in lines, f"{where}: {line!r} was not printed:\n{printed}"


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not re.match(r"[a-z]+:", target):
            path, _, anchor = target.partition("#")
            file = (page.parent / path) if path else page
            assert file.exists(), f"{page.relative_to(ROOT)}: {target}"
            assert DOCS not in page.parents or file.resolve().is_relative_to(DOCS), f"{target} is not part of the site"
            assert not anchor or anchor in _anchors(file), f"{page.relative_to(ROOT)}: {target}"


def _anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).strip().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", RUN, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_command_hides_from_the_tests(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    assert not re.findall(r"^(?:    |\t)(?:drive-rl|make|python|pip|\.venv)\b.*$", text, re.MULTILINE)


def test_every_page_of_the_manual_is_in_its_menu() -> None:
    config = yaml.load((ROOT / "mkdocs.yml").read_text(), yaml.SafeLoader)
    listed = re.findall(r"[\w/-]+\.md", json.dumps(config["nav"]))
    assert sorted(listed) == sorted(str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md"))


def test_generated_pages_are_up_to_date() -> None:
    for name, text in pages().items():
        assert (DOCS / name).read_text(encoding="utf-8") == text, f"docs/{name} is out of date; fix: make docs-pages"


def test_the_front_page_is_short() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.split()) <= 900
    assert (DOCS / "img" / "drive.gif").stat().st_size < 2_000_000


def _figures(name: str) -> dict[str, dict[str, float]]:
    return json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text())["figures"]


def test_headline_figures_are_the_measured_ones() -> None:
    speed = json.loads((ROOT / "benchmarks" / "results" / "batch_speed.json").read_text())["figures"]["steps_per_s"]
    learned, drive, see = _figures("learn-ppo-batch"), _figures("make_drive"), _figures("see")
    held_out = learned["held_out"]
    claims = [
        f"{speed['ours']['median']:,.0f}",
        f"{learned['process_s']['median']:.0f} s (median",
        f"{held_out['success']:.1%} of 2,500 drives ({100 * held_out['low']:.1f} to {100 * held_out['high']:.1f})",
        f"{drive['seconds']['median']:.1f} s to the film",
        f"{100 * drive['success']['min']:.0f} of 100 test roads",
        f"heading {json.loads(json.dumps(see))['all']['heading_deg']['median']:.2f} degrees",
        f"{json.loads((ROOT / 'benchmarks/results/kills.json').read_text())['figures']['kills']} kills",
    ]
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    missing = [claim for claim in claims if claim.replace("%", " %") not in text and claim not in text]
    assert not missing


def test_the_citation_is_of_this_version() -> None:
    citation = yaml.load((ROOT / "CITATION.cff").read_text(), yaml.SafeLoader)
    assert citation["version"] == drive_rl.__version__
    assert f"version = {{{drive_rl.__version__}}}" in (ROOT / "README.md").read_text(encoding="utf-8")
