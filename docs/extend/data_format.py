"""A data format of one's own: `images/NAME.png`, and beside each a mask of class indices, `masks/NAME.png`."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from drive_rl import extend
from drive_rl.perception.data.records import BadRecord, Record, Skipped


def read_mask(path: Path, width: int, height: int) -> np.ndarray:
    mask = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if mask is None or mask.shape != (height, width):
        raise BadRecord(f"no mask of {width}x{height} px: {path}")
    return mask


@extend.data_format("image_mask_pairs", files="pairs of images/NAME.png and masks/NAME.png")
class ImageMaskPairs:
    @staticmethod
    def detect(folder: Path) -> dict[str, list[Path]]:
        return {"train": [folder / "masks"]} if any(folder.glob("masks/*.png")) else {}

    @staticmethod
    def read(folder: Path, files: list[Path], skipped: Skipped) -> Iterator[Record]:
        for mask in sorted(path for masks in files for path in masks.glob("*.png")):
            image = folder / "images" / mask.name
            if image.is_file():
                yield Record(mask.name, image, classes=partial(read_mask, mask))
            else:
                skipped.add(mask.name, "no picture")
