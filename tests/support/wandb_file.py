"""Reads the records of an offline W&B run file, which is a LevelDB log behind a header of 7 bytes."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wandb.proto import wandb_internal_pb2 as protocol

_BLOCK, _HEAD = (
    32768,
    7,
)  # each chunk: CRC (4 bytes), length (2), type (1: whole, 2: first, 3: middle, 4: last)


def records(path: Path) -> Iterator[Any]:
    """The protobuf records in the file."""
    data = path.read_bytes()
    assert data[:4] == b":W&B"
    offset, parts = _HEAD, b""
    while offset + _HEAD <= len(data):
        if _BLOCK - offset % _BLOCK < _HEAD:
            offset += _BLOCK - offset % _BLOCK
            continue
        length, kind = int.from_bytes(data[offset + 4 : offset + 6], "little"), data[offset + 6]
        parts += data[offset + _HEAD : offset + _HEAD + length]
        offset += _HEAD + length
        if kind in (1, 4):
            record = protocol.Record()  # pyright: ignore[reportAttributeAccessIssue] - made at import
            record.ParseFromString(parts)
            parts = b""
            yield record


def values(items: Any) -> dict[str, Any]:
    """Key and value of a record's items; nested keys are joined by dots."""
    return {item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in items}
