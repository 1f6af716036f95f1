"""Saved states, as arrays: their names, shapes, types and ranges, checked before any of them is used.

Compiled code trusts its indices, and a state may come from a stranger's file. This module knows arrays, not their
meaning.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from drive_rl.errors import DriveRLError

FARTHEST = 1e6
"""Largest size of a coordinate [m], a speed [m/s] or an angle [rad] that an engine resumes from."""
_FIX = "fix: use the world, the modes and num_envs that it was saved with"


State = dict[str, NDArray[Any]]
"""A saved state, name -> array."""


class Expected(NamedTuple):
    """What an array must be. Numbers must be finite, and within [low, high]."""

    shape: tuple[int | None, ...]  # None: any length
    dtype: type[np.generic]
    low: float = -np.inf
    high: float = np.inf


def check_state(state: Mapping[str, NDArray[Any]], expected: Mapping[str, Expected]) -> None:
    """Refuse a state unless its arrays are the expected ones.

    Raises:
        DriveRLError: an array is missing, unknown, or of another shape, type or range; names the array.
    """
    for name in sorted(expected.keys() | state.keys()):
        if name not in state or name not in expected:
            what = "is missing" if name in expected else f"is unknown; expected {', '.join(expected)}"
            raise DriveRLError(f"state: {name}: {what}; {_FIX}")
    for name, form in expected.items():
        check_array(f"state: {name}", state[name], form, _FIX)


def check_array(name: str, array: NDArray[Any], expected: Expected, fix: str) -> None:
    """Refuse an array of another shape, type or range.

    Raises:
        DriveRLError: names the array, what was found, what was expected, and `fix`.
    """
    shape, dtype = expected.shape, np.dtype(expected.dtype)
    fits = len(shape) == array.ndim and all(side in (None, n) for side, n in zip(shape, array.shape, strict=True))
    if not fits or array.dtype != dtype:
        sides = ", ".join("any" if side is None else str(side) for side in shape)
        raise DriveRLError(f"{name}: {array.shape} {array.dtype}, but expected ({sides}) {dtype}; {fix}")
    if (
        not array.size
        or dtype.kind == "b"
        or (dtype.kind in "iu" and (expected.low, expected.high) == (-np.inf, np.inf))
    ):
        return
    least, most = array.min(), array.max()  # a NaN is both
    if not (np.isfinite(least) and np.isfinite(most)):
        raise DriveRLError(f"{name}: holds NaN or infinity, but expected finite numbers; {fix}")
    for found in (least.item(), most.item()):
        if not expected.low <= found <= expected.high:
            raise DriveRLError(f"{name}: holds {found}, but expected [{expected.low:g}, {expected.high:g}]; {fix}")


def check_generator(name: str, words: NDArray[Any], fix: str = _FIX) -> None:
    """Refuse words that are not the state of a PCG64 generator, (6,) uint64, as `generator_state` returns them.

    Raises:
        DriveRLError: names the array.
    """
    check_array(name, words, Expected((6,), np.uint64), fix)
    if words[4] > 1 or words[5] >= 2**32 or not words[3] & np.uint64(1):
        raise DriveRLError(f"{name}: {words.tolist()}, but expected the state of a PCG64 generator; {fix}")
