"""The source of a plugin: reading it, running it as a module, and what went wrong. It knows no registry."""

import hashlib
import importlib.util
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

from drive_rl.config.plugin_call import brief
from drive_rl.errors import DriveRLError
from drive_rl.plain_files import read_plain

GROUP = "drive_rl"
"""The entry-point group in which a package names its plugin modules."""

_LARGEST = 4_000_000  # bytes of a plugin file
_MOVE = "fix: move that code into the plugin file, or make a package of both (docs/extend/plugins.md says how)"


@dataclass(frozen=True)
class Plugin:
    """A source file whose code ran, and where it came from."""

    file: Path
    source: bytes = field(repr=False)  # as it was run
    package: str = ""  # such as "my-package 1.2"; empty: a file that the user named

    @property
    def sha256(self) -> str:
        """SHA-256 of the source, in hexadecimal."""
        return hashlib.sha256(self.source).hexdigest()

    def __str__(self) -> str:
        """Return what error messages call it."""
        return f"{self.package} ({self.file})" if self.package else str(self.file)


def read_plugin(file: Path) -> Plugin:
    """Return the plugin in a file, without running it.

    Raises:
        DriveRLError: it is not a Python file, or cannot be read.
    """
    if file.suffix != ".py":
        raise DriveRLError(f"{file}: expected a Python file, FILE.py; fix: name the plugin's file")
    try:
        return Plugin(file.absolute(), read_plain(file, _LARGEST))
    except OSError as error:
        raise DriveRLError(f"{file}: plugin cannot be read ({error.strerror}); fix: check the path") from error


def packaged_plugin(module: str, package: str) -> Plugin:
    """Return the plugin that an installed package names in its entry points; its parent packages are imported.

    Raises:
        DriveRLError: there is no such module.
    """
    try:
        spec = importlib.util.find_spec(module)
        file = Path(str(spec.origin)) if spec is not None else None
        if file is None:
            raise ImportError(f"no module {module}")
        return Plugin(file, file.read_bytes(), package)
    except Exception as error:
        raise DriveRLError(
            f"{package}: its plugin {module} (entry-point group {GROUP}) cannot be imported:"
            f" {brief(error)}; fix: update or uninstall the package"
        ) from error


@contextmanager
def as_module(plugin: Plugin) -> Iterator[Callable[[], None]]:
    """Give the block what runs a plugin file, as a module of its own; if the block fails, the module is gone."""
    name = f"drive_rl_plugin_{re.sub(r'[^a-zA-Z0-9]', '_', plugin.file.stem)}_{plugin.sha256[:8]}"
    module = ModuleType(name)
    module.__file__, module.__package__ = str(plugin.file), ""

    def run() -> None:
        sys.modules[name] = module  # dataclasses look their module up
        exec(compile(plugin.source, str(plugin.file), "exec"), module.__dict__)

    try:
        yield run
    except BaseException:
        sys.modules.pop(name, None)
        raise


def why(plugin: Plugin, error: BaseException) -> str:
    """Return what went wrong in a plugin's code (line, type and message of the error), and the fix."""
    if isinstance(error, SyntaxError):
        line = f"line {error.lineno}: " if error.lineno else ""
        return f"{line}SyntaxError: {error.msg}; fix: {_correct(plugin)}"
    lines = [at.lineno for at in traceback.extract_tb(error.__traceback__) if at.filename == str(plugin.file)]
    where = f"line {lines[-1]}: " if lines else ""
    return f"{where}{brief(error)}; {_fix_of_import(plugin, error) or f'fix: {_correct(plugin)}'}"


def _correct(plugin: Plugin) -> str:
    return "update or uninstall the package" if plugin.package else "correct the file"


def _fix_of_import(plugin: Plugin, error: BaseException) -> str:
    """Return the fix where a plugin file imports what cannot be found; else nothing."""
    if plugin.package or not isinstance(error, ImportError):
        return ""
    alone = f"a plugin file stands alone: its folder, {plugin.file.parent}, is not searched"
    if not isinstance(error, ModuleNotFoundError):
        return f"{alone}; {_MOVE}" if "no known parent package" in str(error) else ""
    name = str(error.name).partition(".")[0]
    beside = any(plugin.file.with_name(each).exists() for each in (name, f"{name}.py"))
    return f"it is not installed, and {alone}; {_MOVE if beside else f'fix: install it, as by pip install {name}'}"
