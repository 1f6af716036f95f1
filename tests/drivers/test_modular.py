"""Perception models as drivers. It covers `lane_estimator`, too."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
import small_perception
import small_specs
import torch
from rich.console import Console
from torch import Tensor, nn

from drive_rl.benchmark.closed_loop import drive_model
from drive_rl.benchmark.exam.conditions import Condition
from drive_rl.config.reader import load_world
from drive_rl.config.specs.base import Actions, Observation
from drive_rl.config.specs.driver import ReferenceSpec
from drive_rl.config.specs.perception import PerceptionSpec
from drive_rl.config.specs.task import TaskSpec
from drive_rl.config.specs.world import WorldSpec
from drive_rl.drivers.evaluate import evaluate
from drive_rl.drivers.lane_estimator import OWN_SENSORS, visible_target_speed
from drive_rl.drivers.observations import Batch
from drive_rl.drivers.reference import ReferenceDriver
from drive_rl.errors import DriveRLError
from drive_rl.learn.checkpoint.export import export_driver
from drive_rl.learn.choose_driver import newest
from drive_rl.learn.load_driver import load_driver
from drive_rl.learn.own_drivers import modular_driver
from drive_rl.perception.data.samples import LANE_FIELDS
from drive_rl.perception.models.load import Trained, load_trained
from drive_rl.report.catalogue import explained, print_catalogue
from drive_rl.run.folder import RunFolder
from drive_rl.sim.task.outcome import STATE_FIELDS

PREDICTED = [STATE_FIELDS.index(name) for name in LANE_FIELDS]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return small_perception.run(tmp_path_factory.mktemp("runs"))


class Oracle(nn.Module):
    """Predicts the lane state that it was given, whatever the picture."""

    lane: Tensor

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return {"lane": self.lane}


class OracleDriver:
    """The modular driver on perfect predictions; the parts of the state that it must not read are overwritten."""

    name = "perfect"
    observation: Observation = "camera+state"
    actions: Actions = "continuous"

    def __init__(self, world: WorldSpec) -> None:
        self.perception_model = Oracle()
        spec = PerceptionSpec(name="perfect", world=world)
        trained = Trained("perfect", spec, self.perception_model, Path())  # type: ignore - no PerceptionModel, and drives like one
        self.driver = modular_driver(trained)

    def act(self, observations: Batch) -> np.ndarray:
        assert isinstance(observations, dict)
        state = observations["state"]
        self.perception_model.lane = torch.as_tensor(state[:, PREDICTED])
        hidden = np.full_like(state, 7.0)
        own = [STATE_FIELDS.index(name) for name in OWN_SENSORS]
        hidden[:, own] = state[:, own]
        return self.driver.act({"camera": observations["camera"], "state": hidden})


def test_on_perfect_predictions_it_drives_as_the_reference_driver() -> None:
    world = load_world("lane_follow_hard", ["camera.width_px=16", "camera.height_px=16"])
    score, rows = evaluate(OracleDriver(world), world, "val", 16, engine="batch")
    reference = ReferenceDriver(ReferenceSpec(name="reference", algorithm="reference"), world.car, world.task)
    best, theirs = evaluate(reference, world, "val", 16, engine="batch")
    assert score.success.value == best.success.value == 1
    # target speeds differ where a bend lies more than 20 m ahead, beyond the predicted curvatures
    for mine, other in zip(rows, theirs, strict=True):
        assert mine.max_offset_m == pytest.approx(other.max_offset_m, abs=0.15)
        assert mine.time_s == pytest.approx(other.time_s, rel=0.05)


def test_the_target_speed_follows_the_worlds_rule_within_view() -> None:
    task = TaskSpec(target_speed_mps=12, lateral_accel_mps2=2.5, braking_mps2=2)
    bends = [[0, 0, 0, 0], [0.025] * 4, [-0.025] * 4, [0, 0, 0, 0.1], [0.1, 0, 0, 0]]
    speeds = visible_target_speed(torch.tensor(bends), task)
    # by hand: sqrt(2.5 / 0.025) = 10; where the curvature grows from 0 at 10 m to 0.1 at 20 m, 18 m ahead binds, at
    # 0.08: v^2 = 2.5 / 0.08 + 2 x 2 x 18 = 103.25
    assert speeds.tolist() == pytest.approx([12, 10, 10, 103.25**0.5, 5])


def test_a_run_is_a_driver_in_its_own_world(run: RunFolder) -> None:
    for path in (run.path, run.path.parent, run.best):
        driver, world = load_driver(str(path))
        assert world == small_specs.world()
        assert driver.name.startswith(f"{run.path.parent.name}/{run.path.name}")
        assert (driver.observation, driver.actions) == ("camera+state", "continuous")
        _, rows = evaluate(driver, world, "val", 3)
        assert [row.road_seed for row in rows] == [10_000, 10_001, 10_002]
    steering, _ = load_driver(str(run.path), small_specs.world("task.controls=steering"))
    assert evaluate(steering, small_specs.world("task.controls=steering"), "val", 3)[0].episodes == 3
    near = small_specs.world("road.length_m=80")
    assert load_driver(str(run.path), near)[1] == near
    with pytest.raises(DriveRLError, match=r"2 grey frames of 24x16 px, but lane_follow has .*32x16"):
        load_driver(str(run.path), small_specs.world("camera.width_px=32"))


def test_it_reads_no_more_of_the_state_than_its_own_sensors(run: RunFolder) -> None:
    driver, _ = load_driver(str(run.path))
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (4, 2, 16, 24), np.uint8)
    state = rng.normal(size=(4, len(STATE_FIELDS))).astype(np.float32)
    other = rng.normal(size=state.shape).astype(np.float32)
    own = [STATE_FIELDS.index(name) for name in OWN_SENSORS]
    state[:, STATE_FIELDS.index("speed_mps")] = 11.5  # where the pedal is not at its stop
    other[:, own] = state[:, own]
    expected = driver.act({"camera": pictures, "state": state})
    assert np.array_equal(driver.act({"camera": pictures, "state": other}), expected)
    assert not np.array_equal(driver.act({"camera": pictures, "state": other + 1}), expected)


def test_it_is_listed_shown_and_scored_as_a_perception_model(
    run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export_driver(run, tmp_path / "agents" / "seer")
    monkeypatch.setenv("DRIVE_RL_PATH", str(tmp_path))
    console = Console(width=200, record=True, file=io.StringIO())
    print_catalogue(console)
    assert "perception model: small, heads lane, trained in lane_follow" in console.export_text()
    assert explained("seer", []).startswith("# perception model seer, from ")
    assert "heads: [lane]" in explained(str(run.path), [])
    assert newest(str(run.path.parent)) == (str(run.path), run)
    assert newest("seer") == ("seer", None)


def test_a_model_without_a_lane_head_is_refused(tmp_path: Path) -> None:
    blind = small_perception.run(tmp_path, heads=("segmentation",))
    with pytest.raises(DriveRLError, match=r"model\.heads = \['segmentation'\]: it predicts no lane state"):
        load_driver(str(blind.path))


def test_an_exported_model_is_read_and_drives_as_its_run(
    run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = export_driver(run, tmp_path / "agents" / "mine")
    names = ["README.md", "eval.json", "manifest.json", "spec.yaml", "weights.safetensors"]
    assert sorted(path.name for path in folder.iterdir()) == names
    manifest = json.loads((folder / "manifest.json").read_text())
    assert (manifest["algorithm"], manifest["num_samples"]) == ("perception", 64)
    card = (folder / "README.md").read_text()
    assert "- predicts: lane\n" in card
    assert "- learned from: 64 pictures rendered on the train roads, with labels, seed 0\n" in card
    monkeypatch.setenv("DRIVE_RL_PATH", str(tmp_path))
    assert load_trained("mine").name == "mine"
    rows = [evaluate(*load_driver(name), "val", 2)[1] for name in ("mine", str(run.path))]
    assert rows[0] == rows[1]
    with pytest.raises(DriveRLError, match="exists already"):
        export_driver(run, folder)


def test_how_well_a_car_drives_by_a_model(run: RunFolder) -> None:
    trained = load_trained(str(run.path))
    condition = Condition("own", trained.spec.world, "clear")
    found = drive_model(trained, condition, "val", 4)
    assert np.mean(found.driving_scores) == pytest.approx(found.driving_score)
    assert np.mean(found.max_offsets_m) == pytest.approx(found.mean_max_offset_m)
    assert max(found.max_offsets_m) == found.worst_max_offset_m
    assert found == drive_model(trained, condition, "val", 4)
    dark = drive_model(trained, condition, "val", 4, corrupt=np.zeros_like)
    assert dark != found
