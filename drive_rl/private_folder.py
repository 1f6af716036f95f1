"""A folder for what libraries cache between processes, which no other user can write to: some of it is code."""

import os
import stat
import tempfile
from pathlib import Path


def private_folder(name: str) -> Path | None:
    """Create a folder of this name for this user only; return its real path, or None where that is impossible."""
    for candidate in candidates(name):
        folder = _made(candidate)
        if folder is not None and writable(folder):
            return folder
    return None


def candidates(name: str) -> list[Path]:
    """Return where such a folder can be: in the user's cache folder, or in a folder for temporary files."""
    cache = user_cache()
    found = [cache / "drive-rl"] if cache is not None else []
    temporary = [os.environ.get("TMPDIR"), "/tmp", "/var/tmp"]
    found += [Path(folder).absolute() / f"drive-rl-{os.geteuid()}" for folder in temporary if _is_folder(folder)]
    return [folder / name for folder in found]


def user_cache() -> Path | None:
    """Return the user's cache folder, which may not exist yet; None for a user without a home."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))  # `~` stays without a home
    return cache if cache.is_absolute() and os.path.isdir(cache.parent) else None


def writable(folder: Path) -> bool:
    """Return whether files can be created in a folder, which is created if need be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return False
    return True


def _is_folder(folder: str | None) -> bool:
    return folder is not None and folder != "" and os.path.isdir(folder)


def _made(folder: Path) -> Path | None:
    """Create a folder; return its real path, or None if another user can write to it or replace it."""
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
