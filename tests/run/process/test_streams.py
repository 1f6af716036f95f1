"""What is printed to a reader that is slow, or that has gone."""

import subprocess
import sys
import time

_PRINTS = """
import os
from drive_rl.run.process.streams import cut_short, outlive_readers
outlive_readers()
os.set_blocking(1, {blocking})
for number in range(3000):
    print(number, "x" * 100, flush=True)
raise SystemExit(3 if cut_short() else 0)
"""


def test_a_reader_that_must_not_be_waited_for_gets_all_of_it() -> None:
    command = [sys.executable, "-c", _PRINTS.format(blocking=False)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        time.sleep(1)  # the pipe is full
        stdout, stderr = process.communicate()
    assert (process.returncode, stderr) == (0, "")
    assert len(stdout.splitlines()) == 3000


def test_a_reader_that_has_gone_wants_no_more() -> None:
    command = [sys.executable, "-c", _PRINTS.format(blocking=True)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == ""
    assert process.returncode == 0
