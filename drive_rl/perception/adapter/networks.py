"""Networks of others as modules from one input to outputs by name: ONNX files, modules of torch, functions of arrays.

It knows how to run them. It does not know where they come from or what their outputs are.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from drive_rl.errors import DriveRLError

Outputs = dict[str, Tensor]
"""Output -> (B, ...)."""


class OnnxNetwork(nn.Module):
    """An ONNX Runtime session. A file with a fixed batch is run in parts of that size."""

    def __init__(self, session: Any, batch: int | None) -> None:
        super().__init__()
        self._session, self._batch = session, batch
        self._input = session.get_inputs()[0].name
        self.names = [output.name for output in session.get_outputs()]

    def __deepcopy__(self, memo: object) -> Self:
        """Return itself: a session cannot be copied, and running it changes nothing."""
        return self

    def forward(self, x: Tensor) -> Outputs:
        """Return the outputs on the device of the input."""
        given = np.ascontiguousarray(x.detach().cpu().numpy())
        size = self._batch or len(given)
        parts = [self._run(given[first : first + size], size) for first in range(0, len(given), size)]
        joined = (np.concatenate(each) for each in zip(*parts, strict=True))
        return {name: torch.as_tensor(value, device=x.device) for name, value in zip(self.names, joined, strict=True)}

    def _run(self, part: np.ndarray, size: int) -> list[np.ndarray]:
        full = np.concatenate([part, np.repeat(part[-1:], size - len(part), axis=0)]) if len(part) < size else part
        return [np.asarray(each)[: len(part)] for each in self._session.run(None, {self._input: full})]


class TorchNetwork(nn.Module):
    """A module of torch that returns a tensor, several, or a mapping: outputs `output`, `0`, `1`..., or by its keys."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Tensor) -> Outputs:
        """Return the outputs."""
        return named(self.module(x))


class ArrayNetwork(nn.Module):
    """A function from an array to an array, several, or a mapping."""

    def __init__(self, function: Callable[[np.ndarray], Any]) -> None:
        super().__init__()
        self._function = function

    def forward(self, x: Tensor) -> Outputs:
        """Return the outputs on the device of the input."""
        found = named(self._function(x.detach().cpu().numpy()))
        return {name: value.to(x.device) for name, value in found.items()}


def named(found: Any) -> Outputs:
    """Return what a model returned by name; what is neither tensor nor array is left out.

    Raises:
        DriveRLError: there is neither.
    """
    if isinstance(found, Tensor | np.ndarray):
        pairs: Mapping[str, Any] = {"output": found}
    elif isinstance(found, Mapping):
        pairs = found
    elif isinstance(found, Sequence):
        pairs = {str(i): value for i, value in enumerate(found)}
    else:
        raise DriveRLError(f"returned a {type(found).__name__}: expected tensors or arrays")
    return {
        str(name): torch.as_tensor(value) for name, value in pairs.items() if isinstance(value, Tensor | np.ndarray)
    }
