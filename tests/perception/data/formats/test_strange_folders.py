"""Data sets of strangers: what leads elsewhere, has no end or is broken is left out with its reason."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from small_sets import cars, write

from drive_rl.errors import DriveRLError
from drive_rl.perception.data.decode import read_picture
from drive_rl.perception.data.folder_dataset import read_folder
from drive_rl.perception.data.formats.coco_masks import MOST_POINTS, area_of, paint
from drive_rl.perception.data.picture_header import picture_size
from drive_rl.perception.data.records import BadRecord

WORLD = cars()
FRAMES = 3
SECOND = "images/000001.png"
KINDS: list[str] = ["drive_rl", "tusimple", "culane", "coco"]


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    return write(tmp_path_factory.mktemp("sets") / "set", WORLD, samples=FRAMES)


@pytest.fixture
def folder(written, tmp_path) -> Path:
    return Path(shutil.copytree(written, tmp_path / "set"))


def name_second(folder: Path, kind: str, name: str) -> None:
    """Make a data set of a kind whose second picture has another name in its labels."""
    if kind == "drive_rl":
        states = folder / "states.csv"
        quoted = '"' + name.replace('"', '""') + '"'
        states.write_text(states.read_text().replace(SECOND, quoted), errors="surrogateescape")
    elif kind == "tusimple":
        lines = [json.loads(line) for line in (folder / "lanes.json").read_text().splitlines()]
        lines[1]["raw_file"] = name
        write_tusimple(folder, lines)
    elif kind == "culane":
        names = [f"images/{n:06d}.png" for n in range(FRAMES)]
        for each in names:
            (folder / each).with_suffix(".lines.txt").write_text("10 20 20 40\n")
        write_culane(folder, [names[0], name, names[2]])
    else:
        coco = json.loads((folder / "boxes.json").read_text())
        coco["images"][1]["file_name"] = name
        write_coco(folder, coco)


def write_tusimple(folder: Path, lines: list[Any]) -> None:
    (folder / "lanes.json").write_text("".join(json.dumps(line) + "\n" for line in lines))


def write_culane(folder: Path, lines: list[str]) -> None:
    (folder / "list").mkdir(exist_ok=True)
    (folder / "list/test.txt").write_text("\n".join(lines), errors="surrogateescape")


def write_coco(folder: Path, coco: Any) -> None:
    (folder / "boxes.json").write_text(json.dumps(coco))


def left_out(folder: Path, kind: str, kept: int = FRAMES - 1) -> str:
    """Return why the one bad record was left out."""
    found = read_folder(folder, WORLD, kind)
    assert len(found.samples) == kept
    predicted = found.skipped.report()
    assert f"skipped in all: {FRAMES - kept} (" in "".join(predicted)
    assert all(line.isprintable() for line in predicted)
    return predicted[0]


# --- where a name leads ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["../images/000001.png", "images/../../set/images/000001.png", ".."])
def test_a_name_that_climbs_out_is_left_out(folder, kind, name):
    name_second(folder, kind, name)
    assert "leads out of the data set: " in left_out(folder, kind)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "name", [f"/{SECOND}", "images\\000001.png", "\\images\\000001.png", f"./{SECOND}", "ABSOLUTE"]
)
def test_names_begin_at_the_data_set_and_may_have_backslashes(folder, kind, name):
    name_second(folder, kind, name.replace("ABSOLUTE", f"{folder}/{SECOND}"))
    assert len(read_folder(folder, WORLD, kind).samples) == FRAMES


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["/dev/zero", "/dev/stdin", "C:\\dev\\zero"])
def test_an_absolute_name_leads_nowhere_else(folder, kind, name):
    name_second(folder, kind, name)
    assert f"no such file: {folder}/" in left_out(folder, kind)


@pytest.mark.parametrize("kind", ["tusimple", "coco"])
@pytest.mark.parametrize(
    "name", ["", " ", "a\0b.png", "\ud800.png", "\x1b[2J.png", "x" * 5000, "ü" * 200, 3, None, [], {"a": [1]}]
)
def test_what_is_no_name_is_left_out(folder, kind, name):
    name_second(folder, kind, name)
    assert "not a file's name" in left_out(folder, kind) or "expected an object with raw_file" in left_out(folder, kind)


@pytest.mark.parametrize("name", ["a\0b.png", "\x1b[2J.png", "x" * 5000, "ü" * 200])
def test_what_is_no_name_in_lines_of_text_is_left_out(folder, name):
    name_second(folder, "drive_rl", name)
    assert "not a file's name" in left_out(folder, "drive_rl")
    name_second(folder, "culane", name)
    assert "not a file's name" in left_out(folder, "culane")


def fifo(path: Path) -> None:
    os.mkfifo(path)


def endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def of_the_kernel(path: Path) -> None:
    path.symlink_to("/proc/self/mem")  # a regular file of no size


def a_folder(path: Path) -> None:
    path.mkdir()


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(10**10)


ODD = [
    (fifo, "not a regular file, but a device, FIFO or socket"),
    (endless, "not a regular file"),
    (a_folder, "Is a directory"),
    (sparse, "too large: 10,000,000,000 bytes"),
]


@pytest.mark.parametrize(("make", "why"), ODD)
@pytest.mark.parametrize("place", [SECOND, "masks/000001.png"])
def test_a_picture_that_is_no_regular_file_is_left_out(folder, place, make: Callable[[Path], None], why):
    (folder / place).unlink()
    make(folder / place)
    assert f"cannot be read: {folder / place} ({why}" in left_out(folder, "drive_rl")


@pytest.mark.parametrize(("make", "why"), ODD)
@pytest.mark.parametrize(
    ("kind", "file"),
    [
        ("drive_rl", "manifest.json"),
        ("drive_rl", "states.csv"),
        ("tusimple", "lanes.json"),
        ("coco", "boxes.json"),
        ("culane", "list/test.txt"),
    ],
)
def test_label_files_are_regular_files(folder, kind, file, make: Callable[[Path], None], why):
    name_second(folder, "culane", SECOND)
    (folder / file).unlink()
    make(folder / file)
    # a manifest is looked for among files, and a label file among all but folders
    with pytest.raises(DriveRLError, match=f"{why}|no data set that drive-rl reads"):
        read_folder(folder, WORLD, kind)


def test_labels_beside_pictures_are_regular_files(folder):
    name_second(folder, "culane", SECOND)
    lines = folder / "images/000001.lines.txt"
    for make, why in ODD:
        shutil.rmtree(lines) if lines.is_dir() else lines.unlink()
        make(lines)
        assert why in left_out(folder, "culane")


@pytest.mark.parametrize("file", [SECOND, "images/000001.lines.txt"])
def test_files_of_the_kernel_are_empty(folder, file):
    name_second(folder, "culane", SECOND)
    (folder / file).unlink()
    of_the_kernel(folder / file)
    found = read_folder(folder, WORLD, "culane")
    assert (len(found.samples), len(found.skipped)) == ((FRAMES, 0) if file.endswith(".txt") else (FRAMES - 1, 1))


def test_linked_folders_and_files_are_read(written, tmp_path):
    (tmp_path / "set").mkdir()
    for path in written.iterdir():
        (tmp_path / "set" / path.name).symlink_to(path)
    (tmp_path / "link").symlink_to(tmp_path / "set")
    for kind in ("drive_rl", "tusimple", "coco"):
        assert len(read_folder(tmp_path / "link", WORLD, kind).samples) == FRAMES


# --- what a picture holds -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", [SECOND, "masks/000001.png"])
def test_a_small_file_of_a_huge_picture_is_not_decoded(folder, place):
    pixels = cv2.imencode(".png", np.zeros((1, 1), np.uint8))[1].tobytes()
    side = (20_000).to_bytes(4, "big")
    (folder / place).write_bytes(pixels[:16] + side + side + pixels[24:])
    said = left_out(folder, "drive_rl")
    assert "is 20000 x 20000 px, expected" in said
    assert ("too many pixels" in said) == (place == SECOND)


@pytest.mark.parametrize(
    ("ending", "settings"),
    [
        (".png", []),
        (".bmp", []),
        (".jpg", []),
        (".jpg", [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]),
        (".jpg", [cv2.IMWRITE_JPEG_RST_INTERVAL, 2]),
        (".webp", [cv2.IMWRITE_WEBP_QUALITY, 50]),
        (".webp", [cv2.IMWRITE_WEBP_QUALITY, 101]),
    ],
)
@pytest.mark.parametrize("planes", [1, 3, 4])
def test_sizes_are_read_from_the_header(tmp_path, ending, settings, planes):
    noise = np.random.default_rng(0).integers(0, 255, (48, 97, planes), np.uint8)
    data = cv2.imencode(ending, noise, settings)[1].tobytes()
    assert picture_size(data) == (97, 48)
    (tmp_path / "picture").write_bytes(data)
    assert read_picture(tmp_path / "picture", 3).shape == (48, 97, 3)
    for length in range(32):
        (tmp_path / "picture").write_bytes(data[:length])
        with pytest.raises(BadRecord, match="not a whole picture"):
            read_picture(tmp_path / "picture", 3)


def test_a_picture_that_is_gone_over_again_and_again_is_not_decoded(tmp_path):
    data = cv2.imencode(".jpg", np.zeros((16, 16), np.uint8))[1].tobytes()
    (tmp_path / "picture.jpg").write_bytes(data + b"\xff\xda" * 100)
    with pytest.raises(BadRecord, match="more than 100 scans"):
        read_picture(tmp_path / "picture.jpg", 3)


# --- what labels say ------------------------------------------------------------------------------------------------


def state(folder: Path, **changes: str) -> None:
    """Change values in the second row of `states.csv`."""
    header, *rows = (folder / "states.csv").read_text().splitlines()
    values = dict(zip(header.split(","), rows[1].split(","), strict=True)) | changes
    rows[1] = ",".join(values.values())
    (folder / "states.csv").write_text("\n".join([header, *rows]))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"seed": "1" * 400}, "not a seed: 1111"),
        ({"seed": "1" * 6000}, "not a number"),
        ({"seed": str(2**63)}, "not a seed"),
        ({"seed": "-2"}, "not a seed"),
        ({"seed": "1.5"}, "not a number"),
        ({"offset_m": "nan"}, "not a lane state"),
        ({"offset_m": "inf"}, "not a lane state"),
        ({"curvature_0m": "1e300"}, "not a lane state"),
        ({"curvature_0m": ""}, "not a number"),
        ({"weather": "\x1b[2J"}, "unknown weather"),
        ({"weather": "clear,1"}, "row of another length: 11 values, expected 10"),
        ({"image": '"images'}, "row of another length"),
        ({"weather": "x" * 200_000}, "not a row of states: field larger"),
        ({"weather": "x" * 2_000_000}, "line too long: expected at most 1,048,576 bytes"),
    ],
)
def test_a_broken_state_is_left_out(folder, changes, why):
    state(folder, **changes)
    assert why in left_out(folder, "drive_rl")


@pytest.mark.parametrize(
    ("kind", "file"), [("drive_rl", "states.csv"), ("tusimple", "lanes.json"), ("culane", "list/test.txt")]
)
def test_a_line_that_is_not_utf8_is_left_out(folder, kind, file):
    name_second(folder, "culane", SECOND)
    data = (folder / file).read_bytes()
    (folder / file).write_bytes(data.replace(SECOND.encode(), b"\xff\xfe" + SECOND.encode()))
    assert "not UTF-8: " in left_out(folder, kind)


@pytest.mark.parametrize("kind", ["drive_rl", "tusimple", "culane"])
def test_a_label_file_may_begin_with_a_byte_order_mark(folder, kind):
    name_second(folder, "culane", SECOND)
    for file in ("states.csv", "lanes.json", "list/test.txt"):
        (folder / file).write_bytes(b"\xef\xbb\xbf" + (folder / file).read_bytes().replace(b"\n", b"\r\n"))
    assert len(read_folder(folder, WORLD, kind).samples) == FRAMES


ROWS = [20, 30, 40]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"lanes": [[10**400, 1, 1]]}, "not a pixel of a picture"),
        ({"lanes": [[float("nan"), 1, 1]]}, "not a pixel of a picture"),
        ({"lanes": [[float("inf"), 1, 1]]}, "not a pixel of a picture"),
        ({"lanes": [[True, 1, 1]]}, "must hold lists of numbers"),
        ({"lanes": [[[1], 1, 1]]}, "must hold lists of numbers"),
        ({"lanes": {"a": 1}}, "lanes is missing or not a list"),
        ({"lanes": [None]}, "must hold lists of numbers"),
        ({"h_samples": None}, "must hold lists of numbers"),
        ({"h_samples": "123"}, "must hold lists of numbers"),
        ({"slots": [10**400]}, "slots of another length"),
        ({"slots": 1}, "slots of another length"),
        ({"lanes": [[1, 2, 3]] * 65}, "too much for a picture: expected at most 64 lanes"),
        ({"h_samples": list(range(2001)), "lanes": []}, "and 2,000 rows"),
    ],
)
def test_a_broken_line_of_tusimple_is_left_out(folder, change, why):
    line = {"raw_file": "images/000000.png", "lanes": [[10, 20, 30]], "h_samples": ROWS}
    write_tusimple(folder, [line, line | change, line])
    assert why in left_out(folder, "tusimple")


@pytest.mark.parametrize("line", ["[" * 100_000, '{"a":' * 100_000, "1" * 6000, "nul", '{"raw_file": 1}', "\x00", "{}"])
def test_a_line_that_is_no_label_is_left_out(folder, line):
    lines = (folder / "lanes.json").read_text().splitlines()
    (folder / "lanes.json").write_text("\n".join([lines[0], line, lines[2]]))
    assert "not JSON" in left_out(folder, "tusimple") or "not TuSimple's JSON" in left_out(folder, "tusimple")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("1e400 2 3 4", "not pairs of pixels"),
        ("nan 2 3 4", "not pairs of pixels"),
        ("1" * 400 + " 2", "not pairs of pixels"),
        ("1 2\n" * 65, "too much for a picture"),
        ("1 2 " * 2001, "too much for a picture"),
        ("1 2 " * 300_000, "too large: 1,200,000 bytes"),
        ("\x00", "not a number"),
        ("[1]", "not a number"),
    ],
)
def test_broken_lines_of_culane_are_left_out(folder, text, why):
    name_second(folder, "culane", SECOND)
    (folder / "images/000001.lines.txt").write_text(text)
    assert why in left_out(folder, "culane")


def coco_of(folder: Path) -> Any:
    return json.loads((folder / "boxes.json").read_text())


def rle(counts: Any, size: Any = (48, 96)) -> dict[str, Any]:
    return {"segmentation": {"size": list(size) if isinstance(size, tuple) else size, "counts": counts}}


DEEP = 1
for _ in range(200):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (rle([-1, 48 * 96 + 1]), "expected whole numbers of pixels"),
        (rle([10**400, 1]), "not pixels of a picture"),
        (rle([10**12, 1]), "not pixels of a picture"),
        (rle([2**31 - 1] * 1000), "do not add up to the picture"),
        (rle([0.5, 48 * 96 - 0.5]), "expected whole numbers of pixels"),
        (rle([float("nan")]), "not pixels of a picture"),
        (rle([True]), "not numbers"),
        (rle(7), "not numbers"),
        (rle(None), "not numbers"),
        (rle(""), "do not add up to the picture"),
        (rle("PPPPPPPPPPPPPPPPPPPPPPPPPPP"), "too long a number"),
        (rle("oooo"), "counts ends within a number"),
        (rle("\ud800"), "holds other signs"),
        (rle("\x00"), "holds other signs"),
        (rle("O"), "expected whole numbers of pixels"),  # -1
        (rle("1" * (MOST_POINTS + 1)), "too much for a picture"),
        (rle([1], (10**6, 10**6)), "run lengths of another size"),
        (rle([1], DEEP), "run lengths of another size"),
        (rle([1], "48x96"), "run lengths of another size"),
        ({"segmentation": {"size": [48, 96]}}, "expected size and counts"),
        ({"segmentation": [[1, 2, 3, 4, 5]]}, "not a polygon"),
        ({"segmentation": [[1, 2, 3, 4, 5, float("inf")]]}, "not pixels of a picture"),
        ({"segmentation": [[1, 2, 3, 4, 5, 10**400]]}, "not pixels of a picture"),
        ({"segmentation": [DEEP]}, "not numbers"),
        ({"segmentation": "x"}, "expected polygons or run lengths"),
        ({"segmentation": [[0, 0, 5, 5, 0, 5] * (MOST_POINTS // 2)]}, "too much for a picture"),
        ({"segmentation": None, "bbox": [0, 0, 10**400, 1]}, "not pixels of a picture"),
        ({"segmentation": None, "bbox": [0, 0, float("nan"), 1]}, "not pixels of a picture"),
        ({"segmentation": None, "bbox": {"x": 1}}, "bbox is missing, or not 4 numbers"),
        ({"category_id": DEEP}, "unknown category"),
        ({"category_id": True}, "unknown category"),
        ({"category_id": "\x1b[2J"}, "unknown category"),
    ],
)
def test_a_broken_annotation_of_coco_leaves_out_its_picture(folder, change, why):
    coco = coco_of(folder)
    box = {
        "id": 1,
        "image_id": coco["images"][1]["id"],
        "category_id": coco["categories"][0]["id"],
        "bbox": [1, 2, 3, 4],
    }
    write_coco(folder, coco | {"annotations": [box | change]})
    assert why in left_out(folder, "coco")


@pytest.mark.parametrize("image_id", [None, True, 1.5, [1], DEEP, {}])
def test_an_annotation_of_no_image_is_reported(folder, image_id):
    coco = coco_of(folder)
    write_coco(folder, coco | {"annotations": [{"image_id": image_id, "category_id": 1, "bbox": [1, 2, 3, 4]}, 3]})
    found = read_folder(folder, WORLD, "coco")
    assert len(found.samples) == FRAMES
    assert "expected an object with image_id" in found.skipped.report()[0]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (
            {"width": 10**9, "height": 10**9},
            "picture of another size: 96 x 48, its record has 1000000000 x 1000000000",
        ),
        ({"width": 10**400}, "picture of another size"),
        ({"width": DEEP}, "picture of another size"),
        ({"width": "96"}, "picture of another size"),
        ({"id": None}, "expected file_name and id"),
        ({"id": DEEP}, "expected file_name and id"),
        ({"id": 1.5}, "expected file_name and id"),
    ],
)
def test_a_broken_image_of_coco_is_left_out(folder, change, why):
    coco = coco_of(folder)
    coco["images"][1] |= change
    write_coco(folder, coco | {"annotations": []})
    assert why in left_out(folder, "coco")


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, '{"images": ' + "[" * 100_000, "{" + '"images", "annotations"', "1" * 6000, "\ud800", "", "{}"],
)
def test_a_file_of_coco_that_is_no_json_is_reported(folder, text):
    (folder / "boxes.json").write_text(text + '"images" "annotations"', errors="surrogatepass")
    with pytest.raises(
        DriveRLError, match=r"cannot be read as JSON|no data set|not COCO's JSON|no categories"
    ) as error:
        read_folder(folder, WORLD, "coco")
    assert len(str(error.value)) < 800


@pytest.mark.parametrize(
    "text", ["[" * 100_000, "1" * 6000, "", "\ud800", '{"kind": "drive-rl pictures", "format": [[1]]}']
)
def test_a_manifest_that_is_none_is_reported(folder, text):
    (folder / "manifest.json").write_text(text, errors="surrogatepass")
    with pytest.raises(DriveRLError, match=r"manifest\.json: .*fix: write the data set again"):
        read_folder(folder, WORLD, "drive_rl")


def test_work_for_one_picture_has_an_end():
    box = area_of({"bbox": [0, 0, 8000, 8000]}, 4)
    with pytest.raises(BadRecord, match="too much for a picture: its areas go over more than"):
        paint([box] * 10, False, 8000, 8000)
    zigzag = area_of({"segmentation": [[0, 0, 1, 4000] * 600]}, 4)
    with pytest.raises(BadRecord, match="too much for a picture: an outline crosses"):
        paint([zigzag], False, 100, 4000)


def test_a_data_set_of_nothing_but_broken_lines_is_refused(folder):
    (folder / "list").mkdir()
    (folder / "list/test.txt").write_text("..\n" * 100_001)
    with pytest.raises(DriveRLError, match=r"more than 100,000 records cannot be used; .*leads out of the data set"):
        read_folder(folder, WORLD, "culane")
