"""Slots of maps: which of them stay."""

from typing import Any

import pytest

from drive_rl.config.reader import load_world
from drive_rl.sim.engines.streets import maps as module
from drive_rl.sim.engines.streets.maps import StreetMaps


def driven(maps: StreetMaps, count: int) -> set[int]:
    """Drive on maps 0 to `count` - 1, one after the other; return the maps that are still there."""
    for seed in range(count):
        maps.release(maps.take(seed))
    return {int(seed) for seed in maps.seeds if seed >= 0}


def town_map() -> Any:
    """Return which maps: those of a town."""
    streets = load_world("town").streets
    assert streets is not None
    return streets.map


def test_town_maps_stay_once_they_have_been_driven_on() -> None:
    assert driven(StreetMaps(town_map(), 2, 5), 5) == set(range(5))


def test_of_large_maps_as_many_stay_as_are_driven_on_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SMALL_B", 1000)
    assert len(driven(StreetMaps(town_map(), 2, 5), 5)) == 2


def test_there_is_room_for_as_many_maps_as_are_driven_on() -> None:
    maps = StreetMaps(town_map(), 1, 3)
    slots = [maps.take(seed) for seed in range(3)]
    assert [int(maps.seeds[slot]) for slot in slots] == [0, 1, 2]
