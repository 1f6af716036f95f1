"""The choice of a device, and its description. It knows torch and the machine, not what runs there."""

import torch

from drive_rl.errors import DriveRLError
from drive_rl.run.process.threads import learning_threads


def choose_device(name: str) -> torch.device:
    """Return the device for `auto`, `cpu` or `cuda`; `describe_device` describes it.

    Raises:
        DriveRLError: `cuda` without a usable GPU, or another name.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name.partition(":")[0] not in ("cpu", "cuda"):
        raise DriveRLError(f"device {name!r}: expected auto, cpu or cuda; fix: auto")
    if name.startswith("cuda") and not torch.cuda.is_available():
        build = "has no CUDA" if torch.version.cuda is None else f"is for CUDA {torch.version.cuda}"
        raise DriveRLError(
            f"device {name!r}: no usable GPU here (torch {torch.__version__} {build}); fix: --device cpu, or"
            " install a driver and a torch with CUDA"
        )
    return torch.device(name)


def describe_device(device: torch.device) -> str:
    """Return a device in words: `cpu (1 thread)` or `cuda (NVIDIA H100)`."""
    if device.type == "cuda":
        return f"cuda ({torch.cuda.get_device_name(device)})"
    threads = learning_threads()
    return f"cpu ({threads} thread{'s' if threads > 1 else ''})"
