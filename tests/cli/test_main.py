"""The command line as a user types it: every verb, in its own process, on a world small enough to be quick.

It covers `cli/drive.py`, `cli/shelves.py` and `cli/completion.py`.
"""

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from command_line import DRIVE_RL, call, run_main

from drive_rl.config.reader import load_run, load_world

TINY = """\
description: a minute's work in a second
world: {base: lane_follow, road: {length_m: 60}, task: {time_limit_s: 4}}
agent: {base: ppo, num_envs: 2, steps_per_update: 16, batch_size: 16, epochs: 1, hidden: [8], encoder: {features: 8}}
budget_steps: 64
checkpoint_every: 32
evaluation: {every_steps: 32, episodes: 2}
track: csv
"""


@pytest.fixture(scope="module")
def run(tiny: Path) -> Path:
    shown = call(tiny, "train", "tiny.yaml", "--seed", "3", "agent.learning_rate=1e-4").stdout
    found = re.search(r"^run: (.+)$", shown, re.MULTILINE)
    assert found
    assert "best held-out success" in shown
    assert f"next: drive-rl eval {found[1]}" in shown
    assert f"drive-rl render {found[1]}" in shown
    return tiny / found[1]


def test_train_leaves_a_run_folder(run: Path) -> None:
    spec = yaml.safe_load((run / "spec.yaml").read_text())
    assert spec["seed"] == 3
    assert spec["agent"]["learning_rate"] == 1e-4
    assert run.parent.parts[-2:] == ("runs", "tiny")
    assert run.name.endswith("-s3")
    wanted = {"spec.yaml", "command.txt", "provenance.json", "metrics.csv", "checkpoints", "best", "last", "eval.json"}
    assert wanted <= {path.name for path in run.iterdir()}
    assert "agent.learning_rate=1e-4" in (run / "command.txt").read_text()
    assert b"ftyp" in (run / "films" / "val.mp4").read_bytes()[:12]


def test_eval_writes_scores_into_the_run(tiny: Path, run: Path) -> None:
    shown = call(tiny, "eval", "runs/tiny", "--split", "test", "--episodes", "3", "--device", "cpu")
    kept = json.loads((run / "eval-test-3.json").read_text())
    assert kept["split"] == "test"
    assert json.loads((run / "eval.json").read_text())["split"] == "val", "the run's own score stays"
    assert kept["score"]["episodes"] == 3
    assert [row["road_seed"] for row in kept["episodes"]] == [20_000, 20_001, 20_002]
    for word in ("95 % interval", "success", "driving score", "tier", "device: cpu", "3 roads of the test split"):
        assert word in shown.stdout
    assert shown.stderr == ""


def test_json_stands_alone_on_stdout_whatever_libraries_print(tiny: Path, run: Path) -> None:
    before = {path: path.read_bytes() for path in run.rglob("*.json")}
    words = ("eval", str(run), "world.camera.renderer=tiny", "world.road.length_m=80", "--episodes", "1", "--json")
    found = json.loads(call(tiny, *words).stdout)
    assert found["score"]["success"].keys() == {"value", "low", "high"}
    after = {path: path.read_bytes() for path in run.rglob("*.json")}
    assert after == before, "another world's scores are not the run's own"


def test_reference_driver_is_scored_into_a_named_file(tiny: Path) -> None:
    out = tiny / "reference.json"
    call(tiny, "eval", "reference", "world.road.length_m=60", "--episodes", "2", "--out", str(out))
    assert json.loads(out.read_text())["score"]["success"]["value"] == 1
    refused = call(tiny, "eval", "reference", "--out", str(out), expect=2)
    assert "--overwrite" in refused.stderr


def test_render_films_the_roads_asked_for(tiny: Path, run: Path) -> None:
    shown = call(tiny, "render", str(run), "world.task.time_limit_s=2", "--seeds", "20003,20007").stdout
    assert "road 20003" in shown
    assert "road 20007" in shown
    assert "film: drive.mp4" in shown
    assert b"ftyp" in (tiny / "drive.mp4").read_bytes()[:12]


def test_track_records_a_run_afterwards(tiny: Path, run: Path) -> None:
    assert "recorded: runs/tiny/" in call(tiny, "track", "runs/tiny", "--track", "tensorboard").stdout
    assert len(list((run / "tensorboard").glob("events.out.tfevents.*"))) == 1
    assert "track = csv: nothing to record in" in " ".join(call(tiny, "track", str(run), expect=2).stderr.split())


def test_resume_continues_to_a_longer_budget(tiny: Path, run: Path) -> None:
    shown = call(tiny, "train", "--resume", str(run), "budget_steps=128", "--no-film").stdout
    assert "128 of 128 steps" in shown
    assert yaml.safe_load((run / "spec.yaml").read_text())["budget_steps"] == 128
    assert json.loads((run / "last" / "manifest.json").read_text())["num_timesteps"] == 128


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_prints_how_to_resume(tiny: Path, number: signal.Signals) -> None:
    words = ("train", "tiny.yaml", "budget_steps=1000000", "evaluation.every_steps=1000000", "--runs", number.name)
    process = subprocess.Popen(
        [*DRIVE_RL, *words], cwd=tiny, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1
    )
    assert process.stdout
    while not (line := process.stdout.readline()).startswith("run: "):
        assert line, "it ended before the run began"
    while not [*(tiny / number.name).glob("tiny/*/last/manifest.json")]:  # until it has trained for some steps
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(number)
    _, shown = process.communicate(timeout=120)
    assert process.returncode == 128 + number
    (stopped,) = (tiny / number.name / "tiny").iterdir()
    assert f"drive-rl train --resume {stopped.relative_to(tiny)}" in shown
    assert json.loads((stopped / "last" / "manifest.json").read_text())["num_timesteps"] > 0


def test_export_puts_a_driver_on_the_users_shelf(tiny: Path, run: Path) -> None:
    shelf = tiny / "shelf"
    shelf.mkdir()
    call(tiny, "export", str(run), "mine", shelf=shelf)
    folder = shelf / "agents" / "mine"
    assert {"weights.safetensors", "spec.yaml", "manifest.json", "README.md"} <= {p.name for p in folder.iterdir()}
    assert "trained" in call(tiny, "list", shelf=shelf).stdout
    assert call(tiny, "show", "mine", shelf=shelf).stdout.startswith("# trained driver mine")
    call(tiny, "eval", "mine", "--episodes", "1", shelf=shelf)


def test_list_names_what_is_on_the_shelves(tiny: Path) -> None:
    shown = call(tiny, "list").stdout
    for word in (
        "lane_follow",
        "drive_rl/LaneFollow-v1",
        "reference",
        "quickstart",
        "worlds",
        "drivers",
        "experiments",
        "perception recipes",
        "PilotNet, lane state only",  # a recipe's own line
    ):
        assert word in shown


def test_show_explains_every_value_and_reads_back(tiny: Path, tmp_path: Path) -> None:
    shown = call(tiny, "show", "lane_follow", "world.road.lane_width_m=3.2").stdout
    assert re.search(r"lane_width_m: 3\.2 +# Width of each lane \[m\]\.", shown)
    copy = tmp_path / "lane_follow.yaml"
    copy.write_text(shown)
    assert load_world(str(copy)) == load_world("lane_follow", ["road.lane_width_m=3.2"])
    copy = tmp_path / "dqn-lane-follow.yaml"
    copy.write_text(call(tiny, "show", "experiment:dqn-lane-follow").stdout)
    assert load_run(str(copy)) == load_run("dqn-lane-follow")


def test_doctor_measures_and_always_ends_well(tiny: Path) -> None:
    shown = call(tiny, "doctor").stdout
    for topic in ("drive-rl", "Python", "packages", "CPU", "GPU", "field", "tiny", "egl", "W&B", "shelf"):
        assert re.search(rf"^{re.escape(topic)} +\S", shown, re.MULTILINE), topic
    assert re.search(r"^field +software.* ms a frame", shown, re.MULTILINE)


def test_help_and_version_load_nothing_heavy(tiny: Path) -> None:
    script = (
        "import sys; sys.argv = ['drive-rl', '--help']\n"
        "from drive_rl.cli.main import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code\n"
        "heavy = {'torch', 'pybullet', 'numba', 'stable_baselines3', 'wandb', 'cv2', 'scipy', 'rich'}\n"
        "assert not heavy & set(sys.modules)\n"
    )
    shown = subprocess.run([sys.executable, "-c", script], cwd=tiny, capture_output=True, text=True, check=True).stdout
    for verb in ("train", "eval", "render", "list", "show", "doctor", "track", "export"):
        assert re.search(rf"^  {verb} +[A-Z]", shown, re.MULTILINE)
    assert re.fullmatch(r"drive-rl \d+\.\d+\.\d+\S*\n", call(tiny, "--version").stdout)


def test_a_driver_that_steers_alone_is_trained_scored_exported_and_kept_to_its_worlds(tiny: Path) -> None:
    shorter = ("world=lane_keep", "world.road.length_m=60", "world.task.time_limit_s=4")
    call(tiny, "train", "tiny.yaml", *shorter, "--seed", "9", "--runs", "steers")
    assert len(list((tiny / "steers").rglob("films/val.mp4"))) == 1
    shelf = tiny / "steering"
    shelf.mkdir()
    call(tiny, "export", "steers/tiny", "steers", shelf=shelf)
    assert "- controls: steering, at a speed" in (shelf / "agents" / "steers" / "README.md").read_text()
    refused = call(tiny, "eval", "steers", "world=lane_follow", expect=2, shelf=shelf)
    assert " ".join(refused.stderr.split()).count("controls steering") == 2
    assert "fix: " in refused.stderr


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["train", "quick"], ["quickstart"]),
        (["train", "quickstart", "world=park"], ["world=parked_cars"]),
        (["train", "quickstart", "world", "=", "park"], ["parked_cars"]),  # as Bash parts it
        (
            ["train", "quickstart", "agent", "="],
            ["asymmetric", "bc", "dagger", "dagger-streets", "dqn", "pixels", "ppo", "qrdqn", "recurrent-ppo", "sac"],
        ),
        (["eval", "ref"], ["reference"]),
        (["eval", "runs/ti"], ["runs/tiny", "runs/tiny/20260101T000000Z-s0"]),
        (["perception", "explain", "une"], ["unet-160"]),
        (["perception", "fit", "vic"], ["vicreg"]),
    ],
)
def test_the_shell_completes_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], words: list[str], expected: list
) -> None:
    run = tmp_path / "runs" / "tiny" / "20260101T000000Z-s0"
    run.mkdir(parents=True)
    for name in ("spec.yaml", "provenance.json"):
        (run / name).write_text("{}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("_DRIVE_RL_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", " ".join(["drive-rl", *words]))
    monkeypatch.setenv("COMP_CWORD", str(len(words)))
    assert run_main([], monkeypatch) == 0
    assert sorted(capfd.readouterr().out.split()) == expected


def test_list_names_runs_the_newest_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    rows = {"evaluations": [{"step": 32, "success": 0.5}, {"step": 64, "success": 0.25}]}
    for stamp, finished in (("20260102T000000Z-s0", 32), ("20260101T000000Z-s0", 64)):
        run = tmp_path / "runs" / "tiny" / stamp
        (run / "last").mkdir(parents=True)
        for name, held in (
            ("spec.yaml", load_run("quickstart").model_dump(mode="json")),
            ("provenance.json", {}),
            ("finished.json", {"step": finished}),
            ("last/manifest.json", {"num_timesteps": 64}),
            ("last/training.json", rows),
        ):
            (run / name).write_text(json.dumps(held))
    monkeypatch.chdir(tmp_path)
    assert run_main(["list"], monkeypatch) == 0
    older, newer = [line.split() for line in capfd.readouterr().out.splitlines() if "runs/tiny/" in line]
    assert older == ["runs/tiny/20260101T000000Z-s0", "64", "steps", "success", "50%", "done"]
    assert newer == ["runs/tiny/20260102T000000Z-s0", "64", "steps", "success", "50%", "stopped"]
