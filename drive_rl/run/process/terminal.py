"""Whether a stream is a terminal on which a progress bar can be redrawn."""

import os
from typing import IO

_NOTEBOOKS = ("JPY_PARENT_PID", "COLAB_RELEASE_TAG", "KAGGLE_KERNEL_RUN_TYPE")
"""Set in notebooks, where the terminal of `!command` keeps every line drawn."""


def can_redraw(stream: IO[str]) -> bool:
    """Whether a line on `stream` can be drawn over: a terminal, but not a notebook's, a dumb one or a log file."""
    if os.environ.get("TERM") in ("dumb", "unknown") or any(name in os.environ for name in _NOTEBOOKS):
        return False
    return not stream.closed and stream.isatty()
