"""Where files lie: the shelves of worlds, drivers, experiments and perception recipes. It reads none of the files.

A shelf is searched for in this order: in the folders of `DRIVE_RL_PATH` (colon-separated, each holding `envs/`,
`agents/` or `configs/`), then in the checkout that holds this package, or else inside the installed wheel.
"""

import difflib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from drive_rl.errors import DriveRLError

Shelf = Literal["envs", "envs/scenarios", "agents", "configs", "configs/perception", "configs/suites"]

DEFAULT_WORLD = "lane_follow"
"""Where a driver without a world of its own drives."""

_PACKAGE = Path(__file__).resolve().parents[1]
_KIND: dict[Shelf, str] = {"envs": "world", "agents": "driver", "configs": "experiment"}
_KIND |= {"configs/perception": "perception recipe", "configs/suites": "suite", "envs/scenarios": "scenario"}
_SCENARIOS = "scenarios/"
"""What the names of scenarios begin with where worlds are named."""

Found = Literal["a world", "an experiment", "a perception recipe", "a driver recipe", "a trained driver", "a folder"]
Uses = Mapping[Found, str]
NO_USES: Uses = MappingProxyType({})


def shelf_folders(shelf: Shelf) -> list[Path]:
    """Return the folders of one shelf, the user's own first.

    Raises:
        DriveRLError: a folder named in `DRIVE_RL_PATH` does not exist or cannot be read.
    """
    own = [Path(part) for part in os.environ.get("DRIVE_RL_PATH", "").split(os.pathsep) if part]
    for folder in own:
        if not os.path.isdir(folder):
            raise DriveRLError(f"DRIVE_RL_PATH: {_brief(folder)} is not a folder; fix: name folders holding {shelf}/")
        if not os.access(folder, os.R_OK | os.X_OK):
            raise DriveRLError(
                f"DRIVE_RL_PATH: {_brief(folder)} cannot be read by this user; fix: its permissions, or leave it out"
            )
    wheel = _PACKAGE / "_shelf"
    shipped = wheel if wheel.is_dir() else _PACKAGE.parent
    return [root / shelf for root in (*own, shipped) if os.path.isdir(root / shelf)]


def entries(shelf: Shelf) -> dict[str, Path]:
    """Return every entry of a shelf, name -> YAML file (or trained driver's folder); the first shelf wins.

    Raises:
        DriveRLError: a folder named in `DRIVE_RL_PATH`, or its shelf, does not exist or cannot be read.
    """
    found: dict[str, Path] = {}
    for folder in shelf_folders(shelf):
        if not os.access(folder, os.R_OK | os.X_OK):
            raise DriveRLError(f"{_brief(folder)}: cannot be read by this user; fix: its permissions")
        trained = folder.glob("*/manifest.json") if shelf == "agents" else ()
        for path in sorted([*folder.glob("*.yaml"), *(manifest.parent for manifest in trained)]):
            found.setdefault(path.stem if path.is_file() else path.name, path)
    return found


def named(shelf: Shelf) -> dict[str, Path]:
    """Return what `find` finds by name: every entry, and beside the worlds the scenarios, as `scenarios/t_junction`.

    Raises:
        DriveRLError: as `entries`.
    """
    more = entries("envs/scenarios") if shelf == "envs" else {}
    return entries(shelf) | {f"{_SCENARIOS}{name}": path for name, path in more.items()}


def name_of(path: Path) -> str:
    """Return the name that a YAML file has on its shelf."""
    is_scenario = path.parent.parts[-2:] == ("envs", "scenarios")
    return f"{_SCENARIOS}{path.stem}" if is_scenario else path.stem


def find(shelf: Shelf, name: str, uses: Uses = NO_USES) -> Path:
    """Return the file or folder of `name`: a path to a YAML file (`~` is the home folder), or an entry of the shelf.

    Raises:
        DriveRLError: nothing has that name; with the fix, as `unknown`.
    """
    known = named(shelf)
    if name.endswith((".yaml", ".yml")):
        path = home(name)
        if not os.path.isfile(path):
            on_shelf = name.rpartition(".")[0]
            fix = f"did you mean {on_shelf!r}?" if on_shelf in known else "fix: check the path, or `drive-rl list`"
            what = "not a regular file" if os.path.lexists(path) else "no such file"
            raise DriveRLError(f"{_brief(name)}: {what}; {fix}")
        return path
    if name not in known:
        if shelf == "envs" and name.startswith(_SCENARIOS):
            there = [each for each in known if each.startswith(_SCENARIOS)]
            raise DriveRLError(f"unknown scenario {_brief(name)!r}; {nearest(name, there)}")
        raise unknown(_KIND[shelf], name, known, uses)
    return known[name]


def unknown(kind: str, name: str, known: Iterable[str], uses: Uses = NO_USES) -> DriveRLError:
    """Return the error for a name that is not a `kind`, or a path that leads nowhere, with the fix.

    Args:
        kind: What was expected.
        name: The name or path given.
        known: The names of that kind.
        uses: What the name may be instead -> the fix for it, in which `{}` stands for the name. For anything else the
            fix is the nearest known name.
    """
    known, what = list(known), _instead(name)
    is_path = os.sep in name or name.startswith("~")
    if is_path and what is None and not os.path.lexists(home(name)):
        close = difflib.get_close_matches(name, known, n=1)
        fix = f"did you mean {close[0]!r}?" if close else "fix: check the path"
        return DriveRLError(f"{_brief(name)}: no such file or folder; {fix}")
    head = f"unknown {kind} {_brief(name)!r}" + (f": it is {what}" if what else "")
    fix = f"fix: {uses[what].format(name)}" if what is not None and what in uses else nearest(name, known)
    return DriveRLError(f"{head}; {fix}")


def _instead(name: str) -> Found | None:
    """Return what has a name, on any shelf or as a folder."""
    kinds: dict[Shelf, Found] = {
        "envs": "a world", "configs": "an experiment", "configs/perception": "a perception recipe",
    }  # fmt: skip
    for shelf, kind in kinds.items():
        if name in named(shelf):
            return kind
    if (path := entries("agents").get(name)) is not None:
        return "a trained driver" if path.is_dir() else "a driver recipe"
    return "a folder" if name and os.path.isdir(home(name)) else None


def home(name: str | Path) -> Path:
    """Return a path with a leading `~` as the home folder: a shell leaves it in words such as `world=~/my.yaml`."""
    return Path(os.path.expanduser(name))


def _brief(path: object) -> str:
    text = str(path)
    return text if len(text) <= 300 else f"{text[:300]}..."


def nearest(name: str, known: Iterable[str], elsewhere: Mapping[str, str] = MappingProxyType({})) -> str:
    """Return the fix for an unknown name: the nearest known one, or all of them.

    Args:
        name: The unknown name.
        known: What is known in its place.
        elsewhere: Names that are known in another place, and how they are written in full.
    """
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.7)
    close = close or difflib.get_close_matches(name, [*known, *elsewhere], n=1, cutoff=0.5)
    if close and close[0] not in known and difflib.SequenceMatcher(None, close[0], name).ratio() < 0.8:
        close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    if close:
        return f"did you mean {elsewhere.get(close[0], close[0])!r}?"
    return f"fix: one of {', '.join(known)}" if known else "fix: leave it out, for there is none"
