"""Where a run came from: commit, versions, hardware, renderer, time.

It asks git, the package metadata and the machine. It does not know what the run does, nor pick a device or a
renderer.
"""

import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from drive_rl.config.extensions import Plugin, plugins

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


def provenance(renderer: str) -> dict[str, Any]:
    """Everything needed to say which code ran on which machine, ready for JSON.

    Args:
        renderer: The name of the renderer really in use, as the world reports it.
    """
    return {
        "utc": datetime.now(UTC).isoformat(timespec="seconds"),
        "git": git_state(_PACKAGE),
        "versions": package_versions(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": {"model": cpu_model(), "cores": usable_cores()},
        **_torch_state(),
        "renderer": renderer,
        "plugins": [_plugin(plugin) for plugin in plugins()],
    }


def _plugin(plugin: Plugin) -> dict[str, str]:
    """Return what is known of a plugin whose code ran in this process."""
    return {"file": str(plugin.file), "package": plugin.package, "sha256": plugin.sha256}


def git_state(package: Path) -> dict[str, Any] | None:
    """Commit and dirty flag of the checkout that holds `package`; none when installed or without git.

    The flag is none where git takes too long to look at all files.
    """
    top = _git(package, "rev-parse", "--show-toplevel")
    if top is None or Path(top).resolve() != package.resolve().parent:
        return None  # a virtual environment inside somebody else's checkout is not our commit
    commit = _git(package, "rev-parse", "HEAD")
    if commit is None:
        return None
    changes = _git(package, "status", "--porcelain", "--untracked-files=normal")
    return {"commit": commit, "dirty": None if changes is None else bool(changes)}


def package_versions() -> dict[str, str | None]:
    """Versions of the packages that decide a result; none where one is not installed."""
    return {name: package_version(name) for name in PACKAGES}


def cpu_model() -> str:
    """The processor's name as the operating system gives it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def usable_cores() -> int:
    """Cores this process may use, which on a shared machine are fewer than it has."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _torch_state() -> dict[str, Any]:
    import torch  # here, for it takes a second to import

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {"gpu": gpu, "torch_threads": torch.get_num_threads()}


def package_version(name: str) -> str | None:
    """Return a package's version by its own record; none where it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _git(folder: Path, *arguments: str) -> str | None:
    """The output of one git command about the checkout around `folder`, or none when it fails.

    It looks alone: it takes no lock that a git of the user's would find taken, and heeds no variable that names
    another repository (inside a hook, git sets some). A checkout of another user is one whose code runs here already.
    """
    looks = ("--no-optional-locks", "-c", f"safe.directory={folder.parent}", "-c", "core.fsmonitor=false")
    surroundings = {name: value for name, value in os.environ.items() if name not in _OTHER_REPOSITORY}
    try:
        done = subprocess.run(
            ["git", *looks, "-C", str(folder), *arguments],
            env=surroundings,
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
