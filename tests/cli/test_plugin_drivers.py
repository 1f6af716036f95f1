"""Drivers and metrics of plugins on the command line: taken, or refused in one paragraph with exit code 2."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from plugin_source import METRIC, PLUGIN

from drive_rl.config.extensions import forgotten

Cli = Callable[..., str]

pytestmark = pytest.mark.usefixtures("nothing_loaded")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with mine.py alone."""
    folder = tmp_path_factory.mktemp("drivers")
    (folder / "mine.py").write_text(PLUGIN)
    return folder


DRIVERS = {
    "options: {pedel: 1}": "options.pedel = 1: unknown option of ahead; did you mean 'pedal'?",
    "options: {pedal: {x: 1}}": "ahead.yaml: options.pedal",
    "option: 1": "ahead.yaml: option = 1: unknown key; did you mean 'options'?",
    "algorithm: ahed": "expected one of ppo, recurrent-ppo, dqn, qrdqn, sac, dagger, bc, reference, expert, ahead; did"
    " you mean 'ahead'?",
}


@pytest.mark.parametrize("line", DRIVERS)
def test_a_recipe_that_a_driver_cannot_use(line: str, here: Path, refused: Cli) -> None:
    (here / "ahead.yaml").write_text(f"{line}\n" if "algorithm" in line else f"algorithm: ahead\n{line}\n")
    assert DRIVERS[line] in refused("eval", "ahead.yaml", "--plugin", "mine.py")


def test_a_driver_of_another_shape(here: Path, refused: Cli) -> None:
    (here / "bad.py").write_text(PLUGIN.replace("np.float32([0, self.pedal])", "np.float32([0])"))
    (here / "ahead.yaml").write_text("algorithm: ahead\n")
    said = refused("eval", "ahead.yaml", "engine=batch", "--episodes", "1", "--plugin", "bad.py")
    assert "driver ahead: act returned (16, 1) for 16 continuous actions: expected (16, 2)" in said


ACTIONS = {
    "beyond": (
        "np.float32([0, 3])",
        "returned [0.0, 3.0]: expected an action in Box(-1.0, 1.0, (2,), float32); fix: correct the plugin, such as"
        " with np.clip(actions, -1, 1)",
    ),
    "nan": ("np.float32([0, np.nan])", "returned [0.0, nan]: expected an action in Box"),
    "text": ("np.array(['a', 'b'])", "returned <U1: expected numbers; fix"),
    "discrete": ("7 * 3", "returned 21: expected an action in Discrete(21); fix: correct the plugin"),
    "fraction": ("0.5", "returned float64: expected integers; fix"),
}


@pytest.mark.parametrize("case", ACTIONS)
@pytest.mark.parametrize("words", [["eval", "--episodes", "1", "engine=batch"], ["render", "--out", "x.gif"]])
def test_a_driver_whose_actions_break_its_contract(case: str, words: list[str], here: Path, refused: Cli) -> None:
    action, expected = ACTIONS[case]
    code = PLUGIN.replace("np.float32([0, self.pedal])", action)
    if case in ("discrete", "fraction"):
        code = code.replace('"continuous"', '"discrete"').replace(", (len(state), 1)", ", len(state)")
    (here / "bad.py").write_text(code)
    (here / "ahead.yaml").write_text("algorithm: ahead\n")
    said = refused(words[0], "ahead.yaml", *words[1:], "--plugin", "bad.py")
    assert f"bad.py: driver ahead: act {expected}" in said
    assert "checkpoint" not in said


@pytest.mark.parametrize("engine", ["bullet", "batch"])
def test_rows_without_a_car_do_not_matter(engine: str, here: Path, done: Cli) -> None:
    """They are all 0 where no episode began: a target speed that a driver may divide by is not."""
    action = "np.float32([0, 1]) / state[:, [6]] * 5"
    (here / "sure.py").write_text(PLUGIN.replace("np.tile(np.float32([0, self.pedal]), (len(state), 1))", action))
    (here / "ahead.yaml").write_text("algorithm: ahead\n")
    with np.errstate(all="ignore"):
        done("eval", "ahead.yaml", "--episodes", "1", f"engine={engine}", "--plugin", "sure.py")


SHOWN = {
    "options: {pedel: 1}": "options.pedel = 1: unknown option of ahead; did you mean 'pedal'?",
    "options: {x: 1}": "options.x = 1: unknown option of ahead; fix: one of pedal",
    "options: {pedal: 9}": "cannot be made with options {'pedal': 9}: ValueError",
}


@pytest.mark.parametrize("line", SHOWN)
def test_show_and_list_refuse_a_driver_as_eval_does(line: str, here: Path, refused: Cli, done: Cli) -> None:
    strict = "        if pedal > 1: raise ValueError('pedal')\n        self.pedal = pedal"
    (here / "strict.py").write_text(PLUGIN.replace("        self.pedal = pedal", strict))
    (here / "agents").mkdir()
    recipe = here / "agents" / "mine.yaml"
    recipe.write_text(f"algorithm: ahead\n{line}\n")
    for verb in ("show", "eval"):
        assert SHOWN[line] in refused(verb, str(recipe), "--plugin", "strict.py")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DRIVE_RL_PATH", str(here))
        patch.setenv("COLUMNS", "400")
        said = done("list", "--plugin", "strict.py")
        assert "BROKEN: " in said
        assert SHOWN[line] in said


@pytest.mark.parametrize(("of", "name"), [("episodes", "success"), ("accuracy", "miou")])
def test_a_metric_of_a_name_of_ours_is_refused_by_every_verb(of: str, name: str, here: Path, refused: Cli) -> None:
    (here / "m.py").write_text(METRIC.format(of=f", of='{of}'", value="1.0").replace("'bad'", f"'{name}'"))
    for words in (["list"], ["show", "ppo"], ["eval", "reference", "--episodes", "1"]):
        said = refused(*words, "--plugin", "m.py")
        assert f"registers the metric '{name}', a name that drive-rl itself has; fix" in said


BROKEN_DRIVERS = {
    "act": (
        "np.float32([0, self.pedal])",
        "self.pdal",
        "driver ahead: act fails: AttributeError: 'Ahead' object has no",
    ),
    "init": (
        "self, world, pedal: float = 0.5",
        "self",
        "driver ahead: takes nothing, but is made for a world",
    ),
}


@pytest.mark.parametrize("case", BROKEN_DRIVERS)
def test_a_driver_that_fails(case: str, here: Path, refused: Cli) -> None:
    right, wrong, expected = BROKEN_DRIVERS[case]
    (here / "bad.py").write_text(PLUGIN.replace(right, wrong))
    (here / "ahead.yaml").write_text("algorithm: ahead\n")
    assert expected in refused("eval", "ahead.yaml", "engine=batch", "--episodes", "1", "--plugin", "bad.py")


def test_a_recipe_of_a_plugin_does_not_learn(here: Path, refused: Cli) -> None:
    (here / "ahead.yaml").write_text("algorithm: ahead\n")
    said = refused("train", "quickstart", "agent=ahead.yaml", "--plugin", "mine.py")
    assert (
        "algorithm = 'ahead': does not learn; expected one of 'ppo', 'recurrent-ppo', 'dqn', 'qrdqn', 'sac', 'dagger',"
        " 'bc'; fix: agent=ppo, or drive" in said
    )
    said = refused("train", "ahead.yaml", "--plugin", "mine.py")
    assert "ahead.yaml: is a driver that does not learn; fix: drive-rl eval ahead.yaml" in said


def test_a_metric_stands_beside_the_scores(here: Path, done: Cli) -> None:
    (here / "m.py").write_text(METRIC.format(of=", label='roads', unit='n'", value="len(measured)"))
    words = ("eval", "reference", "engine=batch", "--episodes", "2", "world.road.length_m=60")
    out = done(*words, "--plugin", "m.py", "--out", "with.json")
    assert "roads" in out
    assert "2 n" in out
    found = json.loads((here / "with.json").read_text())
    assert found["metrics"] == {"bad": {"label": "roads", "unit": "n", "value": 2.0}}
    with forgotten():
        done(*words, "--out", "without.json")
    del found["metrics"]
    assert json.loads((here / "without.json").read_text()) == found


@pytest.mark.parametrize(
    ("of", "value", "expected"),
    [
        ("", "float('nan')", "metric bad = nan: expected a finite number, or None"),
        ("", "measured.nothing", "metric bad: fails: AttributeError"),
    ],
)
def test_a_metric_that_is_no_number(of: str, value: str, expected: str, here: Path, refused: Cli) -> None:
    (here / "m.py").write_text(METRIC.format(of=of, value=value))
    words = ("eval", "reference", "engine=batch", "--episodes", "1", "world.road.length_m=60")
    assert expected in refused(*words, "--plugin", "m.py", "--out", "scores.json")


def test_a_metric_of_the_benchmark_can_be_required(here: Path, refused: Cli) -> None:
    (here / "m.py").write_text(METRIC.format(of=", of='accuracy'", value="1.0"))
    words = ("bench", "perception", "nowhere", "--plugin", "m.py", "--require", "bda>=1")
    assert "unknown metric 'bda'; did you mean 'bad'? fix: that, or --plugin FILE.py" in refused(*words)
    from drive_rl.benchmark.metrics import METRICS

    assert METRICS["bad"].part == "accuracy"
    (here / "m.py").write_text(METRIC.format(of=", of='latency'", value="1.0"))
    assert "did you mean 'bad'?" in refused(*words)
    assert METRICS["bad"].part == "latency", "an edited plugin's own"
    with forgotten():
        assert "bad" not in METRICS
        assert "did you mean 'bad'?" in refused(*words)
    assert "bad" not in METRICS
    said = refused(*words[:3], "--require", "slowest>=1")
    assert "unknown metric 'slowest'; fix: one of " in said
    assert said.endswith("or --plugin FILE.py with the plugin that registers 'slowest'")


def test_compare_knows_metrics_of_plugins(here: Path, done: Cli) -> None:
    (here / "m.py").write_text(METRIC.format(of=", label='roads', unit='n'", value="len(measured)"))
    (here / "ahead.yaml").write_text("algorithm: ahead\n")
    words = ("compare", "reference", "ahead.yaml", "engine=batch", "--episodes", "2", "world.road.length_m=60")
    said = done(*words, "--plugin", "m.py", "--plugin", "mine.py", "--out", "found.json")
    assert "reference: roads: 2 n" in said
    found = json.loads((here / "found.json").read_text())["metrics"]
    assert found["ahead.yaml"] == {"bad": {"label": "roads", "unit": "n", "value": 2.0}}
