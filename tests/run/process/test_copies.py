"""Calls side by side in copies of a process."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial

import pytest

from drive_rl.errors import DriveRLError
from drive_rl.run.process import copies
from drive_rl.run.process.copies import in_copies

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is copied")


@pytest.fixture(autouse=True)
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies, "usable_cores", lambda: 2)


def test_results_come_in_order_from_other_processes_that_need_no_pickles() -> None:
    slower = [0.2, 0.0, 0.1]
    there = {"what": lambda: "is loaded"}  # cannot be pickled

    def call(which: int) -> tuple[int, int, str]:
        time.sleep(slower[which])
        return which, os.getpid(), there["what"]()

    found = list(in_copies([partial(call, which) for which in range(3)]))
    assert [(which, said) for which, _, said in found] == [(which, "is loaded") for which in range(3)]
    assert os.getpid() not in {process for _, process, _ in found}


def test_one_call_or_one_core_needs_no_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(in_copies([os.getpid])) == [os.getpid()]
    monkeypatch.setattr(copies, "usable_cores", lambda: 1)
    assert list(in_copies([os.getpid] * 2)) == [os.getpid()] * 2
    assert list(in_copies([])) == []


def refuse() -> None:
    raise DriveRLError("a.yaml: speed = -1: expected >= 0")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (refuse, r"a\.yaml: speed = -1: expected >= 0"),
        (lambda: os.kill(os.getpid(), signal.SIGKILL), "was killed, perhaps for want of memory; fix: on one core"),
    ],
)
def test_a_call_that_fails_ends_the_others_too(call: Callable[[], None], message: str) -> None:
    begin = time.monotonic()
    with pytest.raises(DriveRLError, match=message):
        list(in_copies([call, partial(time.sleep, 60)]))
    assert time.monotonic() - begin < 30, "the other is not waited for"


def test_ctrl_c_ends_all_of_them_without_a_word() -> None:
    code = (
        "import time\nfrom functools import partial\nfrom drive_rl.run.process import copies\n"
        "copies.usable_cores = lambda: 2\n"
        "calls = [partial(print, 'begun', flush=True), *[partial(time.sleep, 60)] * 3]\n"
        "try:\n    list(copies.in_copies(calls))\nexcept KeyboardInterrupt:\n    print('interrupted')\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout
    assert process.stdout.readline() == "begun\n"
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (out, err, process.returncode) == ("interrupted\n", "", 0)
