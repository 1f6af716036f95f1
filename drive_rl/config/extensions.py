"""Python that a user brings: plugins, what each registers, and finding it by name. Imports nothing heavy.

A plugin is one Python file, or a module that an installed package names in the entry-point group `drive_rl`. A file is
run only where the caller names it; modules of packages are imported once a name is asked for that nothing else has.
What an encoder or a driver must be is known by the rooms that use them (`drive_rl.testing` checks it).
"""

import hashlib
import inspect
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module, metadata
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, NamedTuple, get_args

from drive_rl.config.shelf import nearest
from drive_rl.errors import DriveRLError
from drive_rl.plain_files import read_plain

Kind = Literal["encoder", "reward_term", "metric", "driver", "data_format", "head"]
GROUP = "drive_rl"
"""The entry-point group in which a package names its plugin modules."""

_LARGEST = 4_000_000  # bytes of a plugin file
_NAME = re.compile(r"[a-z][a-z0-9_]{0,49}")


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


class Extension(NamedTuple):
    """One thing that a plugin registered."""

    kind: Kind
    name: str
    make: Callable[..., Any]
    plugin: Plugin
    about: Any = None  # what its decorator was given beside the name


Measured = Literal["episodes", "accuracy", "latency", "robustness", "closed_loop"]
"""What a metric is taken of."""


class MetricAbout(NamedTuple):
    """What a metric's decorator was given."""

    of: Measured
    label: str
    unit: str
    better: int


class FormatAbout(NamedTuple):
    """What a data format's decorator was given."""

    files: str


class _Loaded(NamedTuple):
    """What this process has loaded. One of them: registries are the process's own, as modules are."""

    extensions: dict[tuple[Kind, str], Extension]
    plugins: list[Plugin]
    reserved: dict[Kind, set[str]]  # our own names
    running: list[Plugin]  # whose code runs at this moment, innermost last
    asked: list[bool]  # not empty: installed packages were asked for theirs
    trusting: list[bool]  # not empty: the user trusts what specs name


_loaded = _Loaded({}, [], {kind: set() for kind in get_args(Kind)}, [], [], [])


def register(kind: Kind, name: str, make: Callable[..., Any], about: Any = None) -> None:
    """Register something under a name; `drive_rl.extend` has a decorator for each kind.

    Raises:
        DriveRLError: the name is taken or is not a name, or `make` cannot be called.
    """
    if not _NAME.fullmatch(name):
        raise DriveRLError(
            f"{kind} {name!r}: expected a name of lower-case letters, digits and '_', such as my_{kind}; fix: rename it"
        )
    if not callable(make):
        raise DriveRLError(f"{kind} {name!r}: is not callable; expected a function or a class")
    plugin = _loaded.running[-1] if _loaded.running else _defined_in(kind, name, make)
    extension = Extension(kind, name, make, plugin, about)
    if name in _loaded.reserved[kind]:
        raise _taken(extension, "drive-rl itself")
    if (other := _loaded.extensions.get((kind, name))) is not None:
        raise _taken(extension, str(other.plugin))
    _loaded.extensions[kind, name] = extension


def reserve(kind: Kind, names: Iterable[str]) -> None:
    """Keep the names of our own things: no plugin may register them, whichever is loaded first.

    Raises:
        DriveRLError: a plugin has registered one of them.
    """
    _loaded.reserved[kind].update(names)
    for name in names:
        if (extension := _loaded.extensions.get((kind, name))) is not None:
            raise _taken(extension, "drive-rl itself")


def find(kind: Kind, name: str) -> Extension | None:
    """Return what is registered under a name; installed packages are asked last. None: nothing, or one of ours."""
    if name in _loaded.reserved[kind] or not _NAME.fullmatch(name):
        return None
    if (kind, name) not in _loaded.extensions:
        load_installed()
    return _loaded.extensions.get((kind, name))


def registered(kind: Kind, installed: bool = True) -> dict[str, Extension]:
    """Return everything of a kind by name, that of installed packages too."""
    if installed:
        load_installed()
    return {name: extension for (each, name), extension in _loaded.extensions.items() if each == kind}


def plugins() -> list[Plugin]:
    """Return the plugins whose code has run, in that order."""
    return list(_loaded.plugins)


def unknown(kind: Kind, name: str, ours: Iterable[str]) -> str:
    """Return what is wrong with a name that neither we nor a plugin has, and the fix."""
    known = [*ours, *registered(kind)]
    if not known:
        return f"no plugin registers such a {_words(kind)}; fix: --plugin FILE.py with the one that does"
    close = nearest(name, known)
    guess = f"{close} " if close.startswith("did") else ""
    return (
        f"expected one of {', '.join(known)}; {guess}fix: one of them, or --plugin FILE.py with the plugin that"
        f" registers {name!r}"
    )


def trust_specs() -> None:
    """Let every spec run the plugins that it names, from now on in this process."""
    _loaded.trusting.append(True)


def specs_are_trusted() -> bool:
    """Whether `trust_specs` was called."""
    return bool(_loaded.trusting)


def load_file(file: Path | str, sha256: str | None = None) -> Plugin:
    """Run a plugin file; the same file again does nothing.

    Args:
        file: The file.
        sha256: Run it only if this is its SHA-256.

    Raises:
        DriveRLError: it cannot be read or run, or registers nothing; then nothing of it stays registered.
    """
    file = Path(file)
    if file.suffix != ".py":
        raise DriveRLError(f"{file}: expected a Python file, FILE.py; fix: name the plugin's file")
    try:
        plugin = Plugin(file.absolute(), read_plain(file, _LARGEST))
    except OSError as error:
        raise DriveRLError(f"{file}: plugin cannot be read ({error.strerror}); fix: check the path") from error
    if sha256 not in (None, plugin.sha256):
        raise DriveRLError(
            f"{file}: plugin has SHA-256 {plugin.sha256[:12]}, expected {str(sha256)[:12]}: it was edited; fix: restore"
            " it, or --plugin FILE.py with the file as it was"
        )
    if any(plugin.sha256 == other.sha256 for other in _loaded.plugins):
        return plugin
    name = f"drive_rl_plugin_{re.sub(r'[^a-zA-Z0-9]', '_', file.stem)}_{plugin.sha256[:8]}"
    module = ModuleType(name)
    module.__file__ = str(plugin.file)

    def run() -> None:
        sys.modules[name] = module  # dataclasses look their module up
        exec(compile(plugin.source, str(plugin.file), "exec"), module.__dict__)

    try:
        _run(plugin, run)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return plugin


def load_installed() -> None:
    """Import the plugin modules of installed packages, once in a process.

    Raises:
        DriveRLError: one of them cannot be imported, or registers nothing.
    """
    if _loaded.asked:
        return
    for point in metadata.entry_points(group=GROUP):
        package = f"{point.dist.name} {point.dist.version}" if point.dist else point.module
        if any(plugin.package == package and point.module in sys.modules for plugin in _loaded.plugins):
            continue
        plugin = Plugin(*_source_of(point.module, package), package)
        if not any(plugin.sha256 == other.sha256 for other in _loaded.plugins):
            _run(plugin, lambda module=point.module: import_module(module))
    _loaded.asked.append(True)


@contextmanager
def forgotten() -> Iterator[None]:
    """Run a block in which no plugin is loaded; what it loads is forgotten after it (for tests)."""
    extensions, lists = _loaded.extensions, list[list[Any]]((_loaded.plugins, _loaded.asked, _loaded.trusting))
    kept, kept_lists = dict(extensions), [list(each) for each in lists]
    for store in (extensions, *lists):
        store.clear()
    try:
        yield
    finally:
        for store in (extensions, *lists):
            store.clear()
        extensions.update(kept)
        for each, values in zip(lists, kept_lists, strict=True):
            each.extend(values)


def _run(plugin: Plugin, run: Callable[[], object]) -> None:
    """Run a plugin's code; whatever goes wrong, nothing of it stays registered."""
    before = dict(_loaded.extensions)
    _loaded.running.append(plugin)
    try:
        run()
        if _loaded.extensions.keys() == before.keys():
            raise DriveRLError(
                f"{plugin}: plugin registers nothing; expected a decorator of drive_rl.extend; fix: such as"
                ' @extend.encoder("my_encoder")'
            )
    except BaseException as error:
        _loaded.extensions.clear()
        _loaded.extensions.update(before)
        if isinstance(error, DriveRLError | KeyboardInterrupt):
            raise
        why = _why(plugin, error)
        fix = "update or uninstall the package" if plugin.package else "correct the file"
        raise DriveRLError(f"{plugin}: plugin cannot be loaded: {why}; fix: {fix}") from error
    finally:
        _loaded.running.pop()
    _loaded.plugins.append(plugin)


def _why(plugin: Plugin, error: BaseException) -> str:
    """Return an error's line in the plugin, its type and its message."""
    if isinstance(error, SyntaxError):
        return f"line {error.lineno}: SyntaxError: {error.msg}"
    lines = [at.lineno for at in traceback.extract_tb(error.__traceback__) if at.filename == str(plugin.file)]
    where = f"line {lines[-1]}: " if lines else ""
    return f"{where}{type(error).__name__}: {' '.join(str(error).split())[:300]}"


def _source_of(module: str, package: str) -> tuple[Path, bytes]:
    from importlib.util import find_spec  # which imports parent packages: the package's own code

    try:
        spec = find_spec(module)
        file = Path(str(spec.origin)) if spec is not None else None
        if file is None:
            raise ImportError(f"no module {module}")
        return file, file.read_bytes()
    except Exception as error:
        raise DriveRLError(
            f"{package}: its plugin {module} (entry-point group {GROUP}) cannot be imported:"
            f" {type(error).__name__}: {error}; fix: update or uninstall the package"
        ) from error


def _defined_in(kind: Kind, name: str, make: Callable[..., Any]) -> Plugin:
    """Return the file of something that a running script registers."""
    try:
        file = Path(inspect.getfile(make)).absolute()
        plugin = Plugin(file, file.read_bytes())
    except (TypeError, OSError) as error:
        raise DriveRLError(
            f"{kind} {name!r}: is defined in no file, and a run could not record it; fix: write it into a file, and"
            " load that"
        ) from error
    if not any(plugin.file == other.file for other in _loaded.plugins):
        _loaded.plugins.append(plugin)
    return plugin


def _taken(extension: Extension, owner: str) -> DriveRLError:
    what = f"the {_words(extension.kind)} {extension.name!r}"
    return DriveRLError(f"{extension.plugin}: registers {what}, a name that {owner} has; fix: another name")


def _words(kind: Kind) -> str:
    return kind.replace("_", " ")
