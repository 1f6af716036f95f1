"""A small Lanelet2 map as OSM XML: a one-way ring of 30 m radius with a way around its north-west quarter."""

import math
from dataclasses import dataclass, field

import numpy as np

RADIUS_M = 30.0
WIDTH_M = 3.5
_M_PER_DEG = 111_000.0  # about, at the equator


@dataclass
class Osm:
    """Elements of an OSM file; nodes are shared by their place. One in left-handed coordinates has centre lines."""

    left_handed: bool = False
    nodes: dict[tuple[float, float], int] = field(default_factory=dict)
    elements: list[str] = field(default_factory=list)

    def new_id(self) -> int:
        """Return an unused id."""
        return 10_000 + len(self.elements)

    def way(self, points: np.ndarray, **tags: str) -> int:
        """Add a way and return its id."""
        ids = [self.nodes.setdefault((round(x, 6), round(y, 6)), 1 + len(self.nodes)) for x, y in points.tolist()]
        return self._add("way", "".join(f'<nd ref="{node}"/>' for node in ids), tags)

    def relation(self, members: list[tuple[str, str, int]], **tags: str) -> int:
        """Add a relation with members (type, role, id) and return its id."""
        inner = "".join(f'<member type="{kind}" role="{role}" ref="{ref}"/>' for kind, role, ref in members)
        return self._add("relation", inner, tags)

    def _add(self, kind: str, inner: str, tags: dict[str, str]) -> int:
        number = self.new_id()
        inner += "".join(f'<tag k="{key}" v="{value}"/>' for key, value in tags.items())
        self.elements.append(f'<{kind} id="{number}" version="1" visible="true">{inner}</{kind}>')
        return number

    def text(self) -> str:
        """Return the file."""
        north = -_M_PER_DEG if self.left_handed else _M_PER_DEG
        nodes = [
            f'<node id="{number}" version="1" visible="true" lat="{y / north:.11f}" lon="{x / _M_PER_DEG:.11f}"/>'
            for (x, y), number in self.nodes.items()
        ]
        return "\n".join(['<?xml version="1.0"?>', '<osm version="0.6">', *nodes, *self.elements, "</osm>"])

    def lanelet(
        self, left: np.ndarray, right: np.ndarray, subtype: str = "road", elements: tuple[int, ...] = ()
    ) -> int:
        """Add a lanelet with a dashed yellow left bound and a solid white right one; return its id."""
        bounds = [
            ("way", "left", self.way(left, type="line_thin", subtype="dashed", color="yellow")),
            ("way", "right", self.way(right, type="line_thin", subtype="solid")),
            *(("relation", "regulatory_element", element) for element in elements),
        ]
        if self.left_handed:
            bounds.append(("way", "centerline", self.way((left + right) / 2)))
        return self.relation(bounds, type="lanelet", subtype=subtype, location="urban", one_way="yes")


def quarter(number: int, bulge_m: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Return the bounds of a quarter of the ring, counter-clockwise from the east; it may bulge outwards."""
    share = np.linspace(0, 1, 31)
    angle = (number + share) * math.pi / 2
    out = bulge_m * np.sin(math.pi * share) ** 2
    left, right = (
        (RADIUS_M + out + offset)[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        for offset in (-WIDTH_M / 2, WIDTH_M / 2)
    )
    return left, right


def small_map(signal: bool = True, left_handed: bool = False) -> str:
    """Return the map: a signal or nothing before the fork, a crossing of the south-west quarter, and a footpath."""
    osm = Osm(left_handed)
    elements: tuple[int, ...] = ()
    if signal:
        stop = osm.way(np.array([(1.0, RADIUS_M - 1.75), (1.0, RADIUS_M + 1.75)]), type="stop_line")
        light = osm.way(
            np.array([(0.0, RADIUS_M + 3), (0.0, RADIUS_M + 4)]), type="traffic_light", subtype="red_yellow_green"
        )
        members = [("way", "ref_line", stop), ("way", "refers", light)]
        elements = (osm.relation(members, type="regulatory_element", subtype="traffic_light"),)
    osm.lanelet(*quarter(0), elements=elements)
    for number in (1, 2, 3):
        osm.lanelet(*quarter(number))
    osm.lanelet(*quarter(1, bulge_m=12.0))
    across = np.array([(-25.0, -20.0), (-17.0, -12.0)])
    osm.lanelet(across, across + np.array([2.0, -2.0]), "crosswalk")
    osm.lanelet(across - np.array([30, 0]), across - np.array([28, 2]), "walkway")
    return osm.text()
