"""What tests of the command line share: a folder to work in, and commands that must be refused or succeed.

A module's own `TINY` is the text of the small experiment that it uses, its fixture `trained` a folder with a run.
"""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from command_line import check, listing, run_main
from tiny_run import train_tiny

from drive_rl.config.extensions import forgotten


@pytest.fixture
def nothing_loaded() -> Iterator[None]:
    """Forget what plugins register."""
    with forgotten():
        yield


@pytest.fixture(scope="module")
def tiny(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with tiny.yaml, which the tests of a module share."""
    folder = tmp_path_factory.mktemp("cli")
    (folder / "tiny.yaml").write_text(request.module.TINY)
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds tiny.yaml and runs/tiny with one run; a module may have a fixture of its own."""
    return train_tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def here(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of `trained` to spoil; it is the current folder."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def refused(here: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a command that must be refused and leave every file as it was; return its paragraph."""

    def refuse(*words: str) -> str:
        before = listing(here)
        capfd.readouterr()
        code = run_main(list(words), monkeypatch)
        shown = check(code, capfd.readouterr().err)
        assert listing(here) == before, "something was written"
        return shown

    return refuse


@pytest.fixture
def done(here: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a command that must succeed; return what it printed."""

    def do(*words: str) -> str:
        capfd.readouterr()
        code = run_main(list(words), monkeypatch)
        out = capfd.readouterr()
        assert code == 0, out.err
        return out.out

    return do
