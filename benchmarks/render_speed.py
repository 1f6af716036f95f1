"""Claim: the renderer makes >= 12,000 frames/s at 84x84 grey on one core, many times TinyRenderer on the same scene."""

import argparse
import itertools
import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pybullet
import pybullet_data
from record import Bar, Bench, one_core, show, spread

from drive_rl.config.reader import load_world
from drive_rl.config.specs.base import SPLITS
from drive_rl.config.specs.world import WorldSpec
from drive_rl.sim.engines.bullet_camera import BulletCamera
from drive_rl.sim.sensors.pinhole import cast_rays
from drive_rl.sim.sensors.renderer import Scene, render
from drive_rl.sim.task.episode import Episode, Pose, draw_episode

SIZES = {"84x84 grey": (84, 84, "grey"), "64x40 grey": (64, 40, "grey"), "128x128 rgb": (128, 128, "rgb")}
Shot = Callable[[Pose], object]

TITLES = {
    "ours": "ours",
    "tiny": "TinyRenderer, as our environment uses it",
    "tiny_bare": "TinyRenderer, the bare call",
    "tiny_boxes": "TinyRenderer, the bare call on a plane and 5 boxes",
}


def shots(world: WorldSpec, episode: Episode, bullet: BulletCamera, boxes: int) -> dict[str, Shot]:
    """Return what takes a picture at a pose, for each contender; `bullet` gets the meshed copy of the road."""
    camera, appearance = world.camera, episode.appearance
    scene = Scene(episode.field, world.road, appearance)
    rays = cast_rays(camera, appearance.camera_height_error_m, appearance.camera_pitch_error_rad)
    image = np.zeros((camera.planes, camera.height_px, camera.width_px), np.uint8)
    bullet.lay(episode.road, appearance)
    aspect = camera.width_px / camera.height_px
    field_of_view = math.degrees(2 * math.atan(math.tan(camera.fov_rad / 2) / aspect))
    projection = pybullet.computeProjectionMatrixFOV(field_of_view, aspect, 0.2, 600)

    def bare(of: int, pose: Pose) -> object:
        x, y, yaw = pose
        place = (x + math.cos(yaw) * camera.forward_m, y + math.sin(yaw) * camera.forward_m, camera.height_m)
        down = place[2] - math.tan(camera.pitch_rad)
        view = pybullet.computeViewMatrix(place, (place[0] + math.cos(yaw), place[1] + math.sin(yaw), down), (0, 0, 1))
        return pybullet.getCameraImage(
            camera.width_px,
            camera.height_px,
            view,
            projection,
            shadow=0,
            flags=pybullet.ER_NO_SEGMENTATION_MASK,
            renderer=pybullet.ER_TINY_RENDERER,
            physicsClientId=of,
        )

    return {
        "ours": lambda pose: render(scene, rays, *pose, image),
        "tiny": lambda pose: bullet.photograph(*pose, image),
        "tiny_bare": lambda pose: bare(bullet.client, pose),
        "tiny_boxes": lambda pose: bare(boxes, (0.0, 0.0, pose[2])),
    }


def plane_and_boxes() -> int:
    """Return a client with about the simplest scene there is: Bullet's own plane, and five boxes around."""
    client = pybullet.connect(pybullet.DIRECT)
    plane = f"{pybullet_data.getDataPath()}/plane.urdf"
    pybullet.loadURDF(plane, physicsClientId=client)
    shape = pybullet.createVisualShape(pybullet.GEOM_BOX, halfExtents=[1, 1, 1], physicsClientId=client)
    for i in range(5):
        at = [12 * math.cos(1.26 * i), 12 * math.sin(1.26 * i), 1]
        pybullet.createMultiBody(0, -1, shape, at, physicsClientId=client)
    return client


def poses(episode: Episode, rng: np.random.Generator, count: int) -> list[Pose]:
    """Return poses along the right-hand lane, a little off it."""
    road = episode.road
    along = rng.uniform(road.start_s_m, road.end_s_m - 30, count)
    return [road.place(float(s), float(rng.uniform(-3, -0.5)), float(rng.uniform(-0.2, 0.2))) for s in along]


def frames_per_s(shot: Shot, where: Sequence[Pose], seconds: float) -> float:
    """Take pictures for some seconds; return the rate."""
    frames, begin = 0, time.perf_counter()
    now = begin
    for pose in itertools.cycle(where):
        shot(pose)
        frames += 1
        now = time.perf_counter()
        if now - begin >= seconds:
            break
    return frames / (now - begin)


def main() -> None:
    """Time the renderers in turn, size after size, a new road each round, on one core."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each renderer at each size in each round")
    parser.add_argument("--poses", type=int, default=256, help="poses on each road")
    parser.add_argument("--cpu", type=int, help="the core to use")
    bench = Bench("render_speed", parser)
    args = bench.args
    one_core(args.cpu)
    boxes, rng = plane_and_boxes(), np.random.default_rng(0)
    samples: dict[str, dict[str, list[float]]] = {size: {name: [] for name in TITLES} for size in SIZES}
    for seed in SPLITS["train"][: args.rounds]:
        for size, (width, height, channels) in SIZES.items():
            changes = [f"camera.width_px={width}", f"camera.height_px={height}", f"camera.channels={channels}"]
            world = load_world("lane_follow", [*changes, "camera.renderer=tiny"])
            episode = draw_episode(world, seed)
            where = poses(episode, rng, args.poses)
            bullet = BulletCamera(world)
            for name, shot in shots(world, episode, bullet, boxes).items():
                frames_per_s(shot, where, 0.05 * args.seconds)  # warm-up
                samples[size][name].append(frames_per_s(shot, where, args.seconds))
            bullet.close()
    figures = {size: _figures(rates) for size, rates in samples.items()}
    show(
        f"Frames on one core, medians of {args.rounds} rounds (roads)",
        ["picture", "renderer", "frames/s", "ours / it"],
        [
            (size, title, figures[size][name]["frames_per_s"]["median"], figures[size][name]["ours_over_it"]["median"])
            for size in SIZES
            for name, title in TITLES.items()
        ],
    )
    ours = figures["84x84 grey"]["ours"]["frames_per_s"]["median"]
    figures["about"] = {"pybullet_numpy": bool(pybullet.isNumpyEnabled()), "renderers": TITLES}
    bench.finish(figures, samples, [Bar("frames/s, 84x84 grey, one core", ours, least=12_000)])


def _figures(rates: dict[str, list[float]]) -> dict[str, Any]:
    return {
        name: {
            "frames_per_s": spread(values),
            "ours_over_it": spread([own / value for own, value in zip(rates["ours"], values, strict=True)]),
        }
        for name, values in rates.items()
    }


if __name__ == "__main__":
    main()
