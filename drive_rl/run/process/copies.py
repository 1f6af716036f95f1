"""Work side by side, in processes that begin as copies of this one: what it has loaded, they have, too."""

import multiprocessing
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

import torch

from drive_rl.errors import DriveRLError
from drive_rl.run.provenance import usable_cores

_T = TypeVar("_T")


def in_copies(calls: Sequence[Callable[[], _T]]) -> Iterator[_T]:
    """Yield what each of some calls returns, in order; they run side by side, a process a core.

    With one call or core, outside Linux, and once a GPU is in use, which no copy could use, they run here in turn.

    Raises:
        DriveRLError: a process was killed, such as for want of memory.
    """
    cores = min(usable_cores(), len(calls))
    if cores < 2 or sys.platform != "linux" or torch.cuda.is_initialized():
        yield from (call() for call in calls)
        return
    others, fork = set(multiprocessing.active_children()), multiprocessing.get_context("fork")
    pool = ProcessPoolExecutor(cores, fork, initializer=_begin, initargs=(calls,))  # a copy has them as they are
    try:
        yield from pool.map(_call, range(len(calls)))
    except BrokenProcessPool:
        raise DriveRLError(
            "a process that worked beside this one was killed, perhaps for want of memory; fix: on one core it takes"
            " less, such as `taskset --cpu-list 0 drive-rl ...`"
        ) from None
    finally:
        for process in set(multiprocessing.active_children()) - others:
            process.terminate()
        pool.shutdown(cancel_futures=True)


_calls: Sequence[Callable[[], object]] = ()


def _begin(calls: Sequence[Callable[[], object]]) -> None:
    global _calls
    _calls = calls
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal interrupts all at once: the first process ends the others
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _call(which: int) -> Any:
    return _calls[which]()
