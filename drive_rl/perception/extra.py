"""Packages of the `perception` extra, imported by name where they are needed.

It knows how to say that one is missing; it does not know what any of them is for.
"""

from importlib import import_module
from types import ModuleType

from drive_rl.errors import DriveRLError


def need(module: str) -> ModuleType:
    """Import `module` and return it.

    Raises:
        DriveRLError: it is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise DriveRLError(
            f"{module} cannot be imported ({error}); mend: pip install 'drive-rl[perception]'"
        ) from error
