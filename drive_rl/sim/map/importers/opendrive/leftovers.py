"""What an OpenDRIVE file holds that streets do not, counted by its kind."""

from collections import Counter
from collections.abc import Mapping

import numpy as np

from drive_rl.sim.map.importers.opendrive.curves import read_cubics
from drive_rl.sim.map.importers.opendrive.elements import Element
from drive_rl.sim.map.importers.opendrive.roads import Road

_HIGH_M = 1.0
_BANKED_RAD = 0.01
_OF_FILE = {
    "controller": "controllers of signals, replaced by programs",
    "junctionGroup": "groups of junctions",
    "station": "stations",
}
_OF_ROAD = {
    "objects/bridge": "bridges, drawn on the ground",
    "objects/tunnel": "tunnels, drawn in the open",
    "lateralProfile/shape": "shapes of a road's cross-section, drawn flat",
    "railroad/switch": "railway switches",
    "surface/CRG": "surfaces as OpenCRG",
}
_OF_LANE = {"access": "lanes with rules of access", "rule": "lanes with rules as text"}


def count_leftovers(top: Element, roads: Mapping[str, Road], unsupported: Counter[str]) -> None:
    """Count what is not taken over.

    Raises:
        ValueError: a value is not a number.
    """
    for tag, what in _OF_FILE.items():
        unsupported[what] += sum(1 for _ in top.each(tag))
    unsupported["priorities in junctions, replaced by signs and right before left"] += sum(
        1 for _ in top.each("junction/priority")
    )
    unsupported["virtual junctions"] += sum(each.text("type") == "virtual" for each in top.each("junction"))
    for road in roads.values():
        for path, what in _OF_ROAD.items():
            unsupported[what] += sum(1 for _ in road.element.each(path))
        for section in (each for each in road.sections if each.start_m == each.origin_m):  # a part is counted once
            for tag, what in _OF_LANE.items():
                unsupported[what] += sum(lane.element.first(tag) is not None for lane in section.lanes.values())
    _count_heights(roads, unsupported)


def _count_heights(roads: Mapping[str, Road], unsupported: Counter[str]) -> None:
    middles = [np.array([road.line.length_m / 2]) for road in roads.values()]
    heights = np.array([float(road.elevation.at(s)[0]) for road, s in zip(roads.values(), middles, strict=True)] or [0])
    unsupported["roads above or below the others, drawn on the same ground"] += int(
        (np.abs(heights - np.median(heights)) > _HIGH_M).sum()
    )
    for road, s in zip(roads.values(), middles, strict=True):
        banks = read_cubics(list(road.element.each("lateralProfile/superelevation")))
        unsupported["banked roads, drawn level"] += bool(abs(float(banks.at(s)[0])) > _BANKED_RAD)
