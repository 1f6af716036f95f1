"""The world and the car: road -> field -> vehicle -> engine -> camera -> outcome -> environment."""

from pathlib import Path


def drop_stale_code(folder: Path) -> None:
    """Remove compiled functions that are older than any module of a folder.

    numba compares a compiled function with its own file, but not with the files of the functions that it calls: after
    an update of one of them, the stale machine code would still run.
    """
    newest = max(path.stat().st_mtime for path in folder.rglob("*.py"))
    for compiled in folder.rglob("__pycache__/*.nb[ci]"):
        try:
            if compiled.stat().st_mtime < newest:
                compiled.unlink()
        except OSError:  # another process was faster, or the folder is read-only
            pass


drop_stale_code(Path(__file__).parent)
