"""How well a score holds up on corrupted and on adversarial pictures.

It knows corruptions, attacks and a score as a function of pictures. It knows nothing of what is scored, of tables or
of pages.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from drive_rl.perception.evaluation.attacks import Loss, fgsm, pgd
from drive_rl.perception.evaluation.corruptions import CORRUPTIONS, SEVERITIES, corrupt
from drive_rl.run.process.threads import driving
from drive_rl.run.provenance import usable_cores

Score = Callable[[NDArray[Any]], float]
"""(N, C, H, W) pictures, uint8 or float32 in [0, 255] -> a number, higher is better."""
Scores = Callable[[NDArray[Any]], Mapping[str, float]]
"""The same for several scores by name, so that one prediction serves all."""
Progress = Callable[[int, int, str], None]
"""Called after each score with: how many are done, how many there are, which one this was."""
_STEP_RATE = 2.5
"""PGD's step times the number of steps, in epsilons (Madry et al. 2018, 5)."""


class CorruptionScores(NamedTuple):
    """Scores under corruption. NaN where a score is not defined."""

    clean: float
    by_corruption: dict[str, dict[int, float]]  # name -> severity -> score
    mean_corrupted: float
    """mPC of Michaelis et al. 2019 (arXiv 1907.07484, eq. 1): mean over severities, then over corruptions."""
    relative: float
    """Their rPC (eq. 2), mean_corrupted / clean; NaN where clean is 0."""
    severities: tuple[int, ...]
    seed: int
    pictures: int


class AttackSetting(NamedTuple):
    """Which attacks."""

    epsilons_px: tuple[float, ...] = (0.5, 1, 2, 4, 8)  # bounds on the change of a pixel, in grey values of 255
    steps: int = 10  # PGD's, of 2.5 epsilon / steps each
    seed: int = 0  # of PGD's random starts, the same for each epsilon
    batch: int = 32  # pictures attacked at a time


ATTACKS = AttackSetting()


class AttackScores(NamedTuple):
    """Scores under attack."""

    clean: float
    epsilons_px: tuple[float, ...]
    fgsm: list[float]  # a score for each epsilon
    pgd: list[float]
    pgd_steps: int
    seed: int
    pictures: int


def measure_corruptions(
    scores_of: Scores,
    images: NDArray[np.uint8],
    severities: Sequence[int] = SEVERITIES,
    seed: int = 0,
    planes: int | None = None,
    kept: Path | None = None,
    progress: Progress | None = None,
) -> dict[str, CorruptionScores]:
    """Score clean pictures, and under each of the 15 corruptions at each severity; return each score by its name.

    All cores work, each on pictures of its own with one thread, so that no score depends on their number.

    Args:
        scores_of: Higher is better.
        images: (N, C, H, W) uint8.
        severities: A subset of 1 to 5; fewer take less time and give another mean.
        seed: Of the corruptions.
        planes: Channels of a frame, as in `corrupt`.
        kept: A folder for the corrupted pictures, so that the next model with the same pictures, seed and planes need
            not wait for them (corrupting takes longer than predicting).
        progress: Called after each corruption and severity.

    Raises:
        DriveRLError: as `corrupt`.
    """
    pairs = [(name, severity) for name in CORRUPTIONS for severity in severities]
    total, report = 1 + len(pairs), progress or _silent

    def scored(pair: tuple[str, int]) -> Mapping[str, float]:
        return scores_of(_corrupted(images, *pair, seed, planes, kept))

    rows: list[Mapping[str, float]] = []
    with driving(), ThreadPoolExecutor(usable_cores()) as pool:
        clean = scores_of(images)
        report(1, total, "clean")
        for (name, severity), row in zip(pairs, pool.map(scored, pairs), strict=True):
            rows.append(row)
            report(1 + len(rows), total, f"{name} {severity}")
    found = {}
    for score in clean:
        by_corruption: dict[str, dict[int, float]] = {name: {} for name in CORRUPTIONS}
        for (name, severity), row in zip(pairs, rows, strict=True):
            by_corruption[name][severity] = row[score]
        mean = fmean(fmean(each.values()) for each in by_corruption.values())
        relative = mean / clean[score] if clean[score] else float("nan")
        found[score] = CorruptionScores(
            clean[score], by_corruption, mean, relative, tuple(severities), seed, len(images)
        )
    return found


def mean_corruption_error(scores: CorruptionScores, baseline: CorruptionScores) -> float:
    """Return mCE of Hendrycks and Dietterich 2019 (arXiv 1903.12261, 3): 1 is the baseline's, lower is better.

    The mean over corruptions of the error, 1 less the score, summed over severities, over the baseline's. Corruptions
    under which the baseline makes no error, or a score is unknown, are left out; NaN where all are.
    """
    ratios = []
    for name, row in scores.by_corruption.items():
        error, base = (sum(1 - each[severity] for severity in row) for each in (row, baseline.by_corruption[name]))
        if base > 0 and error == error:
            ratios.append(error / base)
    return fmean(ratios) if ratios else float("nan")


def measure_attacks(
    model: nn.Module,
    images: NDArray[np.uint8],
    loss_of: Callable[[slice], Loss],
    score: Score,
    setting: AttackSetting = ATTACKS,
    progress: Progress | None = None,
) -> AttackScores:
    """Score pictures attacked by FGSM and by PGD, for each epsilon. All cores work, as in `measure_corruptions`.

    Args:
        model: In evaluation mode.
        images: (N, C, H, W) uint8.
        loss_of: Which of the pictures -> what the attacks raise, with the labels of those pictures bound into it.
        score: Higher is better; of the attacked pictures, (N, C, H, W) float32.
        setting: Which attacks.
        progress: Called after each score.
    """
    runs = [(epsilon, attack) for epsilon in setting.epsilons_px for attack in ("fgsm", "pgd")]
    report = progress or _silent

    def scored(run: tuple[float, str]) -> float:
        epsilon, attack = run
        generator = torch.Generator().manual_seed(setting.seed)
        parts = [
            _moved(attack, model, pictures, rise, epsilon, setting.steps, generator).cpu().numpy()
            for pictures, rise in _batches(model, images, loss_of, setting.batch)
        ]
        return float(score(np.concatenate(parts)))

    curves: dict[str, list[float]] = {"fgsm": [], "pgd": []}
    with driving(), ThreadPoolExecutor(usable_cores()) as pool:
        clean = score(images.astype(np.float32))
        report(1, 1 + len(runs), "clean")
        for done, ((epsilon, attack), value) in enumerate(zip(runs, pool.map(scored, runs), strict=True), start=2):
            curves[attack].append(value)
            report(done, 1 + len(runs), f"{attack} {epsilon:g}")
    epsilons = tuple(float(epsilon) for epsilon in setting.epsilons_px)
    return AttackScores(clean, epsilons, **curves, pgd_steps=setting.steps, seed=setting.seed, pictures=len(images))


def _moved(
    attack: str, model: nn.Module, pictures: Tensor, rise: Loss, epsilon: float, steps: int, generator: torch.Generator
) -> Tensor:
    """One batch after the attack."""
    if attack == "fgsm":
        return fgsm(model, pictures, rise, epsilon)
    return pgd(model, pictures, rise, epsilon, steps, _STEP_RATE * epsilon / steps, generator)


def _batches(
    model: nn.Module, images: NDArray[np.uint8], loss_of: Callable[[slice], Loss], batch: int
) -> Iterator[tuple[Tensor, Loss]]:
    """Pictures on the model's device, each batch with its own loss."""
    device = next(model.parameters()).device
    for start in range(0, len(images), batch):
        part = slice(start, start + batch)
        yield torch.from_numpy(images[part]).to(device), loss_of(part)


def _corrupted(
    images: NDArray[np.uint8], name: str, severity: int, seed: int, planes: int | None, kept: Path | None
) -> NDArray[np.uint8]:
    """Return the corrupted pictures, from the folder if they are kept there."""
    if kept is None:
        return corrupt(images, name, severity, seed, planes)
    file = kept / f"{name}-{severity}.npy"
    if not file.exists():
        kept.mkdir(parents=True, exist_ok=True)
        half = file.with_suffix(".half.npy")  # a run killed here leaves no file that seems whole
        np.save(half, corrupt(images, name, severity, seed, planes))
        half.replace(file)
    return np.load(file)


def _silent(done: int, total: int, what: str) -> None:
    """Report progress to nobody."""
