"""Provenance of a run: commit, versions, hardware, renderer, time.

It asks git, the package metadata and the machine. It does not know what the run does, or choose a device or a renderer.
"""

import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TypedDict

from drive_rl.config.extensions import plugins
from drive_rl.config.plugin_source import Plugin

PACKAGES = (
    "drive-rl",
    "gymnasium",
    "stable-baselines3",
    "sb3-contrib",
    "torch",
    "pybullet",
    "numba",
    "numpy",
    "scipy",
    "opencv-python",
    "safetensors",
    "wandb",
    "onnxruntime",
    "mlcommons-loadgen",
    "kornia",
    "imagecorruptions-imaug",
)

_OTHER_REPOSITORY = {
    "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY", "GIT_NAMESPACE",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_PREFIX", "GIT_CEILING_DIRECTORIES",
}  # fmt: skip
_PACKAGE = Path(__file__).resolve().parents[1]


class GitState(TypedDict):
    """The commit of a checkout, and whether files differ from it."""

    commit: str
    dirty: bool | None


class CpuState(TypedDict):
    """The processor and the cores that this process may use."""

    model: str
    cores: int


class Provenance(TypedDict):
    """`provenance.json`."""

    utc: str
    git: GitState | None
    versions: dict[str, str | None]
    python: str
    platform: str
    cpu: CpuState
    gpu: str | None
    torch_threads: int
    renderer: str
    plugins: list[dict[str, str]]


def provenance(renderer: str) -> Provenance:
    """Return which code ran on which machine, ready for JSON.

    Args:
        renderer: The renderer in use, as the world reports it.
    """
    import torch  # here: it takes a second to import

    return {
        "utc": datetime.now(UTC).isoformat(timespec="seconds"),
        "git": git_state(_PACKAGE),
        "versions": package_versions(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": {"model": cpu_model(), "cores": usable_cores()},
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "torch_threads": torch.get_num_threads(),
        "renderer": renderer,
        "plugins": [_plugin(plugin) for plugin in plugins()],
    }


def _plugin(plugin: Plugin) -> dict[str, str]:
    """Return what is known of a plugin whose code ran in this process."""
    return {"file": str(plugin.file), "package": plugin.package, "sha256": plugin.sha256}


def git_state(package: Path) -> GitState | None:
    """Return commit and dirty flag of the checkout that holds `package`; None when installed or without git.

    The flag is None where git takes too long to compare all files.
    """
    top = _git(package, "rev-parse", "--show-toplevel")
    if top is None or Path(top).resolve() != package.resolve().parent:
        return None  # a virtual environment inside another checkout is not our commit
    commit = _git(package, "rev-parse", "HEAD")
    if commit is None:
        return None
    changes = _git(package, "status", "--porcelain", "--untracked-files=normal")
    return {"commit": commit, "dirty": None if changes is None else bool(changes)}


def package_versions() -> dict[str, str | None]:
    """Return the versions of the packages that affect results; None where one is not installed."""
    return {name: package_version(name) for name in PACKAGES}


def cpu_model() -> str:
    """Return the processor's name from the operating system."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def usable_cores() -> int:
    """Return how many cores this process may use; on a shared machine fewer than it has."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def package_version(name: str) -> str | None:
    """Return a package's version from its metadata; None where it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _git(folder: Path, *arguments: str) -> str | None:
    """Return the output of one git command on the checkout around `folder`; None where it fails.

    It only reads: it takes no lock that the user's git would wait for, and ignores variables that name another
    repository (git sets some inside a hook). Another user's checkout is safe: its code already runs here.
    """
    options = ("--no-optional-locks", "-c", f"safe.directory={folder.parent}", "-c", "core.fsmonitor=false")
    environment = {name: value for name, value in os.environ.items() if name not in _OTHER_REPOSITORY}
    try:
        done = subprocess.run(
            ["git", *options, "-C", str(folder), *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",  # a path of another encoding
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
