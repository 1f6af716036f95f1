"""Where files lie: the three shelves (worlds, drivers, experiments) and nothing about what is in them.

A shelf is looked for, in this order: in the folders of `DRIVE_RL_PATH` (colon-separated, each holding `envs/`,
`agents/` or `configs/`), then in the checkout that holds this package, or else inside the installed wheel.
"""

import difflib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Literal, cast

from drive_rl.errors import DriveRLError

Shelf = Literal["envs", "agents", "configs", "configs/perception"]

_PACKAGE = Path(__file__).resolve().parents[1]
_KIND: dict[Shelf, str] = {"envs": "world", "agents": "driver", "configs": "experiment"}
_KIND["configs/perception"] = "perception recipe"
_LEARN = "train quickstart agent="


def shelf_folders(shelf: Shelf) -> list[Path]:
    """Return the folders of one shelf, the user's own first.

    Raises:
        DriveRLError: a folder named in `DRIVE_RL_PATH` does not exist or cannot be read.
    """
    own = [Path(part) for part in os.environ.get("DRIVE_RL_PATH", "").split(os.pathsep) if part]
    for folder in own:
        if not os.path.isdir(folder):
            raise DriveRLError(f"DRIVE_RL_PATH: {_brief(folder)} is no folder; fix: name folders holding {shelf}/")
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


def find(shelf: Shelf, name: str) -> Path:
    """Return the file or folder of `name`: a path to a YAML file (`~` is the home folder), or an entry of the shelf.

    Raises:
        DriveRLError: nothing of that name, with the nearest match.
    """
    known = entries(shelf)
    if name.endswith((".yaml", ".yml")):
        path = home(name)
        if not os.path.isfile(path):
            on_shelf = name.rpartition(".")[0]
            fix = f"did you mean {on_shelf!r}?" if on_shelf in known else "fix: check the path, or `drive-rl list`"
            what = "not a regular file" if os.path.lexists(path) else "no such file"
            raise DriveRLError(f"{_brief(name)}: {what}; {fix}")
        return path
    if name not in known:
        raise unknown(_KIND[shelf], name, known)
    return known[name]


def unknown(kind: str, name: str, known: Iterable[str]) -> DriveRLError:
    """Return the error for a name that is no `kind`: what else it is and how it is used, or the nearest known name."""
    of_perception = kind.startswith("perception")
    base = "perception fit unet" if of_perception else "train quickstart"
    uses = {
        "envs": ("a world", f"drive-rl {base} world={name}"),
        "configs": ("an experiment", f"drive-rl train {name}"),
        "configs/perception": ("a perception recipe", f"drive-rl perception fit {name}"),
    }
    if kind == "driver":
        uses["envs"] = ("a world", f"drive-rl eval DRIVER world={name}")
    for shelf, (what, fix) in uses.items():
        if name in entries(cast(Shelf, shelf)):
            return DriveRLError(f"unknown {kind} {name!r}: it is {what}; fix: {fix}")
    if os.path.isdir(name) and kind in (_KIND["configs"], _KIND["configs/perception"]):
        verb = base.rpartition(" ")[0]
        return DriveRLError(
            f"unknown {kind} {name!r}: it is a folder; fix: drive-rl {verb} --resume {name} resumes a run"
        )
    if (path := entries("agents").get(name)) is not None:
        what, fix = ("a trained driver", f"eval {name}") if path.is_dir() else ("a driver recipe", _LEARN + name)
        return DriveRLError(f"unknown {kind} {name!r}: it is {what}; fix: drive-rl {fix}")
    return DriveRLError(f"unknown {kind} {_brief(name)!r}; {nearest(name, known)}")


def home(name: str | Path) -> Path:
    """Return a path with a leading `~` as the home folder: a shell leaves it in words such as `world=~/my.yaml`."""
    return Path(os.path.expanduser(name))


def _brief(path: object) -> str:
    text = str(path)
    return text if len(text) <= 300 else f"{text[:300]}..."


def nearest(name: str, known: Iterable[str], elsewhere: Mapping[str, str] = MappingProxyType({})) -> str:
    """Return the mend for an unknown name: the nearest known one, or all of them.

    Args:
        name: The unknown name.
        known: What is known in its place.
        elsewhere: Names that are known in another place, and how they are written in full.
    """
    known = sorted(known)
    close = difflib.get_close_matches(name, [*known, *elsewhere], n=1, cutoff=0.5)
    if close and close[0] not in known and difflib.SequenceMatcher(None, close[0], name).ratio() < 0.8:
        close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"did you mean {elsewhere.get(close[0], close[0])!r}?" if close else f"known: {', '.join(known) or 'none'}"
