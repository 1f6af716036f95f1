"""The command line, in its own process or within this one, and the form of every refusal."""

import os
import signal
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from forked import run_forked

from drive_rl.cli import main as cli

DRIVE_RL = [sys.executable, "-m", "drive_rl"]

_COMPILING = "compiling the simulator once (10 to 30 s, streets a minute or two) ...\n"  # nothing in numba's cache


def with_support() -> dict[str, str]:
    """Return the environment of a script that imports from this folder."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])}


class Done(NamedTuple):
    """What a command wrote."""

    stdout: str
    stderr: str


def call(folder: Path, *words: str, expect: int = 0, shelf: Path | None = None) -> Done:
    """Run a command in a process of its own."""
    own = {"DRIVE_RL_PATH": str(shelf)} if shelf else {}
    code, *shown = run_forked(list(words), folder, os.environ | own, timeout_s=300)
    done = Done(*shown)
    assert code == expect, f"{words}: {code}\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr
    return done


def check(code: object, stderr: str) -> str:
    """Check one paragraph and exit code 2; return the paragraph on one line."""
    stderr = stderr.removeprefix(_COMPILING)
    assert code == 2, stderr
    assert "Traceback" not in stderr
    assert stderr.startswith("error: "), stderr
    assert stderr.endswith("\n")
    assert "\n\n" not in stderr
    assert all(line.startswith("       ") for line in stderr.splitlines()[1:])
    return " ".join(stderr.split())


def listing(folder: Path) -> dict[str, bytes]:
    """Return every path below a folder, and what each file holds."""
    return {str(path): path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")}


def run_main(words: list[str], monkeypatch: pytest.MonkeyPatch) -> object:
    before = {number: signal.getsignal(number) for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)}
    monkeypatch.setattr(sys, "argv", ["drive-rl", *words])
    try:
        cli.main()
    except SystemExit as end:
        return end.code
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
