"""The latest pictures with their targets, to train a network on. It knows arrays, not networks."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from drive_rl.errors import DriveRLError
from drive_rl.run.storage.arrays import read_arrays
from drive_rl.run.storage.manifest import FIX
from drive_rl.sim.state import Expected, check_array


class Samples(NamedTuple):
    """Pictures (N, C, H, W) uint8 and their targets (N, fields) float32."""

    pictures: np.ndarray
    targets: np.ndarray


class SampleMemory:
    """A ring of samples on a device: the newest replace the oldest.

    Args:
        capacity: How many samples are kept.
        picture_shape: (C, H, W).
        fields: How many numbers a target has.
        device: Where they are kept.
    """

    def __init__(self, capacity: int, picture_shape: tuple[int, ...], fields: int, device: torch.device) -> None:
        self.seen = 0
        """Samples ever added."""
        self._capacity = capacity
        self._pictures = torch.zeros((capacity, *picture_shape), dtype=torch.uint8, device=device)
        self._targets = torch.zeros((capacity, fields), device=device)
        self._waiting: list[tuple[Tensor, Tensor]] | None = None  # what came in since `hold`

    def __len__(self) -> int:
        return min(self.seen, self._capacity)

    def hold(self) -> None:
        """Stay as it is, for someone reads it meanwhile: what is added from now on waits for `release`."""
        self._waiting = []

    def release(self) -> None:
        """Keep what has waited."""
        waiting, self._waiting = self._waiting or [], None
        for pictures, targets in waiting:
            self.add(pictures, targets)

    def add(self, pictures: Tensor, targets: Tensor) -> None:
        """Keep samples; of more than fit, the last."""
        if self._waiting is not None:
            self._waiting.append((pictures.clone(), targets.clone()))
            return
        skipped = max(0, len(pictures) - self._capacity)
        at = (self.seen + skipped) % self._capacity
        wrap = skipped + min(len(pictures) - skipped, self._capacity - at)  # from here on, at the ring's start
        for kept, new in ((self._pictures, pictures), (self._targets, targets)):
            kept[at : at + wrap - skipped], kept[: len(new) - wrap] = new[skipped:wrap], new[wrap:]
        self.seen += len(pictures)

    def take(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return copies of some pictures and of their targets."""
        return self._pictures.index_select(0, rows), self._targets[rows]

    def newest_targets(self, count: int) -> Tensor:
        """Return the targets of the samples added last, at one time, (count, fields), oldest first."""
        if self._waiting:
            return self._waiting[-1][1][-count:]
        rows = torch.arange(self.seen - count, self.seen, device=self._targets.device) % self._capacity
        return self._targets[rows]

    def write(self, path: Path) -> None:
        """Write the samples as npz."""
        kept = len(self)
        arrays = {"pictures": self._pictures[:kept].cpu().numpy(), "targets": self._targets[:kept].cpu().numpy()}
        np.savez(path, allow_pickle=False, **arrays)

    def read(self, path: Path, seen: int) -> Samples:
        """Return what `write` wrote of a memory like this one after `seen` samples.

        Raises:
            DriveRLError: the file is damaged, or is of another memory.
        """
        arrays = read_arrays(path)
        kept, shape = min(seen, self._capacity), tuple(self._pictures.shape[1:])
        found = arrays.get("pictures", np.empty(0)).shape
        if found != (kept, *shape) or arrays.keys() != {"pictures", "targets"}:
            raise DriveRLError(
                f"{path}: holds {', '.join(arrays)} with pictures {found}, but this driver keeps {kept} of {shape} and"
                " their targets; fix: resume with the run's own spec.yaml"
            )
        check_array(f"{path}: pictures", arrays["pictures"], Expected(found, np.uint8), FIX)
        targets = Expected((kept, self._targets.shape[1]), np.float32)
        check_array(f"{path}: targets", arrays["targets"], targets, FIX)
        return Samples(arrays["pictures"], arrays["targets"])

    def restore(self, samples: Samples | None, seen: int) -> None:
        """Hold what `read` returned; None: nothing."""
        self.seen = seen if samples is not None else 0
        if samples is not None:
            kept, device = len(samples.pictures), self._pictures.device
            self._pictures[:kept] = torch.as_tensor(samples.pictures, device=device)
            self._targets[:kept] = torch.as_tensor(samples.targets, device=device)
