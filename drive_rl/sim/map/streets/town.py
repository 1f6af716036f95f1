"""Towns and networks of roundabouts: graphs of streets on a grid."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from drive_rl.config.specs.streets.map import RoundaboutsSpec, TownSpec
from drive_rl.sim.map.network import Marking
from drive_rl.sim.map.streets.graph import Node, Right, Street, StreetGraph
from drive_rl.sim.map.streets.grid import curve_of, draw_edges, draw_places

RESIDENTIAL_MPS = 30 / 3.6
STREET_MPS = 50 / 3.6
WIDE_STREET_MPS = 60 / 3.6


@dataclass(frozen=True)
class _Line:
    """What the streets of one row or column share."""

    speed_limit_mps: float
    lane_width_m: float
    lanes: int
    centre: Marking
    edge: Marking


def draw_town(spec: TownSpec, is_test: bool, rng: np.random.Generator) -> StreetGraph:
    """Draw a town. One row, not at the edge if there are three, is a street of two lanes in each direction."""
    places = draw_places(spec, is_test, rng)
    wide = int(rng.integers(1, spec.rows - 1)) if spec.rows > 2 else 0
    edges = draw_edges(spec, wide, rng)
    rows = [_WIDE if j == wide else _line(rng) for j in range(spec.rows)]
    columns = [_line(rng) for _ in range(spec.columns)]
    number = {place: index for index, place in enumerate(places)}
    streets = []
    for one, other in edges:
        line = rows[one[1]] if one[1] == other[1] else columns[one[0]]
        parking = line.lanes == 1 and rng.random() < spec.parking
        curve = curve_of(places, (one, other))
        streets.append(Street(number[one], number[other], curve, **vars(line), parking=parking))
    arms = Counter(place for edge in edges for place in edge)
    calm = [[rows[j].speed_limit_mps, columns[i].speed_limit_mps] == [RESIDENTIAL_MPS] * 2 for i, j in places]
    rights: list[Right] = [_right(spec, arms[place], place[1] == wide, calm[number[place]], rng) for place in places]
    crossings = [min(1.0, spec.crossings * (2 if right == "signals" else 1)) for right in rights]
    corners = [float(rng.uniform(7, 10)) if arms[place] > 2 else 12.0 for place in places]
    nodes = [Node(*each) for each in zip(rights, crossings, corners, strict=True)]
    return StreetGraph(nodes, streets)


_WIDE = _Line(WIDE_STREET_MPS, 3.25, 2, Marking.YELLOW_SOLID, Marking.WHITE_SOLID)


def _line(rng: np.random.Generator) -> _Line:
    if rng.random() < 0.4:
        width = float(rng.uniform(3.0, 3.25))
        centre = Marking.WHITE_DASHED if rng.random() < 0.5 else Marking.NONE
        return _Line(RESIDENTIAL_MPS, width, 1, centre, Marking.NONE)
    centre = (Marking.YELLOW_DASHED, Marking.YELLOW_SOLID, Marking.WHITE_DASHED)[int(rng.integers(3))]
    return _Line(STREET_MPS, float(rng.uniform(3.25, 3.6)), 1, centre, Marking.WHITE_SOLID)


def _right(spec: TownSpec, arms: int, on_wide: bool, calm: bool, rng: np.random.Generator) -> Right:
    """Draw who may go first at a junction."""
    if arms > 2 and rng.random() < (spec.signals if on_wide else spec.signals / 4):
        return "signals"
    if calm and rng.random() < 0.5:
        return "none"
    return "stop" if rng.random() < 0.4 else "give_way"


def draw_roundabouts(spec: RoundaboutsSpec, is_test: bool, rng: np.random.Generator) -> StreetGraph:
    """Draw streets of one lane in each direction that meet at roundabouts."""
    places = draw_places(spec, is_test, rng)
    number = {place: index for index, place in enumerate(places)}
    line = _Line(STREET_MPS, float(rng.uniform(3.5, 3.75)), 1, Marking.YELLOW_DASHED, Marking.WHITE_SOLID)
    edges = draw_edges(spec, None, rng)
    streets = [Street(number[one], number[other], curve_of(places, (one, other)), **vars(line)) for one, other in edges]
    nodes = [Node("give_way", 0.5, 14.0, float(rng.uniform(*spec.radius_m))) for _ in places]
    return StreetGraph(nodes, streets)
