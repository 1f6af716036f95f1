"""Claim: the ground of a map of streets costs <= 13 ns a pixel at 64x40 grey on one core.

The trial behind it: distances to the pavement's edge with strokes of paint by tile (what the renderer has), against
rasters of paint at several resolutions, in time, memory, build time and error against 64 samples a pixel; and against
the ground of a single road, in the same run.
"""

import argparse
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import cv2
import numpy as np
from ground_truth import outlines_of, polygons, poses_on, sampled_picture
from numpy.typing import NDArray
from record import Bar, Bench, median, one_core, show, spread

from drive_rl.config.reader import load_world
from drive_rl.config.specs.streets.map import CountrySpec, MapSpec, MotorwaySpec, RoundaboutsSpec, TownSpec
from drive_rl.sim.appearance import ASPHALT, MARKING, SKY, VERGE, YELLOW, draw_appearance
from drive_rl.sim.compiled import njit, njit_scalar
from drive_rl.sim.map.network import RoadNetwork
from drive_rl.sim.map.streets.generate import map_of_seed
from drive_rl.sim.sensors.pinhole import ASIDE, BACK, DEPTH, ELEVATION, GROUND, LEVEL, Viewpoint, cast_rays
from drive_rl.sim.sensors.renderer import Picture, paint_picture
from drive_rl.sim.sensors.shading import (
    GRAIN_STEP,
    NOTHING,
    ONE,
    grain_index,
    ground_light,
    meet,
    paint_left,
    sky_light,
)
from drive_rl.sim.sensors.streets.ground import StreetGround, blend_street, build_street_ground, street_view
from drive_rl.sim.sensors.streets.renderer import paint_street
from drive_rl.sim.sensors.view import Scene
from drive_rl.sim.task.episode import draw_episode

SPECS: tuple[MapSpec, ...] = (TownSpec(), RoundaboutsSpec(), CountrySpec(), MotorwaySpec())
RASTER_OF = ("town", "roundabouts")  # the others are too large for rasters at the finest resolution
FINEST_M = (0.05, 0.1, 0.2)
PER_BYTE = np.float32(1 / 255)


class Raster(NamedTuple):
    """Coverage by asphalt, white and yellow paint as a pyramid; each level is half as fine as the one before."""

    texels: NDArray[np.uint8]  # all levels' (rows x columns x 3), flattened
    first: NDArray[np.int64]  # of each level
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    finest_m: np.float32
    x0: float
    y0: float


def build_raster(network: RoadNetwork, finest_m: float, levels: int = 8) -> Raster:
    """Return the paint of a map as a raster."""
    parts = list(polygons(network))
    points = np.concatenate([part for _, part in parts])
    low = np.floor(points.min(axis=0) - 6)
    columns, rows = np.ceil((points.max(axis=0) + 6 - low) / finest_m).astype(int).tolist()
    planes = {kind: np.zeros((rows, columns), np.uint8) for kind in (ASPHALT, MARKING, YELLOW)}
    for kind, part in parts:
        corners = np.round(((part - low) / finest_m - 0.5) * 256).astype(np.int32)
        cv2.fillPoly(planes[kind], [corners], 255, shift=8)  # pyright: ignore[reportCallIssue, reportArgumentType]
    level, flat, shapes = np.stack(list(planes.values()), axis=2), [], []
    for _ in range(levels):
        flat.append(level.reshape(-1))
        shapes.append(level.shape[:2])
        level = cv2.resize(
            level, (max(level.shape[1] // 2, 2), max(level.shape[0] // 2, 2)), interpolation=cv2.INTER_AREA
        )
    first = np.concatenate([[0], np.cumsum([part.size for part in flat])[:-1]])
    sizes = np.array(shapes, np.int64)
    return Raster(
        np.concatenate(flat), first, sizes[:, 0].copy(), sizes[:, 1].copy(), np.float32(finest_m), *low.tolist()
    )


@njit_scalar
def raster_at(raster, level, wx, wy):
    """Return the bilinear coverage by asphalt, white and yellow at a point from the raster's corner [m]."""
    a_texel = raster.finest_m * np.float32(1 << level)
    height, width = raster.rows[level], raster.columns[level]
    u = min(max(wx / a_texel - np.float32(0.5), NOTHING), np.float32(width - 1.01))
    v = min(max(wy / a_texel - np.float32(0.5), NOTHING), np.float32(height - 1.01))
    i, j = np.int64(u), np.int64(v)
    fu, fv, texels = u - np.float32(i), v - np.float32(j), raster.texels
    k = np.uint64(raster.first[level] + (j * width + i) * 3)
    above, right = k + np.uint64(width * 3), np.uint64(3)
    a, b, c, e = (ONE - fu) * (ONE - fv), fu * (ONE - fv), (ONE - fu) * fv, fu * fv
    asphalt = a * texels[k] + b * texels[k + right] + c * texels[above] + e * texels[above + right]
    k, above = k + np.uint64(1), above + np.uint64(1)
    white = a * texels[k] + b * texels[k + right] + c * texels[above] + e * texels[above + right]
    k, above = k + np.uint64(1), above + np.uint64(1)
    yellow = a * texels[k] + b * texels[k + right] + c * texels[above] + e * texels[above + right]
    return asphalt * PER_BYTE, white * PER_BYTE, yellow * PER_BYTE


@njit_scalar
def paint_raster(rays, raster, appearance, at, taps, image):
    """Fill a picture from a raster: `taps` samples along each pixel's length, at the level of its width there."""
    rows, palette = rays.rows, appearance.palette
    local = Viewpoint(
        np.float32(at.x - raster.x0), np.float32(at.y - raster.y0), np.float32(at.cos), np.float32(at.sin)
    )
    for r in range(image.shape[1]):
        sky = rows[r, LEVEL] < 0
        back, aside = rows[r, BACK], rows[r, ASIDE]
        size = np.sqrt(back * aside) if taps == 1 else max(back / np.float32(taps), aside)
        level = min(max(np.int64(np.rint(np.log2(size / raster.finest_m))), 0), raster.first.size - 1)
        for c in range(image.shape[2]):
            asphalt = white = yellow = NOTHING
            light = sky_light(rows[r, ELEVATION])
            if not sky:
                for tap in range(taps):
                    share = (np.float32(tap) + np.float32(0.5)) / np.float32(taps) - np.float32(0.5)
                    forward, depth = rows[r, GROUND] + share * back, rows[r, DEPTH] + share * back
                    wx, wy = meet(forward, depth, rays.bearings[c], local)
                    found = raster_at(raster, level, wx, wy)
                    asphalt += found[0] / np.float32(taps)
                    white += found[1] / np.float32(taps)
                    yellow += found[2] / np.float32(taps)
                wx, wy = meet(rows[r, GROUND], rows[r, DEPTH], rays.bearings[c], local)
                grain = appearance.texels[np.uint32(grain_index(rows[r, LEVEL], wx, wy))] * GRAIN_STEP
                left, light = paint_left(grain, appearance.wear), ground_light(asphalt, grain, appearance.wear)
                white, yellow = white * left, yellow * left
            around = SKY if sky else VERGE
            for channel in range(image.shape[0]):
                colours = (
                    palette[around, channel],
                    palette[ASPHALT, channel],
                    palette[MARKING, channel],
                    palette[YELLOW, channel],
                )
                image[channel, r, c] = blend_street(light, asphalt, white, yellow, colours)


@njit
def _road_pictures(view, poses, picture):
    for i in range(poses.shape[0]):
        paint_picture(view, Viewpoint(poses[i, 0], poses[i, 1], np.cos(poses[i, 2]), np.sin(poses[i, 2])), picture)


@njit
def _street_pictures(view, poses, picture):
    for i in range(poses.shape[0]):
        paint_street(view, Viewpoint(poses[i, 0], poses[i, 1], np.cos(poses[i, 2]), np.sin(poses[i, 2])), picture)


@njit
def _raster_pictures(rays, raster, appearance, poses, taps, image):
    for i in range(poses.shape[0]):
        at = Viewpoint(poses[i, 0], poses[i, 1], np.cos(poses[i, 2]), np.sin(poses[i, 2]))
        paint_raster(rays, raster, appearance, at, taps, image)


class Contender(NamedTuple):
    """A ground of one map: what paints it at poses, as it is and without grain, and what it costs."""

    paint: Callable[[NDArray[np.float64]], None]
    paint_plain: Callable[[NDArray[np.float64]], None]
    megabytes: float
    build_ms: float | None


def timed(build: Callable[[], Any]) -> tuple[Any, float]:
    """Return what a function builds, and how long it took the second time [ms]."""
    build()
    begin = time.perf_counter()
    return build(), 1000 * (time.perf_counter() - begin)


def megabytes(ground: StreetGround | Raster) -> float:
    """Return the size of a ground's arrays."""
    return sum(part.nbytes for part in ground if isinstance(part, np.ndarray)) / 1e6


def main() -> None:
    """Time the grounds in turn, round after round, on one core; then measure their errors."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--poses", type=int, default=256, help="on each map")
    parser.add_argument("--compared", type=int, default=24, help="poses at which errors are measured")
    parser.add_argument("--cpu", type=int, help="the core to use")
    bench = Bench("ground", parser)
    args = bench.args
    one_core(args.cpu)
    world, rng = load_world("lane_follow"), np.random.default_rng(0)
    camera = world.camera
    appearance = draw_appearance(world.appearance, rng)
    rays = cast_rays(camera)
    image = np.zeros((1, camera.height_px, camera.width_px), np.uint8)
    picture = Picture(image, np.empty((0, 0), np.uint8), np.empty((0, 0), np.float32))
    found: dict[str, tuple[Contender, NDArray[np.float64]]] = {}
    truths: dict[str, list[NDArray[np.float64]]] = {}

    episode = draw_episode(world, 0)
    road = Scene(episode.field, world.road, appearance).view(rays, 1)
    along = rng.uniform(episode.road.start_s_m, episode.road.end_s_m - 30, args.poses)
    places = [
        episode.road.place(float(s), -1.75 + float(rng.uniform(-0.5, 0.5)), float(rng.uniform(-0.2, 0.2)))
        for s in along
    ]
    size = (episode.field.d_m.nbytes + episode.field.s_m.nbytes) / 1e6
    none = Contender(lambda at: _road_pictures(road, at, picture), lambda at: None, size, None)
    found["single road"] = none, np.array(places)
    for spec in SPECS:
        network = map_of_seed(spec, 0).network
        poses = np.array(poses_on(network, args.poses, rng))
        ground, ms = timed(lambda network=network: build_street_ground(network))
        view = street_view(rays, ground, appearance, 1)
        still = view._replace(
            appearance=view.appearance._replace(wear=np.float32(0), texels=np.zeros_like(view.appearance.texels))
        )
        found[f"{spec.kind}: fields and strokes"] = (
            Contender(
                lambda at, view=view: _street_pictures(view, at, picture),
                lambda at, view=still: _street_pictures(view, at, picture),
                megabytes(ground),
                ms,
            ),
            poses,
        )
        exact = outlines_of(network)
        truths[spec.kind] = [
            sampled_picture(exact, appearance.street_palette(1), camera, tuple(pose), 8)
            for pose in poses[: args.compared]
        ]
        for finest in FINEST_M if spec.kind in RASTER_OF else ():
            raster, ms = timed(lambda network=network, finest=finest: build_raster(network, finest))
            for taps in (1, 4):
                found[f"{spec.kind}: raster {finest} m, {taps} taps"] = (
                    Contender(
                        lambda at, raster=raster, shades=view.appearance, taps=taps: _raster_pictures(
                            rays, raster, shades, at, taps, image
                        ),
                        lambda at, raster=raster, shades=still.appearance, taps=taps: _raster_pictures(
                            rays, raster, shades, at, taps, image
                        ),
                        megabytes(raster),
                        ms,
                    ),
                    poses,
                )
    samples: dict[str, list[float]] = {name: [] for name in found}
    for number in range(args.rounds + 1):
        for name, (contender, poses) in found.items():
            begin = time.perf_counter()
            contender.paint(poses)
            if number:  # the first one compiles
                samples[name].append((time.perf_counter() - begin) / len(poses) / image.size * 1e9)
    base = median(samples["single road"])
    figures = {}
    for name, (contender, poses) in found.items():
        errors = [
            _error(contender, pose, truth, image)
            for pose, truth in zip(poses, truths.get(name.split(":")[0], []), strict=False)
        ]
        figures[name] = {
            "ns_per_pixel": spread(samples[name]),
            "over_single_road": median(samples[name]) / base,
            "megabytes": contender.megabytes,
            "build_ms": contender.build_ms,
            "mean_error": float(np.mean([error[0] for error in errors])) if errors else None,
            "psnr_db": float(-10 * np.log10(np.mean([error[1] for error in errors]) / 255**2)) if errors else None,
        }
    show(
        f"Grounds at {camera.width_px}x{camera.height_px} grey, one core",
        ["ground", "ns/pixel", "least", "/ road", "MB", "build ms", "error (of 255)", "PSNR dB"],
        [
            [
                name,
                f["ns_per_pixel"]["median"],
                f["ns_per_pixel"]["min"],
                *(f[key] if f[key] is not None else "" for key in list(f)[1:]),
            ]
            for name, f in figures.items()
        ],
    )
    town = figures["town: fields and strokes"]
    bars = [
        Bar("ns a pixel in a town", town["ns_per_pixel"]["median"], most=13),
        Bar("mean error in a town, in shades of 255", town["mean_error"], most=1.0),
    ]
    bench.finish(figures, samples, bars)


def _error(
    contender: Contender, pose: NDArray[np.float64], truth: NDArray[np.float64], image: NDArray[np.uint8]
) -> tuple[float, float]:
    """Return the mean absolute and the mean square error of a picture's ground."""
    contender.paint_plain(pose[None])
    difference = image - truth
    return float(np.nanmean(np.abs(difference))), float(np.nanmean(difference**2))


if __name__ == "__main__":
    main()
