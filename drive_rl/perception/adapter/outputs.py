"""Outputs of a model that others made -> predictions under our names.

It knows the spec of an output and shapes. It knows no file and no camera's geometry but through `masks`.
"""

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from drive_rl.config.specs.adapter import LANE_FIELDS, OutputSpec
from drive_rl.errors import DriveRLError
from drive_rl.perception.adapter.masks import mask_points
from drive_rl.perception.data.lane_anchors import line_columns
from drive_rl.perception.data.records import LaneTruth
from drive_rl.perception.heads.head import Predictions
from drive_rl.sim.sensors.renderer import CLASSES

Size = tuple[int, int]
"""Height and width [px]."""

_NEVER = -1e4  # the logit of a class that a model does not know
_SURE = 10.0  # logit of what is there


def lane_state(spec: OutputSpec, found: Tensor, std: Tensor | None) -> Predictions:
    """Return `lane` and `lane_std` (NaN where unknown) of (B, fields)."""
    at = [LANE_FIELDS.index(name) for name in spec.fields]
    lane = torch.zeros(len(found), len(LANE_FIELDS), device=found.device)
    deviation = torch.full_like(lane, float("nan"))
    lane[:, at] = _shaped(found, (len(at),), "lane_state").float()
    if std is not None:
        deviation[:, at] = _shaped(std, (len(at),), "std").float()
        if not bool((deviation[:, at] >= 0).all()):
            raise DriveRLError(
                f"std = {spec.std}: has negative numbers or NaN: expected standard deviations; fix: export those, not"
                " their logarithms"
            )
    return {"lane": lane, "lane_std": deviation}


def classes(spec: OutputSpec, found: Tensor, size: Size) -> Predictions:
    """Return `classes`, (B, 5, *size): of the classes that are one of ours, the greatest logit.

    A single channel is that class against the background. Classes that the map does not name are background.
    """
    if spec.form == "labels":
        return {"classes": F.interpolate(_of_labels(spec, found), size, mode="nearest")}
    logits = _logits(spec, found)
    if tuple(logits.shape[2:]) != size:
        logits = F.interpolate(logits, size, mode="bilinear", align_corners=False)
    count, named = logits.shape[1], {index for indices in spec.map.values() for index in indices}
    if named and max(named) >= count:
        raise DriveRLError(f"map names class {max(named)}, but it has {count}: 0 to {count - 1}; fix: another map")
    groups = {"background": [index for index in range(count) if index not in named], **spec.map}
    out = [_greatest(logits, list(groups.get(name, ()))) for name in CLASSES]
    if count == 1:
        out[0] = torch.zeros_like(out[0])
    return {"classes": torch.stack(out, dim=1)}


def _of_labels(spec: OutputSpec, found: Tensor) -> Tensor:
    """Return (B, 5, h, w) logits of labels, any whole numbers: those that the map does not name are background."""
    labels = found[:, 0] if found.dim() == 4 else found
    if labels.dim() != 3:
        raise DriveRLError(f"has shape {tuple(found.shape)}: form = labels expects (B, H, W); fix: another form")
    groups: dict[str, tuple[int, ...]] = {**spec.map}
    theirs = [torch.tensor(groups.get(name, ()), dtype=torch.long, device=found.device) for name in CLASSES]
    masks = torch.stack([torch.isin(labels.long(), each) for each in theirs], dim=1)
    masks[:, 0] = ~masks[:, 1:].any(dim=1)
    known = torch.tensor([True, *(name in groups for name in CLASSES[1:])], device=found.device)
    return torch.where(known[:, None, None], _SURE * masks, _NEVER)


def _logits(spec: OutputSpec, found: Tensor) -> Tensor:
    """Return (B, K, h, w) logits."""
    if found.dim() != 4:
        raise DriveRLError(f"has shape {tuple(found.shape)}: classes expect (B, K, H, W); fix: another output or form")
    logits = (found.permute(0, 3, 1, 2) if spec.layout == "nhwc" else found).float()
    if spec.form != "probabilities":
        return logits
    logs = logits.clamp(1e-7, 1 - 1e-7)
    return torch.log(logs) - (torch.log1p(-logs) if logs.shape[1] == 1 else 0)


def _greatest(logits: Tensor, indices: list[int]) -> Tensor:
    if not indices:
        return torch.full_like(logits[:, 0], _NEVER)
    return logits[:, indices].amax(dim=1)


def lanes(spec: OutputSpec, found: Tensor, taken: Size, height: int) -> Predictions:
    """Return `lines` of lanes in the model's input of size `taken`, for pictures of so many rows.

    A lane is one of ours by where it meets the picture's bottom: see `data.lane_anchors`.
    """
    values = found.detach().float().cpu().numpy()
    truths = [_lanes_of(spec, each, taken) for each in values]
    columns = np.stack([line_columns(truth, height) for truth in truths])
    return line_predictions(columns.astype(np.float32), found.device)


def line_predictions(columns: NDArray[np.float32], device: torch.device) -> Predictions:
    """Return `lines`, `lines_std` and `lines_there` of (B, LINES, ROWS) column / width, NaN where there is none."""
    there = np.isfinite(columns)
    lines = torch.as_tensor(np.where(there, columns, 0.5).astype(np.float32), device=device)
    logits = torch.as_tensor(np.where(there, _SURE, -_SURE).astype(np.float32), device=device)
    return {"lines": lines, "lines_std": torch.zeros_like(lines), "lines_there": logits}


def _lanes_of(spec: OutputSpec, values: NDArray[np.float32], taken: Size) -> LaneTruth:
    """Return the lanes of one picture."""
    height, width = taken
    if spec.form == "masks":
        return _of_masks(spec, values)
    across, down = (1.0, 1.0) if spec.unit == "px" else (width, height)
    if spec.form == "columns":
        rows = np.array(spec.rows, np.float64) * down - 0.5
        _expect(values, values.ndim == 2 and values.shape[1] == len(rows), f"(B, L, {len(rows)}), one column a row")
        columns = np.where(np.isfinite(values) & (values >= 0), values * across - 0.5, -2.0)
        return LaneTruth(tuple(columns.astype(np.float64)), rows, width, height)
    _expect(values, values.ndim == 3 and values.shape[2] == 2, "(B, L, P, 2), columns and rows")
    points = [each[(np.isfinite(each) & (each >= 0)).all(axis=1)].astype(np.float64) for each in values]
    scaled = [each * [across, down] - 0.5 for each in points if len(each) > 1]
    return LaneTruth(tuple(scaled), None, width, height)


def _of_masks(spec: OutputSpec, values: NDArray[np.float32]) -> LaneTruth:
    _expect(values, values.ndim == 3, "(B, L, H, W)")
    if spec.background is None:
        masks = values > spec.threshold
    else:
        _expect(values, spec.background < len(values), f"more than background = {spec.background} channels")
        winner = values.argmax(axis=0)
        masks = np.stack([winner == i for i in range(len(values)) if i != spec.background])
    points = [mask_points(mask) for mask in masks]
    height, width = values.shape[1:]
    return LaneTruth(tuple(each for each in points if len(each) > 1), None, width, height)


def _expect(values: NDArray[np.float32], fits: bool, expected: str) -> None:
    if not fits:
        raise DriveRLError(f"has shape (B, {', '.join(map(str, values.shape))}): expected {expected}; fix: its form")


def _shaped(found: Tensor, shape: tuple[int, ...], what: str) -> Tensor:
    """Return (B, *shape) of a tensor that may have axes of length 1 beside."""
    flat = found.reshape(len(found), -1)
    if flat.shape[1] != shape[0]:
        raise DriveRLError(
            f"has shape {tuple(found.shape)}: {what} expects (B, {shape[0]}); fix: `fields` names what its columns are"
        )
    return flat
