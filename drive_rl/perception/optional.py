"""Packages that only some of perception needs: the extra `perception`."""

import importlib
from types import ModuleType

from drive_rl.errors import DriveRLError


def need(module: str) -> ModuleType:
    """Return a module of the `perception` extra.

    Raises:
        DriveRLError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = (error.name or module).partition(".")[0]
        raise DriveRLError(f"{package} is not installed; fix: pip install 'drive-rl[perception]'") from error
