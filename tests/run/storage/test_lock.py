"""One process at a time writes; a lock ends with its process. It covers `flock`, too."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from drive_rl.errors import DriveRLError
from drive_rl.run.storage.lock import only_writer

HOLDER = """
import os, subprocess, sys, time
from pathlib import Path
from drive_rl.run.storage.lock import only_writer
with only_writer(Path(sys.argv[1]), Path("the run")):
    runs, running = os.pipe()
    forked = os.fork()
    if not forked:
        os.write(running, b"!")
        time.sleep(60)
    os.read(runs, 1)
    executed = subprocess.Popen(["sleep", "60"], close_fds=False, stdout=subprocess.DEVNULL)
    print(forked, executed.pid, flush=True)
    time.sleep(60)
"""


def test_a_second_writer_is_refused_and_the_first_is_named(tmp_path: Path) -> None:
    lock = tmp_path / "new" / ".lock"
    with only_writer(lock, tmp_path):
        assert json.loads(lock.read_text())["pid"] == os.getpid()
        with pytest.raises(DriveRLError) as refused, only_writer(lock, tmp_path):
            pass
        for part in (str(tmp_path), f"process {os.getpid()} on host {os.uname().nodename}", "fix: wait until it ends"):
            assert part in str(refused.value)
    assert not lock.exists()
    with only_writer(lock, tmp_path):
        pass


def test_a_lock_ends_with_its_process_even_if_children_live_on(tmp_path: Path) -> None:
    lock = tmp_path / ".lock"
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(lock)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    children = [int(word) for word in holder.stdout.readline().split()]
    try:
        with pytest.raises(DriveRLError, match=f"process {holder.pid} on host"), only_writer(lock, tmp_path):
            pass
        holder.kill()
        holder.wait()
        assert json.loads(lock.read_text())["pid"] == holder.pid
        with only_writer(lock, tmp_path):
            assert json.loads(lock.read_text())["pid"] == os.getpid()
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
        holder.stdout.close()


def test_a_file_in_the_way_of_the_folder_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("not a folder")
    with (
        pytest.raises(DriveRLError, match="a file is where a folder is needed"),
        only_writer(tmp_path / "out" / ".lock", tmp_path / "out"),
    ):
        pass
