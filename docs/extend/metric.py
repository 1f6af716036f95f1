"""Metrics of one's own: the slowest road of an evaluation, and the worse of two accuracies of a perception model."""

from collections.abc import Sequence

from drive_rl import extend
from drive_rl.perception.evaluation.accuracy import Accuracy
from drive_rl.sim.task.scoring import EpisodeMetrics


@extend.metric("slowest_mean_speed_mps", label="slowest road", unit="m/s")
def slowest_mean_speed_mps(episodes: Sequence[EpisodeMetrics]) -> float | None:
    return min((episode.mean_speed_mps for episode in episodes), default=None)


@extend.metric("worst_scene_accuracy", of="accuracy", label="worse of tier and weather accuracy")
def worst_scene_accuracy(accuracy: Accuracy) -> float | None:
    if accuracy.tier is None or accuracy.weather is None:
        return None
    return min(accuracy.tier.accuracy, accuracy.weather.accuracy)
