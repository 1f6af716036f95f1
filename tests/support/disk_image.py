"""A disk that can lose its power: an ext4 image in a file, mounted, and copied while it is written to."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

IMPOSSIBLE = os.geteuid() != 0 or shutil.which("mkfs.ext4") is None or not Path("/dev/loop-control").exists()
WHY = "needs root, mkfs.ext4 and loop devices, to mount an image"


def make_image(image: Path, mb: int) -> None:
    with image.open("wb") as file:
        file.truncate(mb * 10**6)
    _run("mkfs.ext4", "-q", str(image))


@contextmanager
def mounted(image: Path, folder: Path) -> Iterator[Path]:
    """Mount an image; what its journal holds is played back, as after a power loss."""
    folder.mkdir(exist_ok=True)
    _run("mount", "-o", "loop", str(image), str(folder))
    try:
        yield folder
    finally:
        _run("umount", str(folder))


def lose_power(image: Path, disk: Path, writer: int, copy: Path, commit: bool) -> None:
    """Copy what the disk holds at this moment of a process that writes to it.

    Args:
        image: The image that `disk` is the mount of.
        disk: Where it is mounted.
        writer: The process; it stands still meanwhile.
        copy: Where the copy goes.
        commit: Whether names, sizes and renames have just reached the disk, as they do by themselves every 5 s, without
            the bytes of files that nobody synced.

    Raises:
        ProcessLookupError: the process has ended.
    """
    os.kill(writer, signal.SIGSTOP)
    try:
        while (state := Path(f"/proc/{writer}/stat").read_text().rsplit(")", 1)[1].split()[0]) != "T":
            if state in "ZX":
                raise ProcessLookupError(f"process {writer} has ended")
            time.sleep(0.001)
        if commit:
            with (disk / "other").open("w") as file:
                os.fsync(file.fileno())
        while True:  # until nothing was written meanwhile
            shutil.copyfile(image, copy)
            if copy.read_bytes() == image.read_bytes():
                return
    finally:
        os.kill(writer, signal.SIGCONT)


def _run(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True)
