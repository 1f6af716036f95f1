"""OpenDRIVE maps (`.xodr`) of version 1.x, with right-hand traffic.

Heights are left out: the ground is flat. What is not taken over is counted by its kind.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from drive_rl.errors import DriveRLError
from drive_rl.plain_files import read_plain
from drive_rl.sim.map.check import check_network
from drive_rl.sim.map.importers.assemble import ForeignLane, assemble, without_short
from drive_rl.sim.map.importers.checks import check_lanes
from drive_rl.sim.map.importers.opendrive.chains import (
    close_gaps,
    cut_links,
    fill_limits,
    graph_of,
    join_sections,
    numbered,
)
from drive_rl.sim.map.importers.opendrive.elements import Element, parse
from drive_rl.sim.map.importers.opendrive.lanes import DRIVEN, foreign_lanes
from drive_rl.sim.map.importers.opendrive.leftovers import count_leftovers
from drive_rl.sim.map.importers.opendrive.links import successors
from drive_rl.sim.map.importers.opendrive.roads import read_roads
from drive_rl.sim.map.importers.opendrive.signals import crossings, govern
from drive_rl.sim.map.importers.opendrive.turnarounds import turn_at_dead_ends
from drive_rl.sim.map.network import Floats, StreetMap

_LARGEST = 2**28  # bytes of a file
_TIGHT_M = 5.0
_FAR_M = 10_000.0  # coordinates are moved by whole multiples of this


def read_opendrive(path: Path) -> StreetMap:
    """Return the map in an OpenDRIVE file.

    Raises:
        DriveRLError: the file cannot be read, is not OpenDRIVE, or holds broken elements, left-hand traffic or no lanes
            for cars; or what it holds cannot be driven.
    """
    unsupported: Counter[str] = Counter()
    try:
        top = parse(read_plain(path, _LARGEST))
        _check_header(top)
        lanes, zebras = _lanes(top, unsupported)
    except (OSError, ValueError) as error:
        missing = isinstance(error, OSError)
        why = f"cannot be read: {error.strerror}" if missing else error
        fix = "name a file that is there (streets.map.path of a world)" if missing else "correct it, or export it again"
        raise DriveRLError(f"{path}: {why}; expected an OpenDRIVE map; fix: {fix}") from error
    if not lanes:
        raise DriveRLError(
            f"{path}: holds no lanes for cars: expected lanes of a type such as {DRIVEN[0]}; fix: name another map"
        )
    streets = assemble(path.name, lanes, zebras, +unsupported)
    check_network(streets)
    _count_tight(streets)
    return streets


def _count_tight(streets: StreetMap) -> None:
    """Count the lanes that bend more tightly than cars can turn."""
    first = streets.network.first_point[:-1]
    tight = int((np.maximum.reduceat(np.abs(streets.network.curvature_1pm), first) > 1 / _TIGHT_M).sum())
    if tight:
        streets.unsupported[f"lanes with a bend of less than {_TIGHT_M:g} m radius, tighter than cars turn"] = tight


def _check_header(top: Element) -> None:
    if top.tag != "OpenDRIVE":
        raise top.wrong("is the outermost element, expected <OpenDRIVE>")
    header = top.first("header")
    if header is not None and header.text("revMajor", "1") != "1":
        raise header.wrong(f"revMajor = {header.text('revMajor')!r}, expected 1")


def _lanes(top: Element, unsupported: Counter[str]) -> tuple[list[ForeignLane], list[Floats]]:
    """Return the lanes for cars with their successors, and the corners of zebra crossings."""
    roads = read_roads(top)
    by_key = foreign_lanes(roads, unsupported)
    after = successors(top, roads, by_key.keys(), unsupported)
    graph = graph_of(by_key, after)
    govern(roads, by_key, graph.before, unsupported)
    zebras = crossings(roads, unsupported)
    count_leftovers(top, roads, unsupported)
    fill_limits(graph, unsupported)
    graph = join_sections(graph)
    cut_links(graph, unsupported)
    lanes = numbered(turn_at_dead_ends(graph, roads, unsupported))
    check_lanes(lanes)
    lanes = without_short(lanes, unsupported)
    close_gaps(lanes, unsupported)
    return lanes, _brought_near(lanes, zebras)


def _brought_near(lanes: Sequence[ForeignLane], zebras: Sequence[Floats]) -> list[Floats]:
    """Move lanes and zebra crossings that lie far from (0, 0), as in UTM, by whole multiples of 10 km towards it."""
    by = np.round(lanes[0].centre[0] / _FAR_M) * _FAR_M if lanes else np.zeros(2)
    for lane in lanes:
        lane.left, lane.right, lane.centre = lane.left - by, lane.right - by, lane.centre - by
        lane.stop = lane.stop and (lane.stop[0] - float(by[0]), lane.stop[1] - float(by[1]))
    return [corners - by for corners in zebras]
