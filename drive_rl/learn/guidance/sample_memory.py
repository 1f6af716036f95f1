"""The latest pictures with their true lane states, to train a lane network on. It knows arrays, not networks."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from drive_rl.errors import DriveRLError
from drive_rl.learn.guidance.lane_net import LANE_STATE
from drive_rl.run.storage.arrays import read_arrays
from drive_rl.run.storage.manifest import FIX
from drive_rl.sim.state import Expected, check_array


class Samples(NamedTuple):
    """Pictures (N, C, H, W) uint8 and their true lane states (N, fields) float32, scaled as `LANE_STATE`."""

    pictures: np.ndarray
    truths: np.ndarray


class SampleMemory:
    """A ring of samples on a device: the newest replace the oldest.

    Args:
        capacity: How many samples are kept.
        picture_shape: (C, H, W).
        device: Where they are kept.
    """

    def __init__(self, capacity: int, picture_shape: tuple[int, ...], device: torch.device) -> None:
        self.seen = 0
        """Samples ever added."""
        self._capacity = capacity
        self._pictures = torch.zeros((capacity, *picture_shape), dtype=torch.uint8, device=device)
        self._truths = torch.zeros((capacity, *LANE_STATE.shape), device=device)

    def __len__(self) -> int:
        return min(self.seen, self._capacity)

    def add(self, pictures: Tensor, truths: Tensor) -> None:
        """Keep samples; of more than fit, the last."""
        skipped = max(0, len(pictures) - self._capacity)
        at = (self.seen + skipped) % self._capacity
        wrap = skipped + min(len(pictures) - skipped, self._capacity - at)  # from here on, at the ring's start
        for kept, new in ((self._pictures, pictures), (self._truths, truths)):
            kept[at : at + wrap - skipped], kept[: len(new) - wrap] = new[skipped:wrap], new[wrap:]
        self.seen += len(pictures)

    def take(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return copies of some pictures and of their true lane states."""
        return self._pictures.index_select(0, rows), self._truths[rows]

    def write(self, path: Path) -> None:
        """Write the samples as npz."""
        kept = len(self)
        arrays = {"pictures": self._pictures[:kept].cpu().numpy(), "truths": self._truths[:kept].cpu().numpy()}
        np.savez(path, allow_pickle=False, **arrays)

    def read(self, path: Path, seen: int) -> Samples:
        """Return what `write` wrote of a memory like this one after `seen` samples.

        Raises:
            DriveRLError: the file is damaged, or is of another memory.
        """
        arrays = read_arrays(path)
        kept, shape = min(seen, self._capacity), tuple(self._pictures.shape[1:])
        found = arrays.get("pictures", np.empty(0)).shape
        if found != (kept, *shape) or arrays.keys() != {"pictures", "truths"}:
            raise DriveRLError(
                f"{path}: holds {', '.join(arrays)} with pictures {found}, but this driver keeps {kept} of {shape} and"
                " their truths; fix: resume with the run's own spec.yaml"
            )
        check_array(f"{path}: pictures", arrays["pictures"], Expected(found, np.uint8), FIX)
        check_array(f"{path}: truths", arrays["truths"], Expected((kept, *LANE_STATE.shape), np.float32), FIX)
        return Samples(arrays["pictures"], arrays["truths"])

    def restore(self, samples: Samples | None, seen: int) -> None:
        """Hold what `read` returned; None: nothing."""
        self.seen = seen if samples is not None else 0
        if samples is not None:
            kept, device = len(samples.pictures), self._pictures.device
            self._pictures[:kept] = torch.as_tensor(samples.pictures, device=device)
            self._truths[:kept] = torch.as_tensor(samples.truths, device=device)
