"""Training outlives its terminal, its pipe and its log's disk, and can be stopped at any moment."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from small_runs import SMALL, newest, start


@pytest.mark.parametrize(
    "shell",
    ["{command} | head -1", "{command} >&- 2>&-", "{command} 2>/dev/full >/dev/full"],
    ids=["pipe closed", "streams closed", "full disk"],
)
def test_training_outlives_what_it_prints_to(shell: str, tmp_path: Path) -> None:
    command = " ".join([f"'{sys.executable}'", "-m", "drive_rl", "train", "quickstart", *SMALL])
    done = subprocess.run(["bash", "-c", shell.format(command=command)], cwd=tmp_path, capture_output=True, text=True)
    assert "Traceback" not in done.stderr
    assert json.loads((newest(tmp_path) / "finished.json").read_text()) == {"step": 256}


def test_output_that_is_wanted_and_cut_short_is_an_error() -> None:
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "drive_rl", "list"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("error: standard output: No space left on device")


def test_a_closed_terminal_does_not_wait_for_a_long_rollout(tmp_path: Path) -> None:
    """Rollouts of an hour: what was saved before is what a resume gets."""
    long = ["agent.num_envs=64", "agent.steps_per_update=100000", "budget_steps=1000000000"]
    process = start([*SMALL, *long], tmp_path)
    while not list(tmp_path.glob("runs/quickstart/*/last/manifest.json")):
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.05)
    process.send_signal(signal.SIGHUP)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGHUP, stderr
    assert "step 0 is saved" in stderr
    assert "Resume with: drive-rl train --resume" in stderr


def test_ctrl_c_while_modules_load_is_no_traceback(tmp_path: Path) -> None:
    process = start(SMALL, tmp_path)
    while "numpy" not in Path(f"/proc/{process.pid}/maps").read_text():
        time.sleep(0.002)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGINT
    assert stderr == ""
