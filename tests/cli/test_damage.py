"""Damaged and edited run folders, full disks and too little memory: one paragraph, and nothing half-written."""

import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import check, listing, run_main
from tiny_run import the_run

Refused = Callable[..., str]


@pytest.mark.parametrize("words", [["eval", "runs/tiny"], ["train", "--resume", "runs/tiny", "budget_steps=64"]])
@pytest.mark.parametrize("harm", ["truncated", "edited", "lost", "manifest"])
def test_a_damaged_checkpoint(refused: Refused, here: Path, words: list[str], harm: str) -> None:
    for place in ("best", "last"):
        weights = the_run(here) / place / "weights.safetensors"
        data = weights.read_bytes()
        if harm == "truncated":
            weights.write_bytes(data[: len(data) // 2])
        elif harm == "edited":
            weights.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
        elif harm == "lost":
            weights.unlink()
        else:
            (weights.parent / "manifest.json").write_text('{"format": ')
    shown = refused(*words)
    assert ("manifest.json" if harm == "manifest" else "weights.safetensors") in shown


def test_a_damaged_run_spec(refused: Refused, here: Path) -> None:
    spec = the_run(here) / "spec.yaml"
    spec.write_text(spec.read_text().replace("lane_width_m: 3.5", "lane_width_m: 0"))
    assert "lane_width_m = 0" in refused("eval", "runs/tiny")
    spec.write_text("[")
    assert "not valid YAML" in refused("show", "runs/tiny")
    spec.write_bytes(b"\xff\xfe")
    assert "UTF-8" in refused("show", "runs/tiny")
    for words in (["eval", "runs/tiny"], ["export", "runs/tiny", "mine"], ["train", "--resume", "runs/tiny"]):
        assert f"{Path(*spec.parts[-4:])}: cannot be read" in refused(*words)


@pytest.mark.parametrize(
    "words",
    [
        ["train", "--resume", "runs/tiny", "budget_steps=64"],
        ["eval", "runs/tiny"],
        ["render", "runs/tiny"],
        ["export", "runs/tiny", "mine"],
    ],
)
def test_an_edited_run_spec(refused: Refused, here: Path, words: list[str]) -> None:
    spec = the_run(here) / "spec.yaml"
    spec.write_text(spec.read_text().replace("\nseed: 0", "\nseed: 1").replace(" gamma: 0.", " gamma: 0.0"))
    shown = refused(*words)
    assert "spec.yaml: was edited since the run began" in shown
    assert "agent.gamma = 0.0" in shown
    assert "; seed = 1, was 0; fix: write back what it was, or train a new run" in shown


def test_a_run_without_a_last_checkpoint(refused: Refused, here: Path) -> None:
    shutil.rmtree(the_run(here) / "last")
    assert "no last/ checkpoint to resume from" in refused("train", "--resume", "runs/tiny")


def limited(folder: Path, limit: int, *words: str) -> str:
    """Run a command that may write no file larger than `limit` bytes, as on a disk that fills up."""

    def limit_files() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    done = subprocess.run(
        [sys.executable, "-m", "drive_rl", *words],
        cwd=folder,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
        preexec_fn=limit_files,
        capture_output=True,
        text=True,
        timeout=300,
    )
    return check(done.returncode, done.stderr)


def test_no_space_for_scores(here: Path) -> None:
    before = listing(here)
    assert "no space left" in limited(here, 500, "eval", "runs/tiny", "--episodes", "1")
    assert listing(here) == before


def test_no_space_for_a_film(here: Path) -> None:
    before = listing(here)
    shown = limited(here, 5000, "render", "runs/tiny", "world.task.time_limit_s=1", "--episodes", "1")
    assert "drive.mp4: " in shown
    assert listing(here) == before


def test_no_space_to_train_on(here: Path) -> None:
    before = listing(here)
    words = ("train", "tiny.yaml", "--no-film", "--runs", "full")
    assert "no space left" in limited(here, 500, *words)
    left = {path: data for path, data in listing(here).items() if path not in before}
    assert not any(left.values()), "no half-written run"
    assert "no space left" in limited(here, 20_000, *words)  # room for the spec, not for a checkpoint
    assert not list((here / "full" / "tiny").iterdir()), "a run that has learned nothing hides no other"


def test_not_enough_memory_is_reported(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    def no_memory(runs: Path) -> None:
        raise MemoryError("Unable to allocate 3 TiB")

    monkeypatch.setattr("drive_rl.report.catalogue.print_catalogue", no_memory)
    code = run_main(["list"], monkeypatch)
    assert "not enough memory" in check(code, capfd.readouterr().err)


def test_a_run_without_any_checkpoint_has_no_driver(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in ("spec.yaml", "provenance.json"):
        (tmp_path / name).write_bytes((the_run(here) / name).read_bytes())
    code = run_main(["eval", str(tmp_path), "--episodes", "1"], monkeypatch)
    assert "holds no checkpoint yet" in check(code, capfd.readouterr().err)
