"""Checkpoints edited as a stranger would edit them: one value or file at a time, with the sums corrected.

`tamper` is a generator for tests and for longer runs. It knows the files of a checkpoint; it does not load them.
"""

import hashlib
import io
import json
import math
import os
import random
import shutil
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

_NUMBERS: tuple[Any, ...] = (
    -1, 0, 1, 2, 7, 0.5, -0.5, 1e-300, 1e9, -1e9, 1e38, 1e308, -1e308, 2**31, 2**53, 2**63, 2**64, 2**128, 10**30,
    10**400, math.nan, math.inf, -math.inf,
)  # fmt: skip
_OTHERS: tuple[Any, ...] = (None, True, False, "", "1", "policy", [], {}, [[]], [0], {"a": 1}, [None] * 3)
_KEYS = ("policy", "train", "__class__", "env", "", "num_timesteps", "fused", "params", "x" * 300, "\0")
_DEEP = 100_000


def tamper(folder: Path, rng: random.Random) -> str:
    """Edit one thing of a checkpoint in place, correct the sums of its manifest, and return what was done."""
    path = rng.choice(sorted(path for path in folder.iterdir() if path.is_file()))
    if path.name == "manifest.json":
        correct_sums(folder)
        return f"manifest.json: {_tamper_manifest(path, rng)}"
    if rng.random() < 0.1:
        done = rng.choice(_WHOLE)(path, rng)
        if "pipe" in done or "link" in done or "folder" in done:
            return f"{path.name}: {done}"  # a sum of it would hang
    else:
        done = {".json": _tamper_json, ".npz": _tamper_npz, ".safetensors": _tamper_tensors}.get(
            path.suffix, _flip_a_byte
        )(path, rng)
    correct_sums(folder)
    return f"{path.name}: {done}"


def correct_sums(folder: Path) -> None:
    """Write the sizes and sums of the files that lie in a checkpoint into its manifest."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    for name in list(manifest["files"]):
        file = folder / name
        if file.is_file():
            data = file.read_bytes()
            manifest["files"][name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        else:
            del manifest["files"][name]
    path.write_text(json.dumps(manifest, indent=2))


# --- whole files ---------------------------------------------------------------------------------------------------


def _delete(path: Path, rng: random.Random) -> str:
    path.unlink()
    return "deleted, with its line in the manifest"


def _empty(path: Path, rng: random.Random) -> str:
    path.write_bytes(b"")
    return "emptied"


def _cut(path: Path, rng: random.Random) -> str:
    data = path.read_bytes()
    path.write_bytes(data[: rng.randrange(len(data))] if data else b"x")
    return "cut short"


def _flip_a_byte(path: Path, rng: random.Random) -> str:
    data = bytearray(path.read_bytes() or b"x")
    at = rng.randrange(len(data))
    data[at] ^= 1 << rng.randrange(8)
    path.write_bytes(bytes(data))
    return f"bit of byte {at} flipped"


def _noise(path: Path, rng: random.Random) -> str:
    path.write_bytes(rng.randbytes(200))
    return "replaced by noise"


def _swap(path: Path, rng: random.Random) -> str:
    other = rng.choice(sorted(file for file in path.parent.iterdir() if file.is_file()))
    shutil.copyfile(other, path) if other != path else None
    return f"replaced by {other.name}"


def _pipe(path: Path, rng: random.Random) -> str:
    path.unlink()
    os.mkfifo(path)
    return "replaced by a pipe"


def _link(path: Path, rng: random.Random) -> str:
    target = rng.choice(["/dev/zero", "/dev/null", "/dev/stdin", path.name, "/nowhere", "."])
    path.unlink()
    path.symlink_to(target)
    return f"replaced by a link to {target}"


def _folder(path: Path, rng: random.Random) -> str:
    path.unlink()
    path.mkdir()
    return "replaced by a folder"


_WHOLE: tuple[Callable[[Path, random.Random], str], ...] = (
    _delete, _empty, _cut, _flip_a_byte, _noise, _swap, _pipe, _link, _folder
)  # fmt: skip


# --- JSON ----------------------------------------------------------------------------------------------------------


def _tamper_manifest(path: Path, rng: random.Random) -> str:
    if rng.random() < 0.5:
        return _tamper_json(path, rng)
    manifest = json.loads(path.read_text())
    name = rng.choice(sorted(manifest["files"]))
    entry = manifest["files"].pop(name)
    new = rng.choice(["/dev/zero", "../manifest.json", "a/b", "..", ".", "", f"./{name}", "\0", "x" * 300, name])
    if rng.random() < 0.5:
        entry = {**entry, rng.choice(["bytes", "sha256", "more"]): rng.choice([*_NUMBERS, *_OTHERS])}
    manifest["files"][new] = entry
    path.write_text(json.dumps(manifest))
    return f"files: {name} as {new[:20]!r}: {str(entry)[:60]}"


def _tamper_json(path: Path, rng: random.Random) -> str:
    if rng.random() < 0.15:
        text, done = rng.choice(_TEXTS)
        path.write_bytes(text)
        return done
    value = json.loads(path.read_text())
    if rng.random() < 0.1 and isinstance(value, dict):
        key = rng.choice(sorted(value))
        text = json.dumps(value)
        path.write_text(text[:-1] + f", {json.dumps(key)}: {json.dumps(rng.choice(_NUMBERS[:12]))}}}")
        return f"{key} twice"
    done = _edit(value, rng)
    path.write_text(json.dumps(value))
    return done


_TEXTS = (
    (b"[" * _DEEP, "deep brackets"),
    (b'{"a":' * _DEEP, "deep tables"),
    (b"\xef\xbb\xbf{}", "BOM"),
    (b"\xff\xfe{}", "not UTF-8"),
    (b"[]", "a list"),
    (b"{}", "an empty table"),
    (b"null", "null"),
    (b'"x"', "a string"),
    (b"1", "a number"),
    (b"1" * 6000, "a long number"),
    (b"NaN", "NaN"),
    (b"[1e999]", "infinity"),
)


def _edit(value: Any, rng: random.Random, where: str = "") -> str:
    """Change one thing somewhere in nested lists and tables."""
    keys: list[Any] = sorted(value) if isinstance(value, dict) else list(range(len(value)))
    if not keys or rng.random() < 0.05:
        if isinstance(value, dict):
            value[key := rng.choice(_KEYS)] = rng.choice([*_NUMBERS, *_OTHERS])
            return f"{where}.{key[:20]!r} added"
        value.append(rng.choice([*_NUMBERS, *_OTHERS]))
        return f"{where} longer"
    key = rng.choice(keys)
    place = f"{where}.{key}".removeprefix(".")
    if isinstance(value[key], list | dict) and rng.random() < 0.8:
        return _edit(value[key], rng, place)
    if rng.random() < 0.15:
        del value[key]
        return f"{place} deleted"
    value[key] = rng.choice([*_NUMBERS, *_NUMBERS, *_OTHERS])
    return f"{place} = {str(value[key])[:30]}"


# --- npz -----------------------------------------------------------------------------------------------------------


def _tamper_npz(path: Path, rng: random.Random) -> str:
    try:
        with np.load(path) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        return _flip_a_byte(path, rng)
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
    value = rng.choice(_NUMBERS)
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


# --- safetensors ---------------------------------------------------------------------------------------------------

_SIZES = {"F64": 8, "I64": 8, "F32": 4, "I32": 4, "F16": 2, "BF16": 2, "I16": 2, "U8": 1, "I8": 1, "BOOL": 1}


def _tamper_tensors(path: Path, rng: random.Random) -> str:
    data = path.read_bytes()
    if len(data) < 8:
        return _flip_a_byte(path, rng)
    length = struct.unpack("<Q", data[:8])[0]
    header, body = json.loads(data[8 : 8 + length]), bytearray(data[8 + length :])
    names = sorted(header.keys() - {"__metadata__"})
    if not names or rng.random() < 0.15:
        return _tamper_header_bytes(path, data, rng)
    name = rng.choice(names)
    entry = header[name]
    kind = rng.choice(["value"] * 3 + ["type", "shape", "drop", "rename", "alias", "alias", "overlap", "edit"])
    done = kind
    if kind == "value" and entry["dtype"] == "F32" and entry["data_offsets"][0] < entry["data_offsets"][1]:
        begin, end = entry["data_offsets"]
        at = begin + 4 * rng.randrange((end - begin) // 4)
        value = rng.choice([math.nan, math.inf, -math.inf, 1e38, -1e38, -1.0, 0.0, 1e-40])
        body[at : at + 4] = struct.pack("<f", value)
        done = f"= {value}"
    elif kind == "type":
        entry["dtype"] = rng.choice([*_SIZES, "F8_E4M3", "U64", "C64", "x"])
        if entry["dtype"] in _SIZES:  # with as many bytes as that takes, at the end
            size = math.prod(entry["shape"]) * _SIZES[entry["dtype"]]
            kept = {n: bytes(body[slice(*header[n]["data_offsets"])]) for n in names if n != name}
            kept[name] = bytes(size)
            body = bytearray()
            for n, part in kept.items():
                header[n]["data_offsets"] = [len(body), len(body) + len(part)]
                body += part
        done = f"as {entry['dtype']}"
    elif kind == "shape":
        new: list[Any] = [
            entry["shape"][::-1],
            [*entry["shape"], 1],
            [0],
            [],
            [-1],
            [2**62, 4],
            [math.prod(entry["shape"])],
        ]
        entry["shape"] = rng.choice(new)
        done = f"shape {entry['shape']}"
    elif kind == "drop":
        del header[name]
    elif kind == "rename":
        header[rng.choice(["", "9999.step", "x", "-1.step", "0.step.x", "policy"])] = header.pop(name)
    elif kind == "alias":
        other = rng.choice(names)
        aliases: Any = rng.choice(
            [{name: other}, {"a": "b", "b": "a"}, {"a": "a"}, {"a": name}, {"a": [1]}, [], 1, None, {"a": {"b": 1}}]
        )
        text = rng.choice([json.dumps(aliases)] * 4 + ["[" * _DEEP, "{", "NaN"])
        header["__metadata__"] = {"aliases": text}
        done = f"aliases {text[:40]}"
    elif kind == "overlap":
        entry["data_offsets"] = header[rng.choice(names)]["data_offsets"]
    else:
        done = _edit(header, rng)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(body))
    return f"{name}: {done}"


def _tamper_header_bytes(path: Path, data: bytes, rng: random.Random) -> str:
    length = rng.choice([0, 1, 2**63, 2**64 - 1, len(data), 100_000_001])
    choices = {
        "length": struct.pack("<Q", length) + data[8:],
        "deep": struct.pack("<Q", _DEEP) + b"[" * _DEEP,
        "no tensors": struct.pack("<Q", 2) + b"{}",
        "a list": struct.pack("<Q", 2) + b"[]",
        "bytes after the end": data + b"more",
        "deep metadata": struct.pack("<Q", 40 + 2) + b'{"__metadata__":{"aliases":{"a":[1,2,3]}}}',
    }
    done = rng.choice(sorted(choices))
    path.write_bytes(choices[done])
    return done
