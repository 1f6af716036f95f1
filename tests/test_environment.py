"""The surroundings of a command: a variable that a library dies of is refused by name; others do no harm."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import check

from drive_rl.private_folder import private_folder

DEADLY = {
    "OMP_NUM_THREADS": "100000",  # ends by SIGSEGV
    "OMP_STACKSIZE": "999999G",
    "GOMP_CPU_AFFINITY": "abc",  # hangs
    "NUMBA_NUM_THREADS": "0",
    "NUMBA_CPU_FEATURES": "abc",  # aborts
    "NUMBA_CACHE_DIR": "/dev/null/cache",
    "NUMBA_CACHE_LOCATOR_CLASSES": "abc",
    "LRU_CACHE_CAPACITY": "abc",  # ends by SIGSEGV
    "OPENCV_IO_MAX_IMAGE_PIXELS": "abc",  # aborts
    "OPENCV_IO_MAX_IMAGE_WIDTH": "99999999999999999999",  # aborts
    "OPENCV_FOR_THREADS_NUM": "-1",
    "OPENCV_TRACE_MAX_CHILDREN": "12abc",  # aborts
}
WORSE = {
    "OMP_NUM_THREADS": "2147483648",
    "NUMBA_NUM_THREADS": "-1",
    "OPENCV_IO_MAX_IMAGE_PIXELS": "1",  # no picture could be read
    "OPENCV_IO_MAX_IMAGE_HEIGHT": "\x1b[2J",
}
EMPTY = dict.fromkeys(DEADLY, "")
HARMLESS = {"OMP_NUM_THREADS": "4,2", "NUMBA_NUM_THREADS": "2", "OPENCV_IO_MAX_IMAGE_PIXELS": "1073741824"}
NO_TERMINAL = {"COLUMNS": "0", "TERM": "", "PYTHONIOENCODING": "ascii", "LC_ALL": "C", "TMPDIR": "/nowhere", "HOME": ""}


def run(folder: Path, variables: dict[str, str], *words: str | bytes) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "drive_rl", *words]
    known = {name: value for name, value in os.environ.items() if name not in DEADLY}
    return subprocess.run(command, cwd=folder, env=known | variables, capture_output=True, text=True, timeout=100)


@pytest.mark.parametrize("variables", [DEADLY, WORSE])
def test_every_deadly_variable_is_named_with_its_value(tmp_path: Path, variables: dict[str, str]) -> None:
    done = run(tmp_path, variables, "eval", "reference")
    said = check(done.returncode, done.stderr)
    for name, value in variables.items():
        assert f"environment: {name} = {value!r}: expected " in said
        assert f"fix: unset {name}, or correct it" in said


def test_empty_and_allowed_values_and_no_terminal_do_no_harm(tmp_path: Path) -> None:
    for variables in (EMPTY | NO_TERMINAL, HARMLESS):
        done = run(tmp_path, variables, "list")
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        assert "drive_rl/LaneFollow-v1" in done.stdout


@pytest.mark.parametrize(("name", "value"), [("TORCH_LOGS", "x"), ("NUMBA_DEBUG", "abc")])
def test_what_a_library_refuses_on_import_is_reported(tmp_path: Path, name: str, value: str) -> None:
    done = run(tmp_path, {name: value}, "eval", "reference", "--episodes", "1")
    said = check(done.returncode, done.stderr)
    assert f"environment: {name} = {value!r}: {name.partition('_')[0].lower()} cannot be imported with it (" in said
    assert f"fix: unset {name}" in said
    assert not list(tmp_path.iterdir())


def test_a_name_of_another_encoding_is_refused(tmp_path: Path) -> None:
    done = run(tmp_path, {}, "train", "quickstart", "--runs", b"gr\xf6\xdfe")
    said = check(done.returncode, done.stderr)
    assert r"command line: 'gr\udcf6\udcdfe': is not text in utf-8; fix:" in said
    assert not list(tmp_path.iterdir())


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user without a home, and where the private folder goes then."""
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null/cache")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path / f"drive-rl-{os.geteuid()}"


def chosen_elsewhere(folder: Path) -> bool:
    """Whether the private folder is not below `folder`; clears away what was made instead."""
    found = private_folder(f"test-{os.getpid()}")
    if found is None:
        return True
    found.rmdir()
    return not found.is_relative_to(folder.resolve())


def test_a_private_folder_is_for_its_user_alone(temporary: Path) -> None:
    folder = private_folder("kept")
    assert folder == temporary.resolve() / "kept"
    assert folder == private_folder("kept"), "it is found again"
    assert folder
    for made in (folder, folder.parent):
        assert stat.S_IMODE(made.stat().st_mode) == 0o700


def test_a_folder_that_others_can_write_is_not_trusted(temporary: Path, tmp_path: Path) -> None:
    temporary.mkdir()
    temporary.chmod(0o777)
    assert chosen_elsewhere(temporary)
    temporary.chmod(0o700)
    (temporary / f"test-{os.getpid()}").mkdir(exist_ok=True)
    (temporary / f"test-{os.getpid()}").chmod(0o1777)
    assert chosen_elsewhere(temporary)
    (temporary / f"test-{os.getpid()}").rmdir()
    assert not chosen_elsewhere(temporary)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make another user's folder")
def test_a_folder_that_another_user_planted_is_not_trusted(temporary: Path, tmp_path: Path) -> None:
    planted = tmp_path / "planted"
    planted.mkdir()
    os.chown(planted, 12345, 12345)
    temporary.symlink_to(planted)
    assert chosen_elsewhere(planted)
    temporary.unlink()
    planted.rename(temporary)
    assert chosen_elsewhere(temporary)
