"""Heads by name, ours and those of plugins: `model.heads` in specs."""

from collections.abc import Iterable, Sequence

from drive_rl.config.extensions import find
from drive_rl.config.specs.perception import HEADS as NAMES
from drive_rl.config.specs.world import WorldSpec
from drive_rl.perception.heads.head import Head
from drive_rl.perception.heads.ours import HEADS, LaneFromLines
from drive_rl.perception.heads.plugin_head import PluginHead

assert set(NAMES) == set(HEADS)


def heads_of(names: Sequence[str], world: WorldSpec) -> dict[str, Head]:
    """Return heads for a world, in the order in which they run: ours, then the plugins' as they are named.

    Raises:
        DriveRLError: a plugin's head fails, or lacks a method.
    """
    return {name: _head(name, names, world) for name in _ordered(names, HEADS)}


def in_order_of_losses(names: Sequence[str]) -> list[str]:
    """Return names of heads in the order in which their losses are added up."""
    return _ordered(names, NAMES)


def _head(name: str, names: Sequence[str], world: WorldSpec) -> Head:
    if name == "lane" and "lines" in names:
        return LaneFromLines(world)
    if name in HEADS:
        return HEADS[name](world)
    extension = find("head", name)
    assert extension is not None, "the recipe's reader has checked it"
    return PluginHead(extension, world)


def _ordered(names: Sequence[str], ours: Iterable[str]) -> list[str]:
    return [*(name for name in ours if name in names), *(name for name in names if name not in HEADS)]
