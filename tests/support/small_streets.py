"""Small road networks whose geometry is known in closed form."""

import math

import numpy as np

from drive_rl.sim.map.build import LaneDraft, NetworkDraft, build
from drive_rl.sim.map.network import StreetMap


def arc(x_m: float, y_m: float, yaw_rad: float, curvature_1pm: float, length_m: float) -> np.ndarray:
    """Return the points (n, 4) of a straight or an arc, about 1 m apart."""
    s = np.linspace(0, length_m, math.ceil(length_m) + 1)
    yaw = yaw_rad + curvature_1pm * s
    if curvature_1pm:
        x = x_m + (np.sin(yaw) - math.sin(yaw_rad)) / curvature_1pm
        y = y_m - (np.cos(yaw) - math.cos(yaw_rad)) / curvature_1pm
    else:
        x, y = x_m + s * math.cos(yaw_rad), y_m + s * math.sin(yaw_rad)
    return np.stack([x, y, yaw, np.full(s.size, curvature_1pm)], axis=1)


def lane(name: str, points: np.ndarray, length_m: float, **other: object) -> LaneDraft:
    """Return a lane 3.5 m wide with a limit of 10 m/s."""
    return LaneDraft(name, points, length_m, 3.5, 10.0, **other)  # pyright: ignore[reportArgumentType]


def circle(radius_m: float = 20.0) -> NetworkDraft:
    """Return a circle around (0, 0), counter-clockwise from its southernmost point, as two lanes."""
    half = math.pi * radius_m
    halves = [arc(0, (2 * i - 1) * radius_m, math.pi * i, 1 / radius_m, half) for i in (0, 1)]
    return NetworkDraft([lane(f"half{i}", points, half, successors=[1 - i]) for i, points in enumerate(halves)])


def street_map(draft: NetworkDraft) -> StreetMap:
    """Return a draft as a map named `small`."""
    return StreetMap("small", build(draft), tuple(lane.name for lane in draft.lanes), {})
