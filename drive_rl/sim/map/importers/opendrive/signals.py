"""Signals, signs, stop lines and crosswalks of an OpenDRIVE file -> what governs its lanes, and zebra crossings."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping

import cv2
import numpy as np

from drive_rl.sim.map.importers.assemble import ForeignLane
from drive_rl.sim.map.importers.opendrive.elements import Element
from drive_rl.sim.map.importers.opendrive.roads import LaneKey, Road
from drive_rl.sim.map.network import Control, Floats

_SIGNALS = ("1000001", "1000009", "1000010", "1000011", "1000012")
_SIGNS = {"206": Control.STOP_SIGN, "205": Control.GIVE_WAY, "R1-1": Control.STOP_SIGN, "R1-2": Control.GIVE_WAY}
_STOP_LINES = ("294", "stopline", "stop line", "signalline", "signal line")
_SIDES = {"+": (-1,), "-": (1,)}  # lanes below 0 are driven along the reference line
_NEAR_END_M = 15.0  # a sign further from its lane's end does not say where to stop

Lanes = Mapping[LaneKey, ForeignLane]
Before = Mapping[LaneKey, set[LaneKey]]


def govern(roads: Mapping[str, Road], lanes: Lanes, before: Before, unsupported: Counter[str]) -> None:
    """Enter what signals and signs say in the lanes that they govern.

    Args:
        roads: The roads.
        lanes: Their lanes; `control` and `stop` are set.
        before: The lanes before each.
        unsupported: Signals that are not taken over are counted here.

    Raises:
        ValueError: a signal has wrong values, or a reference names none.
    """
    found = {each.text("id"): each for road in roads.values() for each in road.element.each("signals/signal")}
    used: set[str] = set()
    for road, at, signal in _placed(roads, found):
        control = _control(signal)
        for key in _governed(road, at, lanes) if control != Control.NONE else ():
            used.add(signal.text("id"))
            _enter(road, at.number("s"), _entry(key, before) if road.junction else key, control, lanes)
    for signal in found.values():
        if _control(signal) != Control.NONE and signal.text("id") not in used:
            unsupported["signals and signs that govern no lane for cars"] += 1
        elif _control(signal) == Control.NONE and not _is_stop_line(signal):
            unsupported[f"signals of type {signal.text('type')}"] += 1
    for road in roads.values():
        for line in (*road.element.each("signals/signal"), *road.element.each("objects/object")):
            for key in _governed(road, line, lanes) if _is_stop_line(line) else ():
                lanes[key].stop = _stop(road, line.number("s"), key)


def _placed(roads: Mapping[str, Road], found: Mapping[str, Element]) -> Iterator[tuple[Road, Element, Element]]:
    """Yield where signals stand or are referred to, and the signal itself."""
    for road in roads.values():
        for signal in road.element.each("signals/signal"):
            yield road, signal, signal
        for reference in road.element.each("signals/signalReference"):
            if reference.text("id") not in found:
                raise reference.wrong("expected the id of a signal in the file")
            yield road, reference, found[reference.text("id")]


def _control(signal: Element) -> Control:
    kind = signal.text("type")
    if kind in _SIGNALS and signal.text("dynamic", "yes") == "yes":
        return Control.SIGNAL
    return _SIGNS.get(kind, Control.NONE)


def _is_stop_line(element: Element) -> bool:
    words = [element.text(key).lower() for key in ("type", "subtype", "name")]
    return words[0] == "294" or any(word.replace("_", " ") in _STOP_LINES for word in words)


def _governed(road: Road, at: Element, lanes: Lanes) -> list[LaneKey]:
    """Return the lanes for cars that a signal or line is valid for, where it stands."""
    section = road.section_at(at.number("s"))
    here = [number for number in road.sections[section].lanes if LaneKey(road.id, section, number) in lanes]
    if spans := [(each.whole("fromLane"), each.whole("toLane")) for each in at.each("validity")]:
        here = [number for number in here if any(min(span) <= number <= max(span) for span in spans)]
    sides = _SIDES.get(at.text("orientation"), (-1, 1))
    return [LaneKey(road.id, section, number) for number in here if spans or np.sign(number) in sides]


def _entry(key: LaneKey, before: Before) -> LaneKey:
    """Return the lane where the cars that come to a lane of a connecting road enter that road."""
    seen = {key}
    while len(same := {each for each in before[key] if each.road == key.road} - seen) == 1:
        (key,) = same
        seen.add(key)
    return key


def _enter(road: Road, s: float, key: LaneKey, control: Control, lanes: Lanes) -> None:
    lane = lanes[key]
    lane.control = max(lane.control, control, key=_rank)
    if not road.junction and _to_end(road, s, key) <= _NEAR_END_M:
        lane.stop = lane.stop or _stop(road, s, key)


def _rank(control: Control) -> int:
    return (Control.NONE, Control.GIVE_WAY, Control.STOP_SIGN, Control.SIGNAL).index(control)


def _to_end(road: Road, s: float, key: LaneKey) -> float:
    section = road.sections[key.section]
    return section.end_m - s if key.lane < 0 else s - section.start_m


def _stop(road: Road, s: float, key: LaneKey) -> tuple[float, float]:
    """Return the point of a lane's centre line abreast of a place on its road."""
    at = np.array([s])
    bounds = road.bounds(key.section, at)
    middle = (bounds[key.lane] + bounds[key.lane - int(np.sign(key.lane))]) / 2
    ((x, y),) = road.points(at, middle).tolist()
    return x, y


def crossings(roads: Mapping[str, Road], unsupported: Counter[str]) -> list[Floats]:
    """Return the corners (4, 2) [m] of crosswalks; other objects are counted.

    Raises:
        ValueError: an object has wrong values.
    """
    found = []
    for road in roads.values():
        for each in road.element.each("objects/object"):
            kind = each.text("type", "none")
            if "crosswalk" in (kind.lower(), each.text("subtype").lower()):
                outline = _outline(road, each)
                if len(outline) < 3:
                    unsupported["crosswalks whose outline has less than 3 corners"] += 1
                else:
                    found.append(_rectangle(road, each, outline))
            elif not _is_stop_line(each):
                unsupported[f"objects of type {kind if kind not in ('-1', '') else 'none'}"] += 1
    return found


def _rectangle(road: Road, crosswalk: Element, outline: Floats) -> Floats:
    """Return the corners of the smallest rectangle around a crosswalk; people walk from side 0-1 to side 2-3."""
    corners = cv2.boxPoints(cv2.minAreaRect((outline - outline[0]).astype(np.float32))).astype(np.float64) + outline[0]
    sides = corners[1:3] - corners[:2]  # 0-1 and 1-2
    heading = float(road.line.at(np.array([crosswalk.number("s")]))[0, 2])
    along = np.array([math.cos(heading), math.sin(heading)])
    lengths = np.hypot(*sides.T)
    # across the road; in a junction, where roads turn, the longer way
    across = lengths if road.junction else np.abs(sides @ (-along[1], along[0])) / np.maximum(lengths, 1e-9)
    return corners if across[1] >= across[0] else np.roll(corners, -1, axis=0)


def _outline(road: Road, element: Element) -> Floats:
    """Return the points (n, 2) [m] around an object."""
    s, t = element.number("s"), element.number("t")
    corners = element.first("outlines/outline") or element.first("outline")
    if corners is not None and (on_road := list(corners.each("cornerRoad"))):
        places = np.array([(each.number("s"), each.number("t")) for each in on_road])
        return road.points(places[:, 0], places[:, 1])
    if corners is not None and (local := list(corners.each("cornerLocal"))):
        uv = np.array([(each.number("u"), each.number("v")) for each in local])
    else:
        long, wide = (element.number(key, at_least=0.1) / 2 for key in ("length", "width"))
        uv = np.array([(long, wide), (-long, wide), (-long, -wide), (long, -wide)])
    turned = float(road.line.at(np.array([s]))[0, 2]) + element.number("hdg", 0.0)
    cos, sin = math.cos(turned), math.sin(turned)
    return road.points(np.array([s]), np.array([t])) + uv @ np.array([[cos, sin], [-sin, cos]])
