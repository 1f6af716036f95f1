"""Labelled pictures of a world, rendered from poses drawn on its roads: no disk, and the same for the same seeds.

It knows roads, the camera and the renderer. It knows no model.
"""

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drive_rl.config.reader import with_parts
from drive_rl.config.specs.base import SPLITS, Split
from drive_rl.config.specs.perception import DataSpec
from drive_rl.config.specs.world import WorldSpec
from drive_rl.errors import DriveRLError
from drive_rl.perception.data.samples import (
    CURVATURES_AHEAD_M,
    LINES,
    ROWS,
    UNKNOWN_SCENE,
    WEATHER,
    Samples,
    anchor_rows,
)
from drive_rl.perception.data.weather import draw_weather, weather
from drive_rl.sim.map.geometry import pose_at
from drive_rl.sim.map.speed_profile import lane_curvature
from drive_rl.sim.sensors.lane_labels import painted_lines_d_m
from drive_rl.sim.sensors.pinhole import cast_rays, project
from drive_rl.sim.sensors.renderer import Scene, render, render_truth
from drive_rl.sim.task.episode import Episode, draw_episode, lane_centre_d_m

_POSES = 4
"""Random stream of the poses: episodes use the streams before."""
_WORLD = 5
"""Random stream of a road's world."""
_HELD_OUT_PER_ROAD = 4
_CHUNK_ROADS = 64
_LINE_AHEAD_M, _LINE_STEP_M = 80.0, 0.25


class RenderedSamples:
    """An endless order of minibatches of a split's roads, any of them at any time: nothing to save for a resume.

    Each road stands for `per_road` poses, always the same. Roads come in random order, epoch after epoch; minibatches
    are mixed from 64 roads at a time, and the next 64 are rendered on a thread while the model learns from these.

    Args:
        world: The world.
        data: How poses are drawn, which share of the roads is used, and in which other worlds some of them are.
        split: Which roads.
        batch_size: Pictures of a minibatch.
        seed: Seed of the order.
    """

    def __init__(self, world: WorldSpec, data: DataSpec, split: Split, batch_size: int, seed: int) -> None:
        self._rendered, self._data, self._batch_size, self._seed = _Roads(world, data), data, batch_size, seed
        seeds = SPLITS[split]
        self._roads = np.array(seeds[: max(1, round(len(seeds) * data.labelled))])
        self._chunk_roads = min(_CHUNK_ROADS, len(self._roads))
        self._renderer = ThreadPoolExecutor(1)
        self._chunks: dict[int, Samples] = {}
        self._next = (-1, self._renderer.submit(list[Samples]))

    def batch(self, number: int) -> Samples:
        """Return minibatch `number`, counted from 0."""
        first = number * self._batch_size
        size = self._chunk_roads * self._data.per_road
        parts = []
        left = self._batch_size
        while left:
            chunk, at = divmod(first, size)
            rows = slice(at, min(at + left, size))
            parts.append(self._chunk(chunk).take(rows))
            first += rows.stop - at
            left -= rows.stop - at
        return Samples.joined(parts)

    def close(self) -> None:
        """End the thread."""
        self._renderer.shutdown(cancel_futures=True)

    def _chunk(self, number: int) -> Samples:
        if number not in self._chunks:
            ready, future = self._next
            samples = future.result() if ready == number else [self._render(number)]
            self._chunks = {number: samples[0]}
            self._next = number + 1, self._renderer.submit(lambda: [self._render(number + 1)])
        return self._chunks[number]

    def _render(self, number: int) -> Samples:
        per_epoch = math.ceil(len(self._roads) / self._chunk_roads)
        epoch, at = divmod(number, per_epoch)
        order = np.random.default_rng([self._seed, epoch]).permutation(self._roads)
        order = np.resize(order, per_epoch * self._chunk_roads)  # the last chunk of an epoch begins the order again
        roads = order[at * self._chunk_roads : (at + 1) * self._chunk_roads]
        samples = Samples.joined([self._rendered.samples(int(seed), self._data.per_road) for seed in roads])
        return samples.take(np.random.default_rng([self._seed, epoch, at]).permutation(len(samples)))


def held_out(world: WorldSpec, data: DataSpec, split: Split, count: int) -> Samples:
    """Return `count` pictures of the first roads of a split, four of each road, each in the world that it is drawn for.

    Raises:
        DriveRLError: the split has too few roads, the world is not for the `field` renderer, or another world of `data`
            cannot have its camera.
    """
    rendered = _Roads(world, data)
    seeds = SPLITS[split]
    if count > len(seeds) * _HELD_OUT_PER_ROAD:
        raise DriveRLError(
            f"{count} pictures of split {split}: it has {len(seeds)} roads, of {_HELD_OUT_PER_ROAD} pictures each;"
            f" fix: at most {len(seeds) * _HELD_OUT_PER_ROAD}"
        )
    roads = seeds[: math.ceil(count / _HELD_OUT_PER_ROAD)]
    samples = Samples.joined([rendered.samples(seed, _HELD_OUT_PER_ROAD) for seed in roads])
    return samples.take(slice(0, count))


def along_road(world: WorldSpec, seed: int, count: int) -> Samples:
    """Return up to `count` pictures along a road, in the lane's middle at the target speed: what a film shows.

    Raises:
        DriveRLError: the world is not for the `field` renderer.
    """
    check_rendered(world)
    view = _View(world, seed)
    step_m = world.task.target_speed_mps / world.task.control_hz
    places = np.arange(view.episode.road.start_s_m, view.episode.road.end_s_m, step_m)[:count]
    rng = np.random.default_rng([seed, _POSES])
    return view.samples([Place(float(s_m), 0.0, 0.0, world.task.target_speed_mps) for s_m in places], rng)


def check_rendered(world: WorldSpec) -> None:
    """Refuse a world whose pictures are not our renderer's.

    Raises:
        DriveRLError: another renderer.
    """
    if world.camera.renderer != "field":
        raise DriveRLError(
            f"world.camera.renderer = {world.camera.renderer}: labelled pictures come from the field renderer; fix:"
            " world.camera.renderer=field"
        )


def road_samples(world: WorldSpec, data: DataSpec, seed: int, count: int) -> Samples:
    """Return `count` labelled pictures at poses drawn on the road of a seed, in this world."""
    view, rng = _View(world, seed), np.random.default_rng([seed, _POSES])
    road = view.episode.road
    places = [
        Place(
            s_m=rng.uniform(road.start_s_m, road.end_s_m),
            offset_m=rng.uniform(-data.offset_m, data.offset_m),
            heading_rad=rng.uniform(-data.heading_rad, data.heading_rad),
            speed_mps=rng.uniform(0, world.task.target_speed_mps),
            weather=draw_weather(rng) if data.weather else 0,
        )
        for _ in range(count)
    ]
    return view.samples(places, rng)


class _Roads:
    """Roads, each in one world: which one depends on the road's seed alone."""

    def __init__(self, world: WorldSpec, data: DataSpec) -> None:
        check_rendered(world)
        camera = {"camera": world.camera.model_dump(mode="json")}
        others = [with_parts(each.world, camera, f"data.worlds.{name}.world") for name, each in data.worlds.items()]
        self._data, self._worlds, self._tiers = data, [*others, world], sorted(world.road.tiers)
        self._upto = np.cumsum([each.share for each in data.worlds.values()])

    def samples(self, seed: int, count: int) -> Samples:
        """Return `count` labelled pictures of the road of a seed; tiers that the model's world lacks are unknown."""
        world = self._of(seed)
        samples, own = road_samples(world, self._data, seed, count), sorted(world.road.tiers)
        if own != self._tiers:
            samples.scene[:, 0] = [
                self._tiers.index(own[tier]) if own[tier] in self._tiers else UNKNOWN_SCENE
                for tier in samples.scene[:, 0]
            ]
        return samples

    def _of(self, seed: int) -> WorldSpec:
        drawn = np.random.default_rng([seed, _WORLD]).random() if len(self._worlds) > 1 else 0.0
        return self._worlds[np.searchsorted(self._upto, drawn, side="right")]


@dataclass(frozen=True)
class Place:
    """Where on a road a picture is taken, and in which weather."""

    s_m: float
    offset_m: float  # from the lane's centre line
    heading_rad: float  # against the road
    speed_mps: float  # at which the older pictures of a stack were passed
    weather: int = 0  # index into WEATHER


Pose = tuple[float, float, float]


class _View:
    """The camera on the road of a seed."""

    def __init__(self, world: WorldSpec, seed: int) -> None:
        self.world, self.episode = world, draw_episode(world, seed)
        appearance = self.episode.appearance
        self._errors = appearance.camera_height_error_m, appearance.camera_pitch_error_rad
        self._scene = Scene(self.episode.field, world.road, appearance, self.episode.parked_solids)
        self._rays = cast_rays(world.camera, *self._errors)
        self._tier = sorted(world.road.tiers).index(self.episode.road.tier)

    def samples(self, places: list[Place], rng: np.random.Generator) -> Samples:
        """Return labelled pictures of places; fog, dusk and rain are drawn from `rng`."""
        camera = self.world.camera
        stack = camera.frame_stack, camera.planes, camera.height_px, camera.width_px
        out = Samples.unlabelled(np.empty((len(places), stack[0] * stack[1], *stack[2:]), np.uint8))
        for i, place in enumerate(places):
            poses = self._poses(place)
            self._paint(poses, out.images[i].reshape(stack), out.classes[i], WEATHER[place.weather], rng)
            out.lane[i] = place.offset_m, place.heading_rad, *self._curvatures(place.s_m)
            out.lines[i] = _lines(self.world, self.episode, poses[-1], place.s_m, self._errors)
            out.scene[i] = self._tier, place.weather
        out.lined[:], out.seeds[:] = True, self.episode.seed
        return out

    def _poses(self, place: Place) -> list[Pose]:
        """Return the poses at which a stack's pictures are taken, the way to the last at constant speed and heading."""
        centre = lane_centre_d_m(self.world.road)
        poses = []
        for back in self.world.camera.ages:
            way_m = place.speed_mps * back / self.world.task.control_hz
            at_s = max(0.0, place.s_m - way_m * math.cos(place.heading_rad))
            at_d = centre + place.offset_m - way_m * math.sin(place.heading_rad)
            poses.append(self.episode.road.place(at_s, at_d, place.heading_rad))
        return poses

    def _paint(
        self,
        poses: list[Pose],
        stack: NDArray[np.uint8],
        classes: NDArray[np.uint8],
        kind: str,
        rng: np.random.Generator,
    ) -> None:
        for k, pose in enumerate(poses[:-1]):
            render(self._scene, self._rays, *pose, stack[k])
        truth = render_truth(self._scene, self._rays, *poses[-1], stack[-1])
        classes[:] = truth.classes
        for picture in stack if kind != "clear" else ():
            picture[:] = weather(picture, truth.depth_m, kind, rng)

    def _curvatures(self, s_m: float) -> list[float]:
        lane_d, knots = lane_centre_d_m(self.world.road), self.episode.road.knots
        return [lane_curvature(pose_at(knots, s_m + ahead)[3], lane_d) for ahead in CURVATURES_AHEAD_M]


def _lines(
    world: WorldSpec, episode: Episode, pose: Pose, s_m: float, errors: tuple[float, float]
) -> NDArray[np.float32]:
    """Return where the painted lines meet the anchor rows, (LINES, ROWS) column / width."""
    camera, road = world.camera, episode.road
    x, y, yaw = pose
    to_car = np.array([[math.cos(yaw), -math.sin(yaw)], [math.sin(yaw), math.cos(yaw)]])
    found = np.full((LINES, ROWS), np.nan, np.float32)
    end_m = min(road.length_m, s_m + _LINE_AHEAD_M)
    for number, d_m in enumerate(painted_lines_d_m(world.road)[:LINES]):
        ground = (road.line(d_m, max(0.0, s_m - 5), end_m, _LINE_STEP_M) - [x, y]) @ to_car
        found[number] = _columns(project(camera, ground, *errors), camera.height_px) / camera.width_px
    found[(found < 0) | (found > 1)] = np.nan
    return found


def _columns(pixels: NDArray[np.float64], height: int) -> NDArray[np.float64]:
    """Return the columns [px] at which a line, nearest point first, first meets the anchor rows; NaN: it does not."""
    pixels = pixels[np.isfinite(pixels[:, 1])]
    back = np.flatnonzero(np.diff(pixels[:, 1]) >= 0)  # where the line turns back towards the camera
    pixels = pixels[: back[0] + 1] if len(back) else pixels
    if len(pixels) < 2:
        return np.full(ROWS, np.nan)
    return np.interp(anchor_rows(height), pixels[::-1, 1], pixels[::-1, 0], left=np.nan, right=np.nan)
