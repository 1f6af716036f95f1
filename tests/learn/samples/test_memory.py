"""The ring of samples; tests/learn/guidance/test_wrapper.py fills it from environments."""

from pathlib import Path

import numpy as np
import pytest
import torch

from drive_rl.errors import DriveRLError
from drive_rl.learn.samples.memory import SampleMemory

CPU = torch.device("cpu")
FIELDS = 3


def memory_of(capacity: int, *batches: int) -> SampleMemory:
    """Return a memory that was given batches of these sizes; the n-th sample holds n."""
    memory, first = SampleMemory(capacity, (1, 2, 2), FIELDS, CPU), 0
    for count in batches:
        memory.add(*samples(first, count))
        first += count
    return memory


def samples(first: int, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    numbers = torch.arange(first, first + count)
    pictures = numbers[:, None, None, None].expand(-1, 1, 2, 2).to(torch.uint8).clone()
    return pictures, numbers[:, None].expand(-1, FIELDS).float()


def held(memory: SampleMemory) -> list[int]:
    pictures, truths = memory.take(torch.arange(len(memory)))
    assert torch.equal(pictures[:, 0, 0, 0].float(), truths[:, 0])
    return sorted(pictures[:, 0, 0, 0].tolist())


@pytest.mark.parametrize(
    ("batches", "expected"), [((3,), [0, 1, 2]), ((3, 3), [2, 3, 4, 5]), ((9,), [5, 6, 7, 8]), ((2, 9), [7, 8, 9, 10])]
)
def test_the_newest_replace_the_oldest(batches: tuple[int, ...], expected: list[int]) -> None:
    memory = memory_of(4, *batches)
    assert held(memory) == expected
    assert memory.seen == sum(batches)


def test_what_is_taken_is_a_copy() -> None:
    memory = memory_of(4, 4)
    pictures, truths = memory.take(torch.tensor([0, 0]))
    pictures[:], truths[:] = 99, 99
    assert held(memory) == [0, 1, 2, 3]


def test_what_comes_in_while_someone_reads_waits() -> None:
    memory, (pictures, targets) = memory_of(4, 3), samples(3, 2)
    memory.hold()
    memory.add(pictures, targets)
    pictures[:] = 99  # whose it is may write to it again
    memory.add(*samples(5, 2))
    assert held(memory) == [0, 1, 2]
    assert memory.seen == 3
    assert memory.newest_targets(2)[:, 0].tolist() == [5, 6]
    memory.release()
    assert held(memory) == [3, 4, 5, 6]
    assert memory.seen == 7
    assert memory.newest_targets(2)[:, 0].tolist() == [5, 6]


def test_what_is_written_is_restored(tmp_path: Path) -> None:
    path, memory = tmp_path / "samples.npz", memory_of(4, 3, 3)
    memory.write(path)
    other = SampleMemory(4, (1, 2, 2), FIELDS, CPU)
    other.restore(other.read(path, memory.seen), memory.seen)
    assert held(other) == held(memory)
    assert other.seen == 6
    with pytest.raises(DriveRLError, match=r"samples\.npz: holds .* but this driver keeps 2 of"):
        SampleMemory(2, (1, 2, 2), FIELDS, CPU).read(path, memory.seen)
    other.restore(None, 6)
    assert (len(other), other.seen) == (0, 0)
    assert np.load(path)["targets"].shape == (4, FIELDS)
