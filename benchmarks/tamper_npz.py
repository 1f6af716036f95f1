"""Edits of one npz file of a checkpoint, for `tamper`: other arrays, or other zip members."""

import io
import random
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from tamper_values import NUMBERS, flip_a_byte


def tamper_npz(path: Path, rng: random.Random) -> str:
    """Edit one array or member of an npz file; return what was done."""
    try:
        with np.load(path) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        return flip_a_byte(path, rng)
    name = rng.choice(sorted(arrays))
    if rng.random() < 0.3:
        return f"{name}: {rng.choice(_CONTAINERS)(path, arrays, name, rng)}"
    arrays[name], done = _change(arrays[name], rng)
    np.savez(path, allow_pickle=True, **arrays)
    return f"{name}: {done}"


def _change(array: np.ndarray, rng: random.Random) -> tuple[np.ndarray, str]:
    """Return an array with another value, shape or type."""
    kind = rng.choice(["value"] * 6 + ["type", "shape", "shape", "fill"])
    if kind == "type":
        other = rng.choice(["f2", "f4", "f8", "i1", "i8", "u8", "?", ">f8", ">i8", "c8", "S3", "U2", "O", "M8[s]"])
        try:
            return array.astype(other), f"as {other}"
        except (TypeError, ValueError):
            return np.zeros(array.shape, "f8"), "as f8"
    if kind == "shape":
        shapes = [array[None], array.reshape(-1), array.reshape(-1)[:0], np.concatenate([np.atleast_1d(array)] * 2)]
        new = rng.choice([*shapes, np.atleast_1d(array)[:-1], array.T, np.zeros(()), np.zeros((0, 3, 0))])
        return new, f"shape {new.shape}"
    value = rng.choice(NUMBERS)
    new = np.array(array, copy=True)
    with np.errstate(all="ignore"):
        try:
            number = np.asarray(float(value)).astype(new.dtype)
        except OverflowError:
            number = np.asarray(1e308).astype(new.dtype)
    if kind == "fill" or not new.size:
        new[...] = number
        return new, f"all {number}"
    at = rng.randrange(new.size)
    new.reshape(-1)[at] = number
    return new, f"[{at}] = {number}"


def _members(arrays: dict[str, np.ndarray]) -> dict[str, bytes]:
    members = {}
    for name, array in arrays.items():
        np.save(file := io.BytesIO(), array, allow_pickle=False)
        members[f"{name}.npy"] = file.getvalue()
    return members


def _written(path: Path, members: list[tuple[str, bytes]], method: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members:
            info = zipfile.ZipInfo(name)
            info.compress_type = method
            archive.writestr(info, data)


def _deflated(path: Path, arrays: dict[str, np.ndarray], name: str, rng: random.Random) -> str:
    method = rng.choice([zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
    _written(path, list(_members(arrays).items()), method)
    return f"compression {method}"


def _bomb(path: Path, arrays: dict[str, np.ndarray], name: str, rng: random.Random) -> str:
    members = _members(arrays) | {f"{name}.npy": bytes(20_000_000)}
    _written(path, list(members.items()), zipfile.ZIP_DEFLATED)
    return "a bomb"


def _encrypted(path: Path, arrays: dict[str, np.ndarray], name: str, rng: random.Random) -> str:
    data = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.find(mark)
        data[at + offset] |= 1
    path.write_bytes(bytes(data))
    return "marked as encrypted"


def _twice(path: Path, arrays: dict[str, np.ndarray], name: str, rng: random.Random) -> str:
    with zipfile.ZipFile(path, "w") as archive:
        for member, data in [*_members(arrays).items()] * 2:
            info = zipfile.ZipInfo(member)
            archive.filelist = [entry for entry in archive.filelist]
            archive.NameToInfo.pop(member, None)  # or it warns
            archive.writestr(info, data)
    return "members twice"


def _absent(path: Path, arrays: dict[str, np.ndarray], name: str, rng: random.Random) -> str:
    _written(path, [(member, data) for member, data in _members(arrays).items() if member != f"{name}.npy"])
    return "absent"


def _more(path: Path, arrays: dict[str, np.ndarray], name: str, rng: random.Random) -> str:
    more = rng.choice(["x.npy", "9/x.npy", "all/x.npy", "99999999999/a.npy", "note.txt", "../a.npy", "", "0/a/b.npy"])
    _written(path, [*_members(arrays).items(), (more, _members({"a": np.zeros(3)})["a.npy"])])
    return f"{more!r} added"


def _header(path: Path, arrays: dict[str, np.ndarray], name: str, rng: random.Random) -> str:
    """Write one array's header anew: a huge shape, an object type, nesting, or nonsense."""
    text = rng.choice(
        [
            "{'descr': '<f8', 'fortran_order': False, 'shape': (999999999999,), }",
            "{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999999999999999,), }",
            "{'descr': '<f8', 'fortran_order': False, 'shape': (-1,), }",
            "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }",
            "{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (1,), }",
            "{'descr': '<f8', 'fortran_order': True, 'shape': (2, 2), }",
            "(" * 5000,
            "-" * 5000 + "1",
            "{'descr': '<f8', 'fortran_order': False, 'shape': (" + "1," * 100 + "), }",
            "",
        ]
    ).encode()
    version = rng.choice([b"\x01\x00", b"\x01\x00", b"\x02\x00", b"\x03\x00", b"\x09\x09"])
    length = struct.pack("<H", len(text) + 1) if version == b"\x01\x00" else struct.pack("<I", len(text) + 1)
    members = _members(arrays)
    members[f"{name}.npy"] = b"\x93NUMPY" + version + length + text + b"\n" + bytes(8 * rng.randrange(5))
    _written(path, list(members.items()))
    return f"header {text[:60].decode()!r}"


def _no_members(path: Path, arrays: dict[str, np.ndarray], name: str, rng: random.Random) -> str:
    _written(path, [])
    return "an empty zip"


_CONTAINERS: tuple[Callable[[Path, dict[str, np.ndarray], str, random.Random], str], ...] = (
    _deflated, _bomb, _encrypted, _twice, _absent, _more, _header, _header, _no_members
)  # fmt: skip
