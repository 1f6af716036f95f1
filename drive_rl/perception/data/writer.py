"""Labelled pictures of a world, written as an ordinary data set: PNG, TuSimple's lanes, COCO's boxes, a manifest.

It knows the layout on disk (`data_card.py` describes it). It knows no model.
"""

import csv
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypedDict

import cv2
import numpy as np
from numpy.typing import NDArray

from drive_rl.config.specs.base import SPLITS, Split
from drive_rl.config.specs.perception import DataSpec
from drive_rl.config.specs.world import WorldSpec
from drive_rl.errors import DriveRLError
from drive_rl.perception.data.data_card import data_card
from drive_rl.perception.data.data_set_files import CocoAnnotation, CocoImage, new_data_set, write_manifest, write_png
from drive_rl.perception.data.formats.drive_rl_format import KIND
from drive_rl.perception.data.rendered_dataset import check_rendered, road_samples
from drive_rl.perception.data.samples import LANE_FIELDS, WEATHER, Samples, anchor_rows
from drive_rl.run.storage.atomic import write_json, write_text
from drive_rl.sim.sensors.renderer import CLASSES, VEHICLE

_COLUMN_DECIMALS, _ROW_DECIMALS = 3, 6  # of a pixel; far away, a line moves many columns in a row
_FEWEST_ROWS = 2  # of a lane


def write_data(
    world: WorldSpec,
    data: DataSpec,
    split: Split,
    samples: int,
    out: Path,
    overwrite: bool = False,
    progress: Callable[[int], None] = lambda more: None,
) -> Path:
    """Write `samples` labelled pictures of the first roads of a split, whole or not at all; return the folder.

    The same arguments give the same bytes, and picture n is the same in larger and smaller data sets.

    Args:
        world: The world.
        data: How poses are drawn, and how many for each road; it names no other worlds.
        split: Which roads.
        samples: How many pictures.
        out: The folder.
        overwrite: Whether a data set of ours that is there is replaced; nothing else ever is.
        progress: Called with the number of pictures just written.

    Raises:
        DriveRLError: the split has too few roads, the world is not for the `field` renderer, something else is at
            `out`, or the disk is full.
    """
    assert not data.worlds, "a data set is of one world"
    out = out.absolute()
    check_rendered(world)
    if world.camera.frame_ages is not None:
        raise DriveRLError(
            f"world.camera.frame_ages = {list(world.camera.frame_ages)}: a data set holds the pictures 1, 2, ... steps"
            " before; fix: world.camera.frame_ages=null world.camera.frame_stack=N, up to 16"
        )
    seeds = SPLITS[split][: math.ceil(samples / data.per_road)]
    if not 1 <= samples <= len(SPLITS[split]) * data.per_road:
        raise DriveRLError(
            f"{samples} pictures of split {split}: it has {len(SPLITS[split])} roads, of {data.per_road} pictures each;"
            f" fix: 1 to {len(SPLITS[split]) * data.per_road} pictures, or more of each road"
        )
    with new_data_set(out, overwrite) as new:
        written = _Written(new, world)
        for seed in seeds:
            left = min(data.per_road, samples - written.count)
            written.add(road_samples(world, data, seed, data.per_road).take(slice(0, left)))
            progress(left)
        written.finish()
        write_text(new / "README.md", data_card(world, split, samples, len(seeds), written.boxes))
        facts = {"split": split, "count": samples, "seeds": list(seeds), "classes": list(CLASSES)}
        write_manifest(new, KIND, world, {**facts, "data": data.model_dump(mode="json")})
    return out


def boxes_of(classes: NDArray[np.uint8]) -> list[tuple[list[int], int]]:
    """Return box [x, y, width, height] and area [px] of each connected patch (8 neighbours) of vehicle pixels.

    Vehicles that touch in the picture are one patch.
    """
    vehicles = (classes == VEHICLE).astype(np.uint8)
    _, _, stats, _ = cv2.connectedComponentsWithStats(vehicles, connectivity=8)
    return [([int(value) for value in row[:4]], int(row[cv2.CC_STAT_AREA])) for row in stats[1:]]  # 0: all the rest


class _TuSimpleLabel(TypedDict):
    raw_file: str
    h_samples: list[float]
    lanes: list[list[float]]
    slots: list[int]


class _Written:
    """A data set that grows picture by picture."""

    def __init__(self, folder: Path, world: WorldSpec) -> None:
        self._folder, self._camera, self._tiers = folder, world.camera, sorted(world.road.tiers)
        self._images: list[CocoImage] = []
        self._annotations: list[CocoAnnotation] = []
        self._lanes: list[str] = []
        self._states: list[list[Any]] = []
        self._rows = np.round(anchor_rows(world.camera.height_px) - 0.5, _ROW_DECIMALS)
        for name in ("images", "masks", *(["earlier"] if world.camera.frame_stack > 1 else [])):
            (folder / name).mkdir()

    @property
    def count(self) -> int:
        """Pictures so far."""
        return len(self._images)

    @property
    def boxes(self) -> int:
        """Boxes so far."""
        return len(self._annotations)

    def add(self, samples: Samples) -> None:
        """Write pictures and masks, and keep the other labels for `finish`."""
        for row in range(len(samples)):
            name = f"{self.count:06d}"
            self._pictures(name, samples.images[row])
            write_png(self._folder / "masks" / f"{name}.png", samples.classes[row])
            self._boxes(name, samples.classes[row])
            self._lanes.append(json.dumps(self._lanes_of(name, samples.lines[row])))
            tier, kind = samples.scene[row]
            lane = [f"{value:.9g}" for value in samples.lane[row]]  # gives the same float32 again
            place = [f"images/{name}.png", samples.seeds[row], self._tiers[tier], WEATHER[kind]]
            self._states.append([*place, *lane])

    def finish(self) -> None:
        """Write the labels that are one file for all pictures."""
        write_text(self._folder / "lanes.json", "".join(f"{line}\n" for line in self._lanes))
        categories = [{"id": VEHICLE, "name": CLASSES[VEHICLE]}]
        boxes = {"images": self._images, "annotations": self._annotations, "categories": categories}
        write_json(self._folder / "boxes.json", boxes)
        with (self._folder / "states.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["image", "seed", "tier", "weather", *LANE_FIELDS])
            writer.writerows(self._states)

    def _pictures(self, name: str, stack: NDArray[np.uint8]) -> None:
        """Write the newest picture, and the `k` steps earlier ones as earlier/NAME/k.png."""
        newest, *earlier = stack.reshape(-1, self._camera.planes, *stack.shape[1:])[::-1]
        write_png(self._folder / "images" / f"{name}.png", np.moveaxis(newest, 0, 2))
        if earlier:
            (self._folder / "earlier" / name).mkdir()
        for back, picture in enumerate(earlier, start=1):
            write_png(self._folder / "earlier" / name / f"{back:02d}.png", np.moveaxis(picture, 0, 2))

    def _lanes_of(self, name: str, lines: NDArray[np.float32]) -> _TuSimpleLabel:
        """Return TuSimple's object of a picture: columns count from the centre of the first pixel, as OpenCV's do."""
        slots = [slot for slot, line in enumerate(lines) if np.isfinite(line).sum() >= _FEWEST_ROWS]
        columns = np.maximum(lines[slots].astype(np.float64) * self._camera.width_px - 0.5, 0)
        lanes = np.where(np.isnan(columns), -2, np.round(columns, _COLUMN_DECIMALS)).tolist()
        return _TuSimpleLabel(
            raw_file=f"images/{name}.png",
            h_samples=self._rows.tolist(),
            lanes=[[-2 if x == -2 else x for x in lane] for lane in lanes],
            slots=slots,
        )

    def _boxes(self, name: str, classes: NDArray[np.uint8]) -> None:
        height, width = classes.shape
        number = self.count + 1
        self._images.append(CocoImage(id=number, file_name=f"images/{name}.png", width=width, height=height))
        for box, area in boxes_of(classes):
            self._annotations.append(
                CocoAnnotation(id=self.boxes + 1, image_id=number, category_id=VEHICLE, bbox=box, area=area, iscrowd=0)
            )
