"""The 15 corruptions on grey and RGB pictures, stacks and small pictures."""

import cv2
import imagecorruptions
import numpy as np
import pytest

from drive_rl.errors import DriveRLError
from drive_rl.perception.evaluation.corruptions import CORRUPTIONS, corrupt

BLOCKS = np.random.default_rng(0).integers(0, 256, (2, 3, 5, 7), dtype=np.uint8)
RGB = BLOCKS.repeat(8, axis=2).repeat(10, axis=3)[..., 3:67]  # (2, 3, 40, 64)
SEVEN = ("gaussian_noise", "impulse_noise", "glass_blur", "motion_blur", "snow", "frost", "elastic_transform")


def test_names_are_the_librarys_common_ones():
    assert list(CORRUPTIONS) == imagecorruptions.get_corruption_names("common")


@pytest.mark.parametrize("name", CORRUPTIONS)
@pytest.mark.parametrize("severity", [1, 5])
def test_every_corruption_changes_small_pictures_and_repeats_by_seed(name, severity, capsys):
    before = RGB.copy()
    found = corrupt(RGB, name, severity, seed=3)
    assert found.shape == RGB.shape
    assert found.dtype == np.uint8
    assert (found != RGB).any()
    assert np.array_equal(found, corrupt(RGB, name, severity, seed=3))
    assert np.array_equal(RGB, before)
    assert not capsys.readouterr().out


@pytest.mark.parametrize("name", SEVEN)
def test_another_seed_draws_another_corruption(name):
    assert not np.array_equal(corrupt(RGB, name, 3, seed=0), corrupt(RGB, name, 3, seed=1))


@pytest.mark.parametrize("name", SEVEN)
def test_a_picture_is_corrupted_alike_alone_and_in_a_batch(name):
    assert np.array_equal(corrupt(RGB, name, 2, seed=0)[:1], corrupt(RGB[:1], name, 2, seed=0))


def test_contrast_by_hand():
    """Severity 1 keeps 0.4 of each channel's distance from its mean (the paper's code); the library rounds down."""
    halves = np.zeros((1, 3, 40, 64), np.uint8)
    halves[..., 32:] = 200  # mean 100: 0.4 * (0 - 100) + 100 = 60, and 140
    found = corrupt(halves, "contrast", 1, seed=0)
    assert np.abs(found[..., :32].astype(int) - 60).max() <= 1
    assert np.abs(found[..., 32:].astype(int) - 140).max() <= 1


def test_grey_is_the_luma_of_the_corrupted_grey_picture_in_rgb():
    grey = RGB[:, :1]
    expected = corrupt(grey.repeat(3, axis=1), "frost", 3, seed=0)
    luma = np.stack([cv2.cvtColor(picture.transpose(1, 2, 0), cv2.COLOR_RGB2GRAY) for picture in expected])
    assert np.array_equal(corrupt(grey, "frost", 3, seed=0)[:, 0], luma)


@pytest.mark.parametrize("name", [name for name in CORRUPTIONS if name not in CORRUPTIONS[:3]])
def test_frames_of_a_stack_share_the_corruption(name):
    stack = RGB[:, :1].repeat(3, axis=1)  # three times the same grey frame
    found = corrupt(stack, name, 3, seed=0, planes=1)
    assert np.array_equal(found[:, 0], found[:, 1])
    assert np.array_equal(found[:, 0], found[:, 2])


@pytest.mark.parametrize("name", CORRUPTIONS[:3])
def test_noise_is_new_in_each_frame_of_a_stack(name):
    found = corrupt(np.concatenate([RGB, RGB], axis=1), name, 3, seed=0)
    assert not np.array_equal(found[:, :3], found[:, 3:])


@pytest.mark.parametrize("size", [(16, 24), (33, 47), (81, 31)])
def test_odd_and_tiny_sizes(size, capsys):
    tiny = np.full((1, 1, *size), 90, np.uint8)
    for name in CORRUPTIONS:
        assert corrupt(tiny, name, 5, seed=0).shape == tiny.shape
    assert not capsys.readouterr().out


def test_the_global_generator_is_left_as_it_was():
    np.random.seed(5)
    expected = np.random.rand(3)
    np.random.seed(5)
    for name in SEVEN:
        corrupt(RGB[:1], name, 1, seed=0)
    assert np.array_equal(np.random.rand(3), expected)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"name": "spatter"}, "spatter"),  # one of the four extra ones
        ({"severity": 6}, "severity = 6"),
        ({"images": RGB.astype(np.float32)}, "float32"),
        ({"images": RGB[0]}, "uint8 (B, C, H, W)"),
        ({"images": RGB[:, :2], "planes": 3}, "planes = 3"),
    ],
)
def test_bad_arguments_are_named(changes, word):
    good = {"images": RGB, "name": "fog", "severity": 1, "seed": 0}
    with pytest.raises(DriveRLError) as caught:
        corrupt(**(good | changes))
    assert word in str(caught.value)
