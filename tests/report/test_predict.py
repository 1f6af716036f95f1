"""What a model predicts of pictures from files: as the model alone predicts it, drawn where it is, and refused cleanly.
Covers `report/predict/`.
"""

import json
import shutil
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import torch

from drive_rl.config.reader import load_perception
from drive_rl.errors import DriveRLError
from drive_rl.perception.data.rendered_dataset import held_out
from drive_rl.perception.data.samples import LANE_FIELDS, Samples
from drive_rl.perception.models.load import Trained, load_trained
from drive_rl.report.film.writers import film_writer
from drive_rl.report.predict.drawing import CLASS_COLOURS, lane_middle, write_lane
from drive_rl.report.predict.predict import LINE_NAMES, predict


@pytest.fixture(scope="module")
def pictures() -> Samples:
    spec = load_perception("unet")
    return held_out(spec.world, spec.data, "val", 3)


@pytest.fixture(scope="module")
def folder(pictures: Samples, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pictures")
    for i, image in enumerate(pictures.images):
        cv2.imwrite(str(path / f"{i}.png"), np.ascontiguousarray(image.transpose(1, 2, 0)[..., ::-1]))
    return path


@pytest.fixture(scope="module")
def unet() -> Trained:
    return load_trained("unet-160")


def test_an_image_is_predicted_as_by_the_model_alone(
    unet: Trained, folder: Path, pictures: Samples, tmp_path: Path
) -> None:
    out = tmp_path / "drawn.png"
    predict(unet, str(folder / "1.png"), out)
    (frame,) = json.loads(out.with_suffix(".json").read_text())["frames"]
    with torch.inference_mode():
        alone = unet.model(torch.as_tensor(pictures.images[1:2]))
    assert frame["lane"] == pytest.approx(dict(zip(LANE_FIELDS, alone["lane"][0].tolist(), strict=True)), abs=1e-6)
    assert set(frame["lines"]) == set(LINE_NAMES)
    assert sum(frame["classes"].values()) == pytest.approx(1)
    column = float(alone["lines"][0, 0, 20]) * 160
    assert min(abs(x - column) for x, _ in frame["lines"]["right"]) < 0.01

    drawn, given = cv2.imread(str(out)), cv2.imread(str(folder / "1.png"))
    assert drawn is not None
    assert given is not None
    assert drawn.shape == (320, 640, 3)  # four times as large
    lane = alone["classes"][0].argmax(dim=0).numpy() == 2
    tint = np.abs(drawn[2::4, 2::4][lane].astype(float) - (0.55 * given[lane] + 0.45 * np.array((120, 220, 40)))).max(1)
    assert CLASS_COLOURS["ego_lane"] == (40, 220, 120)
    assert np.mean(tint < 25) > 0.7  # but for the curve and the dots over it


def test_a_folder_and_a_video_become_films(unet: Trained, folder: Path, tmp_path: Path) -> None:
    predict(unet, str(folder), tmp_path / "film.mp4")
    found = json.loads((tmp_path / "film.json").read_text())
    assert [frame["name"] for frame in found["frames"]] == ["0.png", "1.png", "2.png"]
    assert [frame["time_s"] for frame in found["frames"]] == pytest.approx([0, 0.1, 0.2])
    with av.open(str(tmp_path / "film.mp4")) as film:
        assert len(list(film.decode(video=0))) == 3

    again = predict(unet, str(tmp_path / "film.mp4"), tmp_path / "again", most=2)
    assert [frame.time_s for frame in again.frames] == pytest.approx([0, 0.1])
    assert len(list((tmp_path / "again").rglob("*.png"))) == 2
    assert (tmp_path / "again.json").is_file()


def test_a_stack_is_filled_with_the_pictures_before(tmp_path: Path) -> None:
    with film_writer(tmp_path / "film.mp4", 10) as film:
        film.begin_episode()
        for grey in (0, 90, 180, 250):
            film.add(np.full((720, 1280, 3), grey, np.uint8))
    seen = list[torch.Tensor]()

    class Stacked(torch.nn.Module):
        size = (24, 16)

        def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
            seen.append(images)
            return {"lane": torch.zeros(len(images), 6)}

    unet = load_trained("unet-160")
    shades = {
        None: [(0, 0, 0), (0, 0, 90), (0, 90, 180), (90, 180, 250)],
        (3, 1, 0): [(0, 0, 0), (0, 0, 90), (0, 90, 180), (0, 180, 250)],
    }
    for ages, levels in shades.items():
        changes = {"channels": "grey", "frame_stack": 3, "frame_ages": ages}
        camera = unet.spec.world.camera.model_copy(update=changes)
        spec = unet.spec.model_copy(update={"world": unet.spec.world.model_copy(update={"camera": camera})})
        seen.clear()
        trained = Trained("stacked", spec, Stacked(), unet.weights)  # pyright: ignore[reportArgumentType]
        predict(trained, str(tmp_path / "film.mp4"), tmp_path / f"out-{ages}")
        assert [tuple(each.shape) for each in seen] == [(1, 3, 24, 16)] * 4
        for found, expected in zip(seen, levels, strict=True):
            assert found[0, :, 0, 0].tolist() == pytest.approx(expected, abs=3)


def test_the_lanes_middle_is_where_the_lane_state_puts_it() -> None:
    """On a circle of 20 m radius to the left, one metre right of the middle, along it."""
    points = lane_middle(np.array([-1.0, 0.0, 0.05, 0.05, 0.05, 0.05]))
    assert points[0] == pytest.approx([0.5, 1.0], abs=0.05)
    distance_m = np.hypot(points[:, 0], points[:, 1] - 21.0)
    assert distance_m == pytest.approx(20.0, abs=0.6)


@pytest.mark.parametrize(
    ("source", "out", "message"),
    [
        ("nothing.png", "a.png", "nothing.png: no such file or folder; expected an image"),
        ("91", "a.mp4", "camera 91: there is no /dev/video91; fix"),
        ("broken.png", "a.png", "not a whole picture.*fix"),
        ("text.txt", "a.mp4", "text.txt: cannot be read.*fix"),
        ("empty", "a.mp4", "empty: holds no images.*fix"),
        ("whole.png", "a.mp4", r"a\.mp4: expected \.png or \.jpg for a single image; fix"),
        ("whole.png", "there.png", r"there\.json: exists already; fix: --overwrite"),
    ],
)
def test_what_cannot_be_read_or_written_is_named(
    unet: Trained, folder: Path, tmp_path: Path, source: str, out: str, message: str
) -> None:
    (tmp_path / "broken.png").write_bytes((folder / "0.png").read_bytes()[:40])
    (tmp_path / "whole.png").write_bytes((folder / "0.png").read_bytes())
    (tmp_path / "text.txt").write_text("no video")
    (tmp_path / "empty").mkdir()
    (tmp_path / "there.json").write_text("{}")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(DriveRLError, match=message):
        predict(unet, source if source.isdecimal() else str(tmp_path / source), tmp_path / out)
    assert sorted(tmp_path.iterdir()) == before


def test_a_picture_is_not_replaced_by_its_own_drawing(unet: Trained, folder: Path) -> None:
    before = (folder / "0.png").read_bytes()
    with pytest.raises(DriveRLError, match="is the source"):
        predict(unet, str(folder / "0.png"), folder / "0.png", overwrite=True)
    assert (folder / "0.png").read_bytes() == before


def test_a_folders_subfolders_belong_to_it(unet: Trained, folder: Path, tmp_path: Path) -> None:
    """But not hidden ones, nor what was drawn there before."""
    for name in ("b.png", "in/a.PNG", "in/deeper/c.png", ".thumbs/b.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / "0.png", tmp_path / name)
    for _ in range(2):
        found = predict(unet, str(tmp_path), tmp_path / "drawn", overwrite=True)
        assert [frame.name for frame in found.frames] == ["b.png", "in/a.PNG", "in/deeper/c.png"]
    assert len([*(tmp_path / "drawn").rglob("*.png")]) == 3


def test_nothing_is_minus_zero() -> None:
    drawn = []
    for sign in (1, -1):
        picture = np.zeros((40, 640, 3), np.uint8)
        write_lane(picture, sign * np.array([0.004, 0.0003, 0.0004, 0, 0, 0]))
        drawn.append(picture)
    assert drawn[0].any()
    assert np.array_equal(*drawn)


def test_a_tall_picture_is_not_drawn_larger(unet: Trained, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "tall.png"), np.zeros((700, 1, 3), np.uint8))
    predict(unet, str(tmp_path / "tall.png"), tmp_path / "out.png")
    drawn = cv2.imread(str(tmp_path / "out.png"))
    assert drawn is not None
    assert drawn.shape == (700, 1, 3)
