"""The last phase of a model that reads the lane state off its lines: the lane head alone, on the lines it now predicts.

While everything is learned at once, the head's input, the predicted lines, keeps changing, and by the time it holds
still the step size has fallen: a third of the lane state's error is the head's own, and goes in seconds (docs/log.md).
It knows models and pictures; it knows no run folder.
"""

from collections.abc import Iterable

import torch
from torch import Tensor

from drive_rl.config.specs.perception import FitSpec
from drive_rl.perception.data.samples import Samples
from drive_rl.perception.heads.head import Predictions
from drive_rl.perception.heads.losses import lane_losses
from drive_rl.perception.heads.networks import LaneOfLines
from drive_rl.perception.models.perception_model import PerceptionModel

_BATCH, _EPOCHS, _LEARNING_RATE = 256, 60, 4e-3
_READ = ("lines", "lines_std", "lines_there")


def finetune_head(model: PerceptionModel, parts: Iterable[Samples], fit: FitSpec, device: torch.device) -> None:
    """Fit a model's `LaneOfLines` on the lines that the model predicts; nothing else of it changes."""
    head = model.lane_head
    assert isinstance(head, LaneOfLines), "the caller checks it"
    lines, lane = _predicted_lines(model, parts, device)
    known = torch.isfinite(lane).any(dim=1)
    lines, lane = {name: values[known] for name, values in lines.items()}, lane[known]
    optimizer = torch.optim.Adam(head.parameters(), _LEARNING_RATE)
    minibatches = [rows for _ in range(_EPOCHS) for rows in torch.randperm(len(lane)).split(_BATCH)]
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, len(minibatches))
    head.train()
    for rows in minibatches:
        at = rows.to(device)
        state = head({name: values[at] for name, values in lines.items()})
        loss = torch.stack(list(lane_losses(state, lane[at], fit.lane_loss).values())).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    head.eval()


def _predicted_lines(
    model: PerceptionModel, parts: Iterable[Samples], device: torch.device
) -> tuple[Predictions, Tensor]:
    """Return the lines that a model predicts, and the true lane states."""
    model.eval()
    predictions: list[Predictions] = []
    lane: list[Tensor] = []
    with torch.no_grad():
        for samples in parts:
            images = torch.as_tensor(samples.images, device=device).contiguous(memory_format=torch.channels_last)
            outputs = model(images)
            predictions.append({name: outputs[name] for name in _READ})
            lane.append(torch.as_tensor(samples.lane, device=device))
    return {name: torch.cat([each[name] for each in predictions]) for name in _READ}, torch.cat(lane)
