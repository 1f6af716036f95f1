"""What may be concluded of models that saw and drove the same roads: paired tests, corrected for their number, and
whether stated certainty can be trusted, in sentences.

It knows results; `drive_rl.run_stats` knows the statistics.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from statistics import fmean

import numpy as np

from drive_rl.benchmark.metrics import METRICS
from drive_rl.benchmark.parts.closed_loop import ClosedLoop
from drive_rl.benchmark.parts.robustness import Robustness, ScoreRobustness
from drive_rl.benchmark.results import ModelResult, Pair
from drive_rl.perception.evaluation.certainty import Certainty, CertaintyScores
from drive_rl.perception.evaluation.robustness import mean_corruption_error
from drive_rl.perception.scores.calibration import WITHIN
from drive_rl.run_stats import holm, paired_mean, sign_flip_p

ALPHA = 0.05
_FARTHEST_M = 1.75
"""Half a lane: what a difference of deviations counts at most, where an interval needs a bound."""

_OPEN = 0.25
"""An interval of the share in 95 % intervals that is wider leaves open whether a model states its certainty well."""

TESTED: dict[str, tuple[Callable[[ClosedLoop], tuple[float, ...] | None], float]] = {
    "driving_score": (lambda it: it.clean.driving_scores, 1.0),
    "excess_offset_m": (lambda it: it.excess_offsets_m, _FARTHEST_M),
}
"""What is tested, in the order of its weight: its value on each road, and how large a difference can be."""

QUANTITIES = {"offset_m": "offset", "heading_error_rad": "heading", "line_column": "line columns"}
"""What models may state a deviation of, in words."""

SCORES: dict[str, Callable[[Robustness], ScoreRobustness | None]] = {
    "ego_lane_iou": lambda it: it.ego_lane_iou,
    "lane_within": lambda it: it.lane_within,
    "lines_f1": lambda it: it.lines_f1,
}
"""The scores whose robustness is measured."""


def pairs_of(models: Sequence[ModelResult]) -> tuple[Pair, ...]:
    """Return every pair of models that drove the same number of roads, by each of TESTED.

    Each p-value is that of a paired sign-flip permutation test over roads (a road's value is its mean over conditions),
    adjusted by Holm's step-down procedure for all pairs and metrics.
    """
    found: list[Pair] = []
    for metric, (of, most) in TESTED.items():
        known = {model.name: values for model in models if (values := _by_road(model, of))}
        for first, second in combinations(known, 2):
            if len(known[first]) == len(known[second]):
                apart = np.subtract(known[first], known[second])
                mean, p = paired_mean(apart, most), sign_flip_p(apart)
                found.append(Pair(first, second, metric, mean.value, mean.low, mean.high, p, p))
    adjusted = holm([pair.p for pair in found]).tolist()
    return tuple(Pair(*_fields(pair), p_holm) for pair, p_holm in zip(found, adjusted, strict=True))


def verdict_of(models: Sequence[ModelResult], pairs: Sequence[Pair]) -> tuple[str, ...]:
    """Return in sentences which models lead, what beats each other one, and where each fails.

    One model beats another by its driving score; where the tests do not separate these, by its excess deviation.
    """
    driven = sorted((model for model in models if {*TESTED} <= model.metrics.keys()), key=_order)
    if not driven:
        return ()
    names = [model.name for model in driven]
    beaten: dict[str, Pair] = {}
    for name in names:
        beating = [pair for other in names if (pair := _beats(other, name, pairs)) is not None]
        if beating:
            beaten[name] = beating[0]
    leading = [name for name in names if name not in beaten] or names[:1]
    roads = len(_by_road(driven[0], TESTED["driving_score"][0]) or ())
    lines = [_lead(leading, len(names), roads, len(pairs))]
    lines += [_sentence(name, pair) for name, pair in beaten.items()]
    return (*lines, *map(_failing, driven))


def certainty_verdict(models: Sequence[ModelResult]) -> tuple[str, ...]:
    """Return for each model, in a sentence, where its stated deviations can be trusted and where they cannot.

    It is about the quantity whose 95 % intervals hold least in some condition. A model is overconfident where the
    interval of that share lies below 95 %, underconfident where it lies above, and neither is known where the interval
    holds 95 % and is wide.
    """
    found = {model.name: model.parts.accuracy.certainty for model in models if model.parts.accuracy}
    return tuple(_certainty(name, stated) for name, stated in found.items() if stated is not None)


def mean_corruption_errors(models: Sequence[ModelResult]) -> dict[str, dict[str, float]]:
    """Return mCE by score and model, against the first model that has the score."""
    found: dict[str, dict[str, float]] = {}
    for name, of in SCORES.items():
        each = {m.name: s.corruptions for m in models if m.parts.robustness and (s := of(m.parts.robustness))}
        if len(each) > 1:
            base = next(iter(each.values()))
            found[name] = {model: mean_corruption_error(scores, base) for model, scores in each.items()}
    return found


def _order(model: ModelResult) -> tuple[float, ...]:
    """Sort by TESTED, the better first."""
    return tuple(-METRICS[metric].better * model.metrics[metric] for metric in TESTED)


def _by_road(model: ModelResult, of: Callable[[ClosedLoop], tuple[float, ...] | None]) -> tuple[float, ...] | None:
    return of(model.parts.closed_loop) if model.parts.closed_loop else None


def _beats(first: str, second: str, pairs: Sequence[Pair]) -> Pair | None:
    """Return the pair by which one model beats another; None: it does not."""
    both = [pair for pair in pairs if {pair.first, pair.second} == {first, second} and pair.p_holm <= ALPHA]
    if first == second or not both:
        return None
    ahead = METRICS[both[0].metric].better * both[0].difference
    return both[0] if (ahead > 0) == (both[0].first == first) else None


def _lead(leading: Sequence[str], models: int, roads: int, tests: int) -> str:
    if models == 1:
        return f"{leading[0]} alone drove: there is nothing to compare it with."
    basis = f"{roads} roads, {tests} paired sign-flip tests with Holm's correction"
    if len(leading) == 1:
        return f"{leading[0]} leads: it alone is beaten by no other model on the same roads ({basis})."
    least = min(1.0, tests * 2.0 ** (1 - roads))
    if least > ALPHA:
        few = f"no difference on {roads} roads can be, for the least p is {least:.2g}; fix: more roads"
        return (
            f"{_listed(leading)} cannot be separated: with {tests} paired sign-flip tests and Holm's correction {few}."
        )
    alike = "That does not show that they are alike: more roads may separate them."
    return f"{_listed(leading)} cannot be separated ({basis}). {alike}"


def _sentence(name: str, pair: Pair) -> str:
    other = pair.second if pair.first == name else pair.first
    low, high = sorted(abs(bound) for bound in (pair.low, pair.high))
    value, low = abs(pair.difference), 0.0 if pair.low < 0 < pair.high else low
    if pair.metric == "driving_score":
        between = f"by {100 * value:.1f} points of driving score ({100 * low:.1f} to {100 * high:.1f}"
        return f"{name} drives worse than {other}, {between}, p = {pair.p_holm:.2g})."
    between = f"by {value:.3f} m ({low:.3f} to {high:.3f}"
    return f"{name} strays farther from the lane's middle than {other}, {between}, p = {pair.p_holm:.2g})."


def _failing(model: ModelResult) -> str:
    """Return how often a model succeeds, and in which condition least often."""
    conditions = model.parts.closed_loop.conditions if model.parts.closed_loop else {}
    rates = {name: each.driven.success for name, each in conditions.items()}
    if all(rate == 1 for rate in rates.values()):
        return f"{model.name} succeeds on every drive."
    worst = min(rates, key=lambda name: rates[name])
    share = f"{100 * fmean(rates.values()):.0f} % of its drives, on {100 * rates[worst]:.0f} %"
    return f"{model.name} succeeds on {share} in the condition {worst.replace('_', ' ')}."


def _certainty(name: str, stated: Mapping[str, Certainty]) -> str:
    if not stated:
        return f"{name} states no deviation of what these pictures have labels of: no certainty to score."
    quantity = min(stated, key=lambda each: min(group.within_95 for group in stated[each].groups.values()))
    clauses: dict[str, list[tuple[str, CertaintyScores]]] = {}
    for group, scores in sorted(stated[quantity].groups.items(), key=lambda each: each[1].within_95):
        clauses.setdefault(_trust(scores, QUANTITIES[quantity]), []).append((group, scores))
    lines = [f"{clause} in {_listed([_held(*each) for each in held])}" for clause, held in clauses.items()]
    return f"{name} {'; it '.join(lines)}."


def _trust(scores: CertaintyScores, quantity: str) -> str:
    if scores.high_95 < WITHIN[1]:
        return f"is overconfident about its {quantity}"
    if scores.low_95 > WITHIN[1]:
        return f"is underconfident about its {quantity}"
    if scores.high_95 - scores.low_95 > _OPEN:
        return f"leaves open, on so few roads, whether it states the deviation of its {quantity} well,"
    return f"states the deviation of its {quantity} well"


def _held(group: str, scores: CertaintyScores) -> str:
    held = f"95 % intervals hold {100 * scores.within_95:.0f} %"
    return f"{group.replace('_', ' ')} (NLL {scores.nll:.3g} nat, {held})"


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]


def _fields(pair: Pair) -> tuple[str, str, str, float, float, float, float]:
    return pair.first, pair.second, pair.metric, pair.difference, pair.low, pair.high, pair.p
