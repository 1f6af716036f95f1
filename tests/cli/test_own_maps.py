"""Maps of one's own on the command line: a run keeps copies; those that are missing or edited are refused."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from command_line import call, run_main
from small_specs import STREETS
from small_xodr import crossroads

Cli = Callable[..., str]

_SMALL = [word for word in STREETS if not word.startswith(("world=", "world.streets.maps", "budget", "film"))]
TRAIN = ["train", "ppo-batch", *_SMALL, "--no-film"]
WORLD = """base: town
streets: {{map: {{kind: opendrive, path: {}}}, route_m: 100, traffic: {{actors: 4}}}}
reward_threshold: null
"""
OTHER = crossroads().replace('max="25"', 'max="20"')


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a world on cross.xodr, another on a map of the same name, and a run that learns in both."""
    folder = tmp_path_factory.mktemp("maps")
    (folder / "other").mkdir()
    (folder / "cross.xodr").write_text(crossroads())
    (folder / "other" / "cross.xodr").write_text(OTHER)
    (folder / "mine.yaml").write_text(WORLD.format("cross.xodr"))
    (folder / "other.yaml").write_text(WORLD.format("other/cross.xodr"))
    (folder / "lost.yaml").write_text(WORLD.format("lost.xodr"))
    (folder / "both.yaml").write_text("{base: ppo-batch, world: mine.yaml, train_worlds: [mine.yaml, lost.yaml]}\n")
    worlds = ["world=mine.yaml", "train_worlds=[mine.yaml,other.yaml]", "budget_steps=128"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert run_main([*TRAIN, *worlds], patch) == 0
    return folder


def the_run(here: Path) -> Path:
    (run,) = (here / "runs" / "ppo-batch").iterdir()
    return run


def sum_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def maps_of(folder: Path) -> list[dict[str, str]]:
    """Return what a spec says of its maps: that of its world, then those that it learned in."""
    spec = yaml.safe_load((folder / "spec.yaml").read_text())
    return [world["streets"]["map"] for world in (spec["world"], *spec["train_worlds"])]


def without_sums(run: Path) -> None:
    """Make a run what older versions left: its maps by their absolute paths."""
    spec = yaml.safe_load((run / "spec.yaml").read_text())
    for world in (spec["world"], *spec["train_worlds"]):
        own = world["streets"]["map"]
        own["path"] = str(run.parents[2] / ("cross.xodr" if own["path"] == "maps/cross.xodr" else "other/cross.xodr"))
        del own["sha256"]
        world["streets"]["maps"] = 4
    (run / "spec.yaml").write_text(yaml.safe_dump(spec))
    begun = json.loads((run / "provenance.json").read_text()) | {"spec": spec}
    (run / "provenance.json").write_text(json.dumps(begun))
    shutil.rmtree(run / "maps")


def test_a_run_and_an_exported_driver_keep_their_maps(here: Path, done: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "shelf" / "agents").mkdir(parents=True)
    monkeypatch.setenv("DRIVE_RL_PATH", str(here / "shelf"))
    done("export", "runs/ppo-batch", "mine")
    for folder in (the_run(here), here / "shelf" / "agents" / "mine"):
        own, *learned = maps_of(folder)
        assert own == learned[0]
        for found, text in zip(learned, (crossroads(), OTHER), strict=True):
            assert found["sha256"] == sum_of(text)
            assert (folder / found["path"]).read_text() == text
        assert learned[0]["path"] != learned[1]["path"]


def test_a_run_goes_on_and_drives_alike_elsewhere_without_the_files_it_was_given(
    here: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, done: Cli
) -> None:
    done("eval", "runs/ppo-batch", "--episodes", "2", "engine=batch", "--out", "before.json")
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    shutil.move(here / "runs", elsewhere / "runs")
    (here / "cross.xodr").write_text("edited")
    shutil.rmtree(here / "other")
    monkeypatch.chdir(elsewhere)
    done("eval", "runs/ppo-batch", "--episodes", "2", "engine=batch", "--out", "after.json")
    assert (elsewhere / "after.json").read_text() == (here / "before.json").read_text()
    spec = (the_run(elsewhere) / "spec.yaml").read_text()
    done("train", "--resume", "runs/ppo-batch", "budget_steps=256", "--no-film")
    assert (the_run(elsewhere) / "spec.yaml").read_text() == spec.replace("budget_steps: 128", "budget_steps: 256")


def test_drivers_of_the_same_map_are_compared(here: Path, done: Cli) -> None:
    run = the_run(here)
    shutil.copytree(run, here / "moved" / "run")
    said = done("bench", "driving", str(run), "moved/run", "--split", "val", "--episodes", "1", "--out", "page")
    assert "page" in said


@pytest.mark.parametrize(
    "words",
    [
        ["train", "--resume", "RUN", "budget_steps=256"],
        ["eval", "RUN", "--episodes", "1"],
        ["render", "RUN", "--out", "x.gif"],
        ["bench", "driving", "RUN", "--out", "page"],
        ["export", "RUN", "mine"],
    ],
)
@pytest.mark.parametrize("lost", [False, True])
def test_an_edited_or_lost_copy_is_refused(
    words: list[str], lost: bool, here: Path, refused: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "agents").mkdir()
    monkeypatch.setenv("DRIVE_RL_PATH", str(here))
    run = the_run(here)
    copy, edited = run / maps_of(run)[0]["path"], crossroads() + "<!-- edited -->\n"
    if lost:
        copy.unlink()
    else:
        copy.write_text(edited)
    said = refused(*(str(run) if word == "RUN" else word for word in words))
    assert f"{run / 'spec.yaml'}: world.streets.map.sha256 = '{sum_of(crossroads())}'" in said
    found = "cannot be read" if lost else f"expected SHA-256 {sum_of(crossroads())[:12]}, found {sum_of(edited)[:12]}"
    assert str(copy) in said
    assert found in said
    assert "restore the file" in said


def test_a_run_of_an_older_version_is_read_where_its_maps_are(here: Path, done: Cli) -> None:
    run = the_run(here)
    without_sums(run)
    done("eval", "runs/ppo-batch", "--episodes", "1", "engine=batch")
    done("train", "--resume", "runs/ppo-batch", "budget_steps=256", "--no-film")
    assert [Path(own["path"]).is_absolute() for own in maps_of(run)] == [True] * 3
    (here / "cross.xodr").unlink()
    assert "cross.xodr" in done("show", "runs/ppo-batch")


@pytest.mark.parametrize(
    ("words", "where"),
    [
        ([*TRAIN, "world=lost.yaml"], "lost.yaml: streets.map.path = "),
        ([*TRAIN, "world=mine.yaml", "world.streets.map.path=lost.xodr"], "command line: world.streets.map.path = "),
        ([*TRAIN, "world=mine.yaml", "train_worlds=[lost.yaml]"], "command line: train_worlds.0.streets.map.path = "),
        (["train", "both.yaml"], "both.yaml: train_worlds.1.streets.map.path = "),
        (["eval", "reference", "world=lost.yaml"], "lost.yaml: streets.map.path = "),
        (["eval", "RUN", "world.streets.map.path=lost.xodr"], "command line: world.streets.map.path = "),
        (["render", "reference", "world=lost.yaml"], "lost.yaml: streets.map.path = "),
        (["bench", "driving", "reference", "--world", "lost.yaml"], "lost.yaml: streets.map.path = "),
        (["data", "record", "dagger", "world=lost.yaml", "--out", "samples"], "lost.yaml: streets.map.path = "),
        (["show", "map", "opendrive", "map.path=lost.xodr"], "command line: map.path = "),
    ],
)
def test_a_missing_map_is_refused_before_anything_is_made(
    words: list[str], where: str, here: Path, refused: Cli
) -> None:
    said = refused(*(str(the_run(here)) if word == "RUN" else word for word in words))
    assert where in said
    assert f"{here / 'lost.xodr'}: cannot be read: No such file" in said
    assert "fix: correct the path" in said


def test_a_missing_map_ends_the_process_before_there_is_a_run(here: Path) -> None:
    said = call(here, *TRAIN, "world=lost.yaml", "track=none", expect=2)
    assert "run:" not in said.stdout
    assert "lost.yaml: streets.map.path" in said.stderr


def test_a_file_has_no_number_of_maps(here: Path, refused: Cli, done: Cli) -> None:
    (here / "four.yaml").write_text("base: mine.yaml\nstreets: {maps: 4}\n")
    expected = "streets.maps = 4: expected none beside map.kind = opendrive, for a file is one map; fix: leave it out"
    assert f"four.yaml: {expected}" in refused("eval", "reference", "world=four.yaml")
    assert f"command line: world.{expected}" in refused(*TRAIN, "world=mine.yaml", "world.streets.maps=4")
    assert " maps:" not in done("show", "world:mine.yaml")


def test_a_map_of_another_sum_is_refused(here: Path, refused: Cli, done: Cli) -> None:
    own = f"world.streets.map.path={here / 'other' / 'cross.xodr'}"
    said = refused("eval", str(the_run(here)), "--episodes", "1", own)
    assert "command line: world.streets.map.sha256 = " in said
    assert "for another map sha256: null" in said
    done("eval", str(the_run(here)), "--episodes", "1", "engine=batch", own, "world.streets.map.sha256=null")


def test_show_map_of_a_kind_asks_for_the_path_of_a_file(refused: Cli) -> None:
    said = refused("show", "map", "town", "map.kind=opendrive")
    assert "map.kind = 'opendrive': expected 'town', for a map from a file needs its path" in said
    assert "fix: drive-rl show map opendrive map.path=FILE" in said


def test_labelled_pictures_hold_a_copy_of_their_map(trained: Path) -> None:
    call(trained, "data", "make", "mine.yaml", "--samples", "2", "--out", "pictures")
    manifest = json.loads((trained / "pictures" / "manifest.json").read_text())
    own = manifest["world"]["streets"]["map"]
    assert (own["path"], own["sha256"]) == ("maps/cross.xodr", sum_of(crossroads()))
    assert (trained / "pictures" / own["path"]).read_text() == crossroads()
    assert manifest["files"][own["path"]]["sha256"] == own["sha256"]
