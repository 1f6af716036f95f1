"""The manifest of a checkpoint: its files, their sizes and SHA-256.

It knows files and hashes. It does not know what the files hold.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from drive_rl.errors import DriveRLError
from drive_rl.run.storage.atomic import read_json, require_file, settle, write_json
from drive_rl.run.storage.schema import Table, check_table

FORMAT = 1
DRIVERS = ("PPO", "RecurrentPPO", "DQN", "QRDQN", "SAC", "Dagger")
ALGORITHMS = (*DRIVERS, "perception")
"""The algorithms that weights may come from."""
Count = Annotated[int, Field(ge=0, le=10**15)]
"""A number of steps, pictures or rows; the limit is above that of any run."""
FIX = "fix: take another checkpoint of the run, or train again"
_RENAMED = {"num_frames": "num_samples", "look": "validation"}
"""Keys of perception models' manifests that have new names."""
RESUMABLE = ("weights.safetensors", "optimizer.safetensors", "optimizer.json", "counters.json")
"""The files of every checkpoint that training resumes from."""


class FileEntry(Table):
    """A file's size and hash."""

    bytes: int = Field(ge=0)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class Manifest(Table):
    """What the manifests of all checkpoints hold."""

    format: int
    algorithm: str
    files: dict[str, FileEntry]


class DriverManifest(Manifest):
    """The manifest of a driver's checkpoint."""

    num_timesteps: Count
    exact: bool = False  # an exported driver cannot be resumed from


class ModelManifest(Manifest):
    """The manifest of a perception model's checkpoint."""

    num_samples: Count
    validation: Count = 0  # its number, counted from 1


def write_manifest(folder: Path, head: Mapping[str, str | int]) -> None:
    """Write `manifest.json` of all files in `folder`; `head` comes before the list of files."""
    paths = sorted(folder.iterdir())
    files = {path.name: {"bytes": path.stat().st_size, "sha256": sha256_of(path)} for path in paths}
    write_json(folder / "manifest.json", {"format": FORMAT, **head, "files": files})


def verify(folder: Path, needed: tuple[str, ...] = RESUMABLE, algorithms: tuple[str, ...] = ALGORITHMS) -> Manifest:
    """Check every file of a checkpoint against its manifest, and return the manifest.

    Args:
        folder: The checkpoint.
        needed: Files that the manifest must list.
        algorithms: The algorithms that the weights may come from.

    Raises:
        DriveRLError: not a checkpoint, or a file that is missing, cut short or edited.
    """
    folder = Path(folder)
    settle(folder)
    path = folder / "manifest.json"
    if not path.is_file():
        raise DriveRLError(
            f"{folder}: not a checkpoint: manifest.json not found; fix: give a checkpoint folder such as RUN/best"
        )
    manifest = _read(path, needed, algorithms)
    for name, entry in manifest.files.items():
        _check_file(folder / name, entry)
    return manifest


def verify_driver(folder: Path, needed: tuple[str, ...] = RESUMABLE) -> DriverManifest:
    """Check a driver's checkpoint; as `verify`."""
    manifest = verify(folder, needed, DRIVERS)
    assert isinstance(manifest, DriverManifest), "checked"
    return manifest


def verify_model(folder: Path, needed: tuple[str, ...] = RESUMABLE) -> ModelManifest:
    """Check a perception model's checkpoint; as `verify`."""
    manifest = verify(folder, needed, ("perception",))
    assert isinstance(manifest, ModelManifest), "checked"
    return manifest


def _read(path: Path, needed: tuple[str, ...], algorithms: tuple[str, ...]) -> DriverManifest | ModelManifest:
    """Return a manifest, once this version can read it."""
    manifest = read_json(path, FIX)
    found = manifest.get("format") if isinstance(manifest, dict) else None
    if found != FORMAT or type(found) is not int:
        raise DriveRLError(f"{path}: format = {found!r}: expected {FORMAT}; fix: use the drive-rl that wrote it")
    files = manifest.get("files")
    if not isinstance(files, dict) or not all(_is_entry(name, entry) for name, entry in files.items()):
        raise DriveRLError(f"{path}: files: expected file names with `bytes` and `sha256`; {FIX}")
    if absent := [name for name in needed if name not in files]:
        raise DriveRLError(f"{path}: files: {', '.join(absent)} not listed: the manifest was edited; {FIX}")
    if manifest.get("algorithm") not in list(algorithms):  # a list also compares unhashable values
        raise DriveRLError(
            f"{path}: algorithm = {manifest.get('algorithm')!r}: expected"
            f" {', '.join(algorithms[:-1])}{' or ' * (len(algorithms) > 1)}{algorithms[-1]}; {FIX}"
        )
    for old, new in _RENAMED.items():
        if old in manifest:
            raise DriveRLError(f"{path}: {old}: is now {new}; fix: rename the key in this file, or fit again")
    kind = ModelManifest if manifest["algorithm"] == "perception" else DriverManifest
    return check_table(path, manifest, kind, FIX)


def _is_entry(name: str, entry: Any) -> bool:
    return (
        Path(name).name == name and "\0" not in name and isinstance(entry, dict) and entry.keys() == {"bytes", "sha256"}
    )


def _check_file(path: Path, expected: FileEntry) -> None:
    try:
        require_file(path, f"the checkpoint's manifest lists it; {FIX}")
        size = path.stat().st_size
        found = sha256_of(path) if size == expected.bytes else ""
    except OSError as error:
        raise DriveRLError(f"{path}: cannot be read ({error.strerror}); {FIX}") from error
    if size != expected.bytes:
        raise DriveRLError(
            f"{path}: {size} bytes found, {expected.bytes} expected: the file was cut short or edited; {FIX}"
        )
    if found != expected.sha256:
        raise DriveRLError(
            f"{path}: SHA-256 {found} found, {expected.sha256} expected: the file was edited or damaged; {FIX}"
        )


def sha256_of(path: Path) -> str:
    """Return a file's SHA-256 in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
