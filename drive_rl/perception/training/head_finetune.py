"""The last lesson of a model that reads the lane state off its lines: the reading alone, on lines as it tells them now.

While everything is learned at once, the lines that the head is given keep changing, and when they hold still at last
the step size has fallen: a third of the lane state's error is the head's own, and goes in seconds (docs/log.md). It
knows models and pictures; it knows no run folder.
"""

from collections.abc import Iterable

import torch
from torch import Tensor

from drive_rl.config.perception_spec import FitSpec
from drive_rl.perception.data.samples import Frames
from drive_rl.perception.models.perception_model import LaneOfLines, PerceptionModel, Predictions
from drive_rl.perception.training.losses import lane_losses

_BATCH, _EPOCHS, _LEARNING_RATE = 256, 60, 4e-3
_READ = ("lines", "lines_std", "lines_there")


def polish(model: PerceptionModel, parts: Iterable[Frames], fit: FitSpec, device: torch.device) -> None:
    """Teach a model's `LaneOfLines` on what the model tells of pictures; nothing else of it changes."""
    head = model.lane
    assert isinstance(head, LaneOfLines), "the recipe sees to it"
    told, lane = _told(model, parts, device)
    known = torch.isfinite(lane).any(dim=1)
    told, lane = {name: values[known] for name, values in told.items()}, lane[known]
    optimizer = torch.optim.Adam(head.parameters(), _LEARNING_RATE)
    minibatches = [rows for _ in range(_EPOCHS) for rows in torch.randperm(len(lane)).split(_BATCH)]
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, len(minibatches))
    head.train()
    for rows in minibatches:
        at = rows.to(device)
        read = head({name: values[at] for name, values in told.items()})
        loss = torch.stack(list(lane_losses(read, lane[at], fit.lane_loss).values())).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    head.eval()


def _told(model: PerceptionModel, parts: Iterable[Frames], device: torch.device) -> tuple[Predictions, Tensor]:
    """Return the lines that a model tells of pictures, and the true lane states."""
    model.eval()
    seen: list[Predictions] = []
    lane: list[Tensor] = []
    with torch.no_grad():
        for frames in parts:
            images = torch.as_tensor(frames.images, device=device).contiguous(memory_format=torch.channels_last)
            told = model(images)
            seen.append({name: told[name] for name in _READ})
            lane.append(torch.as_tensor(frames.lane, device=device))
    return {name: torch.cat([each[name] for each in seen]) for name in _READ}, torch.cat(lane)
