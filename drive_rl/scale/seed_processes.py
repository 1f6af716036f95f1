"""Training many seeds at once: each in a process of its own, as many as there are cores.

It knows processes and what they print. It does not know what training is. A process is the leader of its own session,
so that Ctrl-C reaches this process alone, which passes it on once: a second would end a training without saving.
"""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from drive_rl.run.process.signals import stop_on_signals

Report = Callable[[int, str], None]
"""Shows a seed's newest line."""

_POLL_S = 0.1
_PROGRESS = re.compile(r"[\d,]+ (of [\d,]+ )?steps\b")
_RUN = "run: "


@dataclass
class Job:
    """What a process does, and where its output goes."""

    words: list[str]
    """The words after `drive-rl`."""
    log: Path
    begun: Callable[[Path], None]
    """Called with the run's folder once there is one."""


@dataclass
class _Process:
    process: subprocess.Popen[bytes]
    output: BinaryIO
    rest: bytes = field(default=b"")

    def lines(self) -> Iterator[str]:
        """Yield the lines that were printed since the last call."""
        *lines, self.rest = (self.rest + self.output.read()).split(b"\n")
        for line in lines:
            yield line.decode(errors="replace")


def at_once(threads: int) -> int:
    """Return how many processes of so many threads this one's cores allow."""
    return max(len(os.sched_getaffinity(0)) // threads, 1)


def run_jobs(jobs: Mapping[int, Job], most: int, report: Report) -> tuple[dict[int, int], int | None]:
    """Run jobs, at most `most` at once; return their exit codes, and the signal that ended it all early, if one did.

    A job that fails leaves the others alone. A signal is passed on to those that run, which save and end; a second
    Ctrl-C ends them at once.
    """
    waiting, codes = dict(jobs), dict[int, int]()
    with stop_on_signals() as stop, stop.saving(), _running() as running:  # this loop never needs breaking off
        while running or (waiting and not stop):
            while waiting and not stop and len(running) < most:
                seed = next(iter(waiting))
                running[seed] = _start(waiting.pop(seed))
            for seed, process in list(running.items()):
                code = process.process.poll()
                _read(process, jobs[seed], seed, report)
                if code is not None:
                    codes[seed] = code
                    running.pop(seed).output.close()
            if stop:
                _pass_on(stop.signal, running)
            time.sleep(_POLL_S)
    return codes, stop.signal


@contextmanager
def _running() -> Iterator[dict[int, _Process]]:
    """Hold the processes that run; one that is left when the block ends early is ended at once."""
    running: dict[int, _Process] = {}
    try:
        yield running
    finally:
        for left in running.values():
            left.process.send_signal(signal.SIGINT)
        for left in running.values():
            left.process.wait()
            left.output.close()


def _start(job: Job) -> _Process:
    own = Path(sys.argv[0])
    program = [str(own)] if own.name == "drive-rl" and own.is_file() else ["-m", "drive_rl"]
    with job.log.open("ab") as file:
        begin = file.tell()
        process = subprocess.Popen(
            [sys.executable, *program, *job.words],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")},
        )
    output = job.log.open("rb")
    output.seek(begin)
    return _Process(process, output)


def _read(process: _Process, job: Job, seed: int, report: Report) -> None:
    for line in process.lines():
        if line.startswith(_RUN):
            job.begun(Path(line.removeprefix(_RUN)))
        elif _PROGRESS.match(line):
            report(seed, line)


def _pass_on(number: int | None, running: Mapping[int, _Process]) -> None:
    """Pass a signal on to the processes that run, and wait for them, however long they save."""
    assert number is not None
    for each in running.values():
        each.process.send_signal(number)
    for each in running.values():
        each.process.wait()
