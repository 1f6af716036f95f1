"""Data sets on disk as `Samples`: all at once to evaluate models on, or in minibatches to learn from.

It knows records and threads. It knows no format of data sets, and no model.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from drive_rl.config.specs.perception import PerceptionSpec
from drive_rl.config.specs.world import WorldSpec
from drive_rl.errors import DriveRLError
from drive_rl.perception.data.decode import decode
from drive_rl.perception.data.formats.detect import DataFolder, spread, why
from drive_rl.perception.data.records import BadRecord, LaneTruth, Part, Record, Skipped
from drive_rl.perception.data.samples import Samples

_DECODERS = 2


@dataclass(frozen=True)
class FolderData:
    """Decoded pictures of a data set. `truths`, `images`, `groups` and the rows of `samples` belong together."""

    samples: Samples
    truths: list[LaneTruth | None]  # lanes in the data set's own pixels; None where it has none
    images: list[Path]
    groups: list[str]  # each picture's scenario, or the data set's name
    skipped: Skipped
    format: str
    part: Part


def read_folder(path: Path, world: WorldSpec, format: str | None = None, limit: int | None = None) -> FolderData:
    """Return the pictures of a data set to evaluate models on, in the size and colours of a world's camera.

    Args:
        path: The folder.
        world: Its camera gives the size; its tiers of roads name those of our own data sets.
        format: Key of `detect.FORMATS`; None: detected.
        limit: At most so many pictures, spread evenly; None: all.

    Raises:
        DriveRLError: no data set, or none of its pictures can be used.
    """
    folder = DataFolder.open(path, format)
    part, records = folder.evaluation()
    found = decoded(folder, part, records, world, limit)
    count = len(found.samples)
    share = ", spread evenly" if count < len(records) and count == limit else ""
    folder.skipped.summary = (
        f"data: {path} ({folder.format}): {folder.found()}; took {count} of part {part}{share}, left out"
        f" {len(folder.skipped)}"
    )
    return found


def decoded(
    folder: DataFolder, part: Part, records: list[Record], world: WorldSpec, limit: int | None = None
) -> FolderData:
    """Return records as pictures; bad ones go to `folder.skipped`.

    Raises:
        DriveRLError: none of them can be used.
    """
    samples, truths, images, groups = [], [], [], list[str]()
    for record in spread(records, limit):
        try:
            one, truth = decode(record, world)
        except BadRecord as error:
            folder.skipped.add(record.where, error)
            continue
        samples.append(one)
        truths.append(truth)
        images.append(record.image)
        groups.append(record.scenario or folder.path.resolve().name)
    if not samples:
        raise DriveRLError(f"{folder.path}: holds no usable picture of part {part}{why(folder.skipped)}")
    return FolderData(Samples.joined(samples), truths, images, groups, folder.skipped, folder.format, part)


class FolderSamples:
    """An endless order of minibatches of records, a new permutation each epoch: nothing to save for a resume.

    A picture that turns out to be unusable is left out, and the next record takes its place.

    Args:
        records: The records to learn from.
        world: Its camera gives the size and colours.
        batch_size: Pictures of a minibatch.
        seed: Seed of the order.
        skipped: Collects unusable pictures.
        echo: Prints a line; at the end, how many were left out.
    """

    def __init__(
        self,
        records: list[Record],
        world: WorldSpec,
        batch_size: int,
        seed: int,
        skipped: Skipped,
        echo: Callable[[str], None],
    ) -> None:
        self._records, self._world, self._batch_size, self._seed = records, world, batch_size, seed
        self._skipped, self._echo, self._reported = skipped, echo, len(skipped)
        self._decoders = ThreadPoolExecutor(_DECODERS)
        self._ready: dict[int, list[Future[Samples]]] = {}
        self._orders: dict[int, NDArray[np.int64]] = {}

    @classmethod
    def of(cls, spec: PerceptionSpec, echo: Callable[[str], None] = print) -> "tuple[FolderSamples, Samples]":
        """Return what a recipe with `data.folder` learns from, and its validation pictures.

        These are the data set's own part `val`, or else its last tenth; at most `fit.val_samples` of them. Of the
        pictures to learn from, the share `data.labelled` is used, spread evenly.

        Raises:
            DriveRLError: no data set, or nothing usable in it.
        """
        assert spec.data.folder is not None, "the recipe renders its pictures"
        folder = DataFolder.open(Path(spec.data.folder), spec.data.format)
        train, val = folder.learning()
        own = "its own part val" if val is folder.parts.get("val") else "its last tenth: it has no part val"
        echo(
            f"data: {folder.path} ({folder.format}): {folder.found()}; {len(train)} pictures to learn from,"
            f" {len(val)} to validate on ({own})"
        )
        validation = decoded(folder, "val", val, spec.world, spec.fit.val_samples)
        for line in folder.skipped.report():
            echo(line)
        train = spread(train, max(1, round(len(train) * spec.data.labelled)))
        return cls(train, spec.world, spec.fit.batch_size, spec.seed, folder.skipped, echo), validation.samples

    def batch(self, number: int) -> Samples:
        """Return minibatch `number`, counted from 0.

        Raises:
            DriveRLError: none of the pictures can be used.
        """
        futures = self._ready.pop(number, None) or self._decoded(number)
        self._ready = {number + 1: self._ready.pop(number + 1, None) or self._decoded(number + 1)}
        return Samples.joined([future.result() for future in futures])

    def close(self) -> None:
        """End the threads, and report the pictures left out since the start."""
        self._decoders.shutdown(cancel_futures=True)
        if len(self._skipped) > self._reported:
            for line in self._skipped.report():
                self._echo(line)

    def _decoded(self, number: int) -> list[Future[Samples]]:
        first = number * self._batch_size
        rows = [self._row(place) for place in range(first, first + self._batch_size)]
        return [self._decoders.submit(self._usable, row) for row in rows]

    def _row(self, place: int) -> int:
        """Return the record at a place of the endless order."""
        epoch, at = divmod(place, len(self._records))
        if epoch not in self._orders:
            order = np.random.default_rng([self._seed, epoch]).permutation(len(self._records))
            self._orders = {**dict(list(self._orders.items())[-2:]), epoch: order}
        return int(self._orders[epoch][at])

    def _usable(self, row: int) -> Samples:
        for further in range(len(self._records)):
            record = self._records[(row + further) % len(self._records)]
            if record.where in self._skipped.reasons:
                continue
            try:
                return decode(record, self._world)[0]
            except BadRecord as error:
                self._skipped.add(record.where, error)
        raise DriveRLError(f"none of {len(self._records)} pictures can be used: {'; '.join(self._skipped.report(3))}")
