"""Provenance says what ran where, and stays JSON."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from drive_rl.run.provenance import git_state, provenance


def git(folder: Path, *arguments: str) -> None:
    who = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


def test_provenance_is_json_and_complete() -> None:
    found = json.loads(json.dumps(provenance("numba-cpu"), allow_nan=False))
    assert found["renderer"] == "numba-cpu"
    assert found["versions"]["torch"]
    assert found["cpu"]["model"]
    assert found["cpu"]["cores"] >= 1
    assert found["torch_threads"] >= 1
    assert found["utc"].endswith("+00:00")
    assert {"git", "python", "platform", "gpu"} <= set(found)


def test_git_state_of_a_checkout_and_of_an_installed_package(tmp_path: Path) -> None:
    package = tmp_path / "repo" / "drive_rl"
    package.mkdir(parents=True)
    (package / "a.py").write_text("")
    assert git_state(package) is None
    git(package.parent, "init")
    git(package.parent, "add", ".")
    git(package.parent, "commit", "-m", "one")
    clean = git_state(package)
    assert clean is not None
    assert len(clean["commit"]) == 40
    assert clean["dirty"] is False
    (package / "a.py").write_text("x = 1\n")
    assert git_state(package) == {"commit": clean["commit"], "dirty": True}
    inside = package.parent / ".venv" / "drive_rl"
    inside.mkdir(parents=True)
    assert git_state(inside) is None


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package in a clean checkout."""
    package = tmp_path / "repo" / "drive_rl"
    package.mkdir(parents=True)
    (package / "a.py").write_text("")
    git(package.parent, "init")
    git(package.parent, "add", ".")
    git(package.parent, "commit", "-m", "one")
    return package


def test_git_takes_no_lock_of_the_users(package: Path) -> None:
    os.utime(package / "a.py", (1, 1))  # `git status` would write this into the index, behind a lock
    index = package.parent / ".git" / "index"
    before = index.read_bytes()
    assert (git_state(package) or {})["dirty"] is False
    assert index.read_bytes() == before
    (index.parent / "index.lock").write_text("")  # and another's does not disturb it
    assert (git_state(package) or {})["dirty"] is False


def test_git_reads_the_packages_own_checkout(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clean = git_state(package)
    assert clean
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):  # as in a hook of another repository
        monkeypatch.setenv(name, "/nowhere")
    assert git_state(package) == clean


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_checkout_of_another_user_has_its_commit(package: Path) -> None:
    clean = git_state(package)
    assert clean
    for path in (package.parent, *package.parent.rglob("*")):
        os.chown(path, 12345, 12345)
    assert git_state(package) == clean


def test_a_slow_git_leaves_open_what_it_did_not_see(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clean = git_state(package)
    assert clean
    real, slow = shutil.which("git"), package.parent.parent / "bin" / "git"
    slow.parent.mkdir()
    slow.write_text(f'#!/bin/sh\ncase "$*" in *status*) exit 1;; esac\nexec {real} "$@"\n')
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{slow.parent}:{os.environ['PATH']}")
    assert git_state(package) == clean | {"dirty": None}


def test_without_git_there_is_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert git_state(tmp_path) is None
