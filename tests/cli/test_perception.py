"""The verbs of perception as a user types them, each in its own process, on pictures small enough to be quick."""

import json
import re
from pathlib import Path

import pytest
from command_line import call
from wandb_file import records, values

TINY = """\
description: a small model
base: unet
world:
  base: lane_follow
  camera: {width_px: 64, height_px: 40, channels: rgb, frame_stack: 1, fov_rad: 2.0, pitch_rad: 0.5}
data: {per_road: 4}
fit: {samples: 128, batch_size: 16, evaluate_every: 64, val_samples: 16, head_finetune_samples: 128}
track: csv
"""


@pytest.fixture(scope="module")
def run(tiny: Path) -> Path:
    said = call(tiny, "perception", "fit", "tiny.yaml", "--seed", "2").stdout
    found = re.search(r"^run: (.+)$", said, re.MULTILINE)
    assert found, said
    assert f"drive-rl bench perception {found[1]}" in said
    return tiny / found[1]


def test_fit_leaves_a_run_folder_that_resumes_with_more_samples(tiny: Path, run: Path) -> None:
    assert {"spec.yaml", "command.txt", "provenance.json", "metrics.csv", "best", "last", "eval.json"} <= {
        path.name for path in run.iterdir()
    }
    assert json.loads((run / "eval.json").read_text())["split"] == "val"
    refused = call(tiny, "perception", "fit", "--resume", str(run), expect=2).stderr
    assert "fit.samples=256" in refused
    call(tiny, "perception", "fit", "--resume", str(run), "fit.samples=192")
    assert "192," in (run / "metrics.csv").read_text()
    usage = " ".join(call(tiny, "perception", "fit", "--help").stdout.split())
    assert "Resume a stopped run; only fit.samples=... may change." in usage


def test_a_fit_is_tracked_by_wandb(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    said = call(tiny, "perception", "fit", "tiny.yaml", "--track", "wandb", "--seed", "3").stdout
    found = re.search(r"^run: (.+)$", said, re.MULTILINE)
    assert found, said
    (path,) = (tiny / found[1] / "wandb").glob("offline-run-*/run-*.wandb")
    history = [values(record.history.item) for record in records(path) if record.WhichOneof("record_type") == "history"]
    assert [row["global_step"] for row in history if "val/lane_loss" in row] == [
        64,
        128,
        128,
    ]  # last: finetuned
    assert all(row["fit/loss"] > -10 for row in history if "fit/loss" in row)


def test_explain_writes_stills_and_scores(tiny: Path, run: Path) -> None:
    said = call(tiny, "perception", "explain", str(run), "--samples", "2").stdout
    assert (tiny / "explain.png").read_bytes().startswith(b"\x89PNG")
    for method in ("integrated gradients", "Grad-CAM", "VisualBackProp"):
        assert re.search(rf"{method}: [\d.]+% of the saliency lies on lane markings", said)
    assert "exists already" in call(tiny, "perception", "explain", str(run), expect=2).stderr
    assert "expected .png" in call(tiny, "perception", "explain", str(run), "--out", "explain.txt", expect=2).stderr


@pytest.mark.parametrize(
    ("words", "new"),
    [
        (["perception", "look", "unet-160", "--frames", "2"], "`perception look` is now `perception explain`"),
        (["perception", "explain", "unet-160", "--frames", "2", "--out", "no.png"], "--samples 2"),
        (["bench", "perception", "unet-160", "--floor", "miou>=1", "--out", "no"], "--require 'miou>=1'"),
        (["data", "make", "lane_follow", "--frames", "20", "--out", "no"], "--samples 20"),
    ],
)
def test_old_names_are_refused_with_the_new_ones(tiny: Path, words: list[str], new: str) -> None:
    refused = call(tiny, *words, expect=2)
    assert new in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not [*tiny.glob("no*")]


def test_data_is_made_and_learned_from(tiny: Path) -> None:
    camera = [f"world.camera.{change}" for change in ("width_px=64", "height_px=40", "channels=rgb", "frame_stack=1")]
    call(tiny, "data", "make", "lane_follow", *camera, "--samples", "20", "--out", "set")
    assert len(list((tiny / "set" / "images").glob("*.png"))) == 20
    assert "exists already" in call(tiny, "data", "make", "lane_follow", "--out", "set", expect=2).stderr
    (tiny / "set" / "images" / "000003.png").write_bytes(b"no picture")
    changes = "data.folder=set", "fit.samples=64", "fit.head_finetune_samples=32"
    learned = call(tiny, "perception", "fit", "tiny.yaml", *changes)
    assert (
        "data: set (drive_rl): found 20 train pictures; 18 pictures to learn from, 2 to validate on (its last tenth"
        in learned.stdout
    )
    assert "skipped in all: 1 (not a whole picture: 1)" in learned.stdout
    assert (
        "nowhere: no such folder"
        in call(tiny, "perception", "fit", "tiny.yaml", "data.folder=nowhere", expect=2).stderr
    )


def test_a_model_drives_and_is_benchmarked_on_a_folder(tiny: Path, run: Path) -> None:
    call(tiny, "eval", str(run), "engine=batch", "--episodes", "2")
    assert "perception" in call(tiny, "list").stdout
    refused = call(tiny, "bench", "perception", str(run), "--require", "sharpness>=1", expect=2).stderr
    assert "unknown metric 'sharpness'" in refused
    assert "unknown perception model" in call(tiny, "bench", "perception", "no-such", "--reduced", expect=2).stderr


def test_wrong_names_are_explained(tiny: Path) -> None:
    assert "give a name" in call(tiny, "perception", "fit", expect=2).stderr
    assert (
        "unknown perception recipe 'unett'; did you mean 'unet'?"
        in call(tiny, "perception", "fit", "unett", expect=2).stderr
    )
    assert "is a driver" in call(tiny, "perception", "explain", "ppo-lane-follow", "--out", "no.png", expect=2).stderr
    refused = call(tiny, "perception", "fit", "tiny.yaml", "model.encoder.kind=vgg", expect=2).stderr
    assert "expected one of small, fine, nature" in refused
