"""Where a recipe's pictures come from: the minibatches to learn from, and the pictures to validate on."""

from collections.abc import Callable
from typing import Protocol

from drive_rl.config.specs.perception import PerceptionSpec
from drive_rl.perception.data.rendered_dataset import RenderedSamples, held_out
from drive_rl.perception.data.samples import Samples


class Batches(Protocol):
    """Minibatches by number: any of them at any time, so that a resume needs no state of theirs."""

    def batch(self, number: int) -> Samples:
        """Return minibatch `number`."""
        ...

    def close(self) -> None:
        """Release threads and files."""
        ...


def load_batches(spec: PerceptionSpec, echo: Callable[[str], None]) -> tuple[Batches, Samples]:
    """Return the minibatches to learn from, and the validation pictures.

    Raises:
        DriveRLError: the data set cannot be used, or the world is not for the `field` renderer.
    """
    if spec.data.folder is not None:
        from drive_rl.perception.data.folder_dataset import FolderSamples

        return FolderSamples.of(spec, echo)
    batches = RenderedSamples(spec.world, spec.data, "train", spec.fit.batch_size, spec.seed)
    return batches, held_out(spec.world, spec.data, "val", spec.fit.val_samples)
