"""From arrays of the host to tensors of a device, without waiting for what the device still has to do."""

from typing import Any

import torch
from torch import Tensor


def upload(values: Any, device: torch.device) -> Tensor:
    """Return an array or tensor as a tensor on the device, its own where it lies there already.

    A copy from ordinary memory waits until the GPU has done all that was asked of it; one from pinned memory is asked
    for and follows in its turn.
    """
    tensor = torch.as_tensor(values)
    if device.type == "cuda" and tensor.device.type == "cpu":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)
