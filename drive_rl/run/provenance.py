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
    }


def git_state(package: Path) -> dict[str, Any] | None:
    """Commit and dirty flag of the checkout that holds `package`; none when installed or without git."""
    top = _git(package, "rev-parse", "--show-toplevel")
    if top is None or Path(top).resolve() != package.resolve().parent:
        return None  # a virtual environment inside somebody else's checkout is not our commit
    commit = _git(package, "rev-parse", "HEAD")
    changes = _git(package, "status", "--porcelain", "--untracked-files=normal")
    if commit is None or changes is None:
        return None
    return {"commit": commit, "dirty": bool(changes)}


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
    """The output of one git command in `folder`, or none when it fails."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
