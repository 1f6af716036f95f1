"""The manifest of a checkpoint: which files it has, how long they are, and their SHA-256.

It knows files and hashes. It does not know what is in them.
"""

import hashlib
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from drive_rl.errors import DriveRLError
from drive_rl.run.storage.atomic import read_json, require_file, settle, write_json
from drive_rl.run.storage.schema import Table, check_table

FORMAT = 1
DRIVERS = ("PPO", "DQN")
ALGORITHMS = (*DRIVERS, "perception")
"""What weights may have come from."""
Count = Annotated[int, Field(ge=0, le=10**15)]
"""A number of steps, pictures or rows; the limit is more than any run takes."""
FIX = "fix: take another checkpoint of the run, or train again"
_RENAMED = {"num_frames": "num_samples", "look": "validation"}
"""Keys of perception models' manifests that have new names."""
RESUMABLE = ("weights.safetensors", "optimizer.safetensors", "optimizer.json", "counters.json")
"""What every checkpoint that training goes on from holds."""


def write_manifest(folder: Path, head: dict[str, Any]) -> None:
    """Write `manifest.json` over all files now in `folder`; `head` goes before the list of files."""
    paths = sorted(folder.iterdir())
    files = {path.name: {"bytes": path.stat().st_size, "sha256": sha256_of(path)} for path in paths}
    write_json(folder / "manifest.json", {"format": FORMAT, **head, "files": files})


def verify(
    folder: Path, needed: tuple[str, ...] = RESUMABLE, algorithms: tuple[str, ...] = ALGORITHMS
) -> dict[str, Any]:
    """Check every file of a checkpoint against its manifest, and return the manifest.

    Args:
        folder: The checkpoint.
        needed: Files that the manifest must list.
        algorithms: What the weights may have come from.

    Raises:
        DriveRLError: not a checkpoint, or a file that is missing, cut short or edited.
    """
    folder = Path(folder)
    settle(folder)
    path = folder / "manifest.json"
    if not path.is_file():
        raise DriveRLError(
            f"{folder}: not a checkpoint: manifest.json not found: give a checkpoint folder such as RUN/best"
        )
    manifest = read_json(path, FIX)
    for name, expected in _listed_files(path, manifest, needed, algorithms).items():
        _check_file(folder / name, expected)
    return manifest


def _listed_files(
    path: Path, manifest: Any, needed: tuple[str, ...], algorithms: tuple[str, ...]
) -> dict[str, dict[str, Any]]:
    """The manifest's files, after checking that it is a manifest this version can read."""
    found = manifest.get("format") if isinstance(manifest, dict) else None
    if found != FORMAT or type(found) is not int:
        raise DriveRLError(f"{path}: format = {found!r}: expected {FORMAT}: use the drive-rl version that wrote it")
    files = manifest.get("files")
    if not isinstance(files, dict) or not all(_is_entry(name, entry) for name, entry in files.items()):
        raise DriveRLError(f"{path}: files: expected file names with `bytes` and `sha256`; {FIX}")
    if absent := [name for name in needed if name not in files]:
        raise DriveRLError(f"{path}: files: {', '.join(absent)} not listed: the manifest was edited; {FIX}")
    if manifest.get("algorithm") not in list(algorithms):  # a list compares what cannot be hashed, too
        raise DriveRLError(
            f"{path}: algorithm = {manifest.get('algorithm')!r}: expected"
            f" {', '.join(algorithms[:-1])}{' or ' * (len(algorithms) > 1)}{algorithms[-1]}; {FIX}"
        )
    for old, new in _RENAMED.items():
        if old in manifest:
            raise DriveRLError(f"{path}: {old}: is now {new}; fix: rename the key in this file, or fit again")
    check_table(path, manifest, _PerceptionManifest if manifest["algorithm"] == "perception" else _Manifest, FIX)
    return files


class _File(Table):
    """What the manifest says of a file."""

    bytes: int = Field(ge=0)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class _Manifest(Table):
    """The manifest of a driver's checkpoint."""

    format: int
    algorithm: str
    num_timesteps: Count
    exact: bool = False  # an exported driver is no checkpoint to go on from
    files: dict[str, _File]


class _PerceptionManifest(Table):
    """The manifest of a perception model's."""

    format: int
    algorithm: str
    num_samples: Count
    validation: Count = 0  # which one, counted from 1
    files: dict[str, _File]


def _is_entry(name: str, entry: Any) -> bool:
    return (
        Path(name).name == name and "\0" not in name and isinstance(entry, dict) and entry.keys() == {"bytes", "sha256"}
    )


def _check_file(path: Path, expected: dict[str, Any]) -> None:
    try:
        require_file(path, f"the checkpoint's manifest lists it; {FIX}")
        size = path.stat().st_size
        found = sha256_of(path) if size == expected["bytes"] else ""
    except OSError as error:
        raise DriveRLError(f"{path}: cannot be read ({error.strerror}); {FIX}") from error
    if size != expected["bytes"]:
        raise DriveRLError(
            f"{path}: {size} bytes found, {expected['bytes']!r} expected: the file was cut short or edited; {FIX}"
        )
    if found != expected["sha256"]:
        raise DriveRLError(
            f"{path}: SHA-256 {found} found, {expected['sha256']} expected: the file was edited or damaged; {FIX}"
        )


def sha256_of(path: Path) -> str:
    """Return a file's SHA-256 in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
