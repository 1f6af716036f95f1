"""A graph of streets -> the lanes of a network."""

import numpy as np

from drive_rl.sim.map.build import NetworkDraft
from drive_rl.sim.map.streets.graph import StreetGraph
from drive_rl.sim.map.streets.junctions import join
from drive_rl.sim.map.streets.roads import cross_midway, lay_bays, lay_lanes
from drive_rl.sim.map.streets.roundabouts import lay_roundabout

_LEAST_WITH_CROSSING_M = 70.0


def lay_out(graph: StreetGraph, midway: float, rng: np.random.Generator) -> NetworkDraft:
    """Return the network of a graph.

    Args:
        graph: Nodes and streets.
        midway: Share of streets with a zebra crossing between junctions.
        rng: Source of randomness.
    """
    draft = NetworkDraft(shoulder_m=max(street.shoulder_m for street in graph.streets))
    at_node = graph.arms()
    arms = {(arm.number, arm.outward): arm for node in at_node for arm in node}
    for index, street in enumerate(graph.streets):
        first, last = arms[index, True], arms[index, False]
        span = (first.setback_m, street.curve.length_m - last.setback_m)
        ahead, back = lay_lanes(draft, street, span, f"street{index}")
        first.out, first.into, last.into, last.out = ahead, back, ahead, back
        if span[1] - span[0] > _LEAST_WITH_CROSSING_M and rng.random() < midway:
            cross_midway(draft, street, span, [*ahead, *back], rng)
        if street.parking:
            for lane in (ahead[-1], back[-1]):
                lay_bays(draft, lane, rng)
    for index, (node, meeting) in enumerate(zip(graph.nodes, at_node, strict=True)):
        if node.roundabout_m and len(meeting) > 2:
            lay_roundabout(draft, node, meeting, f"node{index}", rng)
        else:
            join(draft, node, meeting, f"node{index}", rng)
    return draft
