"""A run whose `spec.yaml` was edited is refused; tests/learn and tests/perception train, fit and resume."""

import json
from pathlib import Path

import pytest
import small_specs
import yaml

from drive_rl.config.reader import dump, load_perception
from drive_rl.config.specs.experiment import RunSpec
from drive_rl.config.specs.perception import PerceptionSpec
from drive_rl.errors import DriveRLError
from drive_rl.run.folder import RunFolder
from drive_rl.run.own_spec import read_own_perception, read_own_run
from drive_rl.run.session import new_run


def begun(spec: RunSpec | PerceptionSpec, folder: Path) -> RunFolder:
    with new_run(spec, folder, ["drive-rl"]) as run:
        return run


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return begun(small_specs.run("ppo"), tmp_path)


def edit(run: RunFolder, old: str, new: str) -> None:
    text = run.spec.read_text()
    assert text.count(old) >= 1
    run.spec.write_text(text.replace(old, new, 1))


def test_an_unedited_spec_is_read(run: RunFolder) -> None:
    assert read_own_run(run.path) == small_specs.run("ppo")
    assert read_own_run(run.path, ["budget_steps=512"]).budget_steps == 512


def test_comments_order_and_spaces_do_not_count(run: RunFolder) -> None:
    run.spec.write_text("# mine\n" + json.dumps(yaml.safe_load(run.spec.read_text())))
    assert read_own_run(run.path) == small_specs.run("ppo")


def test_what_a_resume_may_change_is_free(run: RunFolder) -> None:
    changed = small_specs.run("ppo", "budget_steps=512", "film=false", "track=csv", "keep_checkpoints=9")
    run.spec.write_text(dump(changed))
    assert read_own_run(run.path) == changed


def test_an_edit_is_refused_with_the_keys_and_what_they_were(run: RunFolder) -> None:
    rate = small_specs.run("ppo").agent.learning_rate
    edit(run, f"learning_rate: {rate}", "learning_rate: 0.5")
    edit(run, "seed: 0", "seed: 7")
    with pytest.raises(DriveRLError) as refused:
        read_own_run(run.path)
    said = str(refused.value)
    assert said.startswith(f"{run.spec}: was edited since the run began")
    assert f"agent.learning_rate = 0.5, was {rate}; seed = 7, was 0; fix: write back what it was" in said


def test_a_renamed_key_is_named(run: RunFolder) -> None:
    edit(run, "  hard: 4.0\n", "  harder: 4.0\n")
    edit(run, "  hard:", "  harder:")
    with pytest.raises(DriveRLError, match=r"\.hard\.weight = nothing, was 1\.0; .*harder\.weight = 1\.0, was nothing"):
        read_own_run(run.path)


def test_many_edits_are_counted(run: RunFolder) -> None:
    run.spec.write_text(dump(small_specs.run("dqn", "world.road.lane_width_m=4")))
    with pytest.raises(DriveRLError, match=r" and \d\d more; fix: "):
        read_own_run(run.path)


def test_a_perception_run_is_held_to_its_recipe(tmp_path: Path) -> None:
    run = begun(load_perception("unet"), tmp_path)
    assert read_own_perception(run.path, ["fit.samples=77"]).fit.samples == 77
    edit(run, "batch_size: ", "batch_size: 1")
    with pytest.raises(DriveRLError, match=r"fit\.batch_size = 1\d+, was \d+; fix: "):
        read_own_perception(run.path)


def test_a_run_of_an_older_version_has_no_record(run: RunFolder) -> None:
    edit(run, "seed: 0", "seed: 7")
    run.provenance.write_text('{"git": null}')
    assert read_own_run(run.path).seed == 7


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ("[]", "holds list, expected a mapping"),
        ('{"spec": 3}', "spec = 3: expected a mapping"),
        ("{", "cannot be read"),
    ],
)
def test_a_damaged_record_is_refused(run: RunFolder, record: str, expected: str) -> None:
    run.provenance.write_text(record)
    with pytest.raises(DriveRLError, match=f"provenance.json: {expected}"):
        read_own_run(run.path)
