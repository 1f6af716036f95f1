"""Network weights and optimizer state as safetensors: no pickle, shared tensors stored once.

It knows tensors and their names. It does not know which algorithm they belong to, nor check hashes.
"""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from drive_rl.errors import DriveRLError
from drive_rl.run.files import read_json, write_bytes, write_json

_ALIASES = "aliases"
_MEND = "take another checkpoint of the run, or train again"


def write_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    """Write named tensors; names that share one tensor (a shared encoder) cost one copy."""
    first: dict[tuple[Any, ...], str] = {}
    unique: dict[str, Tensor] = {}
    aliases: dict[str, str] = {}
    for name, tensor in tensors.items():
        place = (tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype)
        owner = first.setdefault(place, name) if tensor.numel() else name
        if owner == name:
            unique[name] = tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        else:
            aliases[name] = owner
    write_bytes(path, save(unique, metadata={_ALIASES: json.dumps(aliases)}))


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read what `write_tensors` wrote, aliases filled in, on the CPU.

    Raises:
        DriveRLError: the file is missing or is not safetensors.
    """
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
            aliases: dict[str, str] = json.loads((file.metadata() or {}).get(_ALIASES, "{}"))
        return tensors | {name: tensors[owner] for name, owner in aliases.items()}
    except (OSError, SafetensorError, ValueError, KeyError) as error:
        raise DriveRLError(f"{path}: cannot be read as safetensors ({error}): {_MEND}") from error


def load_weights(module: torch.nn.Module, weights: dict[str, Tensor], path: Path) -> None:
    """Copy `weights` into `module`; one that does not fit is a `DriveRLError` naming the tensor."""
    wanted = module.state_dict()
    for name in sorted(wanted.keys() | weights.keys()):
        found = tuple(weights[name].shape) if name in weights else "nothing"
        expected = tuple(wanted[name].shape) if name in wanted else "nothing"
        if found != expected:
            raise DriveRLError(
                f"{path}: tensor {name}: found {found}, but this network has {expected}: the checkpoint "
                "belongs to "
                "another network or another world; build it from the spec.yaml beside the checkpoint"
            )
    module.load_state_dict(weights)


def write_optimizer(folder: Path, optimizer: torch.optim.Optimizer, name: str = "optimizer") -> None:
    """Write `NAME.safetensors` (moments) and `NAME.json` (groups and plain numbers)."""
    state = optimizer.state_dict()
    entries = {f"{i}.{key}": value for i, entry in state["state"].items() for key, value in entry.items()}
    tensors = {key: value for key, value in entries.items() if isinstance(value, Tensor)}
    numbers = {key: value for key, value in entries.items() if key not in tensors}
    write_tensors(folder / f"{name}.safetensors", tensors)
    write_json(
        folder / f"{name}.json",
        {"class": type(optimizer).__name__, "groups": _plain(state["param_groups"]), "numbers": numbers},
    )


def load_optimizer(folder: Path, optimizer: torch.optim.Optimizer, name: str = "optimizer") -> None:
    """Give `optimizer` the state that `write_optimizer` wrote.

    Raises:
        DriveRLError: another optimizer class, or other parameter groups.
    """
    path = folder / f"{name}.json"
    stored = read_json(path, _MEND)
    if stored["class"] != type(optimizer).__name__:
        raise DriveRLError(
            f"{path}: class = {stored['class']}, but this driver uses {type(optimizer).__name__}: resume "
            "with the "
            "run's own spec.yaml"
        )
    state: dict[int, dict[str, Any]] = {}
    for entry, value in (stored["numbers"] | read_tensors(folder / f"{name}.safetensors")).items():
        index, _, key = entry.partition(".")
        state.setdefault(int(index), {})[key] = value
    groups = [{key: tuple(v) if key == "betas" else v for key, v in group.items()} for group in stored["groups"]]
    try:
        optimizer.load_state_dict({"state": state, "param_groups": groups})
    except ValueError as error:
        raise DriveRLError(f"{path}: does not fit this network ({error}): use the run's own spec.yaml") from error


def _plain(value: Any) -> Any:
    """`value` with tensors (a learning rate on the GPU) turned into numbers, for JSON."""
    if isinstance(value, Tensor):
        return value.item()
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
