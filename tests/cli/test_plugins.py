"""Plugins on the command line: what is wrong with one is one paragraph and exit code 2, and nothing is half-written."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import call, run_main
from plugin_source import PLUGIN
from small_runs import SMALL

from drive_rl.cli.perception import explaining
from drive_rl.config.extensions import forgotten, plugins

USES = ["agent.encoder.kind=two_conv", "world.reward.extra.gentle=0.5", "agent.guidance=null"]
TRAIN = ["train", "quickstart", *(word for word in SMALL if "guidance" not in word)]

Cli = Callable[..., str]


pytestmark = pytest.mark.usefixtures("nothing_loaded")


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
    assert "`--plugin plugins/mine.py`" in (here / "shelf" / "agents" / "mine" / "README.md").read_text()
    with forgotten():
        listed = " ".join(done("list").split())
        assert "mine trained needs a plugin; fix: --plugin" in listed
        assert "BROKEN" not in listed
        assert not plugins()
    with forgotten():
        assert "two_conv" in done("show", "driver:mine", "--trust")
    with forgotten():
        assert re.search(r"^ two_conv +encoder ", done("list", "--plugin", "mine.py"), re.MULTILINE)
        done("eval", "mine", "--episodes", "1", "engine=batch", "--plugin", "mine.py")


WRONG = {
    "shape": ("encoder", "return nn.Identity()", "returns (2, 3, 40, 64) for two pictures, expected (2, n)"),
    "raises": ("encoder", "raise KeyError('no')", "KeyError: 'no'"),
    "range": ("reward_term", "return speed_mps + 2", "expected a number in [0, 1]; fix: bound it"),
    "nan": ("reward_term", "return speed_mps * math.nan", "bad = nan at speed_mps = 0: expected a number in [0, 1]"),
    "fails": ("reward_term", "return 1 / speed_mps", "bad: fails at speed_mps = 0: ZeroDivisionError"),
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
    (here / "bad.py").write_text("from drive_rl import extend\n@extend.reward_term('bad')\ndef bad(qqq): return 1.0\n")
    said = refused(*TRAIN, "world.reward.extra.bad=1", "--plugin", "bad.py", "agent.guidance=null")
    assert "parameter 'qqq': expected the name of a metric; fix: one of heading_error_rad" in said


WEIGHTS = {
    "reward.gentle=1": "world.reward.gentle = 1: unknown key; did you mean 'world.reward.extra.gentle'?",
    "reward.slow=1": "extra, failure, heading, lane, speed, steering; or, of a plugin, world.reward.extra.slow",
    "reward.extra.gentle=0": "world.reward.extra.gentle = 0: expected a weight > 0, <= 100; fix: such as 1, or null",
    "reward.extra={gentle: 101}": "world.reward.extra.gentle = 101: expected a weight > 0, <= 100; fix",
    "reward.extra.speed=1": "world.reward.extra.speed = 1: is a term of our own; fix: write it as reward.speed",
    "reward.extra=[gentle]": "expected a mapping; fix: such as {NAME: VALUE}",
}


@pytest.mark.parametrize("change", WEIGHTS)
def test_a_weight_that_a_term_cannot_have(change: str, refused: Cli) -> None:
    assert WEIGHTS[change] in refused("show", "lane_follow", f"world.{change}", "--plugin", "mine.py")


def test_a_run_remembers_whether_it_is_filmed(here: Path, done: Cli) -> None:
    resume, film = ("train", "--resume", "runs/quickstart", "--trust"), the_run(here) / "films" / "val.mp4"
    done(*resume, "budget_steps=320")
    assert not film.exists(), "it was begun with --no-film"
    done(*resume, "budget_steps=384", "--film")
    film.unlink()
    done(*resume, "budget_steps=448")
    assert film.exists()


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


def test_a_fit_records_the_format_of_its_pictures(here: Path, done: Cli, refused: Cli) -> None:
    page = Path(__file__).parents[2] / "docs" / "extend" / "data_format.py"
    shutil.copy(page, here)
    done("data", "make", "lane_follow", "--samples", "12", "--out", "pictures", "world.road.length_m=60")
    words = ["perception", "fit", "unet", "data.folder=pictures", "model.heads=[segmentation]", "track=none"]
    words += ["fit.samples=8", "fit.batch_size=4", "fit.val_samples=2", "fit.evaluate_every=8"]
    words += ["world.camera.width_px=64", "world.camera.height_px=40"]
    assert "no plugin" in (said := refused(*words, "data.format=pairs")) or "expected one of drive_rl" in said
    done(*words, "data.format=image_mask_pairs", "--plugin", "data_format.py")
    (run,) = (here / "runs" / "unet").iterdir()
    assert (run / "plugins" / "data_format.py").read_text() == page.read_text()
    with forgotten():
        assert "plugins/data_format.py (SHA-256" in refused("perception", "explain", "runs/unet")


def test_a_head_that_breaks_its_contract_leaves_no_run(here: Path, refused: Cli) -> None:
    page = Path(__file__).parents[2] / "docs" / "extend" / "head.py"
    (here / "bad.py").write_text(page.read_text().replace(".abs().mean()", ".abs()"))
    words = ["perception", "fit", "unet", "model.heads=[lane,line_distance]", "fit.val_samples=2", "track=none"]
    words += ["world.camera.width_px=64", "world.camera.height_px=40"]
    said = refused(*words, "--plugin", "bad.py")
    assert "bad.py: head line_distance: loss returned a tensor (2, 1)" in said
    with forgotten():
        assert (
            "'line_distance': expected one of lane, segmentation, lines, scene; did you mean 'lines'? fix: one"
            in refused(*words)
        )


def test_a_file_that_only_lacks_its_plugin_is_not_broken(
    here: Path, monkeypatch: pytest.MonkeyPatch, done: Cli
) -> None:
    (here / "envs").mkdir()
    text = "base: lane_follow\nreward: {extra: {gentle: 0.5}}\nplugins: [../mine.py]\n"
    (here / "envs" / "needy.yaml").write_text(text)
    monkeypatch.setenv("DRIVE_RL_PATH", str(here))
    monkeypatch.setenv("COLUMNS", "400")
    said = done("list")
    assert f"needs a plugin; fix: --plugin {here}/envs/../mine.py" in said
    assert "BROKEN" not in said


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["show", "ppo", "--kind", "agent"], "fix: write driver:NAME"),
        (["show", "quickstart", "agent.guidance.samples=3"], "samples = 3: unknown key; fix: one of at_rest"),
    ],
)
def test_what_is_proposed_exists(words: list[str], expected: str, refused: Cli) -> None:
    assert expected in refused(*words)


def test_a_bad_shelf_is_one_error_alone(here: Path) -> None:
    said = call(here, "list", expect=2, shelf=here / "nowhere").stderr
    assert said.startswith("error: DRIVE_RL_PATH: ")


@pytest.mark.parametrize(
    ("heads", "verbs"),
    [
        (["lane", "lines"], ["perception explain M"]),
        (["lines"], []),
        (["segmentation"], ["perception explain M --scalar ego_lane"]),
    ],
)
def test_a_model_is_explained_by_what_it_predicts(heads: list[str], verbs: list[str]) -> None:
    assert explaining(heads, "M") == verbs
