"""The card at the end of an episode of a film: its outcome in words and numbers. Knows scores, not who drove."""

from drive_rl.report.film.canvas import AMBER, DIM, GREEN, GROUND, RED, TEXT, Box, Colour, Picture, fill, write
from drive_rl.report.film.layout import DRIVER
from drive_rl.sim.task.scoring import EndReason, EpisodeMetrics

_OUTCOMES: dict[EndReason, str] = {
    "arrived": "Arrived",
    "off_road": "Off road",
    "wrong_way": "Wrong way",
    "collision": "Collision",
    "timeout": "Out of time",
    "blocked": "Stood still",
}


def outcome_card(frame: Picture, episode: EpisodeMetrics, half_lane_m: float) -> Picture:
    """Return the last frame of an episode with its outcome over the driver's view."""
    card = frame.copy()
    DRIVER.of(card)[:] = DRIVER.of(card) // 3
    box = Box(DRIVER.x + 172, DRIVER.y + 180, 440, 230)
    title, colour = outcome(episode, half_lane_m)
    fill(card, box, GROUND)
    fill(card, Box(box.x, box.y, 6, box.height), colour)
    write(card, title, box.x + 32, box.y + 56, 34, colour, 700)
    rows = (
        ("route driven", f"{100 * episode.route_completion:.0f} %"),
        ("time", f"{episode.time_s:.1f} s"),
        ("mean speed", f"{episode.mean_speed_mps:.1f} m/s ({3.6 * episode.mean_speed_mps:.0f} km/h)"),
        ("largest offset", f"{episode.max_offset_m:.2f} m"),
    )
    for i, (name, value) in enumerate(rows):
        write(card, name, box.x + 32, box.y + 104 + 32 * i, 20, DIM)
        write(card, value, box.right - 28, box.y + 104 + 32 * i, 20, TEXT, 600, align="right")
    return card


def outcome(episode: EpisodeMetrics, half_lane_m: float) -> tuple[str, Colour]:
    """Return an episode's outcome in words, and its colour."""
    title = _OUTCOMES[episode.end_reason]
    if episode.success:
        return title, GREEN
    if episode.end_reason == "arrived":
        return (f"{title}, left its lane" if episode.max_offset_m > half_lane_m else f"{title}, too slow"), AMBER
    return title, RED
