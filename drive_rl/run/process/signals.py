"""Ctrl-C, SIGTERM and a closed terminal as requests to stop soon. It knows signals, not what is stopped."""

import shlex
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from drive_rl.run.folder import RunFolder

PATIENCE_S = 2.0
"""Time that learning has to reach a point where it can stop and save [s]."""

_AGAIN_S = 0.5  # repeated until `StopNow` gets through: Python swallows exceptions in finalisers


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
        """Let the block finish, however long it takes."""
        self._saving = True
        try:
            yield
        finally:
            self._saving = False

    def caused(self, error: BaseException | None) -> bool:
        """Whether an error is `StopNow`, or wraps it, as numba's C code does."""
        while error is not None and not isinstance(error, StopNow):
            error = error.__cause__ or error.__context__
        return error is not None

    def _out_of_patience(self, number: int, frame: FrameType | None) -> None:
        if not self._saving:
            raise StopNow


@contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """Turn the first SIGINT, SIGTERM or SIGHUP into a request; a second SIGINT takes effect at once.

    The block checks the request and ends by itself. If it has not ended within `PATIENCE_S`, `StopNow` is raised in it,
    but never while it is `saving`. A signal that is ignored (`nohup`) stays ignored. Outside the main thread, where
    Python allows no handlers, no request is ever made.

    Raises:
        StopNow: the block ran on for too long after a signal.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    handled = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    found = {int(number): signal.getsignal(number) for number in handled}
    before = {number: handler for number, handler in found.items() if handler != signal.SIG_IGN}

    def note(number: int, frame: FrameType | None) -> None:
        if request:
            if number == signal.SIGINT:
                _pass_on(number, before[number], frame)
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


def _pass_on(number: int, handler: object, frame: FrameType | None) -> None:
    """Do what the previous handler would have done."""
    if callable(handler):
        handler(number, frame)
    raise KeyboardInterrupt


class TrainingInterrupted(Exception):  # noqa: N818 - not an error: a resumable checkpoint is written
    """Learning was stopped by a signal. `run` can be resumed by `command`; `exit_code` is the shell's.

    Args:
        verb: The command of `drive-rl` that resumes such a run.
        run: The run.
        signal: The signal's number.
        saved: What is saved, in words; None: nothing, because training had not begun.
    """

    def __init__(self, verb: str, run: RunFolder, signal: int, saved: str | None) -> None:
        self.run = run
        self.exit_code = 128 + signal
        self.command = f"drive-rl {verb} --resume {shlex.quote(str(run.path))}"
        rest = f"; {saved}. Resume with: {self.command}" if saved else " before training began: nothing is kept"
        super().__init__(f"stopped{rest}")
