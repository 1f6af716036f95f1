"""Fitting: a run learns, resumes bit for bit, keeps its best model, and explains what is wrong.

Contract of training as a whole: trainer, loop, session, checkpoints, batches, validation, objectives, optimizer,
head_finetune and vicreg.
"""

import json
import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from small_recipes import recipe

from drive_rl.config.specs.perception import PerceptionSpec
from drive_rl.errors import DriveRLError
from drive_rl.perception.data.rendered_dataset import held_out
from drive_rl.perception.models.export import export_model
from drive_rl.perception.models.load import load_trained
from drive_rl.perception.models.perception_model import build_perception
from drive_rl.perception.training import loop, session
from drive_rl.perception.training.objectives import make_objective
from drive_rl.perception.training.optimizer import learning_rate, make_optimizer
from drive_rl.perception.training.trainer import fit
from drive_rl.perception.training.validation import Validation, ValidationHistory
from drive_rl.run.folder import RunFolder
from drive_rl.run.process.signals import TrainingInterrupted
from drive_rl.run.storage.manifest import write_manifest
from drive_rl.run.storage.tensors import read_tensors


class Quiet:
    """A display that remembers, and may send a signal."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.validations: list[Validation] = []
        self._stop_at = stop_at

    def at(self, samples: int, of: int, loss: float) -> None:
        pass

    def validated(self, validation: Validation) -> None:
        self.validations.append(validation)
        if self._stop_at is not None and validation.samples >= self._stop_at:
            os.kill(os.getpid(), signal.SIGTERM)


def go(spec: PerceptionSpec | None, tmp_path: Path, display: Quiet | None = None, **options: object) -> RunFolder:
    return fit(spec, tmp_path, display or Quiet(), lambda _: None, "cpu", **options)  # pyright: ignore[reportArgumentType]


def weights(run: RunFolder) -> dict[str, torch.Tensor]:
    return read_tensors(run.last / "weights.safetensors")


@pytest.mark.parametrize("task", ["labels", "vicreg"])
def test_a_resumed_run_ends_where_an_unbroken_one_does(task: str, tmp_path: Path) -> None:
    spec = recipe(f"fit.task={task}", "model.dropout=0.2")
    unbroken = go(spec, tmp_path)
    with pytest.raises(TrainingInterrupted, match="drive-rl perception fit --resume") as stopped:
        go(spec, tmp_path, Quiet(stop_at=96))
    (stopped.value.run.path / ".last.tmp-1").mkdir()
    with stopped.value.run.writing(), pytest.raises(DriveRLError, match=f"process {os.getpid()} on host"):
        go(None, tmp_path, resume=stopped.value.run.path)
    resumed = go(None, tmp_path, resume=stopped.value.run.path)
    assert not [path.name for path in resumed.path.iterdir() if path.name.startswith(".")]
    assert resumed == stopped.value.run
    expected = weights(unbroken)
    assert weights(resumed).keys() == expected.keys()
    assert all(torch.equal(value, expected[name]) for name, value in weights(resumed).items())
    assert resumed.metrics.read_text() == unbroken.metrics.read_text()


def test_a_run_resumes_without_what_it_started_from(tmp_path: Path) -> None:
    first = go(recipe("fit.samples=32"), tmp_path / "first")
    run = go(recipe(f"model.init_from={first.path}", "fit.samples=32"), tmp_path)
    first.remove()
    assert go(None, tmp_path, resume=run.path, samples=64) == run


def test_a_loss_that_is_not_a_number_is_an_error_and_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "total", lambda losses: torch.stack(list(losses.values())).sum() * float("nan"))
    with pytest.raises(DriveRLError, match=r"the loss became nan .*fix: a smaller fit\.learning_rate"):
        go(recipe(), tmp_path)
    (last,) = tmp_path.glob("*/*/last/weights.safetensors")  # as it began
    assert all(torch.isfinite(value).all() for value in read_tensors(last).values())
    assert not list(tmp_path.rglob("best"))


def test_a_loss_on_held_out_pictures_that_is_not_a_number_is_refused(tmp_path: Path) -> None:
    spec = recipe("fit.learning_rate_end=10", "fit.samples=32", "fit.batch_size=16", "fit.evaluate_every=32")
    with pytest.raises(DriveRLError, match=r"the loss.* became (nan|inf) .*fix: a smaller fit\.learning_rate"):
        go(spec, tmp_path)


def test_pretraining_does_not_score_heads_that_have_not_learned(tmp_path: Path) -> None:
    display = Quiet()
    go(recipe("fit.task=vicreg", "fit.samples=32"), tmp_path, display)
    assert set(display.validations[-1].scores) == {"loss", "invariance_loss", "variance_loss", "covariance_loss"}


def test_a_run_learns_and_the_best_model_is_kept(tmp_path: Path) -> None:
    display = Quiet()
    run = go(recipe("fit.samples=960", "fit.evaluate_every=160"), tmp_path, display)
    losses = [one.scores["loss"] for one in display.validations]
    assert losses[-1] < 0.8 * losses[0]
    trained = load_trained(str(run.path))
    assert trained.spec == recipe("fit.samples=960", "fit.evaluate_every=160")
    best = read_tensors(run.best / "weights.safetensors")
    assert all(torch.equal(value, best[name]) for name, value in trained.model.state_dict().items())
    assert {"offset_m_mae", "heading_error_rad_mae", "ego_lane_iou"} <= display.validations[-1].scores.keys()
    files = {path.name for path in run.path.rglob("*") if path.is_file()}
    assert not {name for name in files if name.endswith((".pkl", ".pt", ".pth", ".zip"))}


def test_scores_and_card_say_in_which_worlds_the_pictures_are(tmp_path: Path) -> None:
    run = go(recipe("fit.samples=32", "data.worlds.parked_cars.share=0.4"), tmp_path)
    assert json.loads(run.evaluation.read_text())["worlds"] == {"lane_follow": 0.6, "parked_cars": 0.4}
    card = (export_model(run, tmp_path / "mixed") / "README.md").read_text()
    worlds = "(60 % in `lane_follow`, 40 % in `parked_cars`)"
    assert f"- learned from: 32 pictures rendered on the train roads {worlds}, with labels, seed 0\n" in card
    assert f"On held-out pictures of the val split {worlds} (SI units):\n" in card
    alone = go(recipe("fit.samples=32", "data.worlds=null"), tmp_path)
    assert "worlds" not in json.loads(alone.evaluation.read_text())
    assert " %" not in (export_model(alone, tmp_path / "alone") / "README.md").read_text()


def test_it_stops_early_once_nothing_is_gained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def worse(model: object, objective: object, val: object, samples: int) -> Validation:
        return Validation(samples=samples, scores={"loss": float(samples)})

    monkeypatch.setattr(loop, "validate", worse)
    display = Quiet()
    go(recipe("fit.patience=1", "fit.evaluate_every=32"), tmp_path, display)
    assert [one.samples for one in display.validations] == [32, 64]


def test_a_run_that_is_over_resumes_only_with_more_samples(tmp_path: Path) -> None:
    run = go(recipe("fit.samples=32", "fit.evaluate_every=32"), tmp_path)
    before = run.spec.read_text()
    with pytest.raises(DriveRLError, match=r"fix: a longer one, such as .*fit\.samples=64"):
        go(None, tmp_path, resume=run.path)
    assert run.spec.read_text() == before
    go(None, tmp_path, resume=run.path, samples=64)
    assert load_trained(str(run.path)).spec.fit.samples == 64


def test_an_encoder_starts_from_another_run_and_may_stay_frozen(tmp_path: Path) -> None:
    first = go(recipe("fit.task=vicreg", "fit.samples=32"), tmp_path)
    start = f"model.init_from={first.path}"
    second = go(recipe(start, "fit.freeze_encoder=true", "fit.samples=32"), tmp_path)
    then, now = weights(first), weights(second)
    names = [name for name in then if name.startswith("encoder.")]
    assert len(names) > 10
    assert all(torch.equal(then[name], now[name]) for name in names)
    assert not torch.equal(then["segmentation.logits.weight"], now["segmentation.logits.weight"])
    with pytest.raises(DriveRLError, match="encoder"):
        go(recipe(start, "model.encoder.kind=nature"), tmp_path)


@pytest.mark.parametrize("name", ["sgd", "momentum", "adagrad", "adam"])
def test_optimizers_take_their_first_step_as_written_in_their_papers(name: str) -> None:
    spec = recipe(f"fit.optimizer={name}", "fit.learning_rate=0.1").fit
    value = torch.nn.Parameter(torch.tensor([1.0]))
    optimizer = make_optimizer(spec, [value])
    (3 * value).sum().backward()  # a gradient of 3
    optimizer.step()
    expected = {"sgd": 1 - 0.3, "momentum": 1 - 0.3, "adagrad": 1 - 0.1, "adam": 1 - 0.1}
    assert value.item() == pytest.approx(expected[name], abs=1e-6)


def test_the_step_size_falls_by_half_a_cosine() -> None:
    spec = recipe("fit.learning_rate=1", "fit.learning_rate_end=0").fit
    assert [learning_rate(spec, done, 4) for done in (0, 2, 4)] == pytest.approx([1, 0.5, 0])


def test_vicreg_by_hand() -> None:
    from drive_rl.perception.training.vicreg import _covariance, _variance

    view = torch.tensor([[1.0, 1.0], [-1.0, -1.0]])
    assert float(_variance(view)) == 0  # deviations of sqrt 2
    assert float(_variance(view * 0)) == pytest.approx(1 - 0.01, abs=1e-6)
    assert float(_covariance(view)) == pytest.approx((2.0**2 + 2.0**2) / 2)


def test_the_best_validation_is_remembered() -> None:
    history = ValidationHistory()
    assert [
        history.add(Validation(samples=n, scores={"loss": loss})) for n, loss in enumerate((2.0, 1.0, 1.0, 3.0))
    ] == [
        True,
        True,
        False,
        False,
    ]
    assert history.since_best == 2
    assert history.best_number == 2
    assert ValidationHistory.model_validate(history.model_dump()).model_dump() == history.model_dump()


def test_a_driver_is_not_a_perception_model() -> None:
    with pytest.raises(DriveRLError, match="ppo-lane-follow: is a driver"):
        load_trained("ppo-lane-follow")
    with pytest.raises(DriveRLError, match="unknown perception model 'no-such'"):
        load_trained("no-such")


def test_labels_that_no_head_learns_do_not_hurt() -> None:
    spec = recipe("model.heads=[lane]")
    model = build_perception(spec)
    samples = held_out(spec.world, spec.data, "val", 2)
    losses, _ = make_objective(spec.fit, model).losses(model, torch.as_tensor(samples.images).float(), samples, True)
    assert set(losses) == {"lane", "lane_std"}
    assert np.isfinite([float(value.detach()) for value in losses.values()]).all()


def test_head_finetune_changes_the_lane_head_alone(tmp_path: Path) -> None:
    rough = go(recipe(), tmp_path)
    fine = go(recipe("fit.head_finetune_samples=256"), tmp_path)
    then, now = weights(rough), weights(fine)
    changed = {name.split(".")[0] for name in then if not torch.equal(then[name], now[name])}
    assert changed == {"lane"}
    go(recipe("fit.samples=32", "fit.head_finetune_samples=32", "model.heads=[lane]"), tmp_path)  # no such head


def test_a_fit_that_ended_early_is_over_though_its_head_finetune_gained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = iter([1.0, 2.0, 0.5])  # the third is after the head finetune

    def validated(model: object, objective: object, val: object, samples: int) -> Validation:
        return Validation(samples=samples, scores={"loss": next(losses)})

    monkeypatch.setattr(loop, "validate", validated)
    finetuned = ("model.heads=[lane, lines]", "fit.head_finetune_samples=32", "fit.patience=1", "fit.evaluate_every=32")
    run = go(recipe(*finetuned, "fit.samples=320"), tmp_path)
    assert run.finished.read_text().split() == ["{", '"samples":', "64", "}"]
    with pytest.raises(DriveRLError, match=r"has learned from 64 already; fix: a longer one"):
        go(None, tmp_path, resume=run.path)


def test_a_best_model_that_is_gone_is_not_replaced_by_another(tmp_path: Path) -> None:
    with pytest.raises(TrainingInterrupted) as stopped:
        go(recipe("fit.evaluate_every=32"), tmp_path, Quiet(stop_at=32))
    run = stopped.value.run
    counters = json.loads((run.last / "counters.json").read_text())
    assert counters["validated_at"] == counters["batches"]
    shutil.rmtree(run.best)
    counters["batches"] += 1  # as if it had learned on since
    (run.last / "counters.json").write_text(json.dumps(counters))
    (run.last / "manifest.json").unlink()
    write_manifest(run.last, {"algorithm": "perception", "num_samples": 48})
    with pytest.raises(DriveRLError, match=r"best: expected the checkpoint of validation 1.*put it back"):
        go(None, tmp_path, resume=run.path)
    assert not run.best.exists()


def test_a_manifest_with_old_keys_names_the_new_ones(tmp_path: Path) -> None:
    run = go(recipe("fit.samples=32", "model.heads=[lane]"), tmp_path)
    manifest = run.best / "manifest.json"
    manifest.write_text(manifest.read_text().replace("num_samples", "num_frames"))
    with pytest.raises(DriveRLError, match=r"num_frames: is now num_samples; fix: rename the key"):
        load_trained(str(run.path))
