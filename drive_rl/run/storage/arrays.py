"""Arrays in npz files that NumPy wrote, read without pickle and without trusting the file's headers.

It knows the files; it does not know what the arrays mean.
"""

import re
import zipfile
from math import prod
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from drive_rl.errors import DriveRLError
from drive_rl.run.storage.atomic import require_file
from drive_rl.run.storage.manifest import FIX

_HEADER = re.compile(
    r"\{'descr': '(?:\|[bui]|<[ui]|<f)([1248])', 'fortran_order': (?:True|False), 'shape': \(((?:\d{1,18},? ?)*)\), \}"
    r" *\n"
)
"""The header that `np.save` writes for an array of numbers; anything else is not read."""
_LONGEST_HEADER = 10_000
_MOST_DIMENSIONS = 16


def read_arrays(path: Path) -> dict[str, NDArray[np.generic]]:
    """Return all arrays of an npz file that `np.savez` wrote.

    Nothing is inflated or allocated beyond the file's own size: members must be uncompressed, and the shape that each
    declares must match its bytes.

    Raises:
        DriveRLError: the file is missing or not such a file, with the member's name.
    """
    require_file(path, FIX)
    name = ""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            _check_members(members, path.stat().st_size)
            arrays = {}
            for member in members:
                name = f"{member.filename}: "
                arrays[member.filename.removesuffix(".npy")] = _read(archive, member)
            return arrays
    except (OSError, ValueError, TypeError, EOFError, RuntimeError, zipfile.BadZipFile, OverflowError) as error:
        raise DriveRLError(f"{path}: {name}cannot be read as npz ({error}); {FIX}") from error


def _check_members(members: list[zipfile.ZipInfo], size: int) -> None:
    """Refuse members that differ from what `np.savez` writes, before one is opened."""
    names = [member.filename for member in members]
    for member in members:
        if names.count(member.filename) > 1:
            raise ValueError(f"{member.filename} is there twice")
        if not member.filename.endswith(".npy"):
            raise ValueError(f"{member.filename} is not an array")
        if member.flag_bits & 1:
            raise ValueError(f"{member.filename} is encrypted")
        if member.compress_type != zipfile.ZIP_STORED or member.compress_size != member.file_size:
            raise ValueError(f"{member.filename} is compressed")
    if sum(member.file_size for member in members) > size:
        raise ValueError("its arrays are larger than the file")


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray[np.generic]:
    with archive.open(member) as file:
        _check_header(file, member.file_size)
    with archive.open(member) as file:
        return np.lib.format.read_array(file, allow_pickle=False)


def _check_header(file: IO[bytes], size: int) -> None:
    """Refuse a header that `np.save` does not write for numbers, or that does not match the bytes after it."""
    version = np.lib.format.read_magic(file)
    if version != (1, 0):
        raise ValueError(f"version {version} of the format")
    length = int.from_bytes(file.read(2), "little")
    text = file.read(length).decode("latin1")
    found = _HEADER.fullmatch(text) if length <= _LONGEST_HEADER else None
    if found is None:
        raise ValueError(f"not an array of numbers: {text[:80].strip()!r}")
    sides = [int(side) for side in re.findall(r"\d+", found[2])]
    if len(sides) > _MOST_DIMENSIONS:
        raise ValueError(f"{len(sides)} dimensions")
    needed, there = prod(sides) * int(found[1]), size - 10 - length
    if needed != there:
        raise ValueError(f"shape {tuple(sides)} needs {needed} bytes, and {there} are there")
