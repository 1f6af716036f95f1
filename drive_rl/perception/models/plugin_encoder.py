"""Encoders of plugins: made, and tried on two black pictures before anything learns. It knows no family of ours."""

import torch
from torch import Tensor, nn

from drive_rl.config.extensions import Extension
from drive_rl.config.plugin_call import called
from drive_rl.errors import DriveRLError
from drive_rl.perception.heads.plugin_network import try_learning


def plugin_trunk(extension: Extension, shape: tuple[int, int, int]) -> tuple[nn.Module, int, str]:
    """Return a plugin's convolutions, how long a vector they return, and what errors call them.

    Raises:
        DriveRLError: it raises, or does not map (B, C, H, W) to (B, n).
    """
    what, pictures = f"{extension.plugin}: encoder {extension.name}", f"pictures (B, {', '.join(map(str, shape))})"
    with called(what, f"fails on {pictures}", "correct it, or another world.camera"):
        trunk = extension.make(*shape)
        if not isinstance(trunk, nn.Module):
            raise TypeError(f"made a {type(trunk).__name__}, expected a torch.nn.Module")
        with torch.no_grad():
            flat = trunk.eval()(torch.zeros(2, *shape))
        is_finite = not isinstance(flat, Tensor) or bool(torch.isfinite(flat).all())
    found = tuple(flat.shape) if isinstance(flat, Tensor) else type(flat).__name__
    if not isinstance(flat, Tensor) or flat.dim() != 2 or len(flat) != 2 or not flat.shape[1]:
        raise DriveRLError(f"{what}: returns {found} for two pictures, expected (2, n); fix: end in nn.Flatten()")
    if flat.dtype != torch.float32 or not is_finite:
        raise DriveRLError(
            f"{what}: returns {flat.dtype}{'' if is_finite else ', not all finite,'} for two black pictures, expected"
            " finite torch.float32; fix: correct it"
        )
    with called(what, f"cannot learn from {pictures}", "correct it, or another world.camera"):
        try_learning(trunk, torch.zeros(2, *shape))
    return trunk.train(), flat.shape[1], what
