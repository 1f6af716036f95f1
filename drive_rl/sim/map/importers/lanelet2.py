"""Lanelet2 maps (`.osm`), read by the library `lanelet2` (BSD) of the extra `maps`.

Heights are left out: the ground is flat. What is not taken over is counted by its kind. Files in left-handed
coordinates, such as those of CARLA's towns, are mirrored, for the format knows right-handed ones alone.
"""

import importlib
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from drive_rl.errors import DriveRLError
from drive_rl.sim.map.check import check_network
from drive_rl.sim.map.importers.assemble import SHORT_M, ForeignLane, assemble, without_short
from drive_rl.sim.map.importers.checks import check_lanes
from drive_rl.sim.map.importers.lines import midway
from drive_rl.sim.map.network import Control, Floats, Marking, StreetMap

_HIGH_M = 1.0
_SOLID = {
    "solid": "SOLID",
    "solid_solid": "SOLID",
    "dashed": "DASHED",
    "dashed_solid": "DASHED",
    "solid_dashed": "SOLID",
}
_UNPAINTED = ("curbstone", "virtual", "road_border", "guard_rail", "fence", "wall")


def read_lanelet2(path: Path) -> StreetMap:
    """Return the map in a Lanelet2 file.

    Raises:
        DriveRLError: `lanelet2` is not installed; the file is not OSM XML, or holds broken elements or no lanes for
            cars; or what it holds cannot be driven.
    """
    lanelet2 = _library()
    projector = lanelet2.projection.UtmProjector(lanelet2.io.Origin(*_first_node(path)))
    try:
        found, errors = lanelet2.io.loadRobust(str(path), projector)
    except RuntimeError as error:
        raise _broken(path, str(error)) from error
    if errors:
        raise _broken(path, "; ".join(line.strip(" \t-") for line in errors[1:4]) or errors[0], len(errors) - 1)
    unsupported: Counter[str] = Counter()
    try:
        lanes, crossings = _lanes(lanelet2, found, unsupported)
    except ValueError as error:
        raise _broken(path, str(error)) from error
    if not lanes:
        raise DriveRLError(
            f"{path}: holds no lanes for cars: expected lanelets of subtype road, longer than {SHORT_M:g} m; fix: name"
            " another map"
        )
    streets = assemble(path.name, lanes, crossings, unsupported)
    check_network(streets)
    return streets


def _library() -> Any:
    try:
        for module in ("io", "projection", "routing", "traffic_rules"):
            importlib.import_module(f"lanelet2.{module}")
        return importlib.import_module("lanelet2")
    except ModuleNotFoundError as error:
        raise DriveRLError("lanelet2 is not installed; fix: pip install 'drive-rl[maps]'") from error


def _first_node(path: Path) -> tuple[float, float]:
    """Return latitude and longitude of a file's first node [deg]."""
    try:
        for _, element in ElementTree.iterparse(path, events=("start",)):
            if element.tag == "node":
                latitude, longitude = float(element.attrib["lat"]), float(element.attrib["lon"])
                if not (abs(latitude) <= 90 and abs(longitude) <= 180):
                    raise ValueError(f"lat={latitude:g} lon={longitude:g}")
                return latitude, longitude
    except (ElementTree.ParseError, UnicodeDecodeError) as error:
        raise _broken(path, f"is not XML: {error}") from error
    except (KeyError, ValueError) as error:
        raise _broken(path, f"the first node's lat or lon is missing, or no number of degrees ({error})") from error
    raise _broken(path, "holds no nodes")


def _broken(path: Path, why: str, count: int = 1) -> DriveRLError:
    more = f" ({count} in all)" if count > 3 else ""
    return DriveRLError(f"{path}: {why}{more}; expected a Lanelet2 map in OSM XML; fix: correct it, or export it again")


def _lanes(lanelet2: Any, found: Any, unsupported: Counter[str]) -> tuple[list[ForeignLane], list[Floats]]:
    """Return the lanes for cars with their successors, and the corners of zebra crossings.

    Raises:
        ValueError: a lane cannot be what its source says.
    """
    rules = lanelet2.traffic_rules.create(
        lanelet2.traffic_rules.Locations.Germany, lanelet2.traffic_rules.Participants.Vehicle
    )
    lanelets, crossings = [], []
    for lanelet in sorted(found.laneletLayer, key=lambda lanelet: lanelet.id):
        subtype = _tag(lanelet, "subtype") or "untyped"
        if subtype == "crosswalk":
            left, right = _line(lanelet.leftBound), _line(lanelet.rightBound)
            crossings.append(np.array([left[0], right[0], right[-1], left[-1]]))
        elif not rules.canPass(lanelet):
            unsupported[f"lanelets of subtype {subtype}"] += 1
        else:
            lanelets.append(lanelet)
    number = {lanelet.id: index for index, lanelet in enumerate(lanelets)}
    lanes = [_lane(lanelet, rules, unsupported) for lanelet in lanelets]
    check_lanes(lanes)
    graph = lanelet2.routing.RoutingGraph(found, rules)
    for lane, lanelet in zip(lanes, lanelets, strict=True):
        lane.successors = sorted(number[after.id] for after in graph.following(lanelet) if after.id in number)
        for element in lanelet.regulatoryElements:
            _govern(lanelet2, lane, lanelet, element)
    _count(lanelet2, found, lanelets, unsupported)
    if _is_left_handed(lanelets):
        unsupported["lanelets in left-handed coordinates, mirrored"] = len(lanelets)
        crossings = _mirror(lanes, crossings)
    return without_short(lanes, unsupported), crossings


def _lane(lanelet: Any, rules: Any, unsupported: Counter[str]) -> ForeignLane:
    left, right = _line(lanelet.leftBound), _line(lanelet.rightBound)
    return ForeignLane(
        f"lanelet {lanelet.id}",
        left,
        right,
        midway(left, right),  # the library's own is rough
        float(rules.speedLimit(lanelet).speedLimit) / 3.6,
        (_marking(lanelet.leftBound, unsupported), _marking(lanelet.rightBound, unsupported)),
        is_connection=_tag(lanelet, "is_intersection") == "yes" or bool(_tag(lanelet, "turn_direction")),
    )


def _is_left_handed(lanelets: list[Any]) -> bool:
    """Return whether most lanelets lead against the centre lines that the file gives them: the library has turned them
    around to have their left bounds on the left.
    """
    against = 0
    for lanelet in lanelets:
        left, centre = _line(lanelet.leftBound), _line(lanelet.centerline)
        turned = lanelet.leftBound.inverted() and lanelet.rightBound.inverted()
        against += turned and np.dot(left[-1] - left[0], centre[-1] - centre[0]) < 0
    return against > len(lanelets) / 2


def _mirror(lanes: list[ForeignLane], crossings: list[Floats]) -> list[Floats]:
    """Take lanes from left-handed coordinates, and turn them around; return the crossings, likewise."""
    flip = np.array([1.0, -1.0])
    for lane in lanes:
        lane.left, lane.right, lane.centre = (line[::-1] * flip for line in (lane.left, lane.right, lane.centre))
        lane.stop = lane.stop and (lane.stop[0], -lane.stop[1])
    before: list[list[int]] = [[] for _ in lanes]
    for index, lane in enumerate(lanes):
        for after in lane.successors:
            before[after].append(index)
    for lane, successors in zip(lanes, before, strict=True):
        lane.successors = successors
    return [corners * flip for corners in crossings]


def _govern(lanelet2: Any, lane: ForeignLane, lanelet: Any, element: Any) -> None:
    """Enter what a regulatory element says of a lane."""
    core = lanelet2.core
    if isinstance(element, core.TrafficLight):
        lane.control = Control.SIGNAL
    elif isinstance(element, core.AllWayStop):
        lane.control = Control.STOP_SIGN
    elif isinstance(element, core.RightOfWay) and lanelet.id in [each.id for each in element.yieldLanelets()]:
        lane.control = Control.GIVE_WAY
    else:
        return
    stop = getattr(element, "stopLine", None)
    if stop is not None:
        x, y = _line(stop).mean(axis=0).tolist()
        lane.stop = (x, y)


def _count(lanelet2: Any, found: Any, lanelets: list[Any], unsupported: Counter[str]) -> None:
    """Count what is not taken over."""
    core = lanelet2.core
    known = (core.TrafficLight, core.RightOfWay, core.AllWayStop, core.SpeedLimit)
    for element in found.regulatoryElementLayer:
        if not isinstance(element, known):
            unsupported[f"regulatory elements {_tag(element, 'subtype') or 'untyped'}"] += 1
    unsupported["areas"] += len(list(found.areaLayer))
    heights = np.array([np.mean([point.z for point in lanelet.centerline]) for lanelet in lanelets] or [0.0])
    unsupported["lanes above or below the others, drawn on the same ground"] += int(
        (np.abs(heights - np.median(heights)) > _HIGH_M).sum()
    )
    unsupported["lanes driven both ways, taken as one way"] += sum(_tag(each, "one_way") == "no" for each in lanelets)
    for what in [what for what, count in unsupported.items() if not count]:
        del unsupported[what]


def _marking(bound: Any, unsupported: Counter[str]) -> Marking:
    kind, subtype = _tag(bound, "type"), _tag(bound, "subtype")
    if kind in ("line_thin", "line_thick") and subtype in _SOLID:
        colour = "YELLOW" if _tag(bound, "color") == "yellow" else "WHITE"
        return Marking[f"{colour}_{_SOLID[subtype]}"]
    if kind not in _UNPAINTED:
        unsupported[f"bounds of type {' '.join(filter(None, (kind, subtype))) or 'unknown'}, taken as unpainted"] += 1
    return Marking.NONE


def _tag(thing: Any, key: str) -> str:
    return dict(thing.attributes).get(key, "")


def _line(points: Any) -> Floats:
    return np.array([(point.x, point.y) for point in points], np.float64)
