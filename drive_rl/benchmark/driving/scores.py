"""All scores of one drive, and of many: each under the name of its version, with 95 % intervals."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from drive_rl.benchmark.driving.carla import driving_score_2_0, driving_score_2_1
from drive_rl.benchmark.driving.collisions import Collision, find_collisions
from drive_rl.benchmark.driving.infractions import Infractions, find_infractions
from drive_rl.benchmark.driving.nuplan import NuPlan, nuplan_score
from drive_rl.benchmark.driving.record import DriveRecord
from drive_rl.benchmark.driving.surrogate import (
    PET_HORIZON_S,
    TTC_HORIZON_S,
    post_encroachment_time,
    times_to_collision,
)
from drive_rl.sim.task.scoring import EpisodeMetrics
from drive_rl.stats import Estimate, bounded_mean, event_rate, wilson


@dataclass(frozen=True)
class DriveScores:
    """One drive; shares and scores are in [0, 1]."""

    road_seed: int
    end_reason: str
    route_completion: float
    driven_km: float
    carla_driving_score_2_0: float
    carla_driving_score_2_1: float
    nuplan: NuPlan
    min_ttc_s: float
    """Shortest time to collision [s]; 3 where nobody comes nearer."""
    min_pet_s: float
    """Shortest post-encroachment time [s]; 5 where no paths cross sooner after each other."""
    infractions: Infractions
    collisions: tuple[Collision, ...]


@dataclass(frozen=True)
class Measure:
    """A column of the results."""

    name: str
    label: str
    unit: str
    value: Estimate


def score_drive(record: DriveRecord) -> DriveScores:
    """Return all scores of a drive."""
    collisions = find_collisions(record)
    infractions, ttc_s = find_infractions(record, collisions), times_to_collision(record, collisions)
    completion = record.route_completion
    return DriveScores(
        road_seed=record.road_seed,
        end_reason=record.end_reason,
        route_completion=completion,
        driven_km=float(record.moved_m.sum()) / 1000,
        carla_driving_score_2_0=driving_score_2_0(completion, infractions),
        carla_driving_score_2_1=driving_score_2_1(completion, infractions),
        nuplan=nuplan_score(record, collisions, ttc_s),
        min_ttc_s=float(min(ttc_s.min(), TTC_HORIZON_S)),
        min_pet_s=min(post_encroachment_time(record), PET_HORIZON_S),
        infractions=infractions,
        collisions=collisions,
    )


RATES = ("no_at_fault_collision", "drivable_area", "making_progress", "time_to_collision", "comfort")
"""Parts of nuPlan's score that are 0 or 1, but for collisions with things."""
COUNTED = {
    "vehicle": "hit vehicles",
    "cyclist": "hit cyclists",
    "pedestrian": "hit pedestrians",
    "static": "hit things",
    "red_light": "red lights",
    "stop_sign": "stop signs",
    "yield_emergency": "held up",
    "off_route": "off route",
}
"""Infractions counted a kilometre -> their labels."""


def measures(episodes: Sequence[EpisodeMetrics], roads: Sequence[DriveScores]) -> list[Measure]:
    """Return all measures of a driver, success first.

    Args:
        episodes: The episodes.
        roads: The scores of the same, in the same order.
    """
    count = len(roads)

    def mean(get: Callable[[DriveScores], float], scale: float = 1.0) -> Estimate:
        found = bounded_mean(np.array([get(drive) for drive in roads]) / scale)
        return Estimate(found.value * scale, found.low * scale, found.high * scale)

    def part(name: str) -> Estimate:
        return mean(lambda drive: getattr(drive.nuplan, name))

    found = [
        Measure("success", "success", "%", wilson(sum(each.success for each in episodes), count)),
        Measure("route_completion", "route", "%", mean(lambda drive: drive.route_completion)),
        Measure("carla_driving_score_2_0", "CARLA 2.0", "%", mean(lambda drive: drive.carla_driving_score_2_0)),
        Measure("carla_driving_score_2_1", "CARLA 2.1", "%", mean(lambda drive: drive.carla_driving_score_2_1)),
        Measure("nuplan_closed_loop_score", "nuPlan", "%", part("score")),
        *(
            Measure(f"nuplan_{name}", name.replace("_", " "), "%", part(name))
            for name in NuPlan._fields
            if name != "score"
        ),
        Measure("min_ttc_s", "least TTC", "s", mean(lambda drive: drive.min_ttc_s, TTC_HORIZON_S)),
        Measure("min_pet_s", "least PET", "s", mean(lambda drive: drive.min_pet_s, PET_HORIZON_S)),
    ]
    driven_km = max(sum(drive.driven_km for drive in roads), 0.001)  # of drivers that stand, a metre counts
    for name, label in COUNTED.items():
        events = sum(getattr(drive.infractions, name) for drive in roads)
        found.append(Measure(f"{name}_per_km", label, "1/km", event_rate(events, driven_km)))
    return found
