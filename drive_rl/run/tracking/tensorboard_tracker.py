"""TensorBoard's events under `RUN/tensorboard`. It knows TensorBoard's file format, not what the numbers mean.

The events are not written by torch's `SummaryWriter`, which writes in its own thread every 120 s, prints a traceback
when the disk is full, and does not notice that its file was deleted.
"""
# pyright: reportAttributeAccessIssue=false
# (protobuf makes its classes at import)

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.summary.writer.record_writer import RecordWriter

from drive_rl.run.folder import RunFolder
from drive_rl.run.storage.atomic import explain_disk_errors


class TensorBoardTracker:
    """TensorBoard events of one process (a `Backend`). Films and models are recorded by their path.

    Raises:
        DriveRLError: the folder cannot be written.
    """

    name = "TensorBoard"
    close_s = 60.0

    def __init__(self, run: RunFolder, config: Mapping[str, object]) -> None:
        folder = run.path / "tensorboard"
        with explain_disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self._older = list(folder.glob("events.out.tfevents.*"))
            self._path = folder / f"events.out.tfevents.{time.time_ns() / 1e9:020.9f}.{os.getpid()}"
            self._file = self._path.open("xb")
            self._writer = RecordWriter(self._file)
            self._write(Event(file_version="brain.Event:2"))
            self._write(_text("config", f"```json\n{json.dumps(config, indent=2, default=str)}\n```"))

    def log(self, scalars: dict[str, float], step: int) -> None:
        """Write scalars."""
        values = [Summary.Value(tag=name, simple_value=value) for name, value in scalars.items()]
        self._write(Event(summary=Summary(value=values), step=step))

    def film(self, path: Path, step: int) -> None:
        """Write the film's path."""
        self._write(_text("film", str(path), step))

    def model(self, folder: Path, name: str) -> None:
        """Write the model's path."""
        self._write(_text(f"model/{name}", str(folder)))

    def replace_older(self) -> None:
        """Delete the events of earlier processes."""
        for path in self._older:
            path.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def abandon(self) -> None:
        """Do nothing: there is no process or thread."""

    def _write(self, event: Event) -> None:
        """Write an event to the file, which must still exist."""
        event.wall_time = time.time()
        self._writer.write(event.SerializeToString())
        self._writer.flush()
        self._path.stat()


def _text(tag: str, text: str, step: int = 0) -> Event:
    """Make an event of Markdown for TensorBoard's text page."""
    metadata = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="text"))
    shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=1)])
    tensor = TensorProto(dtype="DT_STRING", string_val=[text.encode()], tensor_shape=shape)
    return Event(
        summary=Summary(value=[Summary.Value(tag=f"{tag}/text_summary", metadata=metadata, tensor=tensor)]), step=step
    )
