"""What goes into a tracker can be read back from its files. It covers every module of `run.tracking`."""

import itertools
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import wandb
from wandb_file import records, values
from wandb_server import wandb_server

from drive_rl.errors import DriveRLError
from drive_rl.run.folder import RunFolder
from drive_rl.run.metrics import read_rows
from drive_rl.run.tracking.tracker import check_tracker, make_tracker
from drive_rl.run.tracking.wandb_settings import check_variables

CONFIG: dict[str, Any] = {"agent": {"learning_rate": 3e-4}, "seed": 0}


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path / "runs", "quickstart", 0, "x: 1\n", ["drive-rl"], {})


@pytest.fixture
def no_login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """A home without W&B settings, and a W&B that reads the environment again."""
    wandb.teardown()  # first: it unsets WANDB_SERVICE, which would else be restored after its process has ended
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir()
    for name in ("HOME", "WANDB_CONFIG_DIR", "WANDB_DATA_DIR", "WANDB_CACHE_DIR"):
        monkeypatch.setenv(name, str(home))
    monkeypatch.setenv("NETRC", str(home / "netrc"))
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


def history(run: RunFolder) -> list[dict[str, Any]]:
    """The rows of the one offline part of a run."""
    wandb.teardown()
    identity = json.loads((run.path / "wandb.json").read_text())["id"]
    (path,) = (run.path / "wandb").glob(f"offline-run-*/run-{identity}.wandb")
    return [values(r.history.item) for r in records(path) if r.WhichOneof("record_type") == "history"]


def test_a_resumed_run_is_one_wandb_run(run: RunFolder, no_login: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    films, models = run.path / "drive.mp4", run.path / "best"
    tracker = make_tracker("wandb", run, CONFIG, echo=said.append)
    for step in (50, 100):
        tracker.log({"x": step / 2, "y": float("nan")}, step)
    tracker.film(film(run.path), 100)
    tracker.model(checkpoint(models), "quickstart")
    tracker.log({"x": 75.0}, 150)  # beyond the checkpoint
    tracker.close()
    first = json.loads((run.path / "wandb.json").read_text())
    killed = run.path / "wandb" / f"offline-run-20200101_000000-{first['id']}"
    killed.mkdir()
    (killed / f"run-{first['id']}.wandb").write_bytes(b":W&B\0\0\0")

    rows = [(50, {"x": 25.0, "y": float("nan")}), (100, {"x": 50.0})]
    resumed = make_tracker("wandb", run, CONFIG, echo=said.append, rows=rows)
    resumed.log({"x": 1.0}, 160)
    resumed.close()
    assert json.loads((run.path / "wandb.json").read_text()) == first
    found = history(run)
    assert [(row["global_step"], row.get("x"), row["_step"]) for row in found] == [
        (50, 25.0, 0),
        (100, 50.0, 2),
        (100, None, 3),
        (160, 1.0, 4),
    ]
    assert found[2]["film._type"] == "video-file"
    assert films.exists()
    (part,) = (run.path / "wandb").glob("offline-run-*")
    assert (part / "files" / found[2]["film.path"]).is_file()
    (copy,) = (run.path / "wandb" / "models").iterdir()
    assert (copy / "weights.safetensors").read_bytes() == b"weights"
    assert said[-1].endswith(f"wandb sync {part}")


def test_a_server_holds_each_row_once(run: RunFolder, no_login: pytest.MonkeyPatch) -> None:
    said: list[str] = []

    def record(begin: int, end: int) -> None:
        wandb.teardown()
        rows = [(10 * i, {"x": float(i)}) for i in range(begin)]
        tracker = make_tracker("wandb", run, CONFIG, echo=said.append, rows=rows)
        for i in range(begin, end):
            tracker.log({"x": float(i)}, 10 * i)
        tracker.close()

    with wandb_server() as (url, lines):
        no_login.setenv("WANDB_BASE_URL", url)
        no_login.setenv("WANDB_API_KEY", "a" * 40)
        record(0, 5)
        assert steps(lines) == [0, 10, 20, 30, 40]
        record(3, 7)
        assert steps(lines) == [0, 10, 20, 30, 40, 50, 60]
        assert "the server keeps 2 rows logged after the checkpoint" in said[2]
        no_login.setenv("WANDB_MODE", "offline")
        for end in (8, 9):
            record(end - 1, end)
            wandb.teardown()
            sync = [sys.executable, "-m", "wandb", *said[-1].split("wandb ")[1].split()]
            subprocess.run(sync, cwd=run.path, check=True, capture_output=True, timeout=60)
            assert steps(lines) == [10 * i for i in range(end)]


def steps(lines: dict[int, str]) -> list[int]:
    return [json.loads(lines[number])["global_step"] for number in sorted(lines)]


_VARIABLES = {
    "app_url_override": "APP_URL",
    "root_dir": "DIR",
    "run_name": "NAME",
    "run_notes": "NOTES",
    "run_tags": "TAGS",
    "run_job_type": "JOB_TYPE",
    "x_graphql_timeout_seconds": "HTTP_TIMEOUT",
    "x_file_transfer_timeout_seconds": "FILE_PUSHER_TIMEOUT",
    "email": "USER_EMAIL",
}
"""Settings whose variable has another name."""

_WRONG = ("", "bogus", "-1", "ü" * 300, "1e999", "99999999999", "  x ", "\udcff")


def test_no_wandb_variable_is_a_traceback(no_login: pytest.MonkeyPatch) -> None:
    refused = set()
    for field, value in itertools.product(wandb.Settings.model_fields, _WRONG):
        variable = f"WANDB_{_VARIABLES.get(field, field.upper())}"
        no_login.setenv(variable, value)
        if said := complaint():
            assert said.startswith(f"{variable} = ")
            assert "; fix: " in said
            refused.add(variable)
        no_login.delenv(variable)
    assert len(refused) > 90


def complaint() -> str:
    try:
        check_variables()
    except DriveRLError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("MODE", "", "Input should be 'online', 'offline'"),
        ("MODE", "OFFLINE", "Input should be 'online', 'offline'"),
        ("MODE", "shared", "fail to continue a resumed run"),
        ("PROJECT", "a/b", "cannot contain characters"),
        ("BASE_URL", "localhost", "URL"),
        ("BASE_URL", "https://api.wandb.ai:port", ""),
        ("RUN_ID", "a/b", "cannot contain the characters"),
        ("RUN_ID", "", "cannot be empty"),
        ("RESUME", "must", "fail to continue a resumed run"),
        ("RESUME", "yes", "Input should be 'allow'"),
        ("SILENT", "very", "valid boolean"),
        ("CONSOLE", "loud", "Input should be 'auto'"),
        ("INIT_TIMEOUT", "soon", "valid number"),
        ("INIT_TIMEOUT", "inf", "expected 0 to 86400 s"),
        ("TAGS", "a,,b", "empty"),
        ("CONFIG_PATHS", "a.yaml", "not allowed"),
        ("DISABLE_GIT", "perhaps", "valid boolean"),
        ("X_STATS_SAMPLING_INTERVAL", "0", "cannot be less"),
        ("_STATS_GPU_COUNT", "many", "valid integer"),
        ("X_PRIMARY", "false", "lose records"),
        ("LAUNCH", "true", "fail to continue a resumed run"),
        ("SWEEP_ID", "abc", "WANDB_RUN_ID is not set"),
        ("SWEEP_PARAM_PATH", "absent.yaml", "absent.yaml"),
        ("SERVICE", "3-1-unix-/nowhere", "/nowhere"),
        ("SERVICE", "bogus", "bogus"),
        ("API_KEY", "short", "40 characters"),
    ],
)
def test_a_wrong_wandb_variable_stops_before_training(
    variable: str, value: str, said: str, no_login: pytest.MonkeyPatch
) -> None:
    no_login.setenv(f"WANDB_{variable}", value)
    with pytest.raises(DriveRLError, match=f"WANDB_{variable}") as caught:
        check_tracker("wandb")
    assert said in str(caught.value)
    assert "fix: " in str(caught.value)
    assert "short" not in str(caught.value)


def test_wrong_wandb_files_are_named(no_login: pytest.MonkeyPatch, tmp_path: Path) -> None:
    netrc, settings = tmp_path / "home" / "netrc", tmp_path / "home" / "settings"
    for path, text in (
        (netrc, "machine api.wandb.ai login user\npass word\n"),
        (netrc, "machine api.wandb.ai login user\n"),
        (netrc, "\xff\xfe"),
        (settings, "project = x\n"),
        (settings, "[default]\nproject = a/b\n"),
        (settings, "[default]\nmode = sometimes\n"),
        (settings, "[default]\nprojekt = x\n"),
        (settings, "\xff\xfe"),
    ):
        path.write_bytes(text.encode("latin-1"))
        with pytest.raises(DriveRLError, match=rf"{path}.*fix: "):
            check_tracker("wandb")
        path.unlink()
    netrc.mkdir()
    with pytest.raises(DriveRLError, match=rf"{netrc}: .*directory"):
        check_tracker("wandb")


@pytest.mark.parametrize("project", ["", "a/b", "p" * 129])
def test_a_wrong_project_stops_before_training(project: str, no_login: pytest.MonkeyPatch) -> None:
    with pytest.raises(DriveRLError, match=r"project = '.*fix: "):
        check_tracker("wandb", project)


def test_wandb_variables_that_a_run_folder_overrides_are_reported(run: RunFolder, no_login: pytest.MonkeyPatch) -> None:
    for name, value in (("DIR", "/elsewhere"), ("PROJECT", "other"), ("NAME", "mine"), ("TAGS", "a,b")):
        no_login.setenv(f"WANDB_{name}", value)
    no_login.setenv("WANDB_RUN_ID", "chosen")
    said: list[str] = []
    make_tracker("wandb", run, CONFIG, echo=said.append).close()
    assert "WANDB_DIR" in said[1]
    assert "WANDB_PROJECT = 'other' (project = drive-rl in the spec counts)" in said[1]
    wandb.teardown()
    (path,) = (run.path / "wandb").glob("offline-run-*-chosen/run-chosen.wandb")
    (start,) = [record.run for record in records(path) if record.WhichOneof("record_type") == "run"]
    assert (start.display_name, start.project, list(start.tags)) == ("mine", "drive-rl", ["a", "b"])
    no_login.setenv("WANDB_RUN_ID", "another")
    with pytest.raises(DriveRLError, match=r"WANDB_RUN_ID = 'another', but this run started as 'chosen'"):
        make_tracker("wandb", run, CONFIG)


def test_wandb_makes_no_noise_and_asks_nothing(run: RunFolder, no_login: pytest.MonkeyPatch) -> None:
    program = (
        "import sys; from pathlib import Path; from drive_rl.run.folder import RunFolder;"
        "from drive_rl.run.tracking.tracker import make_tracker;"
        f"t = make_tracker('wandb', RunFolder(Path({str(run.path)!r})), {{}}, echo=lambda line: None);"
        "t.log({'x': 1.0}, 1); t.close()"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
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
    no_login.setattr("drive_rl.run.tracking.wandb_tracker._CONNECT_S", 1.0)
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
    no_login.setattr("drive_rl.run.tracking.wandb_tracker._SPACE", 2**60)
    with pytest.raises(DriveRLError, match=r"MiB free, but W&B needs .* no space left"):
        make_tracker("wandb", run, CONFIG)
    assert sorted(run.path.iterdir()) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_wandb_never_moves_to_another_folder(run: RunFolder, no_login: pytest.MonkeyPatch) -> None:
    run.path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    with pytest.raises(DriveRLError, match="cannot be written"):
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


def scalars(run: RunFolder, name: str) -> list[tuple[int, float]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run.path / "tensorboard"), size_guidance={"scalars": 0}).Reload()
    return [(event.step, event.value) for event in events.Scalars(name)]


def test_a_resumed_run_is_one_tensorboard_run(run: RunFolder) -> None:
    tracker = make_tracker("tensorboard", run, CONFIG)
    for step in (50, 100, 150):
        tracker.log({"x": step / 2}, step)
    tracker.close()
    resumed = make_tracker("tensorboard", run, CONFIG, rows=[(50, {"x": 25.0}), (100, {"x": 50.0})])
    resumed.log({"x": 1.0}, 160)
    resumed.close()
    assert scalars(run, "x") == [(50, 25.0), (100, 50.0), (160, 1.0)]


def test_tensorboard_rows_are_on_disk_at_once(run: RunFolder) -> None:
    tracker = make_tracker("tensorboard", run, CONFIG)
    tracker.log({"x": 1.0}, 1)
    tracker.model(run.path, "waits for the rows before")
    assert scalars(run, "x") == [(1, 1.0)]
    tracker.close()


def test_training_continues_without_a_tensorboard_folder(run: RunFolder) -> None:
    said: list[str] = []
    tracker = make_tracker("tensorboard", run, CONFIG, echo=said.append)
    shutil.rmtree(run.path / "tensorboard")
    for step in range(3):
        tracker.log({"x": 1.0}, step)
    tracker.film(run.path / "absent.mp4", 3)
    tracker.close()
    (line,) = said
    assert line.startswith("TensorBoard: stopped (FileNotFoundError")
    assert line.endswith(f"drive-rl track {run.path}")


def core_of(pid: int) -> int:
    """The process of W&B that a process started."""
    found = subprocess.run(["ps", "-ww", "--ppid", str(pid), "-o", "pid=,args="], capture_output=True, text=True).stdout
    return next(int(line.split()[0]) for line in found.splitlines() if "wandb-core --" in line)


_TRAINING = """
import itertools, sys, time
from pathlib import Path
from drive_rl.run.folder import RunFolder
from drive_rl.run.metrics import MetricsFile
from drive_rl.run.tracking.tracker import make_tracker

kind, folder, begin, end = sys.argv[1], RunFolder(Path(sys.argv[2])), int(sys.argv[3]), int(sys.argv[4])
metrics = MetricsFile(folder.metrics, begin // 10)
tracker = make_tracker(kind, folder, {}, echo=lambda line: None, rows=metrics.rows())
for step in range(begin + 10, end + 10, 10):
    row = {"train/loss": 1 / step} | ({"eval/success": step / 7} if step % 50 == 0 else {})
    metrics.append(step, row)
    tracker.log(row, step)
    time.sleep(0.001)
tracker.close()
"""


@pytest.mark.parametrize("kind", ["wandb", "tensorboard"])
def test_trackers_hold_the_rows_of_metrics_csv_after_a_kill(
    run: RunFolder, no_login: pytest.MonkeyPatch, kind: str
) -> None:
    no_login.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
    training = [sys.executable, "-c", _TRAINING, kind, str(run.path)]
    killed = subprocess.Popen([*training, "0", "1000000"])
    while not (run.metrics.exists() and run.metrics.stat().st_size > 4000):
        time.sleep(0.01)
    killed.kill()
    killed.wait()
    subprocess.run([*training, "500", "700"], check=True, timeout=60)  # back to a checkpoint, with another budget
    rows = read_rows(run.metrics)
    assert [step for step, _ in rows] == list(range(10, 710, 10))
    if kind == "wandb":
        found = [
            (row["global_step"], {name: value for name, value in row.items() if "/" in name}) for row in history(run)
        ]
        assert found == rows
        assert len(list((run.path / "wandb").glob("offline-run-*"))) == 1
    else:
        losses = [(step, pytest.approx(row["train/loss"])) for step, row in rows]
        assert scalars(run, "train/loss") == losses
        assert [step for step, _ in scalars(run, "eval/success")] == list(range(50, 750, 50))


@pytest.mark.parametrize("signal_sent", [signal.SIGKILL, signal.SIGSTOP])
def test_training_continues_without_wandb(run: RunFolder, no_login: pytest.MonkeyPatch, signal_sent: int) -> None:
    no_login.setattr("drive_rl.run.tracking.wandb_tracker._ANSWER_S", 1.0)
    no_login.setattr("drive_rl.run.tracking.wandb_tracker._ABANDON_S", 0.2)
    said: list[str] = []
    tracker = make_tracker("wandb", run, CONFIG, echo=said.append)
    core = core_of(os.getpid())
    os.kill(core, signal_sent)
    try:
        for step in range(3):
            tracker.log({"x": 1.0}, step)
        tracker.close()
    finally:
        if signal_sent == signal.SIGSTOP:
            os.kill(core, signal.SIGKILL)
    assert said[0] == "W&B: offline (not logged in)"
    assert said[1].startswith("W&B: stopped (")
    assert said[1].endswith(f"drive-rl track {run.path}")
    assert len(said) == 2

    rows = [(step, {"x": 1.0}) for step in range(3)]
    make_tracker("wandb", run, CONFIG, echo=said.append, rows=rows).close()
    assert [row["global_step"] for row in history(run)] == [0, 1, 2]


@pytest.mark.parametrize("name", ["größe", "a" * 200, "日本", "a/b:c d", "", "größe" * 60])
def test_any_name_becomes_a_model(run: RunFolder, no_login: pytest.MonkeyPatch, name: str) -> None:
    said: list[str] = []
    tracker = make_tracker("wandb", run, CONFIG, echo=said.append)
    tracker.model(checkpoint(run.path / "best"), name)
    tracker.close()
    wandb.teardown()
    (copy,) = (run.path / "wandb" / "models").iterdir()
    assert re.fullmatch(r"[A-Za-z0-9_.-]{1,148}", copy.name)
    assert len(said) == 2, said


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
