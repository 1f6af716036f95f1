"""Scores under corruption and under attack: the sums by hand, and a net that is attacked."""

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from drive_rl.perception.evaluation.corruptions import CORRUPTIONS, corrupt
from drive_rl.perception.evaluation.robustness import AttackSetting, measure_attacks, measure_corruptions
from drive_rl.run.storage.json_values import plain

IMAGES = np.random.default_rng(0).integers(0, 256, (2, 3, 40, 64), dtype=np.uint8)


LEVELS = ((0, 1), (1, 3), (2, 5))


class Mean(nn.Module):
    """lane = gain x the mean grey value of a picture."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(1.0))

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return {"lane": self.gain * images.float().mean(dim=(1, 2, 3))}


def test_means_by_hand():
    """A score of 4 on clean pictures; on corrupted ones 1, 2, 3, as their severity is. Another is always 0."""
    known = {corrupt(IMAGES, name, level, 0).tobytes(): float(i + 1) for name in CORRUPTIONS for i, level in LEVELS}

    def scores_of(images):
        return {"by hand": 4.0 if images is IMAGES else known[images.tobytes()], "zero": 0.0}

    reported = []
    severities = [level for _, level in LEVELS]
    both = measure_corruptions(scores_of, IMAGES, severities, progress=lambda *what: reported.append(what))
    found = both["by hand"]
    assert list(found.by_corruption) == list(CORRUPTIONS)
    assert found.by_corruption["fog"] == {1: 1.0, 3: 2.0, 5: 3.0}
    assert (found.clean, found.mean_corrupted, found.relative) == (4.0, 2.0, 0.5)
    assert reported[0] == (1, 46, "clean")
    assert reported[-1] == (46, 46, "jpeg_compression 5")
    assert [done for done, _, _ in reported] == list(range(1, 47))
    assert json.loads(json.dumps(plain(found), allow_nan=False))["by_corruption"]["fog"] == {"1": 1, "3": 2, "5": 3}
    assert plain(both["zero"])["relative"] is None


def test_a_score_that_is_nan_is_still_json():
    found = plain(measure_corruptions(lambda images: {"nan": float("nan")}, IMAGES[:1], severities=(1,))["nan"])
    assert found["mean_corrupted"] is None
    assert found["by_corruption"]["fog"] == {"1": None}
    json.dumps(found, allow_nan=False)


def test_kept_pictures_are_those_of_the_first_time(tmp_path):
    scored: list[list[bytes]] = [[], []]
    for pictures in scored:
        measure_corruptions(
            lambda images, to=pictures: to.append(images.tobytes()) or {"one": 1.0},
            IMAGES[:1],
            (2,),
            kept=tmp_path / "new",
        )
    assert len(list((tmp_path / "new").iterdir())) == 15
    fresh = [corrupt(IMAGES[:1], name, 2, 0).tobytes() for name in CORRUPTIONS]
    assert sorted(scored[0][1:]) == sorted(scored[1][1:]) == sorted(fresh)


def test_threads_that_corrupt_do_not_disturb_each_other():
    """They share NumPy's global generator."""
    alone = [corrupt(IMAGES, "gaussian_noise", 3, seed) for seed in range(8)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda seed: corrupt(IMAGES, "gaussian_noise", 3, seed), range(8)))
    assert np.array_equal(alone, together)


@pytest.mark.parametrize("batch", [2, 32])
def test_attack_curve_of_the_mean_by_hand(batch):
    """Raising the mean of mid-grey pictures by an attack of epsilon raises it by epsilon, whatever the batch."""
    grey = np.full((3, 1, 4, 5), 100, np.uint8)
    reported = []
    found = measure_attacks(
        Mean(),
        grey,
        loss_of=lambda part: lambda outputs: outputs["lane"].sum(),
        score=lambda images: float(images.mean()),
        setting=AttackSetting(epsilons_px=(0, 1, 4), steps=5, batch=batch),
        progress=lambda *what: reported.append(what),
    )
    assert found.clean == 100
    assert found.epsilons_px == (0, 1, 4)
    assert found.fgsm == [100, 101, 104]
    assert found.pgd == pytest.approx([100, 101, 104])
    assert reported[-1] == (7, 7, "pgd 4")
    json.dumps(plain(found), allow_nan=False)


def test_each_batch_is_attacked_with_its_own_labels():
    """The loss pulls each picture away from its own label: up above it, down below it."""
    grey = np.full((4, 1, 2, 2), 100, np.uint8)
    labels = torch.tensor([90.0, 110.0, 110.0, 90.0])
    means: list[list[float]] = []

    def score(images):
        means.append(images.mean(axis=(1, 2, 3)).tolist())
        return 0.0

    measure_attacks(
        Mean(),
        grey,
        lambda part: lambda outputs: (outputs["lane"] - labels[part]).square().sum(),
        score,
        AttackSetting((2,), batch=3),
    )
    assert [102, 98, 98, 102] in means, "FGSM's"
