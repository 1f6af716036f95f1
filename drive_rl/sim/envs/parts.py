"""Keywords of `gymnasium.make` and `make_vec` that change parts of a world, as in `camera={"width_px": 84}`."""

import warnings
from collections.abc import Mapping
from typing import Any

from drive_rl.config.reader import load_world, with_parts
from drive_rl.config.specs.world import WorldSpec

Part = Mapping[str, object]
"""Values of a part of a world by key; parts of it may be mappings, too."""
Keywords = dict[str, Any]
"""Keyword arguments, as Gymnasium hands them on."""

PARTS = ("road", "streets", "car", "camera", "task", "reward", "appearance")
"""The parts; their keys are those of a world's file."""


def take_world(world: str | WorldSpec, keywords: Keywords) -> WorldSpec:
    """Return a world, by name, YAML path or spec, with the parts that `keywords` changes; they are taken out of it.

    Raises:
        DriveRLError: there is no such world or key, or the world cannot be so.
    """
    spec = world if isinstance(world, WorldSpec) else load_world(world)
    parts = {part: keywords.pop(part) for part in PARTS if part in keywords}
    if not parts:
        return spec
    changed = with_parts(spec, parts, f"keywords of {spec.name}")
    steps, registered = changed.task.max_steps, spec.task.max_steps
    if steps > registered:
        warnings.warn(
            f"{spec.name}: task: an episode may now take {steps} steps, but Gymnasium ends it after {registered} by"
            f" default; fix: max_episode_steps={steps}",
            stacklevel=4,
        )
    return changed
