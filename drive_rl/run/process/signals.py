"""Ctrl-C, SIGTERM and a closed terminal as a wish to stop soon. It knows signals, not what is being stopped."""

import shlex
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from drive_rl.run.folder import RunFolder

PATIENCE_S = 2.0
"""Seconds that learning has to reach a point where it can stop and save [s]."""

_AGAIN_S = 0.5  # until `StopNow` gets through: Python swallows what is raised in a finaliser


class StopNow(BaseException):
    """Patience ran out: a resume gets what was saved last."""


class StopAsked(Exception):  # noqa: N818 - not an error
    """Someone asked to stop, and the checkpoint is written."""


class StopRequest:
    """Whether someone asked to stop, and by which signal."""

    def __init__(self) -> None:
        self.signal: int | None = None
        self._saving = False

    def __bool__(self) -> bool:
        return self.signal is not None

    @contextmanager
    def saving(self) -> Iterator[None]:
        """Let the block end, however long it takes."""
        self._saving = True
        try:
            yield
        finally:
            self._saving = False

    def caused(self, error: BaseException | None) -> bool:
        """Whether an error is `StopNow`, or what a library made of it: numba's C code wraps what it meets."""
        while error is not None and not isinstance(error, StopNow):
            error = error.__cause__ or error.__context__
        return error is not None

    def _out_of_patience(self, number: int, frame: FrameType | None) -> None:
        if not self._saving:
            raise StopNow


@contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """Note the first SIGINT, SIGTERM or SIGHUP instead of obeying it; a second SIGINT is obeyed at once.

    The block is to look at the request and end by itself. Where it does not within `PATIENCE_S`, `StopNow` is raised in
    it, but never while it is `saving`. A signal that is ignored (`nohup`) stays ignored. Outside the main thread, where
    Python allows no handlers, nothing is noted.

    Raises:
        StopNow: the block went on for too long after a signal.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    wishes = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    found = {int(number): signal.getsignal(number) for number in wishes}
    before = {number: handler for number, handler in found.items() if handler != signal.SIG_IGN}

    def note(number: int, frame: FrameType | None) -> None:
        if request:
            if number == signal.SIGINT:
                _obey(number, before[number], frame)
            return
        request.signal = number
        signal.setitimer(signal.ITIMER_REAL, PATIENCE_S, _AGAIN_S)

    alarm = signal.signal(signal.SIGALRM, request._out_of_patience)
    for number in before:
        signal.signal(number, note)
    try:
        yield request
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in {**before, int(signal.SIGALRM): alarm}.items():
            signal.signal(number, handler)


def _obey(number: int, handler: object, frame: FrameType | None) -> None:
    """Do what `handler` would have done."""
    if callable(handler):
        handler(number, frame)
    raise KeyboardInterrupt


class TrainingInterrupted(Exception):  # noqa: N818 - not an error: a resumable checkpoint is written
    """Learning was stopped by a signal. `run` can be resumed by `command`; `exit_code` is the shell's.

    Args:
        verb: What of `drive-rl` resumes such a run.
        run: The run.
        signal: The signal's number.
        saved: What is saved, in words; None: nothing, for nothing was learned.
    """

    def __init__(self, verb: str, run: RunFolder, signal: int, saved: str | None) -> None:
        self.run = run
        self.exit_code = 128 + signal
        self.command = f"drive-rl {verb} --resume {shlex.quote(str(run.path))}"
        told = f"; {saved}. Resume with: {self.command}" if saved else " before it began to learn: nothing is kept"
        super().__init__(f"stopped{told}")
