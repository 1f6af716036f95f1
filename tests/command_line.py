"""The command line within this process, and what every refusal looks like."""

import signal
import sys

import pytest

from drive_rl import cli


def check(code: object, stderr: str) -> str:
    """Check one paragraph and exit code 2; return the paragraph on one line."""
    assert code == 2, stderr
    assert "Traceback" not in stderr
    assert stderr.startswith("error: "), stderr
    assert stderr.endswith("\n")
    assert "\n\n" not in stderr
    assert all(line.startswith("       ") for line in stderr.splitlines()[1:])
    return " ".join(stderr.split())


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
