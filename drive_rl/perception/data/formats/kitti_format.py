"""Reading KITTI's road benchmark: `training/gt_image_2/*_road_*.png` of `training/image_2` (Fritsch, Kuehnl and Geiger
2013; cvlibs.net/datasets/kitti/eval_road.php). It knows their layout. KITTI's boxes are refused, with the reason.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from drive_rl.perception.data.decode import read_colours
from drive_rl.perception.data.records import Files, Record, Skipped
from drive_rl.perception.data.samples import UNKNOWN_CLASS
from drive_rl.sim.sensors.renderer import BACKGROUND, EGO_LANE, ROAD

FILES = "KITTI road (training/gt_image_2/*_road_*.png beside image_2)"


def detect(root: Path) -> Files:
    """Return the masks of roads, or without them the labels of boxes, of `training` or of the folder itself."""
    for folder in (root / "training", root):
        for pattern in ("gt_image_2/*_road_*.png", "label_2/*.txt"):
            if found := sorted(folder.glob(pattern)):
                return {"train": found}
    return {}


def read(root: Path, files: list[Path], skipped: Skipped) -> Iterator[Record]:
    """Give the records of masks. The ego lane is labelled in the pictures `um_*` alone, and else counts as road."""
    for path in files:
        if path.suffix == ".txt":
            skipped.add(str(path), "boxes alone: expected masks of the road, gt_image_2")
            continue
        lane = path.with_name(path.name.replace("_road_", "_lane_"))
        image = path.parent.parent / "image_2" / path.name.replace("_road_", "_")
        skipped.note(str(path.parent), "road alone: vehicles, too, count as background")
        yield Record(str(path), image, classes=partial(_classes, path, lane if lane.is_file() else None))


def _classes(road: Path, lane: Path | None, width: int, height: int) -> NDArray[np.uint8]:
    """Return classes (height, width): of a mask's colours, red is what is labelled, and blue in it the area."""
    classes = np.full((height, width), UNKNOWN_CLASS, np.uint8)
    colours = read_colours(road, width, height)
    labelled = colours[:, :, 0] > 0
    classes[labelled] = BACKGROUND
    classes[labelled & (colours[:, :, 2] > 0)] = ROAD
    if lane is not None:
        colours = read_colours(lane, width, height)
        classes[(colours[:, :, 0] > 0) & (colours[:, :, 2] > 0)] = EGO_LANE
    return classes
