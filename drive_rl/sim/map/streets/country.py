"""Country roads: a long, winding road that closes on itself, and side roads that leave and join it again."""

import math

import numpy as np

from drive_rl.config.specs.streets.map import CountrySpec
from drive_rl.sim.map.geometry import CURVATURE, HEADING
from drive_rl.sim.map.network import Marking
from drive_rl.sim.map.streets.curves import Curve, Pose, bezier
from drive_rl.sim.map.streets.graph import Node, Street, StreetGraph

_LATERAL_MPS2 = 4.0  # what the sharpest bend of a stretch allows at its speed limit
_SLOWEST_KMH, _FASTEST_KMH, _SIDE_KMH = 50, 100, 70
_WAVES = np.arange(2, 8)  # how often the road winds on the way around


def draw_country(spec: CountrySpec, is_test: bool, rng: np.random.Generator) -> StreetGraph:
    """Draw a country road with side roads; they may come too close to each other."""
    main = _loop(float(rng.uniform(*(spec.test_length_m if is_test else spec.length_m))), rng)
    width, knots = float(rng.uniform(3.25, 3.75)), len(main.points) - 1
    nodes = 2 * spec.side_roads
    at = np.sort(((np.arange(nodes) + rng.uniform(-0.25, 0.25, nodes)) * knots / nodes).astype(int) % knots)
    streets = [
        _street((index, (index + 1) % nodes), _stretch(main, at[index], at[(index + 1) % nodes]), width, _FASTEST_KMH)
        for index in range(nodes)
    ]
    for one in range(0, nodes, 2):
        start, end = (Pose(*main.points[at[index], :3].tolist()) for index in (one, one + 1))
        inside = spec.side_roads == 1 or rng.random() < 0.5
        streets.append(_street((one, one + 1), _side_road(start, end, inside, rng), width - 0.25, _SIDE_KMH))
    return StreetGraph([Node("stop" if rng.random() < 0.5 else "give_way", corner_m=9.0) for _ in at], streets)


def _loop(length_m: float, rng: np.random.Generator) -> Curve:
    """Return a closed road, counter-clockwise, whose distance from its middle is a sum of waves."""
    size, phase = rng.uniform(-0.35, 0.35, _WAVES.size) / _WAVES, rng.uniform(0, 2 * math.pi, _WAVES.size)
    angle = np.linspace(0, 2 * math.pi, 8192)[:, None]
    wave = _WAVES * angle + phase
    r = 1 + (size * np.cos(wave)).sum(axis=1)
    dr, ddr = -(size * _WAVES * np.sin(wave)).sum(axis=1), -(size * _WAVES**2 * np.cos(wave)).sum(axis=1)
    angle, speed = angle[:, 0], np.hypot(r, dr)
    yaw = np.unwrap(angle + np.arctan2(r, dr))
    along = np.concatenate([[0.0], np.cumsum((speed[1:] + speed[:-1]) / 2 * np.diff(angle))])
    scale = length_m / along[-1]
    bend = (r * r + 2 * dr * dr - r * ddr) / speed**3 / scale
    dense = np.stack([scale * r * np.cos(angle), scale * r * np.sin(angle), yaw, bend], axis=1)
    s = np.linspace(0, along[-1], math.ceil(length_m) + 1)
    return Curve(np.stack([np.interp(s, along, column) for column in dense.T], axis=1), length_m)


def _stretch(main: Curve, first: int, last: int) -> Curve:
    """Return the loop between two of its points; it may pass the end of the table."""
    points = main.points[first : last + 1].copy()
    if last <= first:
        rest = main.points[1 : last + 1].copy()
        rest[:, HEADING] += 2 * math.pi
        points = np.concatenate([main.points[first:], rest])
    return Curve(points, (len(points) - 1) * main.length_m / (len(main.points) - 1))


def _side_road(start: Pose, end: Pose, inside: bool, rng: np.random.Generator) -> Curve:
    square = math.pi / 2 if inside else -math.pi / 2
    skew = rng.uniform(-0.25, 0.25, 2)
    leaves, joins = start.yaw + square + skew[0], end.yaw - square + skew[1]
    reach = float(rng.uniform(0.35, 0.5) if inside else rng.uniform(0.5, 0.7))
    return bezier(Pose(start.x, start.y, leaves), Pose(end.x, end.y, joins), reach)


def _street(ends: tuple[int, int], curve: Curve, lane_width_m: float, fastest_kmh: int) -> Street:
    """Return a street whose limit is what its sharpest bend allows, to 10 km/h."""
    sharpest = float(np.abs(curve.points[:, CURVATURE]).max())
    allowed_kmh = 3.6 * math.sqrt(_LATERAL_MPS2 / max(sharpest, 1e-6))
    limit_kmh = min(max(allowed_kmh // 10 * 10, _SLOWEST_KMH), fastest_kmh)
    centre = Marking.YELLOW_DASHED if limit_kmh > 60 else Marking.YELLOW_SOLID
    return Street(*ends, curve, limit_kmh / 3.6, lane_width_m=lane_width_m, centre=centre)
