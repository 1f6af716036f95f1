from pathlib import Path

import numpy as np
import pytest
import torch
from gymnasium import spaces

from drive_rl.config.specs.learner import EncoderSpec
from drive_rl.errors import DriveRLError
from drive_rl.learn.sb3.feature_extractors import STATE_SCALE, CameraStateEncoder, ImageEncoder, StateEncoder
from drive_rl.perception.models.encoders import Contrast
from drive_rl.run.storage.tensors import check_weights
from drive_rl.sim.task.outcome import STATE_FIELDS

KINDS = ("small", "fine", "nature", "impala", "pilotnet")


def image(channels: int, height: int, width: int) -> spaces.Box:
    return spaces.Box(0, 255, (channels, height, width), np.uint8)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("height", "width"), [(16, 16), (40, 64), (17, 61), (84, 84), (66, 200)])
def test_every_family_takes_every_size(kind: str, height: int, width: int) -> None:
    encoder = ImageEncoder(image(3, height, width), EncoderSpec.model_validate({"kind": kind, "features": 32}))
    features = encoder(torch.zeros(2, 3, height, width, dtype=torch.uint8))
    assert features.shape == (2, 32)
    assert encoder.features_dim == 32


@pytest.mark.parametrize("kind", KINDS)
def test_normed_features_are_the_same_layers_with_a_mean_of_0_and_a_deviation_of_1_before_the_relu(kind: str) -> None:
    spec = EncoderSpec.model_validate({"kind": kind, "features": 32})
    plain, normed = ImageEncoder(image(3, 40, 64), spec), ImageEncoder(image(3, 40, 64), spec, normed=True)
    with pytest.raises(DriveRLError, match="tensor normed: found nothing"):
        check_weights(normed, plain.state_dict(), Path("weights.safetensors"))
    normed.load_state_dict({**plain.state_dict(), "normed": torch.tensor(True)})
    pictures = torch.randint(0, 256, (4, 3, 40, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    before = plain.head[:-1](plain.trunk(pictures / 255))  # type: ignore[index] - a Sequential
    centred = before - before.mean(1, keepdim=True)
    expected = torch.relu(centred / (centred.square().mean(1, keepdim=True) + 1e-5).sqrt())
    assert torch.allclose(normed(pictures), expected, atol=1e-4)


@pytest.mark.parametrize("kind", [*KINDS, "resnet18"])
@pytest.mark.parametrize("count", [1, 64, 65, 200])
def test_a_large_batch_by_parts_has_the_features_of_each_image(kind: str, count: int) -> None:
    encoder = ImageEncoder(image(3, 16, 20), EncoderSpec.model_validate({"kind": kind, "features": 8})).eval()
    pictures = torch.randint(0, 256, (count, 3, 16, 20), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        features = encoder(pictures)
        alone = [encoder.head(encoder.trunk(picture[None] / 255)) for picture in pictures]
    assert features.shape == (count, 8)
    assert all(torch.allclose(each, one[0], atol=1e-5) for each, one in zip(features, alone, strict=True))


def test_training_sees_a_batch_as_a_whole() -> None:
    """Batch norm's statistics are of the batch."""
    encoder = ImageEncoder(image(3, 16, 20), EncoderSpec.model_validate({"kind": "resnet18", "features": 8})).train()
    pictures = torch.randint(0, 256, (100, 3, 16, 20), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(encoder(pictures), encoder.head(encoder.trunk(pictures / 255)), atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_too_small_an_image_is_an_error_with_a_fix(kind: str) -> None:
    with pytest.raises(DriveRLError, match=r"image of 64x15 px: expected at least 16 .* fix"):
        ImageEncoder(image(3, 15, 64), EncoderSpec.model_validate({"kind": kind}))


def test_pilotnet_has_the_papers_parameters() -> None:
    # convolutions 1824 + 21636 + 43248 + 27712 + 36928, layers 1152 -> 100 -> 50 -> 10: 115300 + 5050 + 510;
    # the paper's last layer, 10 -> 1 (11 parameters, 252,219 in all), is the policy's own here
    encoder = ImageEncoder(image(3, 66, 200), EncoderSpec(kind="pilotnet", features=10))
    assert sum(parameter.numel() for parameter in encoder.parameters()) == 252_208


def test_nature_is_the_papers_on_its_own_input() -> None:
    # 84x84x4: 8224 + 32832 + 36928 and 3136 -> 512
    encoder = ImageEncoder(image(4, 84, 84), EncoderSpec(kind="nature", features=512))
    assert sum(parameter.numel() for parameter in encoder.parameters()) == 8224 + 32832 + 36928 + 3136 * 512 + 512


def checked(low: float, high: float) -> torch.Tensor:
    """Return a picture (10, 12) of two shades in stripes of two pixels, as many of each in every row."""
    row = torch.tensor([low, low, high, high] * 3)
    return torch.stack([row] * 10)


def test_contrast_by_hand() -> None:
    # two grey frames; the newest is 0.3 and 0.7 in equal parts: mean 0.5, deviation 0.2 (unbiased, of
    # rows 3, 5, 7, 9 and every second column: 24 pixels)
    frames = torch.stack([checked(0.4, 0.5), checked(0.3, 0.7)])[None]  # (1, 2, 10, 12)
    seen = Contrast(2)(frames)
    scale = 3 / (0.2 * (24 / 23) ** 0.5 + 0.02)
    assert seen.shape == frames.shape
    assert torch.allclose(seen[0, 0], scale * checked(-0.1, 0.2), atol=1e-5)
    assert torch.allclose(seen[0, 1], scale * checked(-0.2, 0.2), atol=1e-5)


@pytest.mark.parametrize(("frames", "planes"), [(1, 1), (3, 1), (1, 3), (3, 3)])
def test_contrast_keeps_the_stack_and_puts_the_newest_frame_last(frames: int, planes: int) -> None:
    one = torch.rand(2, planes, 20, 30)
    seen = Contrast(frames)(one.repeat(1, frames, 1, 1))  # nothing moves
    assert seen.shape == (2, frames * planes, 20, 30)
    assert not seen[:, :-planes].any()
    assert seen[:, -planes:].flatten(1).std(dim=1).min() > 0.5


def test_contrast_sees_no_light_and_shade() -> None:
    frames = torch.stack([checked(0.4, 0.6), checked(0.2, 0.8)])[None]
    seen = Contrast(2)(frames)
    assert torch.allclose(Contrast(2)(frames + 0.15), seen, atol=1e-5)
    assert torch.allclose(Contrast(2)(frames * 0.6), seen, rtol=0.06)  # what is left: the 0.02 beside the deviation
    assert torch.allclose(Contrast(2)(torch.cat((frames, frames * 0.6 + 0.2)))[:1], seen)  # each picture by its own


def test_contrast_is_measured_on_the_road_not_on_the_sky() -> None:
    frames = torch.rand(1, 2, 10, 10) * 0.2
    bright = frames.clone()
    bright[:, :, :3] += 0.7  # the upper three tenths
    assert torch.equal(Contrast(2)(frames)[:, :, 3:], Contrast(2)(bright)[:, :, 3:])


def test_bytes_and_floats_of_the_same_image_give_the_same_features() -> None:
    encoder = ImageEncoder(image(3, 40, 64), EncoderSpec())
    pixels = torch.randint(0, 256, (2, 3, 40, 64), dtype=torch.uint8)
    assert torch.equal(encoder(pixels), encoder(pixels.float()))


def test_every_state_field_has_a_scale() -> None:
    assert len(STATE_SCALE) == len(STATE_FIELDS)
    encoder = StateEncoder(spaces.Box(-1e3, 1e3, (len(STATE_FIELDS),), np.float32))
    assert encoder(torch.ones(2, len(STATE_FIELDS)))[1].tolist() == pytest.approx(STATE_SCALE)


def test_camera_and_state_stand_side_by_side() -> None:
    state = spaces.Box(-1e3, 1e3, (len(STATE_FIELDS),), np.float32)
    encoder = CameraStateEncoder(spaces.Dict({"camera": image(3, 40, 64), "state": state}), EncoderSpec(features=16))
    batch = {"camera": torch.zeros(2, 3, 40, 64), "state": torch.ones(2, len(STATE_FIELDS))}
    features = encoder(batch)
    assert features.shape == (2, 16 + len(STATE_FIELDS))
    assert features[0, 16:].tolist() == pytest.approx(STATE_SCALE)
