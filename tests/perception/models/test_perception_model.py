"""The networks: shapes, the outputs of each head, and the curves through lines. Encoders and heads included.

Covers perception_model, decoder, encoders and the room heads; load and export: tests/drivers/test_modular.py.
"""

import math

import numpy as np
import pytest
import small_recipes
import torch

from drive_rl.config.reader import load_world
from drive_rl.config.specs import perception
from drive_rl.config.specs.learner import ENCODERS
from drive_rl.config.specs.perception import DataSpec
from drive_rl.errors import DriveRLError
from drive_rl.perception.data.rendered_dataset import along_road, held_out
from drive_rl.perception.data.samples import LANE_FIELDS, LINES, ROWS, Samples
from drive_rl.perception.heads.head import Labels, Predictions
from drive_rl.perception.heads.lane_fit import RoadFit
from drive_rl.perception.heads.ours import HEADS
from drive_rl.perception.heads.registry import heads_of
from drive_rl.perception.models import encoders
from drive_rl.perception.models.perception_model import build_perception

ALL = "model.heads=[lane, segmentation, lines, scene]"


def test_registries_and_specs_name_the_same() -> None:
    assert tuple(encoders.ENCODERS) == ENCODERS
    assert set(HEADS) == set(perception.HEADS)


def all_losses(predictions: Predictions, labels: Labels) -> dict[str, torch.Tensor]:
    heads = heads_of(perception.HEADS, small_recipes.recipe().world)
    return {name: loss for head in heads.values() for name, loss in head.losses(predictions, labels, "l1").items()}


@pytest.mark.parametrize("kind", ENCODERS)
def test_every_encoder_carries_every_head(kind: str) -> None:
    spec = small_recipes.recipe(ALL, f"model.encoder.kind={kind}")
    model = build_perception(spec).eval()
    images = torch.randint(0, 256, (2, 3, 40, 64), dtype=torch.uint8)
    with torch.no_grad():
        predictions = model(images)
        features, maps = model.encoder.features_and_maps(images)
    shapes = {name: tuple(value.shape[1:]) for name, value in predictions.items()}
    fields, lines = (len(LANE_FIELDS),), (LINES, ROWS)
    assert shapes == {
        "lane": fields,
        "lane_std": fields,
        "classes": (5, 40, 64),
        "lines": lines,
        "lines_std": lines,
        "lines_there": lines,
        "tier": (3,),
        "weather": (4,),
    }
    assert (predictions["lane_std"] > 0).all()
    assert torch.allclose(features, model.encoder(images), atol=1e-5)
    sides = [tuple(each.shape[2:]) for each in maps]
    assert sides == sorted(set(sides), reverse=True)


@pytest.mark.parametrize("heads", ["lane", "segmentation", "lines", "scene"])
def test_a_head_alone_has_its_own_outputs(heads: str) -> None:
    model = build_perception(small_recipes.recipe(f"model.heads=[{heads}]")).eval()
    predicted = {
        "lane": {"lane", "lane_std"},
        "segmentation": {"classes"},
        "lines": {"lines", "lines_std", "lines_there"},
    }
    with torch.no_grad():
        predictions = model(torch.zeros(1, 3, 40, 64))
    assert set(predictions) == predicted.get(heads, {"tier", "weather"})


def test_stacks_and_grey_pictures_go_in() -> None:
    changes = ("world.camera.channels=grey", "world.camera.frame_stack=3", "model.encoder.kind=small")
    model = build_perception(small_recipes.recipe(*changes)).eval()
    assert model.shape == (3, 40, 64)


def test_timm_encoders_are_named() -> None:
    try:
        import timm  # noqa: F401 # pyright: ignore[reportMissingImports] - an extra, which may be missing
    except (ImportError, RuntimeError):
        with pytest.raises(DriveRLError, match=r"timm cannot be imported .*fix: pip install 'drive-rl\[timm\]'"):
            build_perception(small_recipes.recipe("model.encoder.kind=timm:resnet10t"))
        return
    spec = small_recipes.recipe(ALL, "model.encoder.kind=timm:resnet10t")
    assert build_perception(spec).eval()(torch.zeros(1, 3, 40, 64))["classes"].shape == (1, 5, 40, 64)


def test_a_straight_road_seen_from_a_known_place_is_found_by_the_fit() -> None:
    changes = ["camera.fov_rad=2.0", "camera.pitch_rad=0.5", "camera.width_px=160", "camera.height_px=80"]
    changes += ["appearance.camera_height_error_m=0", "appearance.camera_pitch_error_rad=0"]
    world = load_world("lane_follow", changes)
    data = DataSpec(offset_m=1.0, heading_rad=0.1, per_road=4)
    samples = held_out(world, data, "val", 400)
    bends = np.abs(samples.lane[:, 2:]).max(axis=1)
    straight = samples.take(np.flatnonzero(bends < 2e-3))
    assert len(straight) > 20
    lines = torch.as_tensor(straight.lines)
    there = torch.isfinite(lines)
    fit = RoadFit(world, 3, 3.0, 3)(torch.nan_to_num(lines), there.float()).numpy()
    offset, heading = -fit[:, 0], -np.arctan(fit[:, 1] / 8)
    assert np.abs(offset - straight.lane[:, 0]).max() < 0.05
    assert np.abs(heading - straight.lane[:, 1]).max() < math.radians(1.5)


def test_the_fit_solves_what_numpy_solves() -> None:
    world = load_world("lane_follow")
    fit = RoadFit(world, 4, 6.0, 1)
    generator = torch.Generator().manual_seed(0)
    lines, there = torch.rand(3, LINES, ROWS, generator=generator), torch.rand(3, LINES, ROWS, generator=generator)
    beside = (lines - 0.5) * fit.across - fit.places[:, None]
    weights = (there * fit.weights).double().numpy()
    powers = fit.powers.double().numpy()
    for i in range(3):
        normal = np.einsum("lr,ri,rj->ij", weights[i], powers, powers) + 1e-3 * np.eye(4)
        right = np.einsum("lr,lr,ri->i", weights[i], beside[i].double().numpy(), powers)
        assert np.allclose(fit(lines, there)[i].numpy(), np.linalg.solve(normal, right), rtol=1e-2, atol=1e-2)
    assert not fit(lines, torch.zeros_like(there)).any()  # no line, no road


def test_losses_by_hand() -> None:
    samples = held_out(small_recipes.recipe().world, DataSpec(), "val", 2)
    labels = Labels(samples, torch.device("cpu"))
    there = torch.isfinite(labels.lines)
    predictions = {
        "lane": labels.lane + torch.tensor([0.7, 0, 0, 0, 0, 0]),  # one unit of offset
        "lane_std": torch.tensor([0.7, 0.12, 0.02, 0.02, 0.02, 0.02]).expand(2, 6),
        "classes": torch.zeros(2, 5, 40, 64),
        "lines": torch.nan_to_num(labels.lines) + 0.1,
        "lines_there": torch.where(there, 100.0, -100.0),
        "tier": torch.zeros(2, 3),
        "weather": torch.zeros(2, 4),
    }
    losses = {name: float(value) for name, value in all_losses(predictions, labels).items()}
    assert losses["lane"] == pytest.approx(1 / 6, rel=1e-5)
    assert losses["lane_std"] == pytest.approx(0.5 / 6, rel=1e-5)
    assert losses["classes"] == pytest.approx(math.log(5), rel=1e-5)
    assert losses["lines"] == pytest.approx(0.3, rel=1e-4)
    assert losses["scene"] == pytest.approx(math.log(3) + math.log(4), rel=1e-5)


def test_unknown_labels_add_no_loss() -> None:
    samples = Samples.unlabelled(np.zeros((2, 3, 40, 64), np.uint8))
    model = build_perception(small_recipes.recipe(ALL))
    losses = all_losses(model(torch.as_tensor(samples.images)), Labels(samples, torch.device("cpu")))
    assert [loss.item() for loss in losses.values()] == [0.0] * len(losses)


def test_a_moving_camera_is_distinguished_from_a_standing_one() -> None:
    samples = along_road(small_recipes.recipe().world, 1000, 2)
    assert not np.array_equal(samples.images[0], samples.images[1])
