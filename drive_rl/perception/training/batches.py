"""Where a recipe's pictures come from: the minibatches to learn from, and the pictures to validate on."""

from collections.abc import Callable, Mapping
from typing import Protocol

from drive_rl.config.specs.perception import HEADS, PerceptionSpec
from drive_rl.errors import DriveRLError
from drive_rl.perception.data.rendered_dataset import RenderedSamples, held_out
from drive_rl.perception.data.samples import Samples
from drive_rl.perception.heads.head import Head
from drive_rl.perception.heads.registry import heads_of


class Batches(Protocol):
    """Minibatches by number: any of them at any time, so that a resume needs no state of theirs."""

    def batch(self, number: int) -> Samples:
        """Return minibatch `number`."""
        ...

    def close(self) -> None:
        """Release threads and files."""
        ...


def load_batches(
    spec: PerceptionSpec, heads: Mapping[str, Head], echo: Callable[[str], None]
) -> tuple[Batches, Samples]:
    """Return the minibatches to learn from, and the validation pictures.

    Args:
        spec: The recipe.
        heads: Those that learn from labels.
        echo: Prints a line.

    Raises:
        DriveRLError: the data set cannot be used or lacks the labels of a head, or the world is not for the `field`
            renderer.
    """
    batches, val = _load(spec, echo)
    try:
        _check_labels(spec, heads, val)
    except DriveRLError:
        batches.close()
        raise
    return batches, val


def _load(spec: PerceptionSpec, echo: Callable[[str], None]) -> tuple[Batches, Samples]:
    if spec.data.folder is not None:
        from drive_rl.perception.data.folder_dataset import FolderSamples

        return FolderSamples.of(spec, echo)
    batches = RenderedSamples(spec.world, spec.data, "train", spec.fit.batch_size, spec.seed)
    return batches, held_out(spec.world, spec.data, "val", spec.fit.val_samples)


def _check_labels(spec: PerceptionSpec, heads: Mapping[str, Head], samples: Samples) -> None:
    """Refuse heads that none of the pictures has a label for."""
    missing = [name for name, head in heads.items() if not head.known(samples)]
    if missing:
        every = {**heads_of(HEADS, spec.world), **heads}
        labelled = ", ".join(name for name, head in every.items() if head.known(samples))
        pictures = "rendered pictures have" if spec.data.folder is None else "the data set has"
        raise DriveRLError(
            f"{spec.data.folder or spec.world.name}: model.heads = {list(spec.model.heads)}: {pictures} no labels for"
            f" {', '.join(missing)}; fix: {f'heads among {labelled}' if labelled else 'another data set'}"
        )
