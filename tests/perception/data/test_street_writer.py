"""Written data sets of streets: what independent readers find in them, and what is refused.

Covers street_writer, street_pictures, and street_card of data_card.
"""

import hashlib
import json
import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from command_line import call
from numpy.typing import NDArray

from drive_rl.config.reader import load_world
from drive_rl.config.specs.driver import ExpertSpec
from drive_rl.drivers.expert import ExpertDriver
from drive_rl.perception.data.street_writer import run_lengths, write_street_data
from drive_rl.sim.engines.streets.truth import OBJECTS, STREET_CLASSES

CAMERA = ("width_px=160", "height_px=100", "channels=rgb")
COUNT = 10


def make(folder: Path, out: str, *words: str) -> Path:
    """Write pictures of a town by the command line."""
    changes = [f"world.camera.{change}" for change in CAMERA]
    call(folder, "data", "make", "town", *changes, "--split", "val", "--out", out, *words)
    return folder / out


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("sets"), "set", "--samples", str(COUNT))


@pytest.fixture(scope="module")
def coco(folder: Path) -> Any:
    return pytest.importorskip("faster_coco_eval").COCO(str(folder / "instances.json"))


def pixels(path: Path) -> NDArray[Any]:
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert image is not None
    return image


def hashes(folder: Path, *below: str) -> dict[str, str]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    found = {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}
    return {name: value for name, value in found.items() if name.startswith(below or "")}


def test_objects_open_in_a_coco_library_and_are_those_of_the_masks(folder: Path, coco: Any) -> None:
    names = {category["id"]: category["name"] for category in coco.loadCats(coco.getCatIds())}
    assert set(names.values()) == {"vehicle", *OBJECTS}
    classes = json.loads((folder / "manifest.json").read_text())["classes"]
    assert classes == list(STREET_CLASSES)
    assert all(classes[value] == name for value, name in names.items())
    assert len(coco.getImgIds()) == COUNT
    lights = []
    for image in coco.loadImgs(coco.getImgIds()):
        name = Path(image["file_name"]).name
        instances, mask = pixels(folder / "instances" / name), pixels(folder / "masks" / name)
        assert (instances.dtype, mask.dtype) == (np.uint16, np.uint8)
        assert pixels(folder / "images" / name).shape == (*mask.shape, 3) == (image["height"], image["width"], 3)
        found = coco.loadAnns(coco.getAnnIds([image["id"]]))
        numbers = [each["attributes"]["instance"] for each in found]
        assert numbers == np.unique(instances[instances > 0]).tolist()
        for each, number in zip(found, numbers, strict=True):
            shown = instances == number
            assert np.array_equal(coco.annToMask(each), shown)
            assert each["area"] == shown.sum()
            assert each["bbox"] == list(cv2.boundingRect(shown.astype(np.uint8)))
            assert set(mask[shown]) == {each["category_id"]}
            assert ("light" in each["attributes"]) == (names[each["category_id"]] == "signal")
            lights.append(each["attributes"].get("light"))
        objects = [value for value, name in enumerate(classes) if name in names.values()]
        assert np.array_equal(np.isin(mask, objects), instances > 0)
    assert len(lights) > COUNT
    assert any(lights)


def test_lines_are_solid_or_dashed_paint(folder: Path) -> None:
    rows = [json.loads(line) for line in (folder / "lines.json").read_text().splitlines()]
    assert [row["file_name"] for row in rows] == [f"images/{n:06d}.png" for n in range(COUNT)]
    lines = [line for row in rows for line in row["lines"]]
    assert {line["colour"] for line in lines} == {"white", "yellow"}
    assert {line["dashed"] for line in lines} == {False, True}
    for row in rows:
        mask = pixels(folder / "masks" / Path(row["file_name"]).name)
        for line in row["lines"]:
            assert len(line["points_px"]) == len(line["ground_m"]) >= 2
            for (x, y), at in zip(line["points_px"], line["ground_m"], strict=True):
                if math.hypot(*at) < 8 and not line["dashed"]:
                    shown = mask[max(int(y) - 1, 0) : int(y) + 2, max(int(x) - 1, 0) : int(x) + 2]
                    assert np.isin([3, 4], shown).any(), "a marking, or a vehicle before it"


def test_boxes_and_depth_are_where_the_camera_shows_them(folder: Path, coco: Any) -> None:
    checked = 0
    for image in coco.loadImgs(coco.getImgIds()):
        name = Path(image["file_name"]).name
        depth, instances = pixels(folder / "depth" / name), pixels(folder / "instances" / name)
        mask = pixels(folder / "masks" / name)
        assert depth.dtype == np.uint16
        focal, (column, row) = image["camera"]["focal_px"], image["camera"]["centre_px"]
        position, pitch = np.array(image["camera"]["position_m"]), image["camera"]["pitch_rad"]
        cos, sin = math.cos(pitch), math.sin(pitch)
        rows = np.arange(image["height"]) + 0.5
        ground = position[2] / np.maximum(sin + (rows - row) / focal * cos, 1e-9)  # of a row, where nothing stands
        near = (ground < 60)[:, None] & (instances == 0) & np.isin(mask, [1, 3])
        wanted = np.broadcast_to(ground[:, None], depth.shape)
        np.testing.assert_allclose(depth[near] / 256, wanted[near], rtol=1e-3, atol=1 / 256)
        sky = sin + (rows - row) / focal * cos < -0.01
        assert not depth[sky][instances[sky] == 0].any()
        for each in coco.loadAnns(coco.getAnnIds([image["id"]])):
            about = each["attributes"]
            yaw = about["yaw_rad"]
            turned = np.array([[math.cos(yaw), -math.sin(yaw), 0], [math.sin(yaw), math.cos(yaw), 0], [0, 0, 1]])
            corners = np.array([[i, j, k] for i in (-1, 1) for j in (-1, 1) for k in (-1, 1)]) / 2 * about["size_m"]
            forward, left, up = (corners @ turned.T + about["centre_m"] - position).T
            away = forward * cos - up * sin
            if away.min() < 0.5:
                continue  # beside the camera
            columns = column - focal * left / away
            lines = row - focal * (forward * sin + up * cos) / away
            x, y, width, height = each["bbox"]
            assert columns.min() - 1 <= x
            assert x + width <= columns.max() + 1
            assert lines.min() - 1 <= y
            assert y + height <= lines.max() + 1
            seen = depth[instances == about["instance"]] / 256
            assert away.min() - 0.05 <= seen.min()
            assert seen.max() <= away.max() + 0.05
            checked += 1
    assert checked > COUNT


def test_pictures_are_of_many_places(folder: Path) -> None:
    labels, manifest = (json.loads((folder / f"{name}.json").read_text()) for name in ("instances", "manifest"))
    images = labels["images"]
    assert manifest["seeds"] == sorted({image["seed"] for image in images})
    assert len(manifest["seeds"]) > 1
    assert manifest["split"] == "val"
    for a, b in pairwise(images):
        assert (a["seed"], a["time_s"] + 1.9) < (b["seed"], b["time_s"])
    pictures = [pixels(folder / image["file_name"]).astype(float) for image in images]
    assert all(np.abs(a - b).mean() > 2 for at, a in enumerate(pictures) for b in pictures[:at])


def test_the_manifest_lists_every_file(folder: Path) -> None:
    manifest, found = json.loads((folder / "manifest.json").read_text()), hashes(folder)
    del found["manifest.json"]
    assert {name: entry["sha256"] for name, entry in manifest["files"].items()} == found
    assert manifest["count"] == COUNT
    assert manifest["world"]["streets"]["navigation"] == "none"
    assert f"{COUNT} labelled pictures of the world town" in (folder / "README.md").read_text()


def test_smaller_sets_begin_alike_and_weather_changes_pictures_alone(folder: Path) -> None:
    whole = hashes(folder, "images", "masks", "instances/", "depth")
    fewer = hashes(make(folder.parent, "fewer", "--samples", "5"), "images", "masks", "instances/", "depth")
    assert len(fewer) == 20
    assert fewer.items() <= whole.items()
    rainy = make(folder.parent, "fewer", "--samples", "5", "--weather", "--overwrite")
    labels = hashes(rainy, "masks", "instances/", "depth")
    assert labels.items() <= whole.items()
    weather = [image["weather"] for image in json.loads((rainy / "instances.json").read_text())["images"]]
    changed = [whole[name] != value for name, value in hashes(rainy, "images").items()]
    assert changed == [kind != "clear" for kind in weather]
    assert any(changed)


@pytest.mark.parametrize("words", ["perception fit unet data.folder=set", "bench perception unet-160 --data set"])
def test_models_refuse_pictures_of_streets(folder: Path, words: str) -> None:
    there = sorted(folder.parent.iterdir())
    refused = " ".join(call(folder.parent, *words.split(), expect=2).stderr.split())
    assert "set/manifest.json: kind = 'drive-rl street pictures': expected 'drive-rl pictures'" in refused
    assert sorted(folder.parent.iterdir()) == there


def test_whole_or_not_at_all(tmp_path: Path) -> None:
    def stop(more: int) -> None:
        raise KeyboardInterrupt

    world = load_world("town", [f"camera.{change}" for change in CAMERA])
    act = ExpertDriver(ExpertSpec(name="expert", algorithm="expert"), world.car, world.task).act
    with pytest.raises(KeyboardInterrupt):
        write_street_data(world, act, "val", 2, tmp_path / "new", progress=stop)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("corner", [0, 1])
def test_run_lengths_are_those_of_a_coco_library(corner: int) -> None:
    masks = pytest.importorskip("faster_coco_eval.core.mask")
    shown = np.zeros((5, 7), np.bool_)
    shown[1:3, 2:4] = shown[4, 6] = True
    shown[0, 0] = corner
    runs = run_lengths(shown)
    assert np.array_equal(masks.decode(masks.frPyObjects(runs, 5, 7)), shown)
