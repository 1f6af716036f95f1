"""Two processes and one run: the second is refused, the first is left alone."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import small_specs
from rich.console import Console

from drive_rl.learn.train import train
from drive_rl.run.folder import RunFolder


def resume(run: RunFolder, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "drive_rl", "train", "--resume", str(run.path), "--no-film", "--device", "cpu"]
    return subprocess.Popen([*command, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def contents(run: RunFolder) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}


def test_a_run_that_trains_cannot_be_resumed_beside(tmp_path: Path) -> None:
    run = train(small_specs.run("ppo"), tmp_path, "cpu", console=Console(quiet=True))
    (run.path / ".last.tmp-1").mkdir()
    (run.checkpoints / ".step_9.tmp-1").mkdir()
    first = resume(run, "budget_steps=320")
    lock = run.path / ".lock"
    while not (lock.exists() and lock.read_text()):
        assert first.poll() is None
        time.sleep(0.01)
    os.kill(first.pid, signal.SIGSTOP)  # until the second has tried
    try:
        before = contents(run)
        second = resume(run)
        _, output = second.communicate()
        output = " ".join(output.split())
        assert second.returncode == 2, output
        assert re.search(rf"process {first.pid} on host \S+ has been writing here since .*; fix: wait", output), output
        assert contents(run) == before
    finally:
        os.kill(first.pid, signal.SIGCONT)
    _, output = first.communicate()
    assert first.returncode == 0, output
    assert not [path for path in run.path.rglob(".*")]
