"""What the seeds of one training say together: scores and time, learning curves as a picture and in the tracker.

It reads run folders. It does not train.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import fmean

import cv2
import numpy as np

from drive_rl.config.reader import read_run
from drive_rl.learn.training_history import Evaluation, History
from drive_rl.report.learning_curves import Curves, draw
from drive_rl.run.folder import RunFolder
from drive_rl.run.storage.atomic import write_bytes, write_json
from drive_rl.run.storage.json_values import plain
from drive_rl.run.tracking.tracker import record_all
from drive_rl.run_stats import bootstrap_iqm, iqm_of_rates
from drive_rl.scale.seed_group import SeedGroup, is_finished
from drive_rl.stats import Estimate

Histories = Mapping[int, tuple[RunFolder, History]]


@dataclass(frozen=True)
class SeedScore:
    """One seed."""

    seed: int
    run: str
    finished: bool
    steps: int
    """At the last held-out evaluation."""
    train_s: float
    """Time without held-out evaluations [s]."""
    wall_s: float
    success: float
    """Of the best held-out evaluation, as the driving score."""
    driving_score: float
    best_step: int


@dataclass(frozen=True)
class CurvePoint:
    """Held-out success at a step, over the seeds."""

    step: int
    success: Estimate
    """The interquartile mean."""


@dataclass(frozen=True)
class Summary:
    """All seeds together."""

    experiment: str
    roads: int
    """Val roads of each held-out evaluation."""
    seeds: list[SeedScore]
    missing: list[int]
    """Seeds without a held-out evaluation."""
    best_success: Estimate
    """The interquartile mean over seeds of the best held-out success; its interval is of other seeds and roads."""
    best_success_on_these_roads: Estimate
    """The same with the interval of other seeds alone, the stratified bootstrap of Agarwal et al. 2021."""
    mean_train_s: float
    curve: list[CurvePoint]


def summarise(group: SeedGroup, echo: Callable[[str], None]) -> Summary | None:
    """Write `summary.json` and `curves.png`, record the curve in the seeds' tracker; None before any evaluation.

    Raises:
        DriveRLError: a run is damaged, or the tracker does not take the curve.
    """
    found = _histories(group)
    if not found:
        return None
    spec = read_run(next(iter(found.values()))[0].spec)
    roads = spec.evaluation.episodes
    scores = [_score(seed, run, history) for seed, (run, history) in found.items()]
    best = [score.success for score in scores]
    summary = Summary(
        experiment=spec.name,
        roads=roads,
        seeds=scores,
        missing=[seed for seed in group.names if seed not in found],
        best_success=iqm_of_rates(best, roads),
        best_success_on_these_roads=bootstrap_iqm([[rate] for rate in best]),
        mean_train_s=fmean(score.train_s for score in scores),
        curve=_curve(found, roads),
    )
    write_json(group.summary, plain(summary))
    _draw(group, summary, found)
    if spec.track not in ("csv", "none"):
        rows = [(point.step, _scalars(point)) for point in summary.curve]
        config = {**spec.model_dump(mode="json"), "seed": sorted(group.names)}
        record_all(spec.track, RunFolder(group.path), config, spec.project, echo, rows)
    return summary


def _histories(group: SeedGroup) -> Histories:
    runs = {seed: run for seed in sorted(group.names) if (run := group.run(seed)) is not None}
    histories = {seed: (run, History.load(run.history)) for seed, run in runs.items()}
    return {seed: found for seed, found in histories.items() if found[1].evaluations}


def _score(seed: int, run: RunFolder, history: History) -> SeedScore:
    best, last = history.best, history.last
    assert best is not None
    assert last is not None
    return SeedScore(
        seed=seed,
        run=run.path.name,
        finished=is_finished(run),
        steps=last.step,
        train_s=history.train_s,
        wall_s=history.wall_s,
        success=best.success,
        driving_score=best.driving_score,
        best_step=best.step,
    )


def _curve(found: Histories, roads: int) -> list[CurvePoint]:
    """Return the curve from the first step that all seeds have been evaluated at.

    A seed that has ended, or is not evaluated at a step, counts with its evaluation before.
    """
    each = [history.evaluations for _, history in found.values()]
    first = max(rows[0].step for rows in each)
    steps = sorted({row.step for rows in each for row in rows if row.step >= first})
    return [CurvePoint(step, iqm_of_rates([_at(rows, step) for rows in each], roads)) for step in steps]


def _at(rows: list[Evaluation], step: int) -> float:
    return [row.success for row in rows if row.step <= step][-1]


def _scalars(point: CurvePoint) -> dict[str, float]:
    value = point.success
    return {"seeds/success_iqm": value.value, "seeds/success_low": value.low, "seeds/success_high": value.high}


def _draw(group: SeedGroup, summary: Summary, found: Histories) -> None:
    curves = Curves(
        title=f"{summary.experiment}: success on {summary.roads} held-out roads",
        label=f"interquartile mean of {len(found)} seed{'s' if len(found) > 1 else ''}, 95 % interval",
        band=[(point.step, point.success) for point in summary.curve],
        each=[[(row.step, row.success) for row in history.evaluations] for _, history in found.values()],
    )
    done, png = cv2.imencode(".png", cv2.cvtColor(np.ascontiguousarray(draw(curves)), cv2.COLOR_RGB2BGR))
    assert done, "OpenCV writes PNG"
    write_bytes(group.curves, png.tobytes())
