"""`drive-rl train --seeds` and `drive-rl compare` as a user types them, each in its own process, in a small world."""

import json
import os
import re
import signal
import subprocess
from pathlib import Path

import cv2
import pytest
from command_line import DRIVE_RL, call, check, run_main
from interrupted_training import same
from small_runs import SMALL
from wandb_file import records, values

from drive_rl.learn.training_history import History
from drive_rl.run_stats import interquartile_mean

COMPARE = ("engine=batch", "--episodes", "3")
FAILS_FOR_ONE = """\
import sys

from drive_rl import extend


@extend.metric("luck")
def luck(episodes):
    return 0.0


if "--seed 1" in " ".join(sys.argv):
    raise RuntimeError("no luck")
"""


def group_of(here: Path) -> Path:
    (group,) = here.glob("runs/quickstart/seeds-*")
    return group


def runs_of(group: Path) -> dict[str, Path]:
    named = json.loads((group / "seeds.json").read_text())["runs"]
    return {seed: group.parent / name for seed, name in named.items()}


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a group of two seeds, tracked by W&B offline."""
    folder = tmp_path_factory.mktemp("seeds")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "offline")
        patch.setenv("HOME", str(folder))
        words = ["track=wandb" if word == "track=none" else word for word in SMALL]
        shown = call(folder, "train", "quickstart", *words, "--seeds", "2", "--seed", "3").stdout
    assert re.search(r"^seed 3: 128 of 256 steps, .*held-out success", shown, re.MULTILINE)
    assert re.search(r"^seed 4: best held-out success .*quickstart/\d+T\d+Z-s4$", shown, re.MULTILINE)
    assert "2 seeds: best held-out success" in shown
    assert f"next: drive-rl compare runs/quickstart/{group_of(folder).name}" in shown
    return folder


def test_the_summary_holds_what_the_runs_hold(here: Path) -> None:
    group = group_of(here)
    summary = json.loads((group / "summary.json").read_text())
    histories = {seed: History.load(run / "last" / "training.json") for seed, run in runs_of(group).items()}
    best = [history.best for history in histories.values()]
    assert [row["seed"] for row in summary["seeds"]] == [3, 4]
    assert [row["success"] for row in summary["seeds"]] == [row.success for row in best if row]
    assert all(row["finished"] for row in summary["seeds"])
    assert summary["missing"] == []
    assert summary["best_success"]["value"] == interquartile_mean([row.success for row in best if row])
    assert summary["best_success"]["low"] < summary["best_success"]["high"]
    assert summary["mean_train_s"] == pytest.approx(sum(each.train_s for each in histories.values()) / 2)
    assert [point["step"] for point in summary["curve"]] == [128, 256]


def test_the_curves_are_drawn(here: Path) -> None:
    picture = cv2.imread(str(group_of(here) / "curves.png"))
    assert picture is not None
    assert picture.shape == (720, 1200, 3)
    assert (picture == (214, 99, 31)).all(axis=2).any(), "a line of the mean's blue"


def test_the_curve_is_in_the_tracker_beside_the_runs(here: Path) -> None:
    group = group_of(here)
    (path,) = group.glob("wandb/offline-run-*/run-*.wandb")
    kept = list(records(path))
    rows = [values(record.history.item) for record in kept if record.WhichOneof("record_type") == "history"]
    curve = json.loads((group / "summary.json").read_text())["curve"]
    assert [(row["global_step"], row["seeds/success_iqm"], row["seeds/success_high"]) for row in rows] == [
        (point["step"], point["success"]["value"], point["success"]["high"]) for point in curve
    ]
    (run,) = [record.run for record in kept if record.WhichOneof("record_type") == "run"]
    assert (run.display_name, run.run_group) == (group.name, "quickstart")
    (of_seed,) = runs_of(group)["3"].glob("wandb/offline-run-*/run-*.wandb")
    (one,) = [record.run for record in records(of_seed) if record.WhichOneof("record_type") == "run"]
    assert one.run_group == "quickstart", "all seeds and their curve are one group"


def test_a_seed_is_the_run_that_it_would_be_alone(here: Path) -> None:
    call(here, "train", "quickstart", *SMALL, "--seed", "4", "--runs", "alone")
    (alone,) = here.glob("alone/quickstart/*")
    assert same(alone / "last", runs_of(group_of(here))["4"] / "last")


def test_a_finished_group_is_trained_on_only_for_longer(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(group_of(here))
    refused = call(here, "train", "--resume", path, expect=2)
    assert "all 2 seeds are finished" in check(2, refused.stderr)
    before = runs_of(group_of(here))
    monkeypatch.setenv("WANDB_MODE", "offline")
    call(here, "train", "--resume", path, "budget_steps=320", "--no-film")
    assert runs_of(group_of(here)) == before
    summary = json.loads((group_of(here) / "summary.json").read_text())
    assert [row["steps"] for row in summary["seeds"]] == [320, 320]
    assert len(list(group_of(here).glob("wandb/offline-run-*"))) == 1, "the longer curve replaces the shorter"


def test_groups_and_drivers_are_compared(here: Path) -> None:
    group = str(group_of(here).relative_to(here))
    shown = call(here, "compare", group, "reference", *COMPARE, "--split", "test", "--out", "found.json").stdout
    found = json.loads((here / "found.json").read_text())
    assert found["roads"] == [20_000, 20_001, 20_002]
    assert found["world"] == "lane_follow", "the reference drives in the world of the runs"
    seeds, reference = found["drivers"]
    assert [Path(seed).name[-3:] for seed in seeds["seeds"]] == ["-s3", "-s4"]
    assert [len(rows) for rows in seeds["success_by_road"]] == [3, 3]
    (pair,) = found["pairs"]
    assert pair["sentence"] in shown
    assert pair["success"]["value"] == pytest.approx(seeds["success"]["value"] - reference["success"]["value"])
    one = call(here, "eval", seeds["seeds"][0], "engine=batch", "--episodes", "3", "--split", "test", "--json").stdout
    assert [row["driving_score"] for row in json.loads(one)["episodes"]] == seeds["driving_score_by_road"][0]


def test_worlds_that_differ_are_named_and_refused(here: Path) -> None:
    run = str(runs_of(group_of(here))["3"].relative_to(here))
    refused = check(2, call(here, "compare", run, "ppo-lane-follow", *COMPARE, expect=2).stderr)
    for part in (
        run,
        "was trained in lane_follow",
        "ppo-lane-follow",
        "road.length_m",
        "fix: name the world",
        "world=",
    ):
        assert part in refused
    roads = ("world=lane_follow", "world.road.length_m=60", "world.task.time_limit_s=4")
    found = json.loads(call(here, "compare", "ppo-lane-follow", "reference", *roads, *COMPARE, "--json").stdout)
    assert found["world"] == "lane_follow (changed)"


def test_a_seed_that_fails_leaves_the_others(tmp_path: Path) -> None:
    (tmp_path / "luck.py").write_text(FAILS_FOR_ONE)
    words = ("train", "quickstart", *SMALL, "--seeds", "2", "--plugin", "luck.py")
    failed = check(2, call(tmp_path, *words, expect=2).stderr)
    assert "1 of 2 seeds failed" in failed
    assert "seed 1: " in failed
    assert "no luck" in failed
    group = group_of(tmp_path)
    assert f"drive-rl train --resume {group.relative_to(tmp_path)}" in failed
    summary = json.loads((group / "summary.json").read_text())
    assert ([row["seed"] for row in summary["seeds"]], summary["missing"]) == ([0], [1])
    refused = call(tmp_path, "compare", str(group), "reference", *COMPARE, expect=2)
    assert "seed 1: not finished" in check(2, refused.stderr)
    call(tmp_path, "train", "--resume", str(group), "--no-film")
    assert json.loads((group / "summary.json").read_text())["missing"] == [], "without the plugin it trains"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_all_seeds(tmp_path: Path, number: signal.Signals) -> None:
    long = [word for word in SMALL if "_steps=" not in word] + ["budget_steps=1000000", "evaluation.every_steps=128"]
    command = [*DRIVE_RL, "train", "quickstart", *long, "--seeds", "3"]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=pipe, stderr=pipe, text=True, bufsize=1, start_new_session=True
    ) as process:
        assert process.stdout
        assert process.stderr
        found = re.search(r"(\d) at once$", process.stdout.readline())
        assert found
        seen: set[str] = set()
        while len(seen) < int(found[1]):
            line = process.stdout.readline()
            assert line, "it ended before its seeds were evaluated"
            seen |= {line.partition(":")[0]}
        os.killpg(process.pid, number)  # as a terminal does
        stopped = process.stderr.read()
    assert process.returncode == 128 + number
    group = group_of(tmp_path)
    waiting = 3 - len(seen)
    assert f"stopped; 0 of 3 seeds are finished, {len(seen)} saved to be resumed, {waiting} not begun." in stopped
    assert f"drive-rl train --resume {group.relative_to(tmp_path)}" in stopped
    saved = [int(json.loads((run / "last" / "manifest.json").read_text())["num_timesteps"]) for run in started(group)]
    assert min(saved) >= 128
    if number == signal.SIGINT:
        call(tmp_path, "train", "--resume", str(group), f"budget_steps={max(saved) + 64}", "--no-film")
        summary = json.loads((group / "summary.json").read_text())
        assert [row["steps"] for row in summary["seeds"]] == [max(saved) + 64] * 3


def started(group: Path) -> list[Path]:
    named = json.loads((group / "seeds.json").read_text())["runs"]
    return [group.parent / name for name in named.values() if name is not None]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train", "quickstart", "--seeds", "0"], "--seeds 0: expected 1 to 1000; fix: --seeds 5"),
        (["train", "quickstart", "--seeds", "-1"], "--seeds -1: expected 1 to 1000"),
        (["train", "quickstart", "--seeds", "100000"], "--seeds 100000: expected 1 to 1000"),
        (["train", "quickstart", "--seeds", "2", "--seed", "2147483647"], "seed = 2147483648"),
        (["train", "--resume", "runs/x", "--seeds", "2"], "leave --seeds out"),
        (["train", "quickstart", "budget_steps=x", "--seeds", "2"], "budget_steps = 'x'"),
        (["compare", "reference"], "give two drivers or more"),
        (["compare", "reference", "reference"], "'reference' is named twice"),
        (["compare", "reference", "referense"], "did you mean 'reference'"),
        (["compare", "reference", "dqn-lane-follow", "engine=bath"], "engine = 'bath'"),
        (["compare", "reference", "dqn-lane-follow", "road.length_m=70"], "fix: world.road.length_m=70"),
        (["compare", "reference", "dqn-lane-follow", "--episodes", "0"], "episodes = 0: expected 1 to 1000"),
        (["compare", "reference", "dqn-lane-follow", "--out", "no/x.json"], "no is not a folder"),
    ],
)
def test_bad_input_is_one_paragraph_and_leaves_nothing(
    words: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    code = run_main(words, monkeypatch)
    assert message in check(code, capfd.readouterr().err)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_group_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for content in ('{"words": [], "runs": {"x": null}}', '{"words": [], "runs": {"0": "../a"}}', "{", '{"runs": {}}'):
        Path("seeds.json").write_text(content)
        code = run_main(["train", "--resume", "."], monkeypatch)
        assert "seeds.json" in check(code, capfd.readouterr().err)
