"""Network weights and optimizer state as safetensors: no pickle, shared tensors stored once.

It knows tensors and their names. It does not know which algorithm they belong to, nor check hashes.
"""

import json
import math
from pathlib import Path
from typing import Any

import torch
from pydantic import Field
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from drive_rl.errors import DriveRLError
from drive_rl.run.storage.atomic import require_file, write_bytes, write_json
from drive_rl.run.storage.json_values import JsonTable
from drive_rl.run.storage.manifest import FIX
from drive_rl.run.storage.schema import Table, read_table

_ALIASES = "aliases"
_KINDS = ("F32", "F64", "F16", "BF16", "I64", "I32", "I16", "I8", "U8", "BOOL")
"""The types that safetensors and torch share."""
_MOMENTS = {
    "Adam": ("step", "exp_avg", "exp_avg_sq"),
    "AdamW": ("step", "exp_avg", "exp_avg_sq"),
    "Adagrad": ("step", "sum"),
    "SGD": ("momentum_buffer",),
}
"""The state that each optimizer of drive-rl keeps of a parameter."""
_NEVER_NEGATIVE = ("step", "exp_avg_sq", "sum")


def write_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    """Write named tensors; names that share one tensor (a shared encoder) are stored once."""
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
        DriveRLError: the file is missing, is not safetensors, or holds a tensor of an unknown type.
    """
    require_file(path, FIX)
    try:
        with safe_open(path, framework="pt") as file:
            names = list(file.keys())
            for name in names:
                if (kind := file.get_slice(name).get_dtype()) not in _KINDS:
                    raise ValueError(f"tensor {name}: type {kind}, but expected one of {', '.join(_KINDS)}")
            tensors = {name: file.get_tensor(name) for name in names}
            metadata = (file.metadata() or {}).get(_ALIASES, "{}")
    except (OSError, SafetensorError, ValueError) as error:
        raise DriveRLError(f"{path}: cannot be read as safetensors ({error}); {FIX}") from error
    for name, owner in _aliases(path, metadata).items():
        if name in tensors or owner not in names:
            wrong = f"{owner!r} is not a tensor" if owner not in names else f"{name!r} is a tensor itself"
            raise DriveRLError(f"{path}: {_ALIASES}: {name} = {owner}: {wrong}; {FIX}")
        tensors[name] = tensors[owner]
    return tensors


def _aliases(path: Path, text: str) -> dict[str, str]:
    """Return the names that share another name's tensor."""
    try:
        aliases = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DriveRLError(f"{path}: {_ALIASES}: not JSON ({error}); {FIX}") from error
    if not isinstance(aliases, dict) or not all(isinstance(owner, str) for owner in aliases.values()):
        raise DriveRLError(f"{path}: {_ALIASES}: expected a table of names; {FIX}")
    return aliases


def load_weights(module: torch.nn.Module, weights: dict[str, Tensor], path: Path) -> None:
    """Copy `weights` into `module`; raises as `check_weights`."""
    check_weights(module, weights, path)
    module.load_state_dict(weights)


def check_weights(module: torch.nn.Module, weights: dict[str, Tensor], path: Path) -> None:
    """Refuse weights that do not fit `module`.

    Raises:
        DriveRLError: a tensor is missing, unknown, of another shape or type, or holds NaN or infinity; with its name.
    """
    wanted = module.state_dict()
    for name in sorted(wanted.keys() | weights.keys()):
        found = tuple(weights[name].shape) if name in weights else "nothing"
        expected = tuple(wanted[name].shape) if name in wanted else "nothing"
        if found != expected:
            raise DriveRLError(
                f"{path}: tensor {name}: found {found}, but this network has {expected}: the checkpoint belongs to"
                " another network or another world; fix: build it from the spec.yaml beside the checkpoint"
            )
        _check_tensor(path, name, weights[name], wanted[name].dtype)


def _check_tensor(path: Path, name: str, tensor: Tensor, dtype: torch.dtype) -> None:
    if tensor.dtype != dtype:
        raise DriveRLError(f"{path}: tensor {name}: type {tensor.dtype}, but expected {dtype}; {FIX}")
    if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
        raise DriveRLError(f"{path}: tensor {name}: holds NaN or infinity, but expected finite numbers; {FIX}")


def write_optimizer(folder: Path, optimizer: torch.optim.Optimizer, name: str = "optimizer") -> None:
    """Write `NAME.safetensors` (moments) and `NAME.json` (groups and numbers)."""
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
    """Give `optimizer` the state that `write_optimizer` wrote; raises as `read_optimizer`."""
    optimizer.load_state_dict(read_optimizer(folder, optimizer, name))


def read_optimizer(folder: Path, optimizer: torch.optim.Optimizer, name: str = "optimizer") -> JsonTable:
    """Return the state dict that `write_optimizer` wrote of an optimizer like this one.

    Its settings must be this optimizer's; only the step size may differ.

    Raises:
        DriveRLError: another optimizer class, other parameter groups or settings, or moments that are missing, of
            another shape or type, negative where they cannot be, NaN or infinite.
    """
    path, moments = folder / f"{name}.json", folder / f"{name}.safetensors"
    stored = read_table(path, _Optimizer, FIX)
    if stored.kind != type(optimizer).__name__:
        raise DriveRLError(
            f"{path}: class = {stored.kind}, but this driver uses {type(optimizer).__name__}; fix: resume with the"
            " run's own spec.yaml"
        )
    own = optimizer.state_dict()["param_groups"]
    if len(stored.groups) != len(own):
        raise DriveRLError(f"{path}: groups: {len(stored.groups)} of them, but this driver has {len(own)}; {FIX}")
    groups = [_group(f"{path}: groups.{i}", *pair) for i, pair in enumerate(zip(stored.groups, own, strict=True))]
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    return {"state": _moments(moments, stored.kind, parameters), "param_groups": groups}


class _Optimizer(Table):
    """`NAME.json`."""

    kind: str = Field(alias="class")
    groups: list[JsonTable]
    numbers: dict[str, float] = Field(max_length=0)  # moments are tensors in every torch that drive-rl runs with


def _group(where: str, stored: JsonTable, own: JsonTable) -> JsonTable:
    """Return an optimizer's own group with the stored step size, if all else is equal."""
    rate = stored.get("lr")
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 <= rate < math.inf:
        raise DriveRLError(f"{where}.lr = {rate!r}: expected a number >= 0; {FIX}")
    for key in stored.keys() - {"lr"}:
        expected = _plain(own.get(key))
        if key not in own or stored[key] != expected or type(stored[key]) is not type(expected):
            known = f"this driver uses {expected!r}" if key in own else "this driver's optimizer has no such setting"
            raise DriveRLError(
                f"{where}.{key} = {stored[key]!r}, but {known}; fix: resume with the run's own spec.yaml"
            )
    return {**own, "lr": float(rate)}


def _moments(path: Path, kind: str, parameters: list[Tensor]) -> dict[int, dict[str, Tensor]]:
    """Return the moments of each trained parameter, by its number."""
    names = _MOMENTS[kind]
    state: dict[int, dict[str, Tensor]] = {}
    for entry, tensor in read_tensors(path).items():
        number, _, key = entry.partition(".")
        if key not in names or number not in map(str, range(len(parameters))):
            raise DriveRLError(f"{path}: tensor {entry}: unknown to {kind} of {len(parameters)} parameters; {FIX}")
        state.setdefault(int(number), {})[key] = tensor
    for number, entries in state.items():
        for key in names:
            entry, parameter = f"{number}.{key}", parameters[number]
            if key not in entries:
                raise DriveRLError(f"{path}: tensor {entry}: is missing; {FIX}")
            shape = () if key == "step" else tuple(parameter.shape)
            if tuple(entries[key].shape) != shape:
                raise DriveRLError(
                    f"{path}: tensor {entry}: found {tuple(entries[key].shape)}, but expected {shape}; {FIX}"
                )
            _check_tensor(path, entry, entries[key], torch.float32 if key == "step" else parameter.dtype)
            if key in _NEVER_NEGATIVE and bool((entries[key] < 0).any()):
                raise DriveRLError(f"{path}: tensor {entry}: holds numbers below 0; {FIX}")
    return state


def _plain(value: Any) -> Any:
    """Return `value` with tensors (a learning rate on the GPU) as numbers, for JSON."""
    if isinstance(value, Tensor):
        return value.item()
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
