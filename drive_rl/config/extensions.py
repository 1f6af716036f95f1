"""Python that a user brings: plugins, what each registers, and finding it by name. Imports nothing heavy.

A plugin is one Python file, or a module that an installed package names in the entry-point group `drive_rl`. A file is
run only where the caller names it; modules of packages are imported once a name is asked for that nothing else has.
What an encoder or a driver must be is known by the rooms that use them (`drive_rl.testing` checks it).
"""

import inspect
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module, metadata
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from drive_rl.config.plugin_call import is_of_plugin
from drive_rl.config.plugin_source import GROUP, Plugin, as_module, packaged_plugin, read_plugin, why
from drive_rl.config.shelf import nearest
from drive_rl.errors import DriveRLError

Kind = Literal["encoder", "reward_term", "metric", "driver", "data_format", "head", "perception_model"]

_NAME = re.compile(r"[a-z][a-z0-9_]{0,49}")


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
    followers: list[Callable[[], None]]  # called when what was loaded is forgotten


_loaded = _Loaded({}, [], {kind: set() for kind in get_args(Kind)}, [], [], [], [])


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
        raise DriveRLError(f"{kind} {name!r}: is not callable; expected a function or a class; fix: register one")
    plugin = _loaded.running[-1] if _loaded.running else _defined_in(kind, name, make)
    extension = Extension(kind, name, make, plugin, about)
    if name in _loaded.reserved[kind]:
        raise _taken(extension, "drive-rl itself")
    if (other := _loaded.extensions.get((kind, name))) is not None and not _is_again(extension, other):
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


def fault(error: BaseException) -> str | None:
    """Return what is wrong with the plugin whose code an error passed through; None: it passed through none."""
    files = {at.filename for at in traceback.extract_tb(error.__traceback__)}
    return next((f"{plugin}: {why(plugin, error)}" for plugin in plugins() if str(plugin.file) in files), None)


def unknown(kind: Kind, name: str, ours: Iterable[str]) -> str:
    """Return what is wrong with a name that neither we nor a plugin has, and the fix."""
    known = [*ours, *registered(kind)]
    if not known:
        return (
            f"no plugin registers such a {_words(kind)}; fix: --plugin FILE.py with the one that does, or in Python"
            " drive_rl.extend.load(FILE)"
        )
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
    """Run a plugin file; the same code again does nothing, and an edited file replaces what it registered before.

    Args:
        file: The file.
        sha256: Run it only if this is its SHA-256.

    Raises:
        DriveRLError: it cannot be read or run, or registers nothing; then all is as it was before.
    """
    plugin = read_plugin(Path(file))
    if sha256 not in (None, plugin.sha256):
        raise DriveRLError(
            f"{file}: plugin has SHA-256 {plugin.sha256[:12]}, expected {str(sha256)[:12]}: it was edited; fix: restore"
            " it, or --plugin FILE.py with the file as it was"
        )
    if not any(plugin.sha256 == other.sha256 for other in _loaded.plugins):
        with as_module(plugin) as run:
            _run(plugin, run)
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
        plugin = packaged_plugin(point.module, package)
        if not any(plugin.sha256 == other.sha256 for other in _loaded.plugins):
            _run(plugin, lambda module=point.module: import_module(module))
    _loaded.asked.append(True)


def when_forgotten(forget: Callable[[], None]) -> Callable[[], None]:
    """Call the decorated function wherever `forgotten` begins and ends, to drop what was made of plugins."""
    _loaded.followers.append(forget)
    return forget


@contextmanager
def forgotten() -> Iterator[None]:
    """Run a block in which no plugin is loaded; what it loads is forgotten after it (for tests)."""
    extensions, lists = _loaded.extensions, list[list[Any]]((_loaded.plugins, _loaded.asked, _loaded.trusting))
    kept, kept_lists = dict(extensions), [list(each) for each in lists]

    def forget() -> None:
        for store in (extensions, *lists):
            store.clear()
        for follower in _loaded.followers:
            follower()

    forget()
    try:
        yield
    finally:
        forget()
        extensions.update(kept)
        for each, values in zip(lists, kept_lists, strict=True):
            each.extend(values)


def _run(plugin: Plugin, run: Callable[[], object]) -> None:
    """Run a plugin's code in place of an older version of the same file; if it goes wrong, all is as before."""
    before, others = dict(_loaded.extensions), list(_loaded.plugins)
    old = [each for each in others if _is_same_file(each, plugin)]
    for key in [key for key, extension in before.items() if extension.plugin in old]:
        del _loaded.extensions[key]
    kept = len(_loaded.extensions)
    _loaded.running.append(plugin)
    try:
        run()
        if len(_loaded.extensions) == kept:
            raise DriveRLError(
                f"{plugin}: plugin registers nothing; expected a decorator of drive_rl.extend; fix: such as"
                ' @extend.encoder("my_encoder")'
            )
    except BaseException as error:
        _loaded.extensions.clear()
        _loaded.extensions.update(before)
        _loaded.plugins[:] = others  # without what it loaded itself
        if isinstance(error, DriveRLError) or not is_of_plugin(error):
            raise
        raise DriveRLError(f"{plugin}: plugin cannot be loaded: {why(plugin, error)}") from error
    finally:
        _loaded.running.pop()
    _loaded.plugins[:] = [each for each in _loaded.plugins if each not in old] + [plugin]


def _is_same_file(plugin: Plugin, other: Plugin) -> bool:
    return not plugin.package and not other.package and plugin.file.resolve() == other.file.resolve()


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
    known = next((each for each in _loaded.plugins if (each.file, each.sha256) == (plugin.file, plugin.sha256)), None)
    if known is None:
        _loaded.plugins.append(plugin)
    return known or plugin


def _is_again(new: Extension, old: Extension) -> bool:
    """Whether a running script, or a module that is reloaded, registers the same thing anew."""
    names = [getattr(each.make, "__qualname__", each.make) for each in (new, old)]
    return new.plugin.file == old.plugin.file and names[0] == names[1] and not _loaded.running


def _taken(extension: Extension, owner: str) -> DriveRLError:
    what = f"the {_words(extension.kind)} {extension.name!r}"
    return DriveRLError(f"{extension.plugin}: registers {what}, a name that {owner} has; fix: another name")


def _words(kind: Kind) -> str:
    return kind.replace("_", " ")
