"""The state of every random generator that training draws from, as JSON.

It knows the global generators of Python, NumPy and torch (stable-baselines3 uses them) and the action space's. The
environment's generator is part of the environment's state.
"""

import base64
import binascii
import random
import struct
from pathlib import Path
from typing import Annotated, Any, Literal

import gymnasium
import numpy as np
import torch
from pydantic import AfterValidator, Field

from drive_rl.run.storage.json_values import JsonTable
from drive_rl.run.storage.manifest import FIX
from drive_rl.run.storage.pcg64 import Bit, PCG64State, Word
from drive_rl.run.storage.schema import Table, read_table

_TWISTER_WORDS = 624  # of MT19937
_TORCH_BYTES = 5056  # of torch's CPU generator: at::CPUGeneratorImplState
_TORCH_LEFT = struct.Struct("<iiQ")  # at byte 8: words left, whether it was seeded, the next word
_GPU_BYTES = 16  # seed and offset

_Place = Annotated[int, Field(ge=0, le=_TWISTER_WORDS)]


def _check_python(state: list[Any]) -> list[Any]:
    """Refuse what `random.getstate` does not return: 3, [624 words, the place of the next], a Gaussian or None."""
    version, words, gauss = state if len(state) == 3 else (None, [], None)
    right = version == 3 and isinstance(words, list) and len(words) == _TWISTER_WORDS + 1
    right = right and all(type(word) is int and 0 <= word < 2**32 for word in words) and words[-1] <= _TWISTER_WORDS
    if not right or not (gauss is None or isinstance(gauss, float)):
        raise ValueError("expected what random.getstate() returns")
    return state


def _check_torch(text: str) -> str:
    """Refuse a state with positions outside its words: torch does not check them."""
    state = _decoded(text)
    if len(state) != _TORCH_BYTES:
        raise ValueError(f"{len(state)} bytes, but expected {_TORCH_BYTES}")
    left, seeded, following = _TORCH_LEFT.unpack_from(state, 8)
    if seeded != 1 or not 1 <= left <= _TWISTER_WORDS or following + left - 1 > _TWISTER_WORDS:
        raise ValueError("expected what torch.get_rng_state() returns")
    return text


def _check_gpu(text: str) -> str:
    if len(state := _decoded(text)) != _GPU_BYTES:
        raise ValueError(f"{len(state)} bytes, but expected {_GPU_BYTES}")
    if int.from_bytes(state[8:], "little", signed=True) % 4:
        raise ValueError("expected what torch.cuda.get_rng_state() returns")
    return text


class _TwisterWords(Table):
    key: list[Word] = Field(min_length=_TWISTER_WORDS, max_length=_TWISTER_WORDS)
    pos: _Place


class _TwisterState(Table):
    """The state of NumPy's global generator."""

    bit_generator: Literal["MT19937"]
    state: _TwisterWords
    has_gauss: Bit
    gauss: float


class RngState(Table):
    """`rng.json`."""

    python: Annotated[list[Any], AfterValidator(_check_python)]
    numpy: _TwisterState
    torch: Annotated[str, AfterValidator(_check_torch)]
    cuda: list[Annotated[str, AfterValidator(_check_gpu)]]
    action_space: PCG64State


def capture_rng(action_space: gymnasium.Space) -> JsonTable:
    """Return all generator states, ready for JSON (about 30 kB)."""
    numpy_state = np.random.get_state(legacy=False)
    assert isinstance(numpy_state, dict)  # legacy=False
    return {
        "python": random.getstate(),
        "numpy": _listed(numpy_state),
        "torch": _text(torch.get_rng_state()),
        "cuda": [_text(state) for state in torch.cuda.get_rng_state_all()] if torch.cuda.is_available() else [],
        "action_space": action_space.np_random.bit_generator.state,
    }


def read_rng(path: Path) -> RngState:
    """Return the states that `capture_rng` returned.

    Raises:
        DriveRLError: the file is missing, or holds impossible states.
    """
    return read_table(path, RngState, FIX)


def restore_rng(state: RngState, action_space: gymnasium.Space) -> None:
    """Set every generator; GPU states go to as many GPUs as there are."""
    version, words, gauss = state.python
    random.setstate((version, tuple(words), gauss))
    numpy_state = state.numpy.model_dump()
    numpy_state["state"]["key"] = np.array(state.numpy.state.key, dtype=np.uint32)
    np.random.set_state(numpy_state)
    torch.set_rng_state(_tensor(state.torch))
    if torch.cuda.is_available():
        for device, text in zip(range(torch.cuda.device_count()), state.cuda, strict=False):
            torch.cuda.set_rng_state(_tensor(text), device)
    action_space.np_random.bit_generator.state = state.action_space.model_dump()


def _listed(value: Any) -> Any:
    """Return `value` with its arrays as lists."""
    if isinstance(value, dict):
        return {key: _listed(item) for key, item in value.items()}
    return value.tolist() if isinstance(value, np.ndarray) else value


def _text(state: torch.Tensor) -> str:
    return base64.b64encode(state.numpy().tobytes()).decode("ascii")


def _tensor(text: str) -> torch.Tensor:
    return torch.frombuffer(bytearray(base64.b64decode(text)), dtype=torch.uint8)


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error) as error:
        raise ValueError(f"not base64 ({error})") from error
