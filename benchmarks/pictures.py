"""Draws the pictures of the front page and the manual: a drive as a GIF, and each shipped world from behind the car.

The package renders them itself: the film by `drive-rl render`, the worlds and what
stands beside streets while the reference driver drives.
"""

import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from drive_rl.config.reader import load_agent, load_world
from drive_rl.config.specs.driver import ReferenceSpec
from drive_rl.drivers.reference import ReferenceDriver
from drive_rl.report.film.gif_palette import Palette
from drive_rl.sim.envs.lane_env import LaneEnv
from drive_rl.sim.envs.make_env import make_env
from drive_rl.sim.envs.views import CHASE

IMG = Path(__file__).resolve().parents[1] / "docs" / "img"
FILM_PX = (480, 270)
FASTER = 5  # every fifth frame of ten a second, shown at ten a second
WORLDS_PX = (480, 300)
MOMENTS = {
    "lane_keep": (20_002, 16.0),
    "lane_follow_plain": (20_002, 24.0),
    "lane_follow": (20_002, 20.0),
    "lane_follow_hard": (20_001, 11.0),
    "parked_cars": (20_000, 7.3),
    "town": (20_004, 18.0),
    "roundabouts": (20_002, 6.0),
    "country": (20_002, 14.0),
    "motorway": (20_001, 19.0),
}
"""World -> (test road, seconds driven): where each shows what it is about."""
BUILT = "town", ["streets.roadside.buildings=0.8", "camera.channels=rgb", "camera.width_px=400", "camera.height_px=250"]
BUILT_MOMENTS = (20_004, 12.0), (20_007, 7.0), (20_006, 12.0)
"""What stands beside streets: test road and seconds driven of each picture."""


def main() -> None:
    """Draw all of them."""
    draw_film(IMG / "drive.gif")
    for name, (road_seed, seconds) in MOMENTS.items():
        draw_world(name, road_seed, seconds, IMG / f"{name}.jpg")
    draw_roadside(IMG / "roadside.jpg")


def draw_film(out: Path) -> None:
    """Film `ppo-lane-follow` on the first test road, five times as fast as it drives."""
    with tempfile.TemporaryDirectory() as folder:
        frames = Path(folder) / "film"
        words = ["render", "ppo-lane-follow", "--split", "test", "--episodes", "1", "--out", str(frames)]
        subprocess.run([sys.executable, "-m", "drive_rl", *words], check=True)
        files = sorted(frames.rglob("*.png"))[::FASTER]
        pictures = [Image.open(file).convert("RGB").resize(FILM_PX, Image.Resampling.BOX) for file in files]
    palette = Palette(np.asarray(pictures[len(pictures) // 2]))
    indexed = [_indexed(picture, palette) for picture in pictures]
    indexed[0].save(out, save_all=True, append_images=indexed[1:], duration=100, loop=0, optimize=True)
    print(f"written: {out.name}, {len(indexed)} frames, {out.stat().st_size / 1e6:.2f} MB")


def _indexed(picture: Image.Image, palette: Palette) -> Image.Image:
    indexed = Image.fromarray(palette.indices(np.asarray(picture)), "P")
    indexed.putpalette(palette.colours.tobytes())
    return indexed


def draw_world(name: str, road_seed: int, seconds: float, out: Path) -> None:
    """Photograph a world from behind the car after some seconds, the driver's picture in the corner."""
    width, height = WORLDS_PX
    with closing(make_env(load_world(name), observation="camera+state", split="test")) as env:
        camera = _drive(env, road_seed, seconds)
        lens = CHASE.model_copy(update={"width_px": width, "height_px": height})
        picture = np.ascontiguousarray(env.chase_view(lens))
    given = cv2.resize(camera[-1], (128, 80), interpolation=cv2.INTER_NEAREST)
    picture[8:88, width - 136 : width - 8] = given[..., None]
    _write(picture, out)


def draw_roadside(out: Path) -> None:
    """Put pictures from a car in a built town side by side."""
    pictures = []
    for road_seed, seconds in BUILT_MOMENTS:
        with closing(make_env(load_world(*BUILT), observation="camera+state", split="test")) as env:
            pictures.append(np.moveaxis(_drive(env, road_seed, seconds)[-3:], 0, -1))
    _write(np.concatenate(pictures, axis=1), out)


def _drive(env: LaneEnv, road_seed: int, seconds: float) -> NDArray[np.uint8]:
    """Let the reference driver drive; return what the camera shows then, (C, H, W)."""
    spec = load_agent("reference")
    assert isinstance(spec, ReferenceSpec)
    driver = ReferenceDriver(spec, env.world.car, env.world.task)
    observation, _ = env.reset(options={"road_seed": road_seed})
    for _ in range(round(seconds * 10)):
        observation, *_ = env.step(driver.act(observation["state"][None])[0])
    return observation["camera"]


def _write(picture: NDArray[np.uint8], out: Path) -> None:
    cv2.imwrite(str(out), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 88])
    print(f"written: {out.name}, {out.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
