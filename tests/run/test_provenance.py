"""Provenance says what ran where, and stays JSON."""

import json
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


def test_no_git_is_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert git_state(tmp_path) is None
