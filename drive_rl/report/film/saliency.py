"""Saliency as pictures: stills side by side, or a film along a road; and its share on markings. Knows no training."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from drive_rl.config.specs.base import SPLITS, Split
from drive_rl.errors import DriveRLError
from drive_rl.perception.data.rendered_dataset import along_road, held_out
from drive_rl.perception.data.samples import Samples
from drive_rl.perception.evaluation.saliency import (
    SCALARS,
    Share,
    grad_cam,
    integrated_gradients,
    on_markings,
    overlay,
    visual_backprop,
)
from drive_rl.perception.models.load import Fitted
from drive_rl.report.film.canvas import Box, blank, write
from drive_rl.report.film.layout import HEIGHT_PX, WIDTH_PX
from drive_rl.report.film.writers import film_writer
from drive_rl.run.storage.atomic import write_bytes

_STILL_PX = 320
_GAP_PX = 8
_HEAD_PX = 28
_NEEDS = {"offset": "lane", "heading": "lane", "ego_lane": "segmentation"}

Saliency = NDArray[np.float32]


@dataclass(frozen=True)
class MarkingSaliency:
    """How much of the saliency lies on lane markings, mean over pictures."""

    saliency: float  # share of the saliency that lies on markings
    pixels: float  # share of the pixels that do

    @property
    def lift(self) -> float:
        """The share of saliency over the share of pixels: 1 is chance."""
        return self.saliency / self.pixels


def explain(
    trained: Fitted, split: Split, count: int, scalar: str, out: Path, overwrite: bool = False
) -> dict[str, MarkingSaliency]:
    """Write saliency maps of a model's output to `out`; return for each method how much lies on lane markings.

    Args:
        trained: The model.
        split: Which roads: stills are of the first ones, a film is of the first.
        count: Pictures.
        scalar: Key of `saliency.SCALARS`, the output to explain; VisualBackProp is of the encoder alone.
        out: `.png` for stills; `.mp4` or `.gif` for a film.
        overwrite: Whether an existing file is replaced.

    Raises:
        DriveRLError: the model does not predict the scalar, or `out` has another suffix or exists.
    """
    if _NEEDS[scalar] not in trained.spec.model.heads:
        able = "".join(f"--scalar {name}, or " for name, head in _NEEDS.items() if head in trained.spec.model.heads)
        raise DriveRLError(
            f"{trained.name}: has the heads {', '.join(trained.spec.model.heads)}, and {scalar} needs"
            f" {_NEEDS[scalar]}; fix: {able}a model that predicts {_NEEDS[scalar]}"
        )
    if out.suffix not in (".png", ".mp4", ".gif"):
        raise DriveRLError(f"{out}: expected .png for stills, or .mp4 or .gif for a film; fix: such as {out.stem}.png")
    still = out.suffix == ".png"
    world, data = trained.spec.world, trained.spec.data
    samples = held_out(world, data, split, count) if still else along_road(world, SPLITS[split][0], count)
    maps = _maps(trained, samples, scalar)
    pictures = [_tiles(trained, samples, maps, i) for i in range(len(samples))]
    if still:
        sheet = np.vstack([_side_by_side(tiles, 4, _STILL_PX) for tiles in pictures])
        write_bytes(out, cv2.imencode(".png", sheet[:, :, ::-1])[1].tobytes())
    else:
        with film_writer(out, world.task.control_hz, overwrite) as film:
            film.begin_episode()
            for tiles in pictures:
                film.add(_film_frame(_side_by_side(tiles, 2, WIDTH_PX // 2)))
    return {name: _mean(on_markings(each, samples.classes)) for name, each in maps.items()}


def _mean(share: Share) -> MarkingSaliency:
    """Return the mean over the pictures that have markings."""
    return MarkingSaliency(float(np.nanmean(share.saliency)), float(np.nanmean(share.pixels)))


def _maps(trained: Fitted, samples: Samples, scalar: str) -> dict[str, Saliency]:
    model, output = trained.model, SCALARS[scalar]
    methods: dict[str, Callable[[torch.Tensor], Saliency]] = {
        "integrated gradients": lambda images: integrated_gradients(model, images, output),
        "Grad-CAM": lambda images: grad_cam(model, images, output),
        "VisualBackProp": lambda images: visual_backprop(model, images),
    }
    parts = [torch.as_tensor(samples.images[first : first + 8]) for first in range(0, len(samples), 8)]
    return {name: np.concatenate([method(part) for part in parts]) for name, method in methods.items()}


def _tiles(trained: Fitted, samples: Samples, maps: dict[str, Saliency], number: int) -> dict[str, NDArray[np.uint8]]:
    """Return a picture and its overlays by name."""
    image, planes = samples.images[number], trained.spec.world.camera.planes
    plain = overlay(image, np.zeros(image.shape[1:], np.float32), planes)
    return {"picture": plain} | {name: overlay(image, each[number], planes) for name, each in maps.items()}


def _side_by_side(tiles: dict[str, NDArray[np.uint8]], columns: int, width_px: int) -> NDArray[np.uint8]:
    """Return pictures in rows of so many columns, each under its name."""
    height_px = max(round(width_px * tile.shape[0] / tile.shape[1]) for tile in tiles.values())
    across, down = width_px + _GAP_PX, height_px + _HEAD_PX + _GAP_PX
    sheet = blank(columns * across + _GAP_PX, -(-len(tiles) // columns) * down)
    for i, (name, tile) in enumerate(tiles.items()):
        left, top = _GAP_PX + i % columns * across, i // columns * down
        write(sheet, name, left, top + 20)
        larger = cv2.resize(tile, (width_px, height_px), interpolation=cv2.INTER_NEAREST)
        sheet[top + _HEAD_PX : top + _HEAD_PX + height_px, left : left + width_px] = larger
    return sheet


def _film_frame(sheet: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a sheet in the middle of a film's frame, as large as fits."""
    frame = blank(WIDTH_PX, HEIGHT_PX)
    box = Box(0, 0, WIDTH_PX, HEIGHT_PX).fitted(sheet.shape[1], sheet.shape[0])
    box.of(frame)[:] = cv2.resize(sheet, (box.width, box.height), interpolation=cv2.INTER_AREA)
    return frame
