"""Success by the ability that scenarios test, and by world."""

from collections.abc import Mapping, Sequence
from typing import get_args

from drive_rl.benchmark.driving.run import Drive, DriverResult
from drive_rl.config.specs.world import Ability, WorldSpec
from drive_rl.stats import Estimate, mean_of_rates, wilson

Abilities = Mapping[Ability, Sequence[str]]
"""The worlds that test each ability, in their order; abilities without one are left out."""


def abilities(worlds: Sequence[WorldSpec]) -> Abilities:
    """Return the worlds by the ability that they test; those that are no scenario test none."""
    found = {
        ability: [world.name for world in worlds if world.scenario and world.scenario.ability == ability]
        for ability in get_args(Ability)
    }
    return {ability: names for ability, names in found.items() if names}


def success(result: DriverResult, worlds: Sequence[str]) -> Estimate:
    """Return a driver's rate of success in some worlds."""
    return wilson(*_count(_in(result, worlds)))


def by_ability(result: DriverResult, worlds: Sequence[WorldSpec]) -> list[Estimate]:
    """Return a driver's success in each of the `abilities` of some worlds, the mean of those, and in all the worlds."""
    groups = abilities(worlds)
    each = [success(result, names) for names in groups.values()]
    return [*each, mean_of_abilities(result, groups), success(result, [world.name for world in worlds])]


def mean_of_abilities(result: DriverResult, groups: Abilities) -> Estimate:
    """Return the mean of a driver's rates of success, where each ability counts the same."""
    return mean_of_rates([_count(_in(result, worlds)) for worlds in groups.values()])


def _in(result: DriverResult, worlds: Sequence[str]) -> list[Drive]:
    return [drive for drive in result.roads if drive.world in worlds]


def _count(roads: Sequence[Drive]) -> tuple[int, int]:
    return sum(not drive.failure for drive in roads), len(roads)
