"""Whether someone watches a stream as it is written, so that a bar may be drawn again and again."""

import os
from typing import IO

_NOTEBOOKS = ("JPY_PARENT_PID", "COLAB_RELEASE_TAG", "KAGGLE_KERNEL_RUN_TYPE")
"""Set in notebooks, whose `!command` offers a terminal that keeps every line ever drawn."""


def can_redraw(stream: IO[str]) -> bool:
    """Whether a line on `stream` can be drawn over: a terminal, but no notebook's, no dumb one, and no log file."""
    if os.environ.get("TERM") in ("dumb", "unknown") or any(name in os.environ for name in _NOTEBOOKS):
        return False
    return not stream.closed and stream.isatty()
