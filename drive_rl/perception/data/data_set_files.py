"""What data sets that we write share: they are there whole or not at all; PNG files, COCO's rows, hashes."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypedDict

import cv2
import numpy as np
from numpy.typing import NDArray

import drive_rl
from drive_rl.config.specs.world import WorldSpec
from drive_rl.errors import DriveRLError
from drive_rl.perception.data.formats.drive_rl_format import FORMAT, KIND, STREET_KIND
from drive_rl.run.storage.atomic import write_directory, write_json
from drive_rl.run.storage.lock import only_writer
from drive_rl.run.storage.manifest import sha256_of
from drive_rl.run.storage.scratch import sibling


class CocoImage(TypedDict):
    """A picture, as COCO has it."""

    id: int
    file_name: str
    width: int
    height: int


class CocoAnnotation(TypedDict):
    """An object in a picture, as COCO has it."""

    id: int
    image_id: int
    category_id: int
    bbox: list[int]  # left, top, width, height
    area: int
    iscrowd: int


@contextmanager
def new_data_set(out: Path, overwrite: bool) -> Iterator[Path]:
    """Yield an empty folder that becomes `out` when the block succeeds.

    Raises:
        DriveRLError: something is at `out` that is not to be replaced, another process writes there, or the disk is
            full.
    """
    _check_out(out, overwrite)
    with only_writer(sibling(out, "lock"), out), write_directory(out) as new:
        yield new


def write_png(path: Path, picture: NDArray[np.uint8] | NDArray[np.uint16]) -> None:
    """Write a picture (H, W), (H, W, 1) or (H, W, 3) RGB."""
    if picture.ndim == 3 and picture.shape[2] == 3:
        picture = picture[:, :, ::-1]  # OpenCV's order
    _, data = cv2.imencode(".png", np.ascontiguousarray(picture))
    path.write_bytes(data.tobytes())


def write_manifest(folder: Path, kind: str, world: WorldSpec, facts: Mapping[str, object]) -> None:
    """Write `manifest.json`: what a data set holds, of which world, and each file's hash. It comes last."""
    files = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        files[path.relative_to(folder).as_posix()] = {"bytes": path.stat().st_size, "sha256": sha256_of(path)}
    manifest = {
        "format": FORMAT,
        "kind": kind,
        "drive_rl": drive_rl.__version__,
        **facts,
        "world": world.model_dump(mode="json"),
        "files": files,
    }
    write_json(folder / "manifest.json", manifest)


def _check_out(out: Path, overwrite: bool) -> None:
    if not out.exists():
        return
    if not overwrite:
        raise DriveRLError(f"{out}: exists already; fix: --overwrite to replace it, or another name")
    manifest = out / "manifest.json"
    text = manifest.read_text(encoding="utf-8", errors="replace") if manifest.is_file() else ""
    ours = any(f'"kind": "{kind}"' in text for kind in (KIND, STREET_KIND))
    if not out.is_dir() or not (ours or not any(out.iterdir())):
        raise DriveRLError(f"{out}: is not a data set that drive-rl made, and is not replaced; fix: another name")
