"""One frame of a film: the driver's camera, the chase view, the map, and the last seconds as plots.

It knows what an environment returns for a step; it does not know who drives, nor where frames go.
"""

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from drive_rl.config.specs.base import Observation
from drive_rl.config.specs.world import WorldSpec
from drive_rl.report.film.canvas import (
    AMBER,
    BLUE,
    DIM,
    GREEN,
    GROUND,
    PANEL,
    RULE,
    TEXT,
    Box,
    Picture,
    blank,
    fill,
    text_width,
    write,
)
from drive_rl.report.film.road_map import RoadMap, lane_lines_d_m, speed_colours
from drive_rl.report.film.strip_chart import Axis, History
from drive_rl.sim.envs.views import CHASE
from drive_rl.sim.task.episode import Drive

if TYPE_CHECKING:
    from drive_rl.sim.envs.lane_env import LaneEnv

WIDTH_PX, HEIGHT_PX = 1280, 720

DRIVER = Box(16, 68, 784, 490)
"""The place of the driver's view."""

_CHASE = Box(816, 68, 448, 234)
_FOLLOWER = CHASE.model_copy(
    update={"width_px": _CHASE.width, "height_px": _CHASE.height, "forward_m": -8.5, "height_m": 3.3, "pitch_rad": 0.23}
)  # steeper than the usual one, since its picture is wider
_MAP = Box(816, 330, 448, 228)
_STRIP = [Box(16 + 316 * i, 588, 300, 116) for i in range(4)]
_HISTORY_S = 10
_DETAIL = 0.75  # of the driver's view: rendering it is half the work, and its lines are smoothed anyway
_INSET_PX = 200


class Step(NamedTuple):
    """The outcome of one step."""

    env: "LaneEnv"
    """The environment, after the step."""
    metrics: dict[str, float]
    """The environment's `info`, which holds the metrics by name."""
    reward: float
    picture: NDArray[np.uint8] | None
    """The newest picture in the driver's observation, (C, H, W) uint8; None if it holds none."""


class Layout:
    """Composes the frames of a film, (720, 1280, 3) RGB uint8.

    Args:
        world: The world driven in.
        driver: The driver's name.
        observation: The driver's observation.
        episodes: How many episodes the film shows.
    """

    def __init__(self, world: WorldSpec, driver: str, observation: Observation, episodes: int) -> None:
        self._world, self._episodes = world, episodes
        self._top_mps = 1.25 * world.task.target_speed_mps
        self._view = DRIVER.fitted(world.camera.width_px, world.camera.height_px)
        steer_deg = math.degrees(world.car.max_steer_rad)
        target = world.task.target_speed_mps
        axes = (
            Axis(0, self._top_mps, ((0, "0"), (target, f"{target:g}"))),
            Axis(-steer_deg, steer_deg, ((-steer_deg, f"-{steer_deg:.0f}"), (0, "0"), (steer_deg, f"{steer_deg:.0f}"))),
            Axis(0, 1, ((0, "0"), (1, "1"))),
        )
        samples = _HISTORY_S * world.task.control_hz + 1
        self._plots = [History(box, axis, samples) for box, axis in zip(_STRIP, axes, strict=False)]
        self._ground = self._draw_ground(driver, observation)

    def open(self, episode: Drive, number: int) -> None:
        """Begin the episode that is shown as number `number`."""
        self._map = RoadMap(_MAP.width, _MAP.height, lane_lines_d_m(self._world), episode, self._top_mps)
        for plot in self._plots:
            plot.clear()
        self._episode_ground = self._ground.copy()
        facts = f"episode {number} of {self._episodes}   ·   road {episode.seed}   ·   {episode.road.tier}"
        write(self._episode_ground, facts, WIDTH_PX - 16, 34, 18, TEXT, align="right")
        self._draw_scale(self._episode_ground)

    def frame(self, step: Step) -> Picture:
        """Return the frame after a step."""
        frame = self._episode_ground.copy()
        size = round(_DETAIL * self._view.width), round(_DETAIL * self._view.height)
        view = step.env.driver_view(*size)
        cv2.resize(view, (self._view.width, self._view.height), self._view.of(frame), interpolation=cv2.INTER_CUBIC)
        _CHASE.of(frame)[:] = step.env.chase_view(_FOLLOWER)
        self._map.drive(step.env.car)
        self._map.show(_MAP.of(frame), step.env.car)
        if step.picture is not None:
            _draw_inset(frame, step.picture)
        self._draw_plots(frame, step)
        _draw_facts(frame, _STRIP[3], step.metrics)
        return frame

    def _draw_ground(self, driver: str, observation: Observation) -> Picture:
        """Draw what stays the same throughout the film."""
        ground = blank(WIDTH_PX, HEIGHT_PX)
        driver = _shortened(driver, 480, 22, 700)
        write(ground, driver, 16, 34, 22, TEXT, 700)
        write(ground, _shortened(f"in {self._world.name}", 300, 18), 16 + text_width(driver, 22, 700) + 10, 34, 18, DIM)
        camera_note = {"state": "the driver is given the lane state, not this picture"}.get(observation, "")
        for box, name, note in (
            (DRIVER, "Driver's camera", camera_note),
            (_CHASE, "From behind", ""),
            (_MAP, "Map, north up", ""),
            (_STRIP[0], f"Speed, {_HISTORY_S} s", ""),
            (_STRIP[1], f"Steering, {_HISTORY_S} s", ""),
            (_STRIP[2], f"Reward, {_HISTORY_S} s", ""),
            (_STRIP[3], "Now", ""),
        ):
            fill(ground, box, PANEL)
            write(ground, name, box.x, box.y - 8, 15, DIM)
            write(ground, note, box.right, box.y - 8, 14, DIM, align="right")
        for plot in self._plots:
            plot.draw_ground(ground)
        return ground

    def _draw_scale(self, ground: Picture) -> None:
        """Draw the map's legend into its title: the ramp of speeds, north and a measured length."""
        y = _MAP.y - 8
        metres = next((m for m in (100, 50, 20, 10) if m * self._map.px_per_m <= 90), 5)
        length = round(metres * self._map.px_per_m)
        right = _MAP.right
        fill(ground, Box(right - length, y - 5, length, 3), DIM)
        write(ground, f"{metres} m", right - length - 8, y, 14, DIM, align="right")
        ramp = Box(_MAP.x + 152, y - 9, 80, 8)
        write(ground, "0", ramp.x - 8, y, 14, DIM, align="right")
        ramp.of(ground)[:] = speed_colours()[np.linspace(0, 255, ramp.width).astype(int)]
        write(ground, f"{self._top_mps:.0f} m/s", ramp.right + 8, y, 14, DIM)

    def _draw_plots(self, frame: Picture, step: Step) -> None:
        speed, target = step.metrics["speed_mps"], step.metrics["target_speed_mps"]
        steer_deg = math.degrees(step.metrics["steer_rad"])
        rows = (
            (speed, target, BLUE, f"{speed:.1f} m/s, asked {target:.1f}"),
            (steer_deg, math.nan, AMBER, f"{abs(steer_deg):.1f}°{_side(steer_deg)}"),
            (step.reward, math.nan, GREEN, f"{step.reward:.2f}"),
        )
        for plot, box, (value, wanted, colour, label) in zip(self._plots, _STRIP, rows, strict=False):
            plot.add(value, wanted)
            plot.draw(frame, colour)
            write(frame, label, box.right, box.y - 8, 15, colour, align="right")


def _shortened(text: str, width_px: int, size: int, weight: int = 400) -> str:
    """Return a text no wider than `width_px`, its end cut off if necessary."""
    if text_width(text, size, weight) <= width_px:
        return text
    while text and text_width(f"{text}…", size, weight) > width_px:
        text = text[:-1]
    return f"{text}…"


def _draw_inset(frame: Picture, observed: NDArray[np.uint8]) -> None:
    """Draw the picture of the driver's observation, pixel by pixel, into the sky of its view."""
    height, width = observed.shape[1:]
    scale = max(1, _INSET_PX // width) if width <= _INSET_PX else _INSET_PX / width
    size = round(width * scale), round(height * scale)
    inset = Box(DRIVER.right - size[0] - 10, DRIVER.y + 10, *size)
    caption = f"given to the driver, {width} x {height}"
    room = max(inset.width, text_width(caption, 13, 400) + 8)
    left = inset.right - room
    fill(frame, Box(left - 2, inset.y - 2, room + 4, inset.height + 24), GROUND)
    how = cv2.INTER_NEAREST if scale >= 1 else cv2.INTER_AREA
    picture = cv2.resize(np.ascontiguousarray(observed.transpose(1, 2, 0)), size, interpolation=how)
    inset.of(frame)[:] = picture.reshape(size[1], size[0], -1)
    write(frame, caption, left + 4, inset.bottom + 16, 13, TEXT)


def _side(value: float) -> str:
    return "" if abs(value) < 0.005 else " left" if value > 0 else " right"


def _draw_facts(frame: Picture, box: Box, metrics: dict[str, float]) -> None:
    """Draw the current numbers and how much of the route is done."""
    left, right = box.x + 14, box.right - 14
    write(frame, f"{3.6 * metrics['speed_mps']:.0f}", left, box.y + 44, 40, TEXT, 700)
    speed_width = text_width(f"{3.6 * metrics['speed_mps']:.0f}", 40, 700)
    write(frame, "km/h", left + speed_width + 8, box.y + 44, 18, DIM)
    write(frame, f"{metrics['time_s']:.1f} s", right, box.y + 26, 18, TEXT, align="right")
    offset = metrics["offset_m"]
    write(frame, f"{abs(offset):.2f} m{_side(offset)}", right, box.y + 52, 18, TEXT, align="right")
    done = metrics["route_completion"]
    write(frame, "of the lane's centre", right, box.y + 70, 13, DIM, align="right")
    write(frame, f"route {100 * done:.0f} %", left, box.y + 84, 14, DIM)
    fill(frame, Box(left, box.y + 94, right - left, 8), RULE)
    fill(frame, Box(left, box.y + 94, round((right - left) * done), 8), GREEN)


def newest_picture(observation: Any, world: WorldSpec) -> NDArray[np.uint8] | None:
    """Return the newest picture (C, H, W) of one observation, or None if it holds no picture."""
    camera = observation.get("camera") if isinstance(observation, dict) else observation
    if camera is None or np.ndim(camera) != 3:
        return None
    return camera[-world.camera.planes :]
