"""Values that no checkpoint should hold, and edits with them, for `tamper`."""

import math
import random
from pathlib import Path
from typing import Any

NUMBERS: tuple[Any, ...] = (
    -1, 0, 1, 2, 7, 0.5, -0.5, 1e-300, 1e9, -1e9, 1e38, 1e308, -1e308, 2**31, 2**53, 2**63, 2**64, 2**128, 10**30,
    10**400, math.nan, math.inf, -math.inf,
)  # fmt: skip
OTHERS: tuple[Any, ...] = (None, True, False, "", "1", "policy", [], {}, [[]], [0], {"a": 1}, [None] * 3)
KEYS = ("policy", "train", "__class__", "env", "", "num_timesteps", "fused", "params", "x" * 300, "\0")
DEEP = 100_000


def edit(value: Any, rng: random.Random, where: str = "") -> str:
    """Change one thing somewhere in nested lists and tables; return what was done."""
    keys: list[Any] = sorted(value) if isinstance(value, dict) else list(range(len(value)))
    if not keys or rng.random() < 0.05:
        if isinstance(value, dict):
            value[key := rng.choice(KEYS)] = rng.choice([*NUMBERS, *OTHERS])
            return f"{where}.{key[:20]!r} added"
        value.append(rng.choice([*NUMBERS, *OTHERS]))
        return f"{where} longer"
    key = rng.choice(keys)
    place = f"{where}.{key}".removeprefix(".")
    if isinstance(value[key], list | dict) and rng.random() < 0.8:
        return edit(value[key], rng, place)
    if rng.random() < 0.15:
        del value[key]
        return f"{place} deleted"
    value[key] = rng.choice([*NUMBERS, *NUMBERS, *OTHERS])
    return f"{place} = {str(value[key])[:30]}"


def flip_a_byte(path: Path, rng: random.Random) -> str:
    """Flip one bit of a file; return which."""
    data = bytearray(path.read_bytes() or b"x")
    at = rng.randrange(len(data))
    data[at] ^= 1 << rng.randrange(8)
    path.write_bytes(bytes(data))
    return f"bit of byte {at} flipped"
