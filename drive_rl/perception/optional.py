"""Packages that are not always installed: those of the extras."""

import importlib
from types import ModuleType

from drive_rl.errors import DriveRLError


def need(module: str, extra: str = "perception") -> ModuleType:
    """Return a module of an extra.

    Raises:
        DriveRLError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = (error.name or module).partition(".")[0]
        raise DriveRLError(f"{package} is not installed; fix: pip install 'drive-rl[{extra}]'") from error
