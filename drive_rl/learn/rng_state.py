"""The state of every random generator that training draws from, as JSON.

It knows Python's, NumPy's and torch's global generators (stable-baselines3 uses them) and the action space's
own. The environment's generator is part of the environment's state, not of this.
"""

import base64
import random
from typing import Any

import gymnasium
import numpy as np
import torch


def capture_rng(action_space: gymnasium.Space) -> dict[str, Any]:
    """All generator states, ready for JSON (about 30 kB)."""
    numpy_state = np.random.get_state(legacy=False)
    assert isinstance(numpy_state, dict)  # legacy=False
    return {
        "python": random.getstate(),
        "numpy": _listed(numpy_state),
        "torch": _text(torch.get_rng_state()),
        "cuda": [_text(state) for state in torch.cuda.get_rng_state_all()] if torch.cuda.is_available() else [],
        "action_space": action_space.np_random.bit_generator.state,
    }


def restore_rng(state: dict[str, Any], action_space: gymnasium.Space) -> None:
    """Set every generator to what `capture_rng` saw; GPU states go to as many GPUs as there are."""
    version, words, gauss = state["python"]
    random.setstate((version, tuple(words), gauss))
    numpy_state = state["numpy"]
    key = np.array(numpy_state["state"]["key"], dtype=np.uint32)
    np.random.set_state({**numpy_state, "state": {**numpy_state["state"], "key": key}})
    torch.set_rng_state(_tensor(state["torch"]))
    if torch.cuda.is_available():
        for device, text in zip(range(torch.cuda.device_count()), state["cuda"], strict=False):
            torch.cuda.set_rng_state(_tensor(text), device)
    action_space.np_random.bit_generator.state = state["action_space"]


def _listed(value: Any) -> Any:
    """`value` with its arrays as lists."""
    if isinstance(value, dict):
        return {key: _listed(item) for key, item in value.items()}
    return value.tolist() if isinstance(value, np.ndarray) else value


def _text(state: torch.Tensor) -> str:
    return base64.b64encode(state.numpy().tobytes()).decode("ascii")


def _tensor(text: str) -> torch.Tensor:
    return torch.frombuffer(bytearray(base64.b64decode(text)), dtype=torch.uint8)
