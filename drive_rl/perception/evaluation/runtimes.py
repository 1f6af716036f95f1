"""Ways to run a perception model on the CPU: torch as it is, and torch compiled.

It knows models as modules from pictures to named tensors. It knows no head, and does not time anything.
"""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

Images = NDArray[np.uint8]  # (B, C, H, W)
Outputs = dict[str, NDArray[Any]]  # one array (B, ...) for each output of the model


class Runtime(Protocol):
    """Runs one model, often with batches of one size."""

    def __call__(self, images: Images, /) -> Outputs:
        """Return the model's outputs for `images` (B, C, H, W)."""
        ...


def eager(model: nn.Module) -> Runtime:
    """Return a runtime that runs a copy of `model` as torch does by default, in evaluation mode."""
    return _runtime(still(model))


def compiled(model: nn.Module) -> Runtime:
    """Return a runtime that compiles a copy of `model` by torch's inductor, once for each shape it is given.

    Weights are frozen into the code, which lets the compiler fold batch norms and reorder weights. Compiling happens
    in the first call: without a C++ compiler, that call raises torch's own error.
    """
    # A class of models has one code object, and after eight versions of it torch would silently go back to eager.
    torch.compiler.reset()
    return _runtime(torch.compile(still(model), dynamic=False, options={"freezing": True}))


def still(model: nn.Module) -> nn.Module:
    """Return a copy of `model` on the CPU, in evaluation mode, so that the caller's keeps its device and mode."""
    return copy.deepcopy(model).cpu().eval()


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Give torch `count` threads within the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _runtime(forward: Any) -> Runtime:
    def run(images: Images) -> Outputs:
        with torch.inference_mode():
            # A copy: torch cannot share memory with an array that may not be written.
            return {name: value.numpy() for name, value in forward(torch.tensor(images)).items()}

    return run
