"""Where a model looks, as pictures: stills side by side, or a film along a road; and its score. Knows no training."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from drive_rl.errors import DriveRLError
from drive_rl.perception.frames import Frames
from drive_rl.perception.rendered import drive_by, held_out
from drive_rl.perception.saliency import (
    SCALARS,
    Share,
    grad_cam,
    integrated_gradients,
    on_markings,
    overlay,
    visual_backprop,
)
from drive_rl.perception.trained import Trained
from drive_rl.report.canvas import blank, write
from drive_rl.report.writers import film_writer
from drive_rl.run.files import write_bytes
from drive_rl.spec import SPLITS, Split

_TILE_PX = 320
_GAP_PX = 8
_HEAD_PX = 28
_NEEDS = {"offset": "lane", "heading": "lane", "ego_lane": "segmentation"}

Saliency = NDArray[np.float32]


@dataclass(frozen=True)
class Looked:
    """How much of a model's looking is on lane markings, mean over pictures."""

    saliency: float  # share of the saliency that lies on markings
    pixels: float  # share of the pixels that do

    @property
    def lift(self) -> float:
        """How many times as often as chance."""
        return self.saliency / self.pixels


def look(
    trained: Trained, split: Split, count: int, scalar: str, out: Path, overwrite: bool = False
) -> dict[str, Looked]:
    """Write where a model looks to `out`; return for each method how much of that is on lane markings.

    Args:
        trained: The model.
        split: Which roads: stills of the first ones, a film of the first one.
        count: Pictures.
        scalar: A key of `saliency.SCALARS`: the output that is explained. VisualBackProp explains none.
        out: `.png` for stills; `.mp4` or `.gif` for a film.
        overwrite: Whether an existing file is replaced.

    Raises:
        DriveRLError: the model does not tell the scalar, or `out` has another suffix or exists.
    """
    if _NEEDS[scalar] not in trained.spec.model.heads:
        raise DriveRLError(
            f"{trained.name}: has the heads {', '.join(trained.spec.model.heads)}, and {scalar} needs"
            f" {_NEEDS[scalar]}; mend: --scalar {'ego_lane' if scalar != 'ego_lane' else 'offset'}, or another model"
        )
    if out.suffix not in (".png", ".mp4", ".gif"):
        raise DriveRLError(f"{out}: expected .png for stills, or .mp4 or .gif for a film")
    still = out.suffix == ".png"
    world, data = trained.spec.world, trained.spec.data
    frames = held_out(world, data, split, count) if still else drive_by(world, SPLITS[split][0], count)
    maps = _maps(trained, frames, scalar)
    rows = [_row(trained, frames, maps, i) for i in range(len(frames))]
    if still:
        write_bytes(out, cv2.imencode(".png", np.vstack(rows)[:, :, ::-1])[1].tobytes())
    else:
        with film_writer(out, world.task.control_hz, overwrite) as film:
            film.begin_episode()
            for row in rows:
                film.add(row)
    return {name: _mean(on_markings(each, frames.classes)) for name, each in maps.items()}


def _mean(share: Share) -> Looked:
    """Return the mean over the pictures that have markings."""
    return Looked(float(np.nanmean(share.saliency)), float(np.nanmean(share.pixels)))


def _maps(trained: Trained, frames: Frames, scalar: str) -> dict[str, Saliency]:
    model, asked = trained.model, SCALARS[scalar]
    methods: dict[str, Callable[[torch.Tensor], Saliency]] = {
        "integrated gradients": lambda images: integrated_gradients(model, images, asked),
        "Grad-CAM": lambda images: grad_cam(model, images, asked),
        "VisualBackProp": lambda images: visual_backprop(model, images),
    }
    parts = [torch.as_tensor(frames.images[first : first + 8]) for first in range(0, len(frames), 8)]
    return {name: np.concatenate([method(part) for part in parts]) for name, method in methods.items()}


def _row(trained: Trained, frames: Frames, maps: dict[str, Saliency], number: int) -> NDArray[np.uint8]:
    """Return a picture and its overlays side by side, each under its name."""
    planes = trained.spec.world.camera.planes
    image = frames.images[number]
    plain = overlay(image, np.zeros_like(next(iter(maps.values()))[number]), planes)
    tiles = {"picture": plain} | {name: overlay(image, each[number], planes) for name, each in maps.items()}
    height = round(_TILE_PX * image.shape[1] / image.shape[2])
    row = blank(len(tiles) * (_TILE_PX + _GAP_PX) + _GAP_PX, height + _HEAD_PX + _GAP_PX)
    for i, (name, tile) in enumerate(tiles.items()):
        left = _GAP_PX + i * (_TILE_PX + _GAP_PX)
        write(row, name, left, 20)
        row[_HEAD_PX : _HEAD_PX + height, left : left + _TILE_PX] = cv2.resize(
            tile, (_TILE_PX, height), interpolation=cv2.INTER_NEAREST
        )
    return row
