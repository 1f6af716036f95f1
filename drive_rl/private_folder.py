"""A folder for what libraries keep between processes, which no other user can write: some of it is code.

It knows the user's cache folder and those for temporary files; it does not know what is kept.
"""

import os
import stat
import tempfile
from pathlib import Path


def private_folder(name: str) -> Path | None:
    """Make a folder of this name for this user alone, and return its real path; none where there is no place for it."""
    for candidate in candidates(name):
        folder = _made(candidate)
        if folder is not None and writable(folder):
            return folder
    return None


def candidates(name: str) -> list[Path]:
    """Return where such a folder may lie: in the user's cache folder, or in those for temporary files."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))
    # without a home, `~` stays as it is; and a home is not made
    found = [cache / "drive-rl"] if cache.is_absolute() and os.path.isdir(cache.parent) else []
    temporary = [os.environ.get("TMPDIR"), "/tmp", "/var/tmp"]
    found += [Path(folder).absolute() / f"drive-rl-{os.geteuid()}" for folder in temporary if _is_folder(folder)]
    return [folder / name for folder in found]


def writable(folder: Path) -> bool:
    """Return whether files can be made in a folder, which is made if it can be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return False
    return True


def _is_folder(folder: str | None) -> bool:
    return folder is not None and folder != "" and os.path.isdir(folder)


def _made(folder: Path) -> Path | None:
    """Make a folder; return its real path, or none if somebody else can write there or put another in its place."""
    try:
        for made in (folder.parent.parent, folder.parent, folder):
            made.mkdir(mode=0o700, exist_ok=True)
        folder = folder.resolve(strict=True)
        found = folder.stat()
        ours = found.st_uid == os.geteuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        return folder if ours and all(map(_trusted, folder.parents)) else None
    except OSError:
        return None


def _trusted(folder: Path) -> bool:
    """Return whether nobody else can rename what lies in a folder: in `/tmp` (sticky) only its owner can."""
    found = folder.stat()
    shared = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return found.st_uid in (0, os.geteuid()) and (not shared or bool(found.st_mode & stat.S_ISVTX))
