"""Training from start to end, stopped and resumed. It covers `budget`, `callbacks` and `progress`, too."""

import io
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_specs
import torch
from interrupted_training import interrupt_at, same
from rich.console import Console

from drive_rl.config.reader import parse_run, read_run
from drive_rl.config.specs.experiment import RunSpec
from drive_rl.errors import DriveRLError
from drive_rl.learn.callbacks import Evaluate, SafePoints
from drive_rl.learn.train import train
from drive_rl.learn.training_history import Evaluation, History
from drive_rl.run.folder import RunFolder
from drive_rl.run.metrics import read_metrics
from drive_rl.run.process.signals import StopNow, TrainingInterrupted
from drive_rl.run.storage.atomic import read_json
from drive_rl.run.storage.tensors import read_tensors

SILENT = Console(quiet=True)
STOP_AT = 150
REPLAYED = ("dqn", "qrdqn", "sac")


def go(spec: RunSpec | None, folder: Path, **more: Any) -> RunFolder:
    return train(spec, folder, "cpu", console=more.pop("console", SILENT), **more)


@pytest.mark.parametrize(
    ("algorithm", "changes"),
    [
        ("ppo", ()),
        ("ppo", ("engine=batch",)),
        ("ppo", ("agent.guidance=null",)),
        ("dqn", ()),
        ("dqn", ("engine=batch",)),
        ("dqn", ("agent.guidance=null", "agent.n_steps=1")),
        ("dqn", ("agent.guidance=null", "agent.n_steps=3", "agent.buffer_size=100", "engine=batch")),
        ("qrdqn", ("engine=bullet",)),
        ("qrdqn", ("agent.observation=state", "agent.n_steps=1")),
        ("sac", ("engine=bullet", "agent.n_steps=1", "agent.buffer_size=100")),
        ("sac", ("agent.observation=camera+state", "agent.n_steps=1")),
        ("recurrent-ppo", ()),
        ("recurrent-ppo", ("engine=bullet", "agent.observation=state", "agent.actions=discrete")),
        ("dagger", ()),
        ("dagger", ("engine=bullet", "agent.algorithm=bc")),
        ("pixels", ()),
        ("pixels", ("engine=bullet",)),
        ("pixels", ("agent.self_supervised=0.1",)),
        ("asymmetric", ()),
        ("asymmetric", ("engine=bullet", "agent.actions=discrete")),
        ("ppo", ("world.task.controls=steering", "engine=batch")),
        ("dqn", ("world.task.controls=steering",)),
        ("dagger", ("world.task.controls=steering",)),
        (
            "dagger",
            (
                "train_tiers={}",
                "train_worlds=[lane_follow,{base: lane_follow_hard, task: {time_limit_s: 30}}]",
                "agent.loss=l1",
            ),
        ),
        ("pixels", ("train_tiers={}", "train_worlds=[lane_follow,lane_follow_hard]", "engine=bullet")),
    ],
)
def test_a_resumed_run_ends_where_an_unbroken_one_does(
    algorithm: str, changes: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = small_specs.run(algorithm, *changes)
    unbroken = go(spec, tmp_path)
    with monkeypatch.context() as patch:
        interrupt_at(STOP_AT, signal.SIGTERM, patch)
        with pytest.raises(TrainingInterrupted, match="drive-rl train --resume") as stopped:
            go(spec, tmp_path)
    assert stopped.value.exit_code == 143
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    torch.manual_seed(1234)
    np.random.seed(1234)
    resumed = go(None, tmp_path, resume=stopped.value.run.path)
    assert resumed == stopped.value.run
    assert same(unbroken.last, resumed.last)
    files = ["optimizer.safetensors", "env.npz", "last_step.npz", "rng.json"]
    for name in [*files, "replay.npz"] if algorithm in REPLAYED else files:
        assert (unbroken.last / name).read_bytes() == (resumed.last / name).read_bytes(), name
    rows = [read_json(run.history, "")["evaluations"] for run in (unbroken, resumed)]
    assert rows[0] == rows[1]
    steps = [row["step"] for row in read_metrics(resumed.metrics)]
    assert steps == sorted(steps)


def test_a_run_folder_holds_what_was_promised(tmp_path: Path) -> None:
    films: list[Path] = []

    def film(run: Path) -> Path:
        films.append(run)
        return run / "films" / "drive.mp4"

    console = Console(file=io.StringIO(), width=200)
    command = ["drive-rl", "train", "x"]
    run = go(small_specs.run("ppo", "keep_checkpoints=1"), tmp_path, film=film, command=command, console=console)
    assert parse_run(run.spec.read_text(), run.spec) == small_specs.run("ppo", "keep_checkpoints=1")
    assert run.command.read_text() == "drive-rl train x\n"
    assert films == [run.path]
    assert run.steps() == [128]  # at 256 training is over: that is `last`
    assert (run.best / "manifest.json").is_file()
    assert (run.last / "manifest.json").is_file()
    found = read_json(run.evaluation, "")
    assert found["split"] == "val"
    assert found["score"]["episodes"] == 2
    rows = read_metrics(run.metrics)
    assert {"eval/success", "eval/driving_score", "train/loss", "time/wall_s", "time/train_s"} <= set().union(*rows)
    assert any(row.get("rollout/ep_rew_mean") for row in rows)
    for row in rows:
        if "time/wall_s" in row:
            assert row["time/train_s"] <= row["time/wall_s"]
    said = console.file.getvalue()  # type: ignore[attr-defined]
    for part in ("device: cpu", "256 of 256 steps", "held-out success", "without evaluations", "film: "):
        assert part in said


def test_ctrl_c_has_its_own_exit_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupt_at(STOP_AT, signal.SIGINT, monkeypatch)
    with pytest.raises(TrainingInterrupted) as stopped:
        go(small_specs.run("ppo"), tmp_path)
    assert stopped.value.exit_code == 130
    assert str(stopped.value.run.path) in stopped.value.command


def test_training_roads_have_tier_weights_of_their_own(tmp_path: Path) -> None:
    """They train as in a world of these weights; the world for evaluation is unchanged."""
    only_hard = {"easy": 0.001, "medium": 0.001, "hard": 1000}
    plain = go(small_specs.run("ppo"), tmp_path / "plain")
    weighted = go(small_specs.run("ppo", f"train_tiers={only_hard}"), tmp_path / "weighted")
    changes = [f"world.road.tiers.{tier}.weight={weight}" for tier, weight in only_hard.items()]
    hard = go(small_specs.run("ppo", *changes), tmp_path / "hard")
    assert same(weighted.last, hard.last)
    assert not same(weighted.last, plain.last)
    kept = [read_run(run.spec).world.road.tiers for run in (weighted, plain)]
    assert kept[0] == kept[1]


def test_training_stops_once_the_bar_is_held(tmp_path: Path) -> None:
    changes = ("evaluation.stop_at_success=0", "evaluation.stop_after=2", "evaluation.every_steps=64")
    run = go(small_specs.run("ppo", *changes), tmp_path)
    assert read_json(run.last / "counters.json", "")["num_timesteps"] == 128


def test_a_finished_run_resumes_only_with_a_larger_budget(tmp_path: Path) -> None:
    run = go(small_specs.run("ppo"), tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for changes in ([], ["budget_steps=256"], ["budget_steps=100"]):
        with pytest.raises(DriveRLError, match=r"has trained for 256 steps already; fix: .* budget_steps=512"):
            go(None, tmp_path, resume=run.path, changes=changes)
    with pytest.raises(DriveRLError, match="command line: budget_steps = -1"):
        go(None, tmp_path, resume=run.path, changes=["budget_steps=-1"])
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    again = go(None, tmp_path, resume=run.path, changes=["budget_steps=320"])
    assert again == run
    assert read_run(run.spec) == small_specs.run("ppo", "budget_steps=320")
    assert read_json(run.last / "counters.json", "")["num_timesteps"] == 320
    assert [row["step"] for row in read_json(run.history, "")["evaluations"]] == [128, 256, 320]


def test_a_run_stopped_in_its_last_evaluation_is_finished_by_a_resume(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = ("evaluation.every_steps=100000", "checkpoint_every=100000")
    unbroken = go(small_specs.run("ppo", *changes), tmp_path)
    with monkeypatch.context() as patch:
        original = Evaluate.now

        def hooked(self: Evaluate, model: Any) -> None:
            os.kill(os.getpid(), signal.SIGTERM)
            original(self, model)

        patch.setattr(Evaluate, "now", hooked)
        with pytest.raises(TrainingInterrupted) as stopped:
            go(small_specs.run("ppo", *changes), tmp_path)
    run = stopped.value.run
    assert not run.evaluation.exists()
    go(None, tmp_path, resume=run.path)
    assert read_json(run.evaluation, "")["score"] == read_json(unbroken.evaluation, "")["score"]
    assert same(unbroken.last, run.last)


def test_a_loss_that_is_not_a_number_stops_training(tmp_path: Path) -> None:
    spec = small_specs.run("ppo", "agent.learning_rate=1", "agent.max_grad_norm=1000")

    def poison(self: Any) -> bool:
        if self.num_timesteps == 64:
            with torch.no_grad():
                next(self.model.policy.value_net.parameters()).fill_(torch.inf)
        return True

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SafePoints, "_on_step", poison)
        with pytest.raises(DriveRLError, match=r"loss = \S+ at step 64: learning has diverged; fix"):
            go(spec, tmp_path)


def test_no_folder_is_left_by_a_run_that_cannot_begin(tmp_path: Path) -> None:
    spec = small_specs.run("ppo", "world.camera.channels=rgb", "world.camera.frame_stack=16")
    with pytest.raises(DriveRLError, match="stacked channels"):
        go(spec, tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_no_folder_is_left_where_wandb_cannot_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_RESUME", "must")
    with pytest.raises(DriveRLError, match="WANDB_RESUME = 'must'"):
        go(small_specs.run("ppo", "track=wandb"), tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_only_a_run_can_be_resumed(tmp_path: Path) -> None:
    with pytest.raises(DriveRLError, match="not a run folder"):
        go(None, tmp_path, resume=tmp_path)


def test_a_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    run = go(small_specs.run("ppo"), tmp_path)
    path = run.last / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(DriveRLError, match="cut short or edited"):
        go(None, tmp_path, resume=run.path)


@pytest.mark.parametrize(
    ("algorithm", "changes"),
    [
        ("ppo", ()),
        ("ppo", ("engine=batch", "agent.guidance=null")),
        ("dqn", ("agent.train_every=100000",)),
        ("dqn", ("agent.train_every=70",)),
        ("recurrent-ppo", ("agent.num_envs=1", "agent.steps_per_update=13", "agent.batch_size=12")),
        ("sac", ("agent.train_every=70",)),
    ],
)
def test_training_ends_at_its_budget(algorithm: str, changes: tuple[str, ...], tmp_path: Path) -> None:
    """Rollouts of 64 (PPO), 200,000 and 140 (DQN) steps; and a larger budget continues from there."""
    run = go(small_specs.run(algorithm, *changes, "budget_steps=170"), tmp_path)
    assert read_json(run.last / "counters.json", "")["num_timesteps"] == 170
    assert read_json(run.last / "manifest.json", "")["exact"]
    go(None, tmp_path, resume=run.path, changes=["budget_steps=240"])
    assert read_json(run.last / "counters.json", "")["num_timesteps"] == 240


def test_a_stop_that_cannot_wait_for_an_evaluation_saves_what_was_learned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def endless(*_: Any) -> None:
        raise StopNow

    with monkeypatch.context() as patch:
        patch.setattr("drive_rl.drivers.evaluate.Evaluator.run", endless)
        interrupt_at(100, signal.SIGTERM, patch)
        with pytest.raises(TrainingInterrupted, match="everything is saved") as stopped:
            go(small_specs.run("ppo", "evaluation.every_steps=128", "checkpoint_every=100000"), tmp_path)
    assert read_json(stopped.value.run.last / "manifest.json", "")["num_timesteps"] == 128


def test_a_stop_before_anything_is_learned_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(*_: Any) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        raise StopNow

    monkeypatch.setattr("drive_rl.learn.guidance.wrapper.GuidanceWrapper.reset", slow)
    with pytest.raises(TrainingInterrupted, match="stopped before training began: nothing is kept"):
        go(small_specs.run("ppo"), tmp_path)
    assert not list(tmp_path.glob("*/*"))


def test_numbered_checkpoints_do_not_outlive_a_rollback(tmp_path: Path) -> None:
    run = go(small_specs.run("ppo"), tmp_path)
    shutil.copytree(run.checkpoint(128), run.checkpoint(4096))
    go(None, tmp_path, resume=run.path, changes=["budget_steps=320"])
    assert max(run.steps()) <= 320


def test_the_best_driver_is_made_again_from_its_numbered_checkpoint_or_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def worse_and_worse(step: int, score: Any) -> Evaluation:
        return Evaluation(step=step, success=1 / step, driving_score=0, score=score.to_dict())

    monkeypatch.setattr(Evaluation, "of", worse_and_worse)
    run = go(small_specs.run("ppo"), tmp_path)
    best = read_tensors(run.best / "weights.safetensors")
    assert run.steps() == [128]
    shutil.rmtree(run.best)
    go(None, tmp_path, resume=run.path, changes=["budget_steps=320"])
    again = read_tensors(run.best / "weights.safetensors")
    assert all(torch.equal(again[name], best[name]) for name in best)
    shutil.rmtree(run.best)
    shutil.rmtree(run.checkpoint(128), ignore_errors=True)
    with pytest.raises(DriveRLError, match=r"best: expected the checkpoint of step 128.*put it back"):
        go(None, tmp_path, resume=run.path, changes=["budget_steps=384"])
    assert "384" not in run.spec.read_text()


def test_an_edited_history_is_refused(tmp_path: Path) -> None:
    run = go(small_specs.run("ppo"), tmp_path)
    for wrong in ("1e999", "-1", '"x"', "[]"):
        path = run.history
        whole = path.read_text()
        path.write_text(whole.replace(f'"rows": {read_json(path, "")["rows"]}', f'"rows": {wrong}'))
        with pytest.raises(DriveRLError, match=r"training\.json: .*rows|cannot be read as JSON"):
            History.load(path)
        path.write_text(whole)
