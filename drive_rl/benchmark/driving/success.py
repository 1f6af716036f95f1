"""When a drive succeeded, and in words why it did not. What a scenario forbids counts beside what `eval` counts."""

from drive_rl.benchmark.driving.scores import DriveScores
from drive_rl.config.specs.world import ScenarioSpec
from drive_rl.sim.task.scoring import EndReason, EpisodeMetrics

_ENDS: dict[EndReason, str] = {
    "off_road": "left the road",
    "wrong_way": "left its route",
    "timeout": "ran out of time",
    "blocked": "stood still",
}
_FORBIDDEN = {
    "red_light": "ran a red light",
    "stop_sign": "ran a stop sign",
    "yield_emergency": "held up an emergency vehicle",
}


def failure(episode: EpisodeMetrics, scores: DriveScores, scenario: ScenarioSpec | None) -> str:
    """Return why a drive failed; empty: it succeeded."""
    forbidden = scenario.forbids if scenario else ()
    ran = [_FORBIDDEN[name] for name in forbidden if getattr(scores.infractions, name)]
    return ", ".join(([] if episode.success else [_end(episode, scores)]) + ran)


def _end(episode: EpisodeMetrics, scores: DriveScores) -> str:
    if episode.end_reason == "collision":
        return f"hit a {scores.collisions[-1].who}" if scores.collisions else "hit something"
    if episode.end_reason == "arrived":
        return "left its lane" if episode.outside_lane else "was too slow"
    return _ENDS[episode.end_reason]
