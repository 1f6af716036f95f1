"""Ctrl-C and SIGTERM as a wish to stop soon. It knows signals, not what is being stopped."""

import shlex
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from drive_rl.run.folder import RunFolder


class StopRequest:
    """Whether someone asked to stop, and by which signal."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def __bool__(self) -> bool:
        return self.signal is not None


@contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """Note the first SIGINT or SIGTERM instead of obeying it; a second SIGINT interrupts at once, as usual.

    Outside the main thread, where Python allows no handlers, nothing is noted.
    """
    request = StopRequest()

    def note(number: int, frame: FrameType | None) -> None:
        if request and number == signal.SIGINT:
            raise KeyboardInterrupt
        request.signal = number

    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class TrainingInterrupted(Exception):  # noqa: N818 - not an error: everything is saved
    """Learning was stopped by a signal. `run` can be resumed by `command`; `exit_code` is the shell's.

    Args:
        verb: What of `drive-rl` goes on with such a run.
        run: The run.
        signal: The signal's number.
    """

    def __init__(self, verb: str, run: RunFolder, signal: int) -> None:
        self.run = run
        self.exit_code = 128 + signal
        self.command = f"drive-rl {verb} --resume {shlex.quote(str(run.path))}"
        super().__init__(f"stopped; everything is saved. Go on with: {self.command}")
