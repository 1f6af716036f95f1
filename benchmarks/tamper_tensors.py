"""Edits of one safetensors file of a checkpoint, for `tamper`: other values, shapes, names or header bytes."""

import json
import math
import random
import struct
from pathlib import Path
from typing import Any

from tamper_values import DEEP, edit, flip_a_byte

_SIZES = {"F64": 8, "I64": 8, "F32": 4, "I32": 4, "F16": 2, "BF16": 2, "I16": 2, "U8": 1, "I8": 1, "BOOL": 1}


def tamper_tensors(path: Path, rng: random.Random) -> str:
    """Edit one tensor or the header of a safetensors file; return what was done."""
    data = path.read_bytes()
    if len(data) < 8:
        return flip_a_byte(path, rng)
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
        text = rng.choice([json.dumps(aliases)] * 4 + ["[" * DEEP, "{", "NaN"])
        header["__metadata__"] = {"aliases": text}
        done = f"aliases {text[:40]}"
    elif kind == "overlap":
        entry["data_offsets"] = header[rng.choice(names)]["data_offsets"]
    else:
        done = edit(header, rng)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(body))
    return f"{name}: {done}"


def _tamper_header_bytes(path: Path, data: bytes, rng: random.Random) -> str:
    length = rng.choice([0, 1, 2**63, 2**64 - 1, len(data), 100_000_001])
    choices = {
        "length": struct.pack("<Q", length) + data[8:],
        "deep": struct.pack("<Q", DEEP) + b"[" * DEEP,
        "no tensors": struct.pack("<Q", 2) + b"{}",
        "a list": struct.pack("<Q", 2) + b"[]",
        "bytes after the end": data + b"more",
        "deep metadata": struct.pack("<Q", 40 + 2) + b'{"__metadata__":{"aliases":{"a":[1,2,3]}}}',
    }
    done = rng.choice(sorted(choices))
    path.write_bytes(choices[done])
    return done
