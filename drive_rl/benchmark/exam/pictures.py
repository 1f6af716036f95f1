"""The labelled pictures of a benchmark: taken once by the exam's camera, or read from a folder, for every model.

It knows the exam and cameras. It measures nothing.
"""

import hashlib
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from drive_rl.benchmark.exam.adapt import samples_for, with_tiers
from drive_rl.benchmark.exam.conditions import Exam
from drive_rl.config.specs.base import Split
from drive_rl.config.specs.car import CameraSpec
from drive_rl.config.specs.world import WorldSpec
from drive_rl.perception.data.folder_dataset import read_folder
from drive_rl.perception.data.samples import Samples
from drive_rl.perception.heads.lane_benchmarks import Truths
from drive_rl.run.storage.json_values import plain


class Pictures(NamedTuple):
    """Labelled pictures as a model's input, each one's lanes as its data set has them, and the pictures as taken."""

    samples: Samples
    truths: Truths | None
    taken: NDArray[np.uint8]
    """(N, C, H, W): what corruptions change; those of a folder are the model's input already."""
    camera: CameraSpec
    """That took them."""
    groups: tuple[str, ...]
    """The condition of each, or its scenario in a data set, or the data set's name."""


class PictureSource:
    """Pictures for one model after another; those of a camera are kept until a model of another camera comes.

    Args:
        exam: What is shown.
        split: Of which roads pictures are taken.
        most: How many are taken.
        limit: At most so many of a folder; None: all.
    """

    def __init__(self, exam: Exam, split: Split, most: int, limit: int | None) -> None:
        self._exam, self._most, self._limit = exam, most, limit
        self._split: Split = split
        self._taken: Samples | None = None
        self._for: tuple[str, Pictures] | None = None
        self.skipped: list[str] = []
        """Records of the folder that could not be read."""
        self.stamp = None if exam.data is None else _stamp(exam.data)
        """A hash that changes when a file of the folder does; None: no folder."""

    def key(self, world: WorldSpec) -> str:
        """Return what the pictures as taken depend on: of a folder, the model's camera."""
        return "exam" if self._exam.data is None else hash_of(self._of(world))

    def pictures(self, world: WorldSpec, count: int | None) -> Pictures:
        """Return `count` pictures for a model of a world: the first, or of a folder spread over all of it.

        Raises:
            DriveRLError: as `Exam.pictures` and `read_folder`.
        """
        key = hash_of(self._of(world))
        if self._for is None or self._for[0] != key:
            self._for = None  # two of them might not fit into memory
            self._for = key, self._rendered(world) if self._exam.data is None else self._read(world, self._exam.data)
        found = self._for[1]
        have = len(found.samples)
        if count is None or count >= have:
            return found
        rows = np.arange(count) if self._exam.data is None else np.arange(count) * have // count
        truths = None if found.truths is None else [found.truths[row] for row in rows.tolist()]
        groups = tuple(found.groups[row] for row in rows.tolist())
        return Pictures(found.samples.take(rows), truths, found.taken[rows], found.camera, groups)

    def _rendered(self, world: WorldSpec) -> Pictures:
        exam = self._exam
        if self._taken is None:
            self._taken = exam.pictures(self._split, self._most)
        samples = with_tiers(self._taken, exam.tiers, sorted(world.road.tiers))
        fitted, groups = samples_for(samples, exam.camera, world.camera), exam.names_of(len(samples))
        return Pictures(fitted, None, self._taken.images, exam.camera, groups)

    def _read(self, world: WorldSpec, folder: Path) -> Pictures:
        found = read_folder(folder, world, limit=self._limit)
        self.skipped = found.skipped.report()
        return Pictures(found.samples, found.truths, found.samples.images, world.camera, tuple(found.groups))

    def _of(self, world: WorldSpec) -> object:
        return [world.camera.model_dump(mode="json"), sorted(world.road.tiers)]


def hash_of(value: object) -> str:
    """Return the SHA-256 of a value as JSON."""
    return hashlib.sha256(json.dumps(plain(value), sort_keys=True).encode()).hexdigest()


def _stamp(data: Path) -> str:
    files = (path for path in sorted(data.rglob("*")) if path.is_file())
    return hash_of([[str(path.relative_to(data)), path.stat().st_size, path.stat().st_mtime_ns] for path in files])
