"""Running a plugin's code: whatever it raises becomes one paragraph. It knows no kind of extension."""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from drive_rl.errors import DriveRLError, Stopped

_LONGEST = 300  # characters that are quoted of an error's message


def is_of_plugin(error: BaseException) -> bool:
    """Whether running code raised an error, or `sys.exit`; not a signal that ends the command meanwhile."""
    return isinstance(error, Exception | SystemExit) and not isinstance(error, Stopped)


def brief(error: BaseException) -> str:
    """Return an error's type and message on one short line."""
    try:
        text = " ".join(str(error).split())[:_LONGEST]
    except Exception:
        text = "its message cannot be read"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


@contextmanager
def called(
    what: str, doing: str, fix: str = "correct the plugin", passes: tuple[type[Exception], ...] = ()
) -> Iterator[None]:
    """Run a plugin's code in the block; `what` it is and `doing` begin the paragraph of an error.

    Args:
        what: Its file, kind and name.
        doing: What failed, as in `act fails`.
        fix: What to do.
        passes: Errors that it may raise.

    Raises:
        DriveRLError: it raises anything else, `sys.exit` too.
    """
    try:
        yield
    except BaseException as error:
        if isinstance(error, passes) or not is_of_plugin(error):
            raise
        raise DriveRLError(f"{what}: {doing}: {brief(error)}; fix: {fix}") from error


def attribute(what: str, owner: object, name: str, known: tuple[str, ...], default: str | None = None) -> str:
    """Return a word that a plugin's object holds, one of `known`.

    Raises:
        DriveRLError: it cannot be read, or is none of them.
    """
    with called(what, f"{name} cannot be read"):
        found = getattr(owner, name, default)
    if not isinstance(found, str) or found not in known:
        raise DriveRLError(f"{what}: {name} = {found!r}: expected one of {', '.join(known)}; fix: set it")
    return found


def parameters_of(what: str, function: Callable[..., Any]) -> list[inspect.Parameter]:
    """Return the parameters of a plugin's function or class.

    Raises:
        DriveRLError: they are not known, as those of classes that are not written in Python.
    """
    with called(what, "its parameters are not known", "register a function or a class written in Python"):
        return list(inspect.signature(function).parameters.values())
