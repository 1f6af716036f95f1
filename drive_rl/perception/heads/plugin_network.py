"""Networks of plugins: what they raise while they run, or would raise once they learn, is explained."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from drive_rl.config.plugin_call import called


def running(what: str) -> AbstractContextManager[None]:
    """Explain what a network raises in the block; nothing where `what` is empty, for our own networks.

    Nothing either while torch compiles or exports it, whose graph a handler would split.
    """
    return called(what, "its network fails") if what and not torch.compiler.is_compiling() else nullcontext()


def rows_of(what: str, found: Any, inputs: Tensor) -> Any:
    """Return what a plugin's network, `what`, made of (B, ...) inputs; anything where `what` is empty.

    Raises:
        TypeError: it is not a tensor (B, ...).
    """
    if what and not (isinstance(found, Tensor) and found.dim() and len(found) == len(inputs)):
        kind = f"a tensor {tuple(found.shape)}" if isinstance(found, Tensor) else f"a {type(found).__name__}"
        raise TypeError(f"returned {kind} for {len(inputs)} pictures, expected one row each")
    return found


def finite_rows_of(what: str, found: Any, inputs: Tensor) -> Any:
    """Return the same, of networks whose outputs are finite.

    Raises:
        TypeError: it is not a tensor (B, ...).
        ValueError: it is not finite.
    """
    rows = rows_of(what, found, inputs)
    if what and not torch.compiler.is_compiling() and not torch.isfinite(rows).all():
        raise ValueError("returned NaN or infinite numbers, as after steps of too large a learning rate")
    return rows


def try_learning(network: nn.Module, inputs: Tensor) -> None:
    """Run a network in training mode, and its gradient; its weights, and torch's random numbers, stay as they were."""
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        found = network.train()(inputs)
        if found.requires_grad:
            found.sum().backward()
    network.load_state_dict(before)
    network.zero_grad()
