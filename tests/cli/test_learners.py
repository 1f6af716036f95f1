"""Every algorithm's runs: tracked by W&B offline, resumed, and refused where a file is another's or cut short."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import small_specs
import wandb
import yaml
from rich.console import Console
from tamper import correct_sums
from wandb_file import records, values

from drive_rl.learn.train import train
from drive_rl.run.metrics import read_rows

NEXT = {
    "ppo": "recurrent-ppo",
    "recurrent-ppo": "dqn",
    "dqn": "qrdqn",
    "qrdqn": "sac",
    "sac": "dagger",
    "dagger": "ppo",
}
"""Every algorithm, and another whose files are put in the place of its own."""

Refused = Callable[..., str]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run of each algorithm, trained, resumed and tracked by W&B offline."""
    folder = tmp_path_factory.mktemp("learners")
    quiet = Console(quiet=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "offline")
        patch.setenv("HOME", str(folder))
        for algorithm in NEXT:
            spec = small_specs.run(algorithm, "track=wandb", "film=false", "budget_steps=128", "engine=batch")
            run = train(spec, folder / "runs", "cpu", console=quiet)
            train(None, folder / "runs", "cpu", resume=run.path, console=quiet, changes=["budget_steps=192"])
            shutil.copytree(run.path, folder / "trained" / algorithm)
    shutil.rmtree(folder / "runs")
    wandb.teardown()  # the last records are on disk after this
    return folder


@pytest.mark.parametrize("algorithm", NEXT)
def test_wandb_offline_holds_every_row_of_a_resumed_run(trained: Path, algorithm: str) -> None:
    run = trained / "trained" / algorithm
    identity = json.loads((run / "wandb.json").read_text())["id"]
    (path,) = (run / "wandb").glob(f"offline-run-*/run-{identity}.wandb")
    kept = list(records(path))
    rows = [values(record.history.item) for record in kept if record.WhichOneof("record_type") == "history"]
    expected = read_rows(run / "metrics.csv")
    assert [row.pop("global_step") for row in rows[: len(expected)]] == [step for step, _ in expected]
    for row, (_, scalars) in zip(rows, expected, strict=False):
        assert {key: value for key, value in row.items() if not key.startswith("_")} == scalars
    named = set().union(*(scalars for _, scalars in expected))
    assert {"eval/success", "time/train_s", "train/actor_loss" if algorithm == "sac" else "train/loss"} <= named
    (start,) = [record.run for record in kept if record.WhichOneof("record_type") == "run"]
    assert values(start.config.update)["agent"]["algorithm"] == algorithm


@pytest.mark.parametrize("algorithm", NEXT)
def test_a_run_is_not_resumed_as_another_algorithm(refused: Refused, here: Path, algorithm: str) -> None:
    spec, other = (here / "trained" / name / "spec.yaml" for name in (algorithm, NEXT[algorithm]))
    edited = yaml.safe_load(spec.read_text()) | {"agent": yaml.safe_load(other.read_text())["agent"]}
    spec.write_text(yaml.safe_dump(edited))
    (spec.parent / "provenance.json").write_text("{}")  # of a version that kept no record of the spec
    made = json.loads((here / "trained" / algorithm / "last" / "manifest.json").read_text())["algorithm"]
    said = refused("train", "--resume", f"trained/{algorithm}", "budget_steps=256")
    assert f"manifest.json: algorithm = {made}, but this driver is " in said
    assert "fix: resume with the run's own spec.yaml" in said
    assert "best/weights.safetensors: tensor " in refused("eval", f"trained/{algorithm}")


@pytest.mark.parametrize("harm", ["another algorithm's", "cut short"])
@pytest.mark.parametrize("algorithm", NEXT)
def test_weights_put_in_the_place_of_a_runs_own_are_refused(
    refused: Refused, here: Path, algorithm: str, harm: str
) -> None:
    own_run, other_run = here / "trained" / algorithm, here / "trained" / NEXT[algorithm]
    words = {
        "last": ("train", "--resume", f"trained/{algorithm}", "budget_steps=256"),
        "best": ("eval", f"trained/{algorithm}"),
    }
    for place, command in words.items():
        own = own_run / place / "weights.safetensors"
        data = own.read_bytes()
        theirs = (other_run / place / "weights.safetensors").read_bytes()
        own.write_bytes(data[: len(data) // 2] if harm == "cut short" else theirs)
        assert f"{place}/weights.safetensors: " in refused(*command)
        correct_sums(own.parent)
        expected = "cannot be read as safetensors" if harm == "cut short" else "tensor "
        assert f"{place}/weights.safetensors: {expected}" in refused(*command)
