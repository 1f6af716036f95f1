"""Where the files lie that an adapter names. It reads none of them."""

from pathlib import Path

from drive_rl.config.shelf import home
from drive_rl.errors import DriveRLError


def beside(adapter: Path, key: str, name: str) -> Path:
    """Return the file that an adapter names: in its folder, or, if the adapter is a link, in the folder of its target.

    Raises:
        DriveRLError: there is no such file in either.
    """
    folders = dict.fromkeys([adapter.parent, adapter.resolve().parent] if adapter.is_symlink() else [adapter.parent])
    files = [folder / home(name) for folder in folders]
    for file in files:
        if file.is_file():
            return file
    where = ("neither " if len(files) > 1 else "") + " nor ".join(map(str, files))
    is_no_file = "is a file" if len(files) > 1 else "is not a file"
    raise DriveRLError(f"{adapter}: {key} = {name}: {where} {is_no_file}; fix: its path, from this file's folder")
