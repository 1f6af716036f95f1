"""Where files lie: the three shelves (worlds, drivers, experiments) and nothing about what is in them.

A shelf is looked for, in this order: in the folders of `DRIVE_RL_PATH` (colon-separated, each holding `envs/`,
`agents/` or `configs/`), then in the checkout that holds this package, or else inside the installed wheel.
"""

import difflib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from drive_rl.errors import DriveRLError

Shelf = Literal["envs", "agents", "configs", "configs/perception"]

_PACKAGE = Path(__file__).resolve().parent
_KIND: dict[Shelf, str] = {"envs": "world", "agents": "driver", "configs": "experiment"}
_KIND["configs/perception"] = "perception recipe"


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
    """Return the file or folder of `name`: a path to a YAML file, or an entry of the shelf.

    Raises:
        DriveRLError: nothing of that name, with the nearest match.
    """
    if name.endswith((".yaml", ".yml")):
        if not os.path.isfile(name):
            what = "not a regular file" if os.path.lexists(name) else "no such file"
            raise DriveRLError(f"{_brief(name)}: {what}; fix: check the path, or name a {_KIND[shelf]} on the shelf")
        return Path(name)
    known = entries(shelf)
    if name not in known:
        raise DriveRLError(f"unknown {_KIND[shelf]} {name!r}; {nearest(name, known)}")
    return known[name]


def _brief(path: object) -> str:
    text = str(path)
    return text if len(text) <= 300 else f"{text[:300]}... ({len(text)} letters)"


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the mend for an unknown name: the nearest known one, or all of them."""
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known) or 'none'}"
