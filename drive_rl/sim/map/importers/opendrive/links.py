"""Which lane of an OpenDRIVE file leads to which: links within roads, from road to road, and through junctions."""

from collections import Counter
from collections.abc import Iterator, Mapping, Set

from drive_rl.sim.map.importers.opendrive.elements import Element
from drive_rl.sim.map.importers.opendrive.roads import Contact, LaneKey, Link, Road

_OTHER: dict[Contact, Contact] = {"start": "end", "end": "start"}
End = tuple[LaneKey, Contact]
"""An end of a lane, as its reference line runs."""


def successors(
    top: Element, roads: Mapping[str, Road], lanes: Set[LaneKey], unsupported: Counter[str]
) -> dict[LaneKey, set[LaneKey]]:
    """Return the lanes after each of some lanes, in driving direction.

    Args:
        top: The file's outermost element.
        roads: Its roads.
        lanes: The lanes to link; links of others are passed over.
        unsupported: Links that make no sense are counted here.

    Raises:
        ValueError: a link names a road, lane or junction that is not there.
    """
    after: dict[LaneKey, set[LaneKey]] = {key: set() for key in lanes}
    for one, other in (*_within(roads), *_between(roads), *_through(top, roads)):
        if one[0] not in lanes or other[0] not in lanes:
            continue
        if _leaves(one) == _leaves(other):
            unsupported["links of lanes that are driven towards each other"] += 1
        elif _leaves(one):
            after[one[0]].add(other[0])
        else:
            after[other[0]].add(one[0])
    return after


def _leaves(end: End) -> bool:
    """Return whether traffic leaves a lane at that end: right-hand traffic runs along the road on its right side."""
    return (end[0].lane < 0) == (end[1] == "end")


def _within(roads: Mapping[str, Road]) -> Iterator[tuple[End, End]]:
    """Yield the links between sections of a road."""
    for road in roads.values():
        for index in range(len(road.sections) - 1):
            yield from _to_next(road, index, index + 1, "end")
            yield from _to_next(road, index + 1, index, "start")


def _to_next(road: Road, here: int, there: int, at: Contact) -> Iterator[tuple[End, End]]:
    """Yield the links of a section's lanes to those of the one beside it, at their start or end."""
    for lane in road.sections[here].lanes.values():
        for number in lane.links[at]:
            if not number or not lane.number:
                continue
            if number not in road.sections[there].lanes:
                raise lane.element.wrong(f"is linked to lane {number}, expected one of the section beside it")
            yield (LaneKey(road.id, here, lane.number), at), (LaneKey(road.id, there, number), _OTHER[at])


def _between(roads: Mapping[str, Road]) -> Iterator[tuple[End, End]]:
    """Yield the links from the ends of roads to other roads."""
    for road in roads.values():
        for at, link in road.links.items():
            if link.kind != "road":
                continue
            to = _road(roads, link.id, link.element)
            index = 0 if at == "start" else len(road.sections) - 1
            for lane in road.sections[index].lanes.values():
                for number in lane.links[at]:
                    if lane.number and number:
                        yield (LaneKey(road.id, index, lane.number), at), _end(to, link, number, lane.element)


def _through(top: Element, roads: Mapping[str, Road]) -> Iterator[tuple[End, End]]:
    """Yield the links from incoming roads to the connecting roads of junctions."""
    for junction in top.each("junction"):
        for connection in junction.each("connection"):
            into = connection.text("connectingRoad") or connection.text("linkedRoad")
            if not into:
                raise connection.wrong("names no connectingRoad, expected one")
            incoming = _road(roads, connection.text("incomingRoad"), connection)
            to = _road(roads, into, connection)
            contact: Contact = "end" if connection.text("contactPoint") == "end" else "start"
            for lane_link in connection.each("laneLink"):
                from_number, to_number = lane_link.whole("from"), lane_link.whole("to")
                if not from_number or not to_number:
                    continue
                at = _end_at(incoming, junction.text("id"), from_number)
                one = _end(incoming, Link(lane_link, "road", incoming.id, at), from_number, lane_link)
                yield one, _end(to, Link(lane_link, "road", to.id, contact), to_number, lane_link)


def _end_at(road: Road, junction: str, number: int) -> Contact:
    """Return the end at which a road meets a junction; where both do, that at which the lane leaves it."""
    leaves_at: Contact = "end" if number < 0 else "start"
    ends: list[Contact] = [at for at, link in road.links.items() if link.kind == "junction" and link.id == junction]
    return ends[0] if len(ends) == 1 else leaves_at


def _road(roads: Mapping[str, Road], name: str, element: Element) -> Road:
    if name not in roads:
        raise element.wrong(f"names road {name!r}, expected the id of one in the file")
    return roads[name]


def _end(road: Road, link: Link, number: int, element: Element) -> End:
    index = len(road.sections) - 1 if link.contact == "end" else 0
    if number not in road.sections[index].lanes:
        raise element.wrong(
            f"is linked to lane {number} of road {road.id}, expected one of"
            f" {', '.join(map(str, sorted(road.sections[index].lanes)))}"
        )
    return (LaneKey(road.id, index, number), link.contact or "start")
