"""What goes into a tracker can be read back from its files."""

import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import wandb
from wandb_file import records, values

from drive_rl.errors import DriveRLError
from drive_rl.run.folder import RunFolder
from drive_rl.run.tracker import make_tracker

CONFIG: dict[str, Any] = {"agent": {"learning_rate": 3e-4}, "seed": 0}


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path / "runs", "quickstart", 0, "x: 1\n", ["drive-rl"], {})


@pytest.fixture
def no_login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """A home without W&B settings, and a W&B that reads the environment anew."""
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir()
    for name in ("HOME", "WANDB_CONFIG_DIR", "WANDB_DATA_DIR", "WANDB_CACHE_DIR"):
        monkeypatch.setenv(name, str(home))
    monkeypatch.setenv("NETRC", str(home / "netrc"))
    wandb.teardown()
    yield monkeypatch
    wandb.teardown()


def film(folder: Path) -> Path:
    path = folder / "drive.mp4"
    path.write_bytes(b"\0\0\0\x18ftypmp42" + bytes(5000))
    return path


def checkpoint(folder: Path) -> Path:
    folder.mkdir()
    (folder / "weights.safetensors").write_bytes(b"weights")
    (folder / "manifest.json").write_text("{}")
    return folder


def test_wandb_offline_keeps_all(run: RunFolder, no_login: pytest.MonkeyPatch, tmp_path: Path) -> None:
    said: list[str] = []
    tracker = make_tracker("wandb", run, CONFIG, echo=said.append)
    for step in range(300):  # more than one 32 kB block
        tracker.log({"rollout/success_rate": step / 300, **{f"train/{i}": 0.5 for i in range(8)}}, step)
    tracker.film(film(tmp_path), 299)
    tracker.model(checkpoint(tmp_path / "best"), "quickstart best")
    (tmp_path / "best" / "weights.safetensors").write_bytes(b"replaced")
    tracker.close()
    tracker.close()
    wandb.teardown()  # the last records are on disk after this

    (path,) = (run.path / "wandb").glob("offline-run-*/run-*.wandb")
    found = list(records(path))
    kinds = [record.WhichOneof("record_type") for record in found]
    history = [values(r.history.item) for r, kind in zip(found, kinds, strict=True) if kind == "history"]
    assert len(history) == 301
    assert history[150]["rollout/success_rate"] == 0.5
    assert history[150]["global_step"] == 150
    media = history[300]
    assert media["film._type"] == "video-file"
    assert (path.parent / "files" / media["film.path"]).read_bytes() == film(tmp_path).read_bytes()
    (start,) = [r.run for r, kind in zip(found, kinds, strict=True) if kind == "run"]
    assert values(start.config.update)["agent"] == CONFIG["agent"]
    assert start.display_name == run.path.name
    artifacts = [r for r, kind in zip(found, kinds, strict=True) if kind == "request"]
    (artifact,) = [r.request.log_artifact.artifact for r in artifacts] or [
        r.artifact for r, kind in zip(found, kinds, strict=True) if kind == "artifact"
    ]
    assert (artifact.name, artifact.type) == ("quickstart-best", "model")
    files = {entry.path: Path(entry.local_path) for entry in artifact.manifest.contents}
    assert files.keys() == {"manifest.json", "weights.safetensors"}
    assert files["weights.safetensors"].read_bytes() == b"weights"
    assert run.path in files["weights.safetensors"].parents
    assert "not logged in" in said[0]
    assert said[-1].endswith(f"wandb sync {path.parent}")
    assert len(said) == 2


def test_a_resumed_run_keeps_its_wandb_id(run: RunFolder, no_login: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    for step in (100, 50):  # back to an older checkpoint
        tracker = make_tracker("wandb", run, CONFIG, echo=said.append)
        tracker.log({"x": 1.0}, step)
        tracker.close()
    wandb.teardown()
    identity = json.loads((run.path / "wandb.json").read_text())["id"]
    paths = list((run.path / "wandb").glob(f"offline-run-*/run-{identity}.wandb"))
    assert len(paths) == 2
    steps = [
        values(r.history.item)["global_step"]
        for path in sorted(paths)
        for r in records(path)
        if r.WhichOneof("record_type") == "history"
    ]
    assert sorted(steps) == [50, 100]


def test_wandb_makes_no_noise_and_asks_nothing(run: RunFolder, no_login: pytest.MonkeyPatch) -> None:
    program = (
        "import sys; from pathlib import Path; from drive_rl.run.folder import RunFolder;"
        "from drive_rl.run.tracker import make_tracker;"
        f"t = make_tracker('wandb', RunFolder(Path({str(run.path)!r})), {{}}, echo=lambda line: None);"
        "t.log({'x': 1.0}, 1); t.close()"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env=environment,
    )
    assert done.stdout + done.stderr == ""


def test_logged_in_without_a_server_is_a_clear_error(run: RunFolder, no_login: pytest.MonkeyPatch) -> None:
    no_login.setenv("WANDB_API_KEY", "a" * 40)
    no_login.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    no_login.setattr("drive_rl.run.wandb_tracker._CONNECT_S", 1.0)
    with pytest.raises(DriveRLError, match=r"W&B does not start .*WANDB_MODE=offline"):
        make_tracker("wandb", run, CONFIG)


def test_wandb_mode_stands(run: RunFolder, no_login: pytest.MonkeyPatch) -> None:
    no_login.setenv("WANDB_API_KEY", "a" * 40)
    no_login.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    no_login.setenv("WANDB_MODE", "offline")
    said: list[str] = []
    make_tracker("wandb", run, CONFIG, echo=said.append).close()
    assert said[0] == "W&B: offline"


def test_a_full_disk_is_a_clear_error(run: RunFolder, no_login: pytest.MonkeyPatch) -> None:
    before = sorted(run.path.iterdir())
    no_login.setattr("drive_rl.run.wandb_tracker._SPACE", 2**60)
    with pytest.raises(DriveRLError, match=r"MiB free, but W&B needs .* no space left"):
        make_tracker("wandb", run, CONFIG)
    assert sorted(run.path.iterdir()) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_wandb_never_moves_to_another_folder(run: RunFolder, no_login: pytest.MonkeyPatch) -> None:
    run.path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    with pytest.raises(DriveRLError, match="may not be written"):
        make_tracker("wandb", run, CONFIG)


def test_tensorboard(run: RunFolder, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    tracker = make_tracker("tensorboard", run, CONFIG)
    tracker.log({"x": 1.5}, 10)
    tracker.film(film(tmp_path), 10)
    tracker.model(checkpoint(tmp_path / "best"), "best")
    tracker.close()
    events = EventAccumulator(str(run.path / "tensorboard")).Reload()
    assert [(e.step, e.value) for e in events.Scalars("x")] == [(10, 1.5)]
    assert {"config/text_summary", "film/text_summary"} <= set(events.Tags()["tensors"])


@pytest.mark.parametrize("kind", ["csv", "none"])
def test_csv_and_none_write_nothing(run: RunFolder, kind: str, tmp_path: Path) -> None:
    before = sorted(run.path.iterdir())
    tracker = make_tracker(kind, run, CONFIG)
    tracker.log({"x": 1.0}, 1)
    tracker.film(tmp_path / "absent.mp4", 1)
    tracker.close()
    assert sorted(run.path.iterdir()) == before


def test_an_unknown_tracker_is_refused(run: RunFolder) -> None:
    with pytest.raises(DriveRLError, match=r"tracker = 'wanda': expected wandb, tensorboard, csv or none"):
        make_tracker("wanda", run, CONFIG)
