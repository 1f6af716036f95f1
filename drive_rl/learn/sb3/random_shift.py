"""Random shifts of pictures, which make values and policies learned from pixels generalise. It knows tensors only."""

import torch
from torch import Tensor


def randomly_shifted(pictures: Tensor, most_px: int) -> Tensor:
    """Return pictures (B, C, H, W), each shifted by up to `most_px` pixels each way; what comes in repeats the edge.

    A stack of frames moves as one. Kostrikov et al. 2020 (DrQ, arXiv 2004.13649), Yarats et al. 2021 (DrQ-v2, arXiv
    2107.09645). The shifts are drawn from torch's generator of the CPU.
    """
    if most_px == 0:
        return pictures
    count, _, height, width = pictures.shape
    shifts = torch.randint(-most_px, most_px + 1, (2, count, 1)).to(pictures.device)
    rows = (torch.arange(height, device=pictures.device) + shifts[0]).clamp(0, height - 1)  # (B, H)
    columns = (torch.arange(width, device=pictures.device) + shifts[1]).clamp(0, width - 1)  # (B, W)
    places = (rows[:, :, None] * width + columns[:, None, :]).reshape(count, 1, -1)  # (B, 1, H x W)
    return pictures.flatten(2).gather(2, places.expand(-1, pictures.shape[1], -1)).reshape(pictures.shape)
