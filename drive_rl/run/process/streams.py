"""Standard streams that outlive their readers: a closed pipe, terminal or full disk ends the output, not the work.

It knows file descriptors. It does not know what is printed.
"""

import errno
import io
import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

_STREAMS = ("stdin", "stdout", "stderr")


class _Unfailing(io.FileIO):
    """A file descriptor that is redirected to the null device once writing to it has failed."""

    failure: OSError | None = None

    def write(self, data: "io.Buffer", /) -> int | None:  # type: ignore[name-defined]
        try:
            while (written := super().write(data)) is None:  # its reader made it non-blocking
                select.select([], [self], [])
            return written
        except OSError as error:
            self.failure = error
            _redirect_to_null(self.fileno())
            return super().write(data)


def outlive_readers() -> None:
    """Redirect closed standard streams to the null device, and let standard output and error outlive their readers.

    Streams that were replaced (by a test, a notebook) stay.
    """
    for number in range(len(_STREAMS)):
        try:
            os.fstat(number)
        except OSError:  # else the next opened file would get its number, and the output
            _redirect_to_null(number)
    for number, name in enumerate(_STREAMS[1:], 1):
        if getattr(sys, name) is getattr(sys, f"__{name}__"):
            setattr(sys, name, _stream(number, getattr(sys, name)))


def cut_short() -> OSError | None:
    """Return why standard output is cut short, if it is; a reader that has left does not count."""
    try:
        sys.stdout.flush()
    except ValueError:  # closed by the code that replaced it
        return None
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    failure = raw.failure if isinstance(raw, _Unfailing) else None
    return None if failure is None or failure.errno == errno.EPIPE else failure


@contextmanager
def printing_to_stderr() -> Iterator[None]:
    """Send what the block prints, and what libraries in it do, to standard error."""
    sys.stdout.flush()
    own = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(own, 1)
        os.close(own)


def _stream(number: int, old: TextIO | None) -> TextIO:
    if old is not None:
        old.flush()
    raw = _Unfailing(number, "w", closefd=False)
    encoding, errors = (old.encoding, old.errors) if old is not None else ("utf-8", "backslashreplace")
    return io.TextIOWrapper(
        io.BufferedWriter(raw), encoding, errors, line_buffering=number == 2 or raw.isatty(), write_through=False
    )


def _redirect_to_null(number: int) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    if null != number:
        os.dup2(null, number)
        os.close(null)
