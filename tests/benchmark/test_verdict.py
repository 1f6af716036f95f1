"""The verdict: paired tests, sentences, mCE, and the files for CI; by hand. Covers `gate`, too."""

from xml.etree import ElementTree

import numpy as np
import pytest

from drive_rl.benchmark.closed_loop import Driven
from drive_rl.benchmark.correlation import compare
from drive_rl.benchmark.exam.conditions import load_exam
from drive_rl.benchmark.gate import junit, summary
from drive_rl.benchmark.metrics import metrics_of
from drive_rl.benchmark.parts.closed_loop import ClosedLoop, ConditionDriven
from drive_rl.benchmark.requirements import missed_requirements, parse_requirement
from drive_rl.benchmark.results import NOT_MADE, BenchResults, ModelResult, PartResults
from drive_rl.benchmark.settings import BenchSetting
from drive_rl.benchmark.verdict import certainty_verdict, pairs_of, verdict_of
from drive_rl.perception.evaluation.accuracy import Accuracy
from drive_rl.perception.evaluation.certainty import Certainty, CertaintyScores
from drive_rl.perception.evaluation.robustness import CorruptionScores, mean_corruption_error

ROADS = 20
RNG = np.random.default_rng(0)


def model(name: str, scores, excess_m) -> ModelResult:
    scores, excess_m = np.broadcast_to(scores, ROADS), np.broadcast_to(excess_m, ROADS)
    score, success = float(scores.mean()), float((scores == 1).mean())
    driven = Driven(score, score, success, 0.5, 1.0, tuple(scores.tolist()), (0.5,) * ROADS)
    excess = float(excess_m.mean())
    conditions = {"fog": ConditionDriven(driven, excess)}
    drive = ClosedLoop(ROADS, 0, 0.0, "suite", driven, 3, {}, None, (), None, conditions, tuple(excess_m.tolist()))
    metrics = {"driving_score": score, "excess_offset_m": excess, "success": success}
    return ModelResult(name, name, PartResults(closed_loop=drive), metrics=metrics)


NOISE = 0.01 * RNG.normal(size=ROADS)
MODELS = [
    model("even", 1.0, 0.1 + NOISE),
    model("twin", 1.0, 0.1 + NOISE),
    model("wide", 1.0, 0.2 + NOISE[::-1]),
    model("poor", [0.2] * 10 + [1.0] * 10, 0.5),
]


def test_pairs():
    pairs = {(pair.first, pair.second, pair.metric): pair for pair in pairs_of(MODELS)}
    assert len(pairs) == 12
    same = pairs["even", "twin", "driving_score"]
    assert (same.difference, same.p, same.p_holm) == (0.0, 1.0, 1.0)
    assert same.low < 0 < same.high  # twenty roads alike are no certainty
    apart = pairs["even", "wide", "excess_offset_m"]
    assert apart.low < apart.difference == pytest.approx(-0.1, abs=0.01)
    # only the observed signs and their mirror image are as far from zero: 2 of 2^20, of which 20 001 are drawn
    assert apart.p == pytest.approx(1 / 20_001, abs=1 / 20_001)
    assert apart.p_holm == pytest.approx(12 * apart.p, abs=2e-3)


def test_sentences():
    lead, wide, poor, *driven = verdict_of(MODELS, pairs_of(MODELS))
    assert lead.startswith("even and twin cannot be separated (20 roads, 12 paired sign-flip tests with Holm's")
    assert lead.endswith("That does not show that they are alike: more roads may separate them.")
    assert wide.startswith("wide strays farther from the lane's middle than even, by 0.10")
    assert poor.startswith("poor drives worse than even, by 40.0 points of driving score (")
    assert driven[0] == "even succeeds on every drive."
    assert driven[3] == "poor succeeds on 50 % of its drives, on 50 % in the condition fog."
    assert verdict_of(MODELS[:1], ())[0] == "even alone drove: there is nothing to compare it with."
    assert verdict_of([MODELS[0], MODELS[3]], pairs_of([MODELS[0], MODELS[3]]))[0].startswith("even leads: ")
    assert verdict_of([ModelResult("lost", "lost")], ()) == ()


def test_a_smaller_deviation_beats_where_scores_do_not():
    """The first has the higher score, on too few roads to be sure, and strays farther."""
    first, second = model("first", 1.0, 0.3), model("second", [0.9] + [1.0] * 19, 0.1)
    lines = verdict_of([first, second], pairs_of([first, second]))
    assert lines[0].startswith("second leads")
    assert lines[1].startswith("first strays farther from the lane's middle than second, by 0.200 m")


def test_certainty_in_sentences():
    """About the quantity that holds least; a share is off where its interval lies beside 95 %."""
    clear = CertaintyScores(-2.871, 0.7, 0.93, 0.9, 0.96, 100)
    down, dusk = clear._replace(nll=160.2, within_95=0.12, high_95=0.2), clear._replace(within_95=1.0, low_95=0.97)
    offset = Certainty(clear, {"clear": clear, "nose_down": down, "dusk": dusk})
    heading = Certainty(clear, {"clear": clear})
    few = Certainty(clear, {"photos": clear._replace(low_95=0.6)})
    stated = {"sure": {"heading_error_rad": heading, "offset_m": offset}, "well": {"line_column": heading}, "none": {}}
    stated["few"] = {"line_column": few}
    models = [ModelResult(name, name, PartResults(Accuracy(3, certainty=each))) for name, each in stated.items()]
    assert certainty_verdict([*models, ModelResult("masks", "masks", PartResults(Accuracy(3)))]) == (
        "sure is overconfident about its offset in nose down (NLL 160 nat, 95 % intervals hold 12 %); it states the"
        " deviation of its offset well in clear (NLL -2.87 nat, 95 % intervals hold 93 %); it is underconfident about"
        " its offset in dusk (NLL -2.87 nat, 95 % intervals hold 100 %).",
        "well states the deviation of its line columns well in clear (NLL -2.87 nat, 95 % intervals hold 93 %).",
        "none states no deviation of what these pictures have labels of: no certainty to score.",
        "few leaves open, on so few roads, whether it states the deviation of its line columns well, in photos"
        " (NLL -2.87 nat, 95 % intervals hold 93 %).",
    )
    assert compare(models).verdict == certainty_verdict(models)
    values = metrics_of([("accuracy", models[0].parts.accuracy)]).values
    assert (values["offset_nll"], values["offset_nll_worst"], values["offset_within_95_worst"]) == (-2.871, 160.2, 0.12)
    assert "offset_nll_worst" not in metrics_of([("accuracy", models[2].parts.accuracy)]).values


def test_mce_by_hand():
    """Errors 0.2 + 0.4 against 0.4 + 0.4, and 0.1 + 0.1 against 0.1 + 0.3: (0.75 + 0.5) / 2."""
    base = {"a": {1: 0.6, 2: 0.6}, "b": {1: 0.9, 2: 0.7}, "perfect": {1: 1.0, 2: 1.0}}
    other = {"a": {1: 0.8, 2: 0.6}, "b": {1: 0.9, 2: 0.9}, "perfect": {1: 0.5, 2: 1.0}}
    scores = [CorruptionScores(1.0, rows, 0.0, 0.0, (1, 2), 0, 1) for rows in (base, other)]
    assert mean_corruption_error(scores[1], scores[0]) == pytest.approx(0.625)
    assert mean_corruption_error(scores[0], scores[0]) == 1


def test_files_for_ci():
    models = (
        MODELS[0],
        MODELS[3],
        ModelResult("lost", "lost", errors={"model": "no | such\nfile", "attacks": NOT_MADE}),
    )
    requirements = ["driving_score>=0.9", "onnx_difference<=1"]
    missed = missed_requirements([(m.name, m.metrics) for m in models], [parse_requirement(r) for r in requirements])
    results = BenchResults(
        drive_rl="0",
        setting=BenchSetting(),
        provenance={},
        comparison=compare(models),
        models=models,
        exam=load_exam().record(),
        requirements=tuple(requirements),
        missed_requirements=tuple(missed),
    )
    suites = {suite.get("name"): suite for suite in ElementTree.fromstring(junit(results))}
    assert [suites[name].get("failures") for name in ("even", "poor", "lost")] == ["1", "2", "2"]
    assert suites["lost"].get("errors") == "1"
    assert suites["lost"].get("skipped") == "1"
    assert [case.get("name") for case in suites["lost"] if case.find("skipped") is not None] == ["attacks"]
    assert [case.find("failure") is None for case in suites["even"]] == [True, False]
    failure = suites["poor"][0].find("failure")
    assert failure is not None
    assert failure.get("message") == "driving_score = 0.6"
    text = summary(results)
    assert "| model | driving score | success | excess deviation [m] |" in text
    assert "- even leads: it alone is beaten by no other model" in text
    assert "- missed: poor: driving_score = 0.6, required: driving_score>=0.9" in text
    assert "- failed: lost: model: no \\| such file" in text
    assert "- lost: not made for attacks" in text
