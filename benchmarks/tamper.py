"""Checkpoints edited as an attacker would: one value or file at a time, with the manifest's hashes corrected.

`tamper` is a generator for tests and for longer runs. It knows the files of a checkpoint; it does not load them.
"""

import hashlib
import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

from tamper_npz import tamper_npz
from tamper_tensors import tamper_tensors
from tamper_values import DEEP, NUMBERS, OTHERS, edit, flip_a_byte


def tamper(folder: Path, rng: random.Random) -> str:
    """Edit one thing of a checkpoint in place, correct its manifest, and return what was done."""
    path = rng.choice(sorted(path for path in folder.iterdir() if path.is_file()))
    if path.name == "manifest.json":
        correct_sums(folder)
        return f"manifest.json: {_tamper_manifest(path, rng)}"
    if rng.random() < 0.1:
        done = rng.choice(_WHOLE)(path, rng)
        if "pipe" in done or "link" in done or "folder" in done:
            return f"{path.name}: {done}"  # hashing it would hang
    else:
        done = {".json": _tamper_json, ".npz": tamper_npz, ".safetensors": tamper_tensors}.get(
            path.suffix, flip_a_byte
        )(path, rng)
    correct_sums(folder)
    return f"{path.name}: {done}"


def correct_sums(folder: Path) -> None:
    """Write the sizes and hashes of a checkpoint's files into its manifest."""
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
    _delete, _empty, _cut, flip_a_byte, _noise, _swap, _pipe, _link, _folder
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
        entry = {**entry, rng.choice(["bytes", "sha256", "more"]): rng.choice([*NUMBERS, *OTHERS])}
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
        path.write_text(text[:-1] + f", {json.dumps(key)}: {json.dumps(rng.choice(NUMBERS[:12]))}}}")
        return f"{key} twice"
    done = edit(value, rng)
    path.write_text(json.dumps(value))
    return done


_TEXTS = (
    (b"[" * DEEP, "deep brackets"),
    (b'{"a":' * DEEP, "deep tables"),
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
