"""Roads of an OpenDRIVE file as records: reference line, sections of lanes, widths, markings, speed limits, links."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np

from drive_rl.sim.map.importers.opendrive.curves import Cubics, ReferenceLine, read_cubics, read_reference_line
from drive_rl.sim.map.importers.opendrive.elements import Element
from drive_rl.sim.map.network import Floats

Contact = Literal["start", "end"]
_UNITS_MPS = {"m/s": 1.0, "": 1.0, "km/h": 1 / 3.6, "kmh": 1 / 3.6, "mph": 0.44704}
UNLIMITED_MPS = 130 / 3.6
"""Speed limit where a file says that there is none [m/s]."""
_SHORTEST_M = 5.0  # of the parts of a section
_EDGE_M = 1e-6
_NO_LIMIT = ("no limit", "undefined")
_CONTACTS: tuple[Contact, ...] = ("start", "end")


class LaneKey(NamedTuple):
    """Which lane: its road, the section of the road, and its number there, positive on the left."""

    road: str
    section: int
    lane: int


class Link(NamedTuple):
    """What a road's end is joined to: a road's start or end, or a junction."""

    element: Element
    kind: str  # road, junction
    id: str
    contact: Contact | None


@dataclass(frozen=True)
class Mark:
    """A road mark of a lane's outer bound, from a place in its section on [m]."""

    from_m: float
    type: str
    colour: str
    element: Element


@dataclass(frozen=True)
class Lane:
    """A lane of a section.

    Attributes:
        element: Where it is said.
        number: Its number, positive on the left; 0 is the bound in the middle, which has no width.
        type: Such as driving.
        widths: Its width along the section; or
        borders: the place of its outer bound, where the file gives that.
        marks: What is painted on its outer bound.
        limits: Speed limits, from a place in the section on.
        links: The lanes before and after along the reference line, by the side that they lie on.
    """

    element: Element
    number: int
    type: str
    widths: Cubics
    borders: Cubics
    marks: tuple[Mark, ...]
    limits: tuple[tuple[float, float], ...]
    links: dict[Contact, tuple[int, ...]]


@dataclass(frozen=True)
class Section:
    """A section of lanes along a road, from `start_m` to `end_m` of its reference line, or a part of one.

    Widths, markings and limits of its lanes count from `origin_m`, where the whole section begins.
    """

    element: Element
    start_m: float
    end_m: float
    origin_m: float
    lanes: dict[int, Lane]


@dataclass(frozen=True)
class Road:
    """A road.

    Attributes:
        element: Where it is said.
        id: Its id.
        line: Its reference line.
        offset: How far left of that the middle bound lies.
        sections: Sections of its lanes, in order.
        junction: The junction that it connects roads in; empty: none.
        links: What its ends are joined to.
        limits: Speed limits, from a place on.
        elevation: Its height, by which other roads pass over or under it.
    """

    element: Element
    id: str
    line: ReferenceLine
    offset: Cubics
    sections: tuple[Section, ...]
    junction: str
    links: dict[Contact, Link]
    limits: tuple[tuple[float, float], ...]
    elevation: Cubics

    def section_at(self, s: float) -> int:
        """Return the index of the section that holds a place."""
        starts = [section.start_m for section in self.sections]
        return max(int(np.searchsorted(starts, s + 1e-9, "right")) - 1, 0)

    def bounds(self, index: int, s: Floats) -> dict[int, Floats]:
        """Return how far left of the reference line the outer bound of each lane of a section lies; of 0 the middle.

        Where sections meet, the numbers and widths of lanes may jump, and the offset with them: it is that inside.
        """
        section = self.sections[index]
        edge = min(_EDGE_M, (section.end_m - section.start_m) / 4)
        s = np.clip(s, section.start_m + edge, section.end_m - edge)
        middle = self.offset.at(s)
        bounds = {0: middle}
        for number in sorted(section.lanes, key=abs):
            lane, sign = section.lanes[number], int(np.sign(number))
            if number and lane.borders.starts.size:
                bounds[number] = middle + lane.borders.at(s - section.origin_m)
            elif number:
                width = np.maximum(lane.widths.at(s - section.origin_m), 0.0)
                bounds[number] = bounds[number - sign] + sign * width
        return bounds

    def points(self, s: Floats, t: Floats) -> Floats:
        """Return the points (n, 2) [m] that lie so far left of the reference line."""
        return beside(self.line.at(s), t)


def beside(line: Floats, t: Floats) -> Floats:
    """Return the points (n, 2) [m] so far left of places (n, 3) of a reference line."""
    x, y, heading = line.T
    return np.stack([x - t * np.sin(heading), y + t * np.cos(heading)], axis=1)


def read_roads(top: Element) -> dict[str, Road]:
    """Return the roads of a file by id.

    Raises:
        ValueError: an element is missing or wrong.
    """
    roads: dict[str, Road] = {}
    for element in top.each("road"):
        road = _road(element)
        if road.id in roads:
            raise element.wrong(f"there is another road of this id in line {roads[road.id].element.line}")
        roads[road.id] = road
    return roads


def _road(element: Element) -> Road:
    if not element.text("id"):
        raise element.wrong("has no id, expected one")
    if element.text("rule", "RHT") == "LHT":
        raise element.wrong("rule = 'LHT', expected right-hand traffic (RHT), the only one that streets have")
    line = read_reference_line(element)
    junction = element.text("junction", "-1")
    limits = sorted(
        (each.number("s", 0.0), _limit(speed)) for each in element.each("type") for speed in each.each("speed")
    )
    return Road(
        element,
        element.text("id"),
        line,
        read_cubics(list(element.each("lanes/laneOffset"))),
        _sections(element, line.length_m, limits),
        "" if junction in ("-1", "") else junction,
        {at: link for at in _CONTACTS if (link := _link(element, at)) is not None},
        tuple(limits),
        read_cubics(list(element.each("elevationProfile/elevation"))),
    )


def _link(road: Element, at: Contact) -> Link | None:
    found = road.first("link/predecessor" if at == "start" else "link/successor")
    if found is None:
        return None
    contact: Contact | None = {"start": "start", "end": "end"}.get(found.text("contactPoint"))  # pyright: ignore
    kind = found.text("elementType", "road")
    if kind == "road" and contact is None:
        raise found.wrong(f"contactPoint = {found.text('contactPoint')!r}, expected start or end")
    return Link(found, kind, found.text("elementId"), contact)


def _sections(road: Element, length_m: float, limits: Sequence[tuple[float, float]]) -> tuple[Section, ...]:
    found = sorted(road.each("lanes/laneSection"), key=lambda each: each.number("s"))
    if not found:
        raise road.wrong("has no <lanes> with a <laneSection>, expected one")
    starts = [*(each.number("s") for each in found[1:]), length_m]
    sections, start = [], 0.0
    for each, end in zip(found, starts, strict=True):
        end = min(end, length_m)
        sections += _parts(Section(each, start, end, start, {lane.number: lane for lane in _lanes(each)}), limits)
        start = end
    return tuple(sections)


def _parts(section: Section, limits: Sequence[tuple[float, float]]) -> list[Section]:
    """Return the parts of a section along which no marking and no speed limit changes."""
    own = [at for lane in section.lanes.values() for at in (*(mark.from_m for mark in lane.marks), *dict(lane.limits))]
    changes = sorted({*(at + section.origin_m for at in own), *dict(limits)})
    cuts = [section.start_m]
    for at in changes:
        if cuts[-1] + _SHORTEST_M < at < section.end_m - _SHORTEST_M:
            cuts.append(at)
    parts = []
    for start, end in pairwise([*cuts, section.end_m]):
        lanes = section.lanes
        if start > section.start_m:
            lanes = {number: _continued(lane, "start") for number, lane in lanes.items()}
        if end < section.end_m:
            lanes = {number: _continued(lane, "end") for number, lane in lanes.items()}
        parts.append(Section(section.element, start, end, section.origin_m, lanes))
    return parts


def _continued(lane: Lane, at: Contact) -> Lane:
    """Return a lane that goes on as itself there."""
    return replace(lane, links={**lane.links, at: (lane.number,)})


def _lanes(section: Element) -> Iterator[Lane]:
    seen: set[int] = set()
    for side, sign in (("left", 1), ("center", 0), ("right", -1)):
        for element in section.each(f"{side}/lane"):
            number = element.whole("id")
            if np.sign(number) != sign or number in seen:
                what = {1: "above 0", 0: "0", -1: "below 0"}[sign]
                raise element.wrong(f"id = {number} in <{side}>, expected one {what} that no other lane here has")
            seen.add(number)
            yield _lane(element, number)
    for number in seen:
        if number and number - (1 if number > 0 else -1) not in {*seen, 0}:
            raise section.wrong(f"has a lane {number}, expected all lanes between it and 0, too")


def _lane(element: Element, number: int) -> Lane:
    widths, borders = list(element.each("width")), list(element.each("border"))
    links: dict[Contact, tuple[int, ...]] = {
        "start": tuple(each.whole("id") for each in element.each("link/predecessor")),
        "end": tuple(each.whole("id") for each in element.each("link/successor")),
    }
    marks = [
        Mark(each.number("sOffset", 0.0), each.text("type", "none"), each.text("color", "standard"), each)
        for each in element.each("roadMark")
    ]
    limits = [(each.number("sOffset", 0.0), _limit(each)) for each in element.each("speed")]
    return Lane(
        element,
        number,
        element.text("type", "none"),
        read_cubics(widths, "sOffset"),
        read_cubics([] if widths else borders, "sOffset"),
        tuple(sorted(marks, key=lambda mark: mark.from_m)),
        tuple(sorted(limits)),
        links,
    )


def _limit(speed: Element) -> float:
    """Return a speed limit [m/s]."""
    if speed.text("max") in _NO_LIMIT:
        return UNLIMITED_MPS
    unit = speed.text("unit")
    if unit not in _UNITS_MPS:
        raise speed.wrong(f"unit = {unit!r}, expected one of {', '.join(filter(None, _UNITS_MPS))}")
    limit = speed.number("max") * _UNITS_MPS[unit]
    if limit <= 0:
        raise speed.wrong(f"max = {speed.text('max')!r}, expected more than 0, such as 50")
    return limit
