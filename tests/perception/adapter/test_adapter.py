"""Models that others made: ours come back from ONNX as they were, outputs of every kind are read, and bad files are
named. Covers `config/specs/adapter` and `perception/adapter/`, with real ONNX Runtime.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import small_onnx
import torch
from small_onnx import HEIGHT, WIDTH, adapter

from drive_rl.benchmark.closed_loop import drive_model
from drive_rl.benchmark.exam.conditions import Condition
from drive_rl.benchmark.metrics import metrics_of
from drive_rl.config.extensions import forgotten, trust_specs
from drive_rl.config.reader import load_perception
from drive_rl.config.specs.adapter import InputSpec, OutputSpec
from drive_rl.config.specs.car import CameraSpec
from drive_rl.errors import DriveRLError
from drive_rl.perception.adapter.geometry import LaneGeometry
from drive_rl.perception.adapter.load import load_model
from drive_rl.perception.adapter.masks import LinesOfClasses
from drive_rl.perception.adapter.outputs import classes, lane_state
from drive_rl.perception.adapter.prepare import Prepare
from drive_rl.perception.data.rendered_dataset import held_out
from drive_rl.perception.data.samples import Samples
from drive_rl.perception.evaluation.accuracy import evaluate_accuracy
from drive_rl.perception.evaluation.onnx_export import export_onnx
from drive_rl.perception.models.load import load_trained
from drive_rl.perception.scores.calibration import LEVELS
from drive_rl.sim.sensors.renderer import CLASSES

SEGMENTATION = "{logits: {kind: classes, map: drive_rl}}"


@pytest.fixture(scope="module")
def pictures() -> Samples:
    spec = load_perception("unet", ["data.worlds=null"])
    return held_out(spec.world, spec.data, "val", 96)


def test_a_model_of_ours_comes_back_from_onnx_with_the_same_table_and_drives(tmp_path: Path, pictures: Samples) -> None:
    ours = load_trained("unet-160")
    written = export_onnx(ours, tmp_path / "unet.onnx")
    theirs = load_model(str(written.adapter))
    assert theirs.spec.world == ours.spec.world

    tables = [metrics_of([("accuracy", evaluate_accuracy(each.model, pictures))]).values for each in (ours, theirs)]
    assert tables[0].keys() == tables[1].keys()
    one_label = 1.01 / (len(pictures.images) * len(LEVELS))  # one alone may cross the edge of one interval
    for name, value in tables[0].items():
        assert tables[1][name] == pytest.approx(value, abs=one_label if "calibration" in name else 5e-5), name

    condition = Condition("own", ours.spec.world, "clear")
    drives = [drive_model(each, condition, "val", 4) for each in (ours, theirs)]
    assert drives[1].driving_scores == drives[0].driving_scores
    assert drives[1].max_offsets_m == pytest.approx(drives[0].max_offsets_m, abs=0.02)


@pytest.mark.parametrize(
    ("known", "offset_m", "heading_rad"),
    [("ego_lane", 0.05, 0.03), ("marking", 0.05, 0.03), ("road", 0.1, 0.04)],
)
def test_a_lane_state_follows_from_masks(pictures: Samples, known: str, offset_m: float, heading_rad: float) -> None:
    world = load_perception("unet").world
    masks = pictures.classes.copy()
    if known == "road":  # a model that knows no lanes sees one road
        masks[(masks == CLASSES.index("ego_lane")) | (masks == CLASSES.index("marking"))] = CLASSES.index("road")
    columns = np.stack([LinesOfClasses(frozenset([known]), world)(each) for each in masks])
    there = np.isfinite(columns)
    lane = LaneGeometry(world)(torch.tensor(np.where(there, columns, 0.5)), torch.tensor(there).float()).numpy()
    error = np.nanmean(np.abs(lane - pictures.lane), axis=0)
    assert error[0] < offset_m
    assert error[1] < heading_rad


def image(value: float = 0.0) -> torch.Tensor:
    return torch.full((3, 3, HEIGHT, WIDTH), value, dtype=torch.float32)


def test_classes_are_mapped_and_unknown_ones_are_background(tmp_path: Path) -> None:
    scores = np.array([0.0, 5.0, 9.0, 1.0])  # the third class wins everywhere
    small_onnx.constant(tmp_path / "net.onnx", "logits", np.broadcast_to(scores[:, None, None], (4, 8, 16)))
    for mapping, winner in (("{road: [1, 2]}", "road"), ("{road: [1]}", "background"), ("{vehicle: [2]}", "vehicle")):
        model = load_model(str(adapter(tmp_path / "a.yaml", f"{{logits: {{kind: classes, map: {mapping}}}}}"))).model
        predicted = model(image())["classes"]
        assert predicted.shape == (3, len(CLASSES), HEIGHT, WIDTH)
        assert (predicted.argmax(dim=1) == CLASSES.index(winner)).all()


def test_labels_and_a_single_channel_are_classes_too(tmp_path: Path) -> None:
    small_onnx.constant(tmp_path / "net.onnx", "labels", np.full((8, 16), 2.0))
    outputs = "{labels: {kind: classes, form: labels, map: drive_rl}}"
    predicted = load_model(str(adapter(tmp_path / "a.yaml", outputs))).model(image())["classes"]
    assert (predicted.argmax(dim=1) == CLASSES.index("ego_lane")).all()

    half = np.stack([np.full((8, 16), 0.7) * (np.arange(16) < 8)])  # probability of the ego lane: left 0.7, right 0
    small_onnx.constant(tmp_path / "net.onnx", "mask", half)
    outputs = "{mask: {kind: classes, form: probabilities, map: {ego_lane: [0]}}}"
    predicted = load_model(str(adapter(tmp_path / "a.yaml", outputs))).model(image())["classes"]
    assert (predicted.argmax(dim=1)[:, :, 2] == CLASSES.index("ego_lane")).all()
    assert (predicted.argmax(dim=1)[:, :, -2] == CLASSES.index("background")).all()
    assert torch.softmax(predicted, dim=1)[0, CLASSES.index("ego_lane"), 5, 2] == pytest.approx(0.7, abs=1e-4)


def test_lanes_as_points_columns_and_masks_are_the_same_lines(tmp_path: Path) -> None:
    """Two straight lines, one either side of the middle: right at 48 px, left at 16 px, in a picture of 64 x 32."""
    rows = np.arange(8.0, HEIGHT)
    points = np.stack([np.stack([np.full(len(rows), column), rows + 0.5], axis=1) for column in (48.0, 16.0)])
    masks = np.zeros((3, HEIGHT, WIDTH))
    masks[0], masks[1, 8:, 47:49], masks[2, 8:, 15:17] = 0.5, 1.0, 1.0
    kinds = {
        "points": (points, "form: points"),
        "share": (points / [WIDTH, HEIGHT], "form: points, unit: share"),
        "columns": (np.full((2, len(rows)), [[48.0], [16.0]]), f"form: columns, rows: {(rows + 0.5).tolist()}"),
        "masks": (masks, "form: masks, background: 0"),
        "threshold": (masks[1:], "form: masks, threshold: 0.9"),
    }
    for name, (value, keys) in kinds.items():
        small_onnx.constant(tmp_path / "net.onnx", "lanes", value)
        path = adapter(tmp_path / "a.yaml", f"{{lanes: {{kind: lanes, {keys}}}}}")
        found = load_model(str(path)).model(image())
        there = found["lines_there"][0] > 0
        assert there[:2].sum() >= 36, name
        assert not there[2:].any(), name
        for line, column in ((0, 0.75), (1, 0.25)):
            assert found["lines"][0, line][there[line]].numpy() == pytest.approx(column, abs=1e-6), name
        assert found["lane"].shape == (3, 6)
        assert torch.isnan(found["lane_std"]).all()


def test_a_lane_state_may_lack_fields_and_is_scored_without_calibration(tmp_path: Path) -> None:
    small_onnx.constant(tmp_path / "net.onnx", "state", np.array([0.1, 0.5]))
    outputs = "{state: {kind: lane_state, fields: [heading_error_rad, offset_m]}}"
    found = load_model(str(adapter(tmp_path / "a.yaml", outputs)))
    assert found.model(image())["lane"][0].tolist() == pytest.approx([0.5, 0.1, 0, 0, 0, 0])
    spec = found.spec
    accuracy = evaluate_accuracy(found.model, held_out(spec.world, spec.data, "val", 4))
    assert accuracy.lane is not None
    assert accuracy.lane["offset_m"].calibration_error is None
    assert accuracy.lane["offset_m"].mae > 0


def test_input_is_made_as_the_file_states(tmp_path: Path) -> None:
    seen = "import numpy as np\ndef make():\n    return lambda x: x.reshape(len(x), -1)[:, :6]\n"
    (tmp_path / "echo.py").write_text(seen)
    more = "input: {colour: bgr, layout: nhwc, scale: 0.5, mean: [1, 2, 3], std: [2]}\n"
    path = adapter(tmp_path / "a.yaml", "{output: {kind: lane_state}}", "echo.py:make", more)
    with forgotten():
        with pytest.raises(DriveRLError, match=r"a\.yaml: model = echo\.py:make: is code.*fix: --trust"):
            load_model(str(path))
        trust_specs()
        found = load_model(str(path)).model
    rgb = torch.tensor([10.0, 20.0, 30.0])[None, :, None, None].expand(1, 3, HEIGHT, WIDTH)
    expected = [(30 * 0.5 - 1) / 2, (20 * 0.5 - 2) / 2, (10 * 0.5 - 3) / 2]  # blue, green, red
    assert found(rgb)["lane"][0].tolist() == pytest.approx(expected * 2)


def test_a_stack_of_the_cameras_own_colour_is_taken_as_it_is() -> None:
    camera = CameraSpec(width_px=WIDTH, height_px=HEIGHT, channels="grey", frame_stack=3)
    pictures = torch.randint(0, 256, (2, 3, HEIGHT, WIDTH), dtype=torch.uint8)
    same = Prepare(InputSpec(colour="grey", frame_stack=3, dtype="uint8"), camera)
    assert torch.equal(same(pictures), pictures)
    newest = Prepare(InputSpec(colour="rgb", scale=1.0), camera)
    assert torch.equal(newest(pictures), pictures[:, 2:].expand(-1, 3, -1, -1).float())
    smaller = Prepare(InputSpec(colour="grey", size=(16, 32), scale=1.0), camera)
    flat = torch.full((1, 3, HEIGHT, WIDTH), 7, dtype=torch.uint8)
    assert torch.allclose(smaller(flat), torch.full((1, 1, 16, 32), 7.0))


def test_a_fixed_batch_is_run_in_parts(tmp_path: Path) -> None:
    for name, batch in (("any", "batch"), ("fixed", 2)):
        small_onnx.segmentation(tmp_path / f"{name}.onnx", batch=batch)
    noise = torch.rand(5, 3, HEIGHT, WIDTH) * 255
    both = [
        load_model(str(adapter(tmp_path / f"{name}.yaml", SEGMENTATION, f"{name}.onnx"))).model(noise)["classes"]
        for name in ("any", "fixed")
    ]
    assert both[0].shape[0] == 5
    assert torch.equal(*both)


def outside(path: Path) -> None:
    small_onnx.segmentation(path)
    small_onnx.move_weights(path, "../w.bin")


def missing(path: Path) -> None:
    small_onnx.segmentation(path)
    small_onnx.move_weights(path, "w.bin")


FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "text": (lambda path: path.write_text("no model"), r"net\.onnx: not an ONNX model .*fix: export it again"),
    "size": (lambda path: small_onnx.segmentation(path, height=48), r"input\.size = \[32, 64\]: net\.onnx takes"),
    "opset": (lambda path: small_onnx.segmentation(path, opset=99), r"net\.onnx: ONNX Runtime cannot run it.*Opset 99"),
    "outside": (outside, r"net\.onnx: its weights lie in '\.\./w\.bin': expected a file inside its own folder; fix"),
    "missing": (missing, r"net\.onnx: its weights in 'w\.bin' are missing; fix"),
    "nan": (lambda path: small_onnx.segmentation(path, nan=True), r"outputs\.logits: 20,480 of 20,480 .*NaN.*fix"),
    "classes": (lambda path: small_onnx.segmentation(path, 3), r"outputs\.logits: map names class 4, but it has 3"),
    "none": (lambda path: path.unlink(missing_ok=True), r"model = net\.onnx: .* is not a file; fix"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_cannot_be_used_is_named(tmp_path: Path, name: str) -> None:
    make, message = FILES[name]
    folder = tmp_path / "inner"
    folder.mkdir()
    make(folder / "net.onnx")
    with pytest.raises(DriveRLError, match=message):
        load_model(str(adapter(folder / "a.yaml", SEGMENTATION)))


KEYS = {
    "{logits: {kind: classes, map: {road: [0, 1], vehicle: [1]}}}": r"map names class 1 twice \(in road, vehicle\)",
    "{logits: {kind: classes, map: mars}}": r"a\.yaml: outputs\.logits\.map = 'mars': expected one of drive_rl, city",
    "{logits: {kind: classes, map: {sky: [0]}}}": "sky",
    "{logits: {kind: classes}}": "map is missing",
    "{logits: {kind: classes, map: {road: []}}}": r"outputs\.logits\.map\.road = \[\]",
    "{logits: {kind: lane_state, fields: [offset_m, offset_m]}}": "fields names one twice",
    "{logits: {kind: lane_state, std: logits}}": r"std = logits: is the lane state itself",
    "{logits: {kind: boxes}}": "boxes: named in the format, but not scored yet",
    "{logits: {kind: depth}}": "depth: named in the format, but not scored yet",
    "{logits: {kind: lane_state, map: cityscapes}}": "map: not a key of kind = lane_state",
    "{logits: {kind: lanes, form: columns}}": "rows is missing",
    "{logits: {kind: lanes, form: logits}}": "kind = lanes has points, columns, masks",
    "{labels: {kind: classes, map: drive_rl}}": r"outputs\.labels: net\.onnx has no such output; fix: one of logits",
    "{logits: {kind: lane_state}}": r"outputs\.logits: has shape .*lane_state expects \(B, 6\)",
    "{}": "outputs is empty, and its outputs are logits",
}


@pytest.mark.parametrize("outputs", KEYS)
def test_a_key_that_cannot_be_used_is_named(tmp_path: Path, outputs: str) -> None:
    small_onnx.segmentation(tmp_path / "net.onnx")
    with pytest.raises(DriveRLError, match=KEYS[outputs]) as caught:
        load_model(str(adapter(tmp_path / "a.yaml", outputs)))
    assert "a.yaml" in str(caught.value)


def test_weights_beside_the_file_are_part_of_the_model(tmp_path: Path) -> None:
    small_onnx.segmentation(tmp_path / "net.onnx")
    path = adapter(tmp_path / "a.yaml", SEGMENTATION)
    inside = load_model(str(path))
    weights = np.random.default_rng(0).normal(size=(5, 3, 1, 1)).astype(np.float32)
    (tmp_path / "w.bin").write_bytes(weights.tobytes())
    small_onnx.move_weights(tmp_path / "net.onnx", "w.bin")
    beside = load_model(str(path))
    noise = torch.rand(2, 3, HEIGHT, WIDTH) * 255
    assert torch.equal(inside.model(noise)["classes"], beside.model(noise)["classes"])
    before = beside.sha256
    (tmp_path / "w.bin").write_bytes((2 * weights).tobytes())
    assert load_model(str(path)).sha256 != before


def test_a_linked_file_finds_its_model_beside_the_link_or_its_target(tmp_path: Path) -> None:
    for name in ("store", "links"):
        (tmp_path / name).mkdir()
    small_onnx.segmentation(tmp_path / "store" / "net.onnx")
    link = tmp_path / "links" / "a.yaml"
    link.symlink_to(adapter(tmp_path / "store" / "a.yaml", SEGMENTATION))
    assert load_model(str(link)).weights == tmp_path / "store" / "net.onnx"
    small_onnx.segmentation(tmp_path / "links" / "net.onnx")
    assert load_model(str(link)).weights == tmp_path / "links" / "net.onnx"
    for name in ("store", "links"):
        (tmp_path / name / "net.onnx").unlink()
    with pytest.raises(
        DriveRLError, match=r"model = net\.onnx: neither .*links/net\.onnx nor .*store/net\.onnx is a file"
    ):
        load_model(str(link))


def test_labels_without_a_class_of_ours_are_background() -> None:
    spec = OutputSpec(kind="classes", form="labels", map={"road": (1,), "vehicle": (7,)})
    labels = torch.tensor([[[-1, 1], [7, 10**9]]])
    found = classes(spec, labels, (2, 2))["classes"].argmax(dim=1)
    assert found.tolist() == [[[0, 1], [4, 0]]]


@pytest.mark.parametrize("std", [-0.1, float("nan")])
def test_deviations_that_cannot_be_are_refused(std: float) -> None:
    spec = OutputSpec(kind="lane_state", fields=("offset_m",), std="sigma")
    with pytest.raises(DriveRLError, match="std = sigma: has negative numbers or NaN"):
        lane_state(spec, torch.zeros(2, 1), torch.tensor([[0.1], [std]]))


@pytest.mark.parametrize(
    ("model", "message"),
    [("net.jpg", "expected FILE.onnx, FILE.pt2"), ("''", "expected FILE.onnx"), ("a.py", "expected FILE.onnx")],
)
def test_what_is_no_model_is_not_called_code(tmp_path: Path, model: str, message: str) -> None:
    (tmp_path / "a.yaml").write_text(f"model: {model}\n")
    with pytest.raises(DriveRLError, match=message):
        load_model(str(tmp_path / "a.yaml"))


def test_a_network_without_its_yaml_file_is_refused() -> None:
    with pytest.raises(DriveRLError, match=r"net\.onnx: is a network: expected a YAML file"):
        load_model("net.onnx")
