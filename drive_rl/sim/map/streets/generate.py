"""A map of streets from a spec and a seed."""

import numpy as np

from drive_rl.config.specs.base import SPLITS
from drive_rl.config.specs.streets.map import (
    CountrySpec,
    DrawnMapSpec,
    FileMapSpec,
    MapSpec,
    MotorwaySpec,
    RoundaboutsSpec,
    TownSpec,
)
from drive_rl.errors import DriveRLError
from drive_rl.sim.map.build import NetworkDraft, build
from drive_rl.sim.map.importers.read import read_map
from drive_rl.sim.map.network import StreetMap
from drive_rl.sim.map.routes import strong_parts
from drive_rl.sim.map.streets.country import draw_country
from drive_rl.sim.map.streets.graph import StreetGraph, is_clear
from drive_rl.sim.map.streets.layout import lay_out
from drive_rl.sim.map.streets.motorway import lay_motorway
from drive_rl.sim.map.streets.roundabouts import have_room
from drive_rl.sim.map.streets.town import draw_roundabouts, draw_town

_TRIES = 50
_STREAM = 11  # of the random numbers that belong to a seed


def map_of_seed(spec: MapSpec, seed: int) -> StreetMap:
    """Return the map of a seed; those of the test split are drawn from ranges of their own, and a file is read.

    Raises:
        DriveRLError: as `generate_streets` or `read_map`.
    """
    if isinstance(spec, FileMapSpec):
        return read_map(spec)
    rng = np.random.default_rng([seed, _STREAM])
    return generate_streets(spec, seed in SPLITS["test"], rng, f"{spec.kind} {seed}")


def generate_streets(spec: DrawnMapSpec, is_test: bool, rng: np.random.Generator, name: str) -> StreetMap:
    """Draw a map on which every lane reaches every other.

    Args:
        spec: What to draw.
        is_test: Whether to draw from the ranges of the test split.
        rng: Source of randomness.
        name: What to call the map.

    Raises:
        DriveRLError: found no map whose streets keep apart and reach each other.
    """
    for _ in range(_TRIES):
        if (draft := _draw(spec, is_test, rng)) is not None:
            network = build(draft)
            if strong_parts(network).max() == 0:
                return StreetMap(name, network, tuple(lane.name for lane in draft.lanes), {})
    raise DriveRLError(
        f"map {name}: found none in {_TRIES} tries whose streets keep apart and reach each other; fix: a larger"
        " map.block_m or map.length_m, a smaller map.missing or map.side_roads, or another seed"
    )


def _draw(spec: DrawnMapSpec, is_test: bool, rng: np.random.Generator) -> NetworkDraft | None:
    match spec:
        case MotorwaySpec():
            return lay_motorway(spec, is_test, rng)
        case TownSpec():
            return _laid(draw_town(spec, is_test, rng), 0.15, rng)
        case RoundaboutsSpec():
            return _laid(draw_roundabouts(spec, is_test, rng), 0.15, rng)
        case CountrySpec():
            return _laid(draw_country(spec, is_test, rng), 0.0, rng)


def _laid(graph: StreetGraph, midway: float, rng: np.random.Generator) -> NetworkDraft | None:
    return lay_out(graph, midway, rng) if is_clear(graph) and have_room(graph) else None
