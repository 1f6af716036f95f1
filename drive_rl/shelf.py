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
        DriveRLError: a folder named in `DRIVE_RL_PATH` does not exist.
    """
    own = [Path(part) for part in os.environ.get("DRIVE_RL_PATH", "").split(os.pathsep) if part]
    for folder in own:
        if not folder.is_dir():
            raise DriveRLError(f"DRIVE_RL_PATH: {folder} is no folder; fix: name folders holding {shelf}/")
    wheel = _PACKAGE / "_shelf"
    shipped = wheel if wheel.is_dir() else _PACKAGE.parent
    return [root / shelf for root in (*own, shipped) if (root / shelf).is_dir()]


def entries(shelf: Shelf) -> dict[str, Path]:
    """Return every entry of a shelf, name -> YAML file (or trained driver's folder); the first shelf wins."""
    found: dict[str, Path] = {}
    for folder in shelf_folders(shelf):
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
        if not _is_file(name):
            what = "not a regular file" if os.path.lexists(name) else "no such file"
            raise DriveRLError(f"{_brief(name)}: {what}; fix: check the path, or name a {_KIND[shelf]} on the shelf")
        return Path(name)
    known = entries(shelf)
    if name not in known:
        raise DriveRLError(f"unknown {_KIND[shelf]} {_brief(name)!r}; {nearest(name, known)}")
    return known[name]


def _brief(name: str) -> str:
    return name if len(name) <= 200 else f"{name[:200]}..."


def _is_file(name: str) -> bool:
    try:
        return Path(name).is_file()
    except OSError:  # a name that is too long
        return False


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the mend for an unknown name: the nearest known one, or all of them."""
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known) or 'none'}"
