"""Where a run's numbers, films and models go beside the run folder: W&B, TensorBoard, or nowhere.

It knows the trackers and the run folder. It does not know who makes the numbers, nor writes `metrics.csv`,
which the run always writes itself.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from drive_rl.errors import DriveRLError
from drive_rl.run.folder import RunFolder


class Tracker(Protocol):
    """What training tells of itself."""

    def log(self, scalars: dict[str, float], step: int) -> None:
        """Record scalars at a training step. Steps may repeat or, after a resume, go back."""
        ...

    def film(self, path: Path, step: int) -> None:
        """Record a film that lies at `path`."""
        ...

    def model(self, folder: Path, name: str) -> None:
        """Record a checkpoint folder as the model `name`."""
        ...

    def close(self) -> None:
        """Finish; a second call does nothing."""
        ...


class NoTracker:
    """Tracking off (`none`), or metrics.csv alone (`csv`)."""

    def log(self, scalars: dict[str, float], step: int) -> None:
        """Do nothing."""

    def film(self, path: Path, step: int) -> None:
        """Do nothing."""

    def model(self, folder: Path, name: str) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class TensorBoardTracker:
    """TensorBoard events under `RUN/tensorboard`. Films and models are named there by their path."""

    def __init__(self, run: RunFolder, config: dict[str, Any]) -> None:
        from torch.utils.tensorboard import SummaryWriter  # here, for it takes seconds to import

        self._writer = SummaryWriter(str(run.path / "tensorboard"))
        self._writer.add_text("config", f"```json\n{json.dumps(config, indent=2, default=str)}\n```")

    def log(self, scalars: dict[str, float], step: int) -> None:
        """Write scalars."""
        for name, value in scalars.items():
            self._writer.add_scalar(name, value, step)

    def film(self, path: Path, step: int) -> None:
        """Write the film's path."""
        self._writer.add_text("film", str(path), step)

    def model(self, folder: Path, name: str) -> None:
        """Write the model's path."""
        self._writer.add_text(f"model/{name}", str(folder))

    def close(self) -> None:
        """Flush the events to disk."""
        self._writer.close()


def make_tracker(
    kind: str,
    run: RunFolder,
    config: dict[str, Any],
    project: str = "drive-rl",
    echo: Callable[[str], None] = print,
) -> Tracker:
    """Start a tracker.

    Args:
        kind: `wandb`, `tensorboard`, `csv` or `none`.
        run: The run. Everything the tracker writes lies in its folder.
        config: The resolved spec as plain values.
        project: The W&B project.
        echo: Tells the user where the run can be seen, one line a call.

    Raises:
        DriveRLError: an unknown kind, or W&B does not start; nothing falls back in silence.
    """
    if kind == "wandb":
        from drive_rl.run.wandb_tracker import WandbTracker  # here, for wandb takes a second to import

        return WandbTracker(run, config, project, echo)
    if kind == "tensorboard":
        return TensorBoardTracker(run, config)
    if kind in ("csv", "none"):
        return NoTracker()
    raise DriveRLError(f"tracker = {kind!r}: expected wandb, tensorboard, csv or none")
