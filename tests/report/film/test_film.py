"""Films are whole, playable, true to the episode, and never half-written."""

import errno
import shutil
import subprocess
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import av
import cv2
import numpy as np
import pytest

from drive_rl.config.reader import load_world
from drive_rl.config.specs.base import Actions, Observation
from drive_rl.config.specs.world import WorldSpec
from drive_rl.drivers.evaluate import evaluate
from drive_rl.errors import DriveRLError
from drive_rl.report.film.canvas import AMBER, GREEN, GROUND, RED, blank
from drive_rl.report.film.film import FilmProgress, card_frames, render_film
from drive_rl.report.film.layout import HEIGHT_PX, WIDTH_PX, Layout, Step, newest_picture
from drive_rl.report.film.outcome_card import outcome
from drive_rl.report.film.road_map import RoadMap, lane_lines_d_m
from drive_rl.report.film.writers import film_writer
from drive_rl.sim.envs.lane_env import LaneEnv
from drive_rl.sim.task.episode import draw_episode
from drive_rl.sim.task.scoring import EpisodeMetrics
from drive_rl.sim.vehicle import CarState

STEPS = 10
SEEDS = (10_000, 10_001)
FULL = OSError(errno.ENOSPC, "No space left on device")


class Pusher:
    """Sees the camera and always drives straight on."""

    name = "pusher"
    observation: Observation = "camera"
    actions: Actions = "continuous"

    def __init__(self, trouble: BaseException | None = None) -> None:
        self._trouble, self._steps = trouble, 0

    def act(self, observations: Any) -> np.ndarray:
        self._steps += 1
        if self._trouble is not None and self._steps == STEPS // 2:
            raise self._trouble
        return np.tile(np.array([0, 0.5], np.float32), (len(observations), 1))


def short_world(time_limit_s: float = 1.0) -> WorldSpec:
    world = load_world("lane_follow")
    road = world.road.model_copy(update={"length_m": 60.0})
    return world.model_copy(update={"road": road, "task": world.task.model_copy(update={"time_limit_s": time_limit_s})})


WORLD = short_world()


def film(out: Path, driver: Pusher | None = None, overwrite: bool = False) -> list[EpisodeMetrics]:
    return render_film(driver or Pusher(), WORLD, "val", len(SEEDS), out, overwrite=overwrite)


def frames_of(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def read_png(path: Path) -> np.ndarray:
    picture = cv2.imread(str(path))
    assert picture is not None
    return picture[..., ::-1]


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("films")
    for name in ("deep/er/drive.mp4", "drive.gif", "frames"):
        film(folder / name)
    return folder


@pytest.fixture(scope="module")
def pngs(films: Path) -> list[np.ndarray]:
    return [read_png(path) for path in sorted((films / "frames").rglob("*.png"))]


def test_mp4_is_what_browsers_play(films: Path) -> None:
    path = films / "deep/er/drive.mp4"
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        assert (video.codec_context.name, video.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert (video.width, video.height) == (WIDTH_PX, HEIGHT_PX)
        assert video.average_rate == WORLD.task.control_hz
        assert video.frames == len(SEEDS) * (STEPS + card_frames(WORLD))
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


def test_png_folder_holds_every_frame(films: Path) -> None:
    frames = STEPS + card_frames(WORLD)
    expected = [f"episode_{e:03}/frame_{f:05}.png" for e in (1, 2) for f in range(1, frames + 1)]
    found = [str(path.relative_to(films / "frames")) for path in sorted((films / "frames").rglob("*.png"))]
    assert found == expected


def test_mp4_shows_the_same_pictures_as_the_pngs(films: Path, pngs: list[np.ndarray]) -> None:
    frames = frames_of(films / "deep/er/drive.mp4")
    assert len(frames) == len(pngs)
    for i in (0, STEPS - 1, len(pngs) - 1):
        assert cv2.PSNR(frames[i], np.ascontiguousarray(pngs[i])) > 30
    corner = frames[-1][:4, :4].reshape(-1, 3).mean(axis=0)
    np.testing.assert_allclose(corner, GROUND, atol=3)


def test_gif_shows_the_same_pictures_smaller(films: Path, pngs: list[np.ndarray]) -> None:
    frames = frames_of(films / "drive.gif")
    assert len(frames) == len(pngs)
    for i in (0, STEPS + 1, len(pngs) - 1):
        small = cv2.resize(np.ascontiguousarray(pngs[i]), (WIDTH_PX // 2, HEIGHT_PX // 2), interpolation=cv2.INTER_AREA)
        assert frames[i].shape == small.shape
        assert cv2.PSNR(frames[i], np.asarray(small, np.uint8)) > 30


def test_a_film_agrees_with_the_evaluation(tmp_path: Path) -> None:
    reports: list[FilmProgress] = []
    rows = render_film(Pusher(), WORLD, "val", 2, tmp_path / "a.mp4", progress=reports.append)
    assert rows == evaluate(Pusher(), WORLD, "val", 2)[1]
    assert len(reports) == len(frames_of(tmp_path / "a.mp4")), "progress moves with every frame, not with every road"
    assert reports[-1] == (pytest.approx(len(reports) / WORLD.task.control_hz), 2, 1.0)
    assert [row.film_s for row in reports] == sorted(row.film_s for row in reports)


def test_named_seeds_are_filmed(tmp_path: Path) -> None:
    rows = render_film(Pusher(), WORLD, "test", 3, tmp_path / "a.mp4", seeds=[20_007])
    assert [row.road_seed for row in rows] == [20_007]


# --- what the frames show -----------------------------------------------------------------------------------------


def test_the_inset_is_the_newest_picture_the_driver_was_given() -> None:
    env = LaneEnv(WORLD, split="val")
    observation, info = env.reset(seed=1, options={"road_seed": SEEDS[0]})
    layout = Layout(WORLD, "pusher", "camera", 1)
    layout.open(env.episode, 1)
    newest = newest_picture(observation, WORLD)
    assert newest is not None
    np.testing.assert_array_equal(newest, observation[-1:])
    marked = newest.copy()
    marked[0, 10:30, 20:40] = 255 - marked[0, 10:30, 20:40]
    one, other = (layout.frame(Step(env, info, 0.5, picture)) for picture in (newest, marked))
    rows, columns = np.nonzero((one != other).any(axis=-1) & inset_region(one.shape))
    scale = (np.ptp(columns) + 1) // 20
    assert (np.ptp(rows) + 1, np.ptp(columns) + 1) == (20 * scale, 20 * scale)
    env.close()


@pytest.mark.parametrize("lanes", [(1, 0), (2, 0), (2, 2)])
@pytest.mark.parametrize("size", [(84, 84), (320, 64), (16, 40)])
def test_any_road_and_camera_can_be_filmed(lanes: tuple[int, int], size: tuple[int, int]) -> None:
    road = WORLD.road.model_copy(update={"lanes_ahead": lanes[0], "lanes_oncoming": lanes[1], "parked_cars_per_km": 30})
    camera = WORLD.camera.model_copy(update={"width_px": size[0], "height_px": size[1], "channels": "rgb"})
    world = WORLD.model_copy(update={"road": road, "camera": camera})
    env = LaneEnv(world)
    observation, info = env.reset(seed=0)
    layout = Layout(world, "pusher", "camera", 1)
    layout.open(env.episode, 1)
    frame = layout.frame(Step(env, info, 0.5, newest_picture(observation, world)))
    assert frame.shape == (HEIGHT_PX, WIDTH_PX, 3)
    env.close()


def inset_region(shape: tuple[int, ...]) -> np.ndarray:
    """Return a mask of the right upper part of the driver's view, where nothing else moves."""
    mask = np.zeros(shape[:2], bool)
    mask[68:240, 560:800] = True
    return mask


@pytest.mark.parametrize("observation", ["camera+state", "state"])
def test_the_newest_picture_of_other_observations(observation: Observation) -> None:
    env = LaneEnv(WORLD, observation=observation)
    newest = newest_picture(env.reset(seed=0)[0], WORLD)
    assert (newest is None) == (observation == "state")
    env.close()


@pytest.mark.parametrize(("x", "y", "column", "row"), [(20, 0, 1, 0), (-20, 0, -1, 0), (0, 20, 0, -1), (0, -20, 0, 1)])
def test_on_the_map_north_is_up_and_east_is_right(x: float, y: float, column: int, row: int) -> None:
    episode = draw_episode(WORLD, SEEDS[0])
    road_map = RoadMap(400, 300, lane_lines_d_m(WORLD), episode, 15)
    at = episode.road.place((episode.road.start_s_m + episode.road.end_s_m) / 2, 0)
    before, after = (arrow_place(road_map, CarState(at[0] + dx, at[1] + dy, 0.3)) for dx, dy in ((0, 0), (x, y)))
    expected_px = 20 * road_map.px_per_m * np.array([column, row])
    np.testing.assert_allclose(after - before, expected_px, atol=1.5)


def arrow_place(road_map: RoadMap, car: CarState) -> np.ndarray:
    """Return the centre (column, row) of what a car changes on a map."""
    empty, shown = blank(400, 300), blank(400, 300)
    road_map.show(empty, car._replace(x_m=1e4))
    road_map.show(shown, car)
    rows, columns = np.nonzero((empty != shown).any(axis=-1))
    return np.array([(columns.min() + columns.max()) / 2, (rows.min() + rows.max()) / 2])


@pytest.mark.parametrize(
    ("changes", "words", "colour"),
    [
        ({"success": True, "end_reason": "arrived"}, "Arrived", GREEN),
        ({"end_reason": "arrived", "max_offset_m": 2.0}, "Arrived, left its lane", AMBER),
        ({"end_reason": "arrived"}, "Arrived, too slow", AMBER),
        ({"end_reason": "off_road"}, "Off road", RED),
        ({"end_reason": "timeout"}, "Out of time", RED),
    ],
)
def test_the_outcome_in_words(changes: dict[str, Any], words: str, colour: tuple[int, int, int]) -> None:
    plain = EpisodeMetrics(False, "timeout", 1.0, 10.0, 8.0, 0.5, 0.2, 0.0, 0, 1.0, 0.0, SEEDS[0], "easy")
    assert outcome(replace(plain, **changes), half_lane_m=1.75) == (words, colour)


# --- what goes wrong ----------------------------------------------------------------------------------------------


def test_unknown_kinds_of_film_are_refused_before_driving(tmp_path: Path) -> None:
    with pytest.raises(DriveRLError, match=r"drive\.avi: unknown kind of film '\.avi'; expected \.mp4, \.gif"):
        film(tmp_path / "drive.avi", Pusher(AssertionError()))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["drive.mp4", "frames"])
def test_a_film_that_exists_is_replaced_only_when_asked(films: Path, tmp_path: Path, name: str) -> None:
    out = tmp_path / name
    film(out)
    with pytest.raises(DriveRLError, match=r"exists; fix: --overwrite"):
        film(out)
    film(out, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == [name]


ODD = [
    "12:30",
    "-x",
    "a%d",
    "concat:a|b",
    "pipe:1",
    "file:x",
    "http:x",
    "data:,",
    "two\nlines",
    "größe",
    "\udcff",
    "C:\\a",
]


@pytest.mark.parametrize("suffix", [".mp4", ".gif", ""])
def test_a_name_is_a_name_and_no_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
    monkeypatch.chdir(tmp_path)  # relative names, for FFmpeg takes what comes before a colon for a protocol
    begins = {".mp4": b"\0\0\0", ".gif": b"GIF8"}
    names = ODD[:2] if suffix == ".gif" else ODD  # a palette takes a while
    for name in names:
        out = Path(name + suffix)
        with film_writer(out, 10) as film:
            film.begin_episode()
            film.add(blank(WIDTH_PX, HEIGHT_PX))
        if suffix:
            assert out.read_bytes().startswith(begins[suffix])
        else:
            assert [path.name for path in out.glob("*/*")] == ["frame_00001.png"]
    assert {path.name for path in tmp_path.iterdir()} == {name + suffix for name in names}


def test_a_name_that_is_too_long_is_refused(tmp_path: Path) -> None:
    for name in ("x" * 300 + ".mp4", "x" * 300, "x" * 250 + ".mp4"):
        with (
            pytest.raises(DriveRLError, match=r"cannot be written|no file can be made there"),
            film_writer(tmp_path / name, 10),
        ):
            pytest.fail("it began")
    assert not list(tmp_path.iterdir())


def test_a_folder_of_other_things_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.txt").write_text("years of work")
    with pytest.raises(DriveRLError, match="holds more than a film's frames"):
        film(tmp_path / "home", overwrite=True)
    assert (tmp_path / "home" / "thesis.txt").read_text() == "years of work"


def test_a_folder_cannot_stand_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DriveRLError, match="a file is where a folder is needed"):
        film(tmp_path / "file" / "drive.mp4")


@pytest.mark.parametrize("name", ["drive.mp4", "drive.gif", "frames"])
@pytest.mark.parametrize(("trouble", "raised"), [(KeyboardInterrupt(), KeyboardInterrupt), (FULL, DriveRLError)])
def test_an_interrupted_film_leaves_the_old_one(
    films: Path, tmp_path: Path, name: str, trouble: BaseException, raised: type[BaseException]
) -> None:
    old = films / (name if name != "drive.mp4" else "deep/er/drive.mp4")
    copy: Callable[..., Any] = shutil.copytree if old.is_dir() else shutil.copy
    copy(old, tmp_path / name)
    before = contents(tmp_path)
    with pytest.raises(raised):
        film(tmp_path / name, Pusher(trouble), overwrite=True)
    assert contents(tmp_path) == before


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# --- a real browser -----------------------------------------------------------------------------------------------

PAGE = """<!doctype html><body><video id="v" src="drive.mp4" muted autoplay></video><script>
const video = document.getElementById("v"), report = (what) => fetch("/", { method: "POST", body: what });
video.onerror = () => report("error " + video.error.message);
video.onended = () => report(`played ${video.videoWidth}x${video.videoHeight} of ${video.duration.toFixed(1)} s`);
</script></body>"""


class Page(SimpleHTTPRequestHandler):
    """Serves a folder, and hears what its page posts."""

    heard: "SimpleQueue[str]"

    def do_POST(self) -> None:
        self.heard.put(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""


def test_a_browser_plays_the_mp4(browser: list[str], films: Path, tmp_path: Path) -> None:
    shutil.copy(films / "deep/er/drive.mp4", tmp_path)
    (tmp_path / "index.html").write_text(PAGE, encoding="utf-8")
    heard: SimpleQueue[str] = SimpleQueue()
    handler = type("Heard", (Page,), {"heard": heard})
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(tmp_path))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        where = f"http://127.0.0.1:{server.server_port}/"
        command = [*browser, where]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            try:
                played = heard.get(timeout=120)
            finally:
                process.kill()
                server.shutdown()
    seconds = len(SEEDS) * (STEPS + card_frames(WORLD)) / WORLD.task.control_hz
    assert played == f"played {WIDTH_PX}x{HEIGHT_PX} of {seconds:.1f} s"
