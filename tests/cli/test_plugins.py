"""Plugins on the command line: what is wrong with one is one paragraph and exit code 2, and nothing is half-written."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from command_line import run_main
from small_runs import SMALL

from drive_rl.config.extensions import forgotten, plugins

PLUGIN = """
import numpy as np
from torch import nn
from drive_rl import extend

@extend.encoder("two_conv")
def two_conv(channels, height, width):
    return nn.Sequential(nn.Conv2d(channels, 8, 5, 4, 2), nn.ReLU(), nn.Flatten())

@extend.reward_term("gentle")
def gentle(lateral_accel_mps2, longitudinal_accel_mps2):
    return 1 / (1 + lateral_accel_mps2**2 + longitudinal_accel_mps2**2)

@extend.driver("ahead")
class Ahead:
    observation, actions = "state", "continuous"
    def __init__(self, world, pedal: float = 0.5):
        self.pedal = pedal
    def act(self, state):
        return np.tile(np.float32([0, self.pedal]), (len(state), 1))
"""
USES = ["agent.encoder.kind=two_conv", "world.reward.extra.gentle=0.5", "agent.guidance=null"]
TRAIN = ["train", "quickstart", *(word for word in SMALL if "guidance" not in word)]

Cli = Callable[..., str]


@pytest.fixture(autouse=True)
def nothing_loaded() -> Iterator[None]:
    with forgotten():
        yield


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with mine.py and a run that uses it."""
    folder = tmp_path_factory.mktemp("plugins")
    (folder / "mine.py").write_text(PLUGIN)
    with pytest.MonkeyPatch.context() as patch, forgotten():
        patch.chdir(folder)
        assert run_main([*TRAIN, *USES, "--plugin", "mine.py"], patch) == 0
    return folder


def the_run(here: Path) -> Path:
    (run,) = (here / "runs" / "quickstart").iterdir()
    return run


def test_a_run_keeps_its_plugin(trained: Path) -> None:
    run = the_run(trained)
    assert (run / "plugins" / "mine.py").read_text() == PLUGIN
    loaded = json.loads((run / "provenance.json").read_text())["plugins"]
    assert [Path(plugin["file"]).name for plugin in loaded] == ["mine.py"]
    assert loaded[0]["sha256"] in (run / "spec.yaml").read_text()


@pytest.mark.parametrize(
    "words",
    [
        ["eval", "RUN", "--episodes", "2"],
        ["render", "RUN", "--out", "x.gif"],
        ["show", "RUN"],
        ["train", "--resume", "RUN", "budget_steps=320"],
        ["track", "RUN"],
    ],
)
def test_a_run_that_needs_a_plugin_asks_for_it(words: list[str], here: Path, refused: Cli) -> None:
    run = str(the_run(here).relative_to(here))
    said = refused(*(run if word == "RUN" else word for word in words))
    assert "spec.yaml: plugins: plugins/mine.py (SHA-256" in said
    assert f"fix: read it, then --plugin {run}/plugins/mine.py, or --trust" in said
    assert not plugins()


def test_another_file_of_the_same_name_is_refused(here: Path, refused: Cli) -> None:
    (here / "mine.py").write_text(PLUGIN + "# changed\n")
    said = refused("train", "--resume", "runs/quickstart", "budget_steps=320", "--plugin", "mine.py")
    assert "mine.py was given, and its code is not the same" in said
    assert "fix: --plugin runs/quickstart/" in said


def test_an_edited_copy_is_not_run_even_if_trusted(here: Path, refused: Cli) -> None:
    copy = the_run(here) / "plugins" / "mine.py"
    copy.write_text("open('ran', 'w')\n")
    for words in (["--trust"], []):
        assert "fix: restore it" in refused("eval", "runs/quickstart", *words)
    copy.write_text(PLUGIN + "# edited\n")
    assert "fix: restore it" in refused("eval", "runs/quickstart", "--plugin", str(copy))


def test_with_its_plugin_a_run_goes_on_and_drives_alike(here: Path, done: Cli) -> None:
    copy = str(the_run(here) / "plugins" / "mine.py")
    done("train", "--resume", "runs/quickstart", "budget_steps=320", "--no-film", "--plugin", copy)
    done("eval", "runs/quickstart", "--episodes", "2", "--plugin", copy, "--out", "named.json")
    with forgotten():
        done("eval", "runs/quickstart", "--episodes", "2", "--trust", "--out", "trusted.json")
    assert (here / "named.json").read_text() == (here / "trusted.json").read_text()


def test_an_exported_driver_carries_its_plugin(here: Path, done: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "shelf" / "agents").mkdir(parents=True)
    monkeypatch.setenv("DRIVE_RL_PATH", str(here / "shelf"))
    done("export", "runs/quickstart", "mine", "--trust")
    assert (here / "shelf" / "agents" / "mine" / "plugins" / "mine.py").read_text() == PLUGIN
    with forgotten():
        assert "plugins: plugins/mine.py" in done("list")
        assert not plugins()
    with forgotten():
        assert "two_conv" in done("show", "driver:mine", "--trust")
        done("eval", "mine", "--episodes", "1", "engine=batch", "--plugin", "mine.py")


WRONG = {
    "shape": ("encoder", "return nn.Identity()", "returns (2, 3, 40, 64) for two pictures, expected (2, n)"),
    "raises": ("encoder", "raise KeyError('no')", "KeyError: 'no'"),
    "range": ("reward_term", "return speed_mps + 2", "expected a number in [0, 1]; fix: bound it"),
    "nan": ("reward_term", "return speed_mps * math.nan", "bad = nan at speed_mps = 0: expected a number in [0, 1]"),
    "compile": ("reward_term", "return sorted([speed_mps], key=str)[0].name", "does not compile"),
    "returns": ("reward_term", "return 'x'", "expected a float"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_plugin_that_breaks_its_contract(case: str, here: Path, refused: Cli) -> None:
    kind, body, expected = WRONG[case]
    parameters = "channels, height, width" if kind == "encoder" else "speed_mps"
    code = f"import math\nfrom torch import nn\nfrom drive_rl import extend\n@extend.{kind}('bad')\n"
    (here / "bad.py").write_text(f"{code}def bad({parameters}):\n    {body}\n")
    use = "agent.encoder.kind=bad" if kind == "encoder" else "world.reward.extra.bad=1"
    words = [word for word in TRAIN if "_px" not in word]
    said = refused(*words, "agent.guidance=null", use, "--plugin", "bad.py")
    assert expected in said
    assert "bad.py" in said
    assert "fix: " in said


def test_a_term_of_something_else_than_metrics(here: Path, refused: Cli) -> None:
    (here / "bad.py").write_text(
        "from drive_rl import extend\n@extend.reward_term('bad')\ndef bad(speed): return 1.0\n"
    )
    said = refused(*TRAIN, "world.reward.extra.bad=1", "--plugin", "bad.py", "agent.guidance=null")
    assert "parameter 'speed': expected the name of a metric; did you mean 'speed_mps'?" in said


DRIVERS = {
    "options: {pedel: 1}": "options.pedel = 1: unknown option of ahead; did you mean 'pedal'?",
    "options: {pedal: {x: 1}}": "ahead.yaml: options.pedal",
    "option: 1": "ahead.yaml: option = 1: unknown key; did you mean 'options'?",
    "algorithm: ahed": "algorithm = 'ahed': expected one of ppo, dqn, reference, ahead; did you mean 'ahead'?",
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


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("@extend.metric('m', of='episode')", "metric 'm': of = 'episode'"),
        ("@extend.metric", 'fix: write @extend.metric("NAME")'),
    ],
)
def test_a_decorator_that_is_not_used_right(line: str, expected: str, here: Path, refused: Cli) -> None:
    (here / "bad.py").write_text(f"from drive_rl import extend\n{line}\ndef found(rows): return 1.0\n")
    assert expected in refused("list", "--plugin", "bad.py")


def test_the_next_commands_name_the_plugin(here: Path, done: Cli) -> None:
    said = done("train", "--resume", "runs/quickstart", "budget_steps=320", "--no-film", "--plugin", "mine.py")
    assert said.count(" --plugin ") == 2


def test_a_recipe_of_a_plugin_does_not_learn(here: Path, refused: Cli) -> None:
    (here / "ahead.yaml").write_text("algorithm: ahead\n")
    assert "expected one of 'ppo', 'dqn'" in refused("train", "quickstart", "agent=ahead.yaml", "--plugin", "mine.py")


METRIC = "from drive_rl import extend\n@extend.metric('bad'{of})\ndef bad(measured): return {value}\n"


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
    assert "unknown metric 'bda'; did you mean 'bad'?" in refused(*words)
    from drive_rl.benchmark.metrics import METRICS

    assert METRICS.pop("bad").part == "accuracy"


def test_a_fit_records_the_format_of_its_pictures(here: Path, done: Cli, refused: Cli) -> None:
    page = Path(__file__).parents[2] / "docs" / "extend" / "data_format.py"
    shutil.copy(page, here)
    done("data", "make", "lane_follow", "--samples", "12", "--out", "pictures", "world.road.length_m=60")
    words = ["perception", "fit", "unet", "data.folder=pictures", "model.heads=[segmentation]", "track=none"]
    words += ["fit.samples=8", "fit.batch_size=4", "fit.val_samples=2", "fit.evaluate_every=8"]
    words += ["world.camera.width_px=64", "world.camera.height_px=40"]
    assert "no plugin" in (said := refused(*words, "data.format=pairs")) or "expected one of ours" in said
    done(*words, "data.format=image_mask_pairs", "--plugin", "data_format.py")
    (run,) = (here / "runs" / "unet").iterdir()
    assert (run / "plugins" / "data_format.py").read_text() == page.read_text()
    with forgotten():
        assert "plugins/data_format.py (SHA-256" in refused("perception", "explain", "runs/unet")
