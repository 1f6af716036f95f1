"""Whatever a user gets wrong: one paragraph on stderr with the fix, exit code 2, nothing half-written.

It covers `cli/names.py` and `cli/options.py`.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import check, run_main
from tiny_run import the_run

Refused = Callable[..., str]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["train", "quickstar"], "unknown experiment 'quickstar'; did you mean 'quickstart'?"),
        (["train", "nowhere.yaml"], "nowhere.yaml: no such file"),
        (["train"], "give a name"),
        (["train", "budget_steps=3"], "train: give a name before any KEY=VALUE"),
        (["eval", "refrence"], "unknown driver 'refrence'; did you mean 'reference'?"),
        (["eval", "runs/tin"], "did you mean 'runs/tiny'?"),
        (["eval", "ppo"], "is a recipe and has no weights"),
        (["eval", "reference", "world=lane_folow"], "did you mean 'lane_follow'?"),
        (["train", "ppo"], "it is a driver recipe; fix: drive-rl train quickstart agent=ppo"),
        (["train", "lane_follow"], "it is a world; fix: drive-rl train quickstart world=lane_follow"),
        (["train", "unet"], "fix: drive-rl perception fit unet"),
        (["train", "unet-160"], "it is a trained driver; fix: drive-rl eval unet-160"),
        (["train", "runs/tiny"], "fix: drive-rl train --resume runs/tiny"),
        (["train", "easy.yaml"], "is a world; expected an experiment; fix: drive-rl train quickstart world=easy.yaml"),
        (["eval", "easy.yaml"], "is a world; expected a driver recipe; fix: drive-rl eval DRIVER world=easy.yaml"),
        (["eval", "tiny.yaml"], "is an experiment; expected a driver recipe; fix: name a run of it, such as runs/tiny"),
        (["perception", "fit", "tiny.yaml"], "is an experiment; expected a perception recipe; fix: drive-rl train t"),
        (["train", "reference"], "it is a driver recipe"),
        (["train", "quickstart.yaml"], "no such file; did you mean 'quickstart'?"),
        (["perception", "fit", "quickstart"], "fix: drive-rl train quickstart"),
        (["perception", "fit", "parked_cars"], "fix: drive-rl perception fit unet world=parked_cars"),
        (["eval", "quickstart"], "it is an experiment; fix: name a run of it, such as runs/quickstart"),
        (["render", "lane_follow"], "it is a world; fix: drive-rl render DRIVER world=lane_follow"),
        (["render", "unet"], "it is a perception recipe; fix: name a run of it, such as runs/unet"),
        (["train", "quickstart", "world=ppo"], "unknown world 'ppo': it is a driver recipe; fix: one of "),
        (["eval", "/tmp/no/such/run"], "/tmp/no/such/run: no such file or folder; fix: check the path"),
        (["eval", "reference", "world.camera.width_px=3"], "world.camera.width_px = 3: expected >= 16"),
        (["eval", "runs/tiny", "world.raod.length_m=70"], "raod: unknown key; did you mean 'road'?"),
        (["render", "runs/tiny", "world.road.length_m=7"], "command line: world.road.length_m = 7: expected >= 60"),
        (["show", "experiment:ppo"], "unknown experiment 'ppo': it is a driver recipe"),
        (["render", "refrence"], "did you mean 'reference'?"),
        (["show", "lane_folow"], "did you mean 'lane_follow'?"),
        (["export", "runs/tin", "mine"], "found here: "),
        (["export", "runs/tiny", "../mine"], "expected letters"),
        (["export", "runs/tiny", "ppo"], "is the name of the recipe"),
    ],
)  # fmt: skip
def test_unknown_names(refused: Refused, words: list[str], expected: str) -> None:
    assert expected in refused(*words)


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("agent.learning_rat=1", "unknown key; did you mean 'learning_rate'?"),
        ("agent.demonstrations=demos", "unknown key; it is a key of dagger, bc; fix: leave it out"),
        ("agent.tau=0.5", "agent.tau = 0.5: unknown key; it is a key of dqn, qrdqn, sac; fix: leave it out"),
        ("agent.gamma", "expected key=value"),
        ("agent..gamma=1", "expected key=value"),
        ("agent.epochs=many", "agent.epochs = 'many'"),
        ("agent.gamma=1.5", "expected <= 1"),
        ("agent.gamma=.nan", "agent.gamma"),
        ("agent.learning_rate=[1", "not a valid YAML value"),
        ("budget_steps=0", "budget_steps = 0"),
        ("track=paper", "track = 'paper'"),
        ("world=lane_folow", "unknown world 'lane_folow'; did you mean 'lane_follow'?"),
        ("world=", "has no value; fix: world=NAME"),
        ("world=nowhere.yaml", "nowhere.yaml: no such file"),
        ("world=3", "world = 3: expected a name"),
        ("agent=ppo-lane-follow", "agent = 'ppo-lane-follow' is a trained driver"),
        ("gamma=0.9", "unknown key; did you mean 'agent.gamma'?"),
        ("agent.zzz=0.5", "agent.zzz = 0.5: unknown key; fix: one of actions, "),
        ("lane_width_m=3", "unknown key; did you mean 'world.road.lane_width_m'?"),
        ("name=x", "name: cannot be overridden"),
        ("agent.batch_size=9999999", "batch_size"),
        ("world.road.lane_width_m=0", "lane_width_m = 0"),
        ("world.camera.height_m=-1", "height_m = -1"),
        ("world.camera.width_px=3", "width_px = 3"),
        ("world.appearance.camera_height_error_m=2", "camera_height_error_m"),
        ("world.road.tiers={}", "tiers"),
    ],
)  # fmt: skip
def test_bad_overrides_and_impossible_worlds(refused: Refused, override: str, expected: str) -> None:
    shown = refused("train", "tiny.yaml", override)
    assert expected in shown
    if not override.startswith("world="):  # a name; what is wrong with it names the shelf or the file
        assert "command line" in shown


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("agnt.gamma=1", "agnt"),
        ("agent.gamma.x=1", "agent.gamma.x: gamma is a value"),
        ("agent.clip_range.x=1", "agent.clip_range.x: clip_range is a value"),  # one that no file names
        ("agent.algorithm=td3", "'td3'"),
        ("world.task.control_hz=30", "fix: physics_hz = 120"),
        ("world.task.start_speed_mps=[9,3]", "start_speed_mps = [9.0, 3.0]"),
        ("world.road.tiers.hard.min_radius_m=8 world.road.lane_width_m=8", "tighter than the road is wide"),
    ],
)  # fmt: skip
def test_overrides_that_do_not_go_together(refused: Refused, override: str, expected: str) -> None:
    assert expected in refused("train", "tiny.yaml", *override.split())


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["train", "tiny.yaml"], ["init_from = 'nope': the driver has guidance", "agent.init_from = nope: unknown"]),
        (["train", "tiny.yaml", "--seeds", "2"], ["the driver has guidance", "agent.init_from = nope: unknown driver"]),
        (["train", "tiny.yaml", "agent.encoder.init_from=nop"], ["the driver has", "nop: unknown perception model"]),
        (
            ["train", "tiny.yaml", "agent.perception_model=nop"],
            ["lacks images", "model = nop: unknown perce"],
        ),
    ],
)
def test_a_name_and_what_does_not_fit_it_are_refused_together(
    refused: Refused, words: list[str], expected: list[str]
) -> None:
    shown = refused(*words, "agent.init_from=nope")
    for each in expected:
        assert each in shown
    assert shown.count("agent.init_from = nope: ") == 1


@pytest.mark.parametrize(
    ("value", "expected"),
    [("[2]", "grid.0 = 2: expected <= 1"), ("[true]", "grid.0 = true: expected a number"), ("[]", "at least 1 value")],
)
@pytest.mark.parametrize("key", ["world.task.steer_grid", "world.task.pedal_grid"])
def test_a_wrong_entry_of_a_list_is_one_mistake(refused: Refused, key: str, value: str, expected: str) -> None:
    shown = refused("train", "tiny.yaml", f"{key}={value}")
    assert expected in shown
    assert shown.count("expected") == 1


def test_several_mistakes_are_reported_together(refused: Refused) -> None:
    shown = refused("train", "tiny.yaml", "world.road.lane_width_m=0", "agent.epochs=x")
    assert "lane_width_m" in shown
    assert "epochs" in shown


@pytest.mark.parametrize("words", [["eval", "."], ["render", "."], ["train", "--resume", "."], ["export", ".", "mine"]])
def test_a_folder_that_is_no_run(refused: Refused, words: list[str]) -> None:
    assert "not a run folder" in refused(*words)


def test_show_takes_the_whole_where_a_name_means_two_things(
    here: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (here / "shelf" / "configs").mkdir(parents=True)
    (here / "shelf" / "configs" / "ppo.yaml").write_text("base: quickstart\n")
    monkeypatch.setenv("DRIVE_RL_PATH", str(here / "shelf"))
    assert run_main(["show", "ppo", "world=parked_cars"], monkeypatch) == 0
    shown = capfd.readouterr().out
    assert shown.startswith("# experiment ppo")
    assert "# also the name of a driver: drive-rl show driver:ppo" in shown
    assert "name: parked_cars" in shown
    assert run_main(["show", "driver:ppo", "agent.gamma=0.5"], monkeypatch) == 0
    shown = capfd.readouterr().out
    assert shown.startswith("# driver ppo")
    assert "gamma: 0.5" in shown


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["eval", "reference", "--world", "parked_cars"], "fix: write world=parked_cars"),
        (["render", "reference", "--world", "parked_cars"], "fix: write world=parked_cars"),
        (["eval", "reference", "--engine", "batch"], "fix: write engine=batch"),
        (["train", "quickstart", "--engine", "batch"], "`--engine` is now `engine=batch`; fix: write engine=batch"),
        (["train", "quickstart", "--world", "parked_cars"], "fix: write world=parked_cars"),
        (["train", "quickstart", "agent.eyes=unet-160"], "`agent.eyes` is now `agent.perception_model`; fix:"),
        (["perception", "fit", "unet", "fit.frames=8"], "`fit.frames` is now `fit.samples`; fix: rename it"),
        (["show", "ppo-lane-follow", "--kind", "driver"], "fix: write driver:NAME"),
        (["show", "lane_follow", "camera.width_px=64"], "fix: world.camera.width_px=64"),
        (["show", "ppo", "gamma=0.5"], "fix: agent.gamma=0.5"),
        (["data", "make", "lane_follow", "camera.width_px=64"], "fix: world.camera.width_px=64"),
    ],
)  # fmt: skip
def test_an_old_spelling_is_refused_with_the_new_one(refused: Refused, words: list[str], expected: str) -> None:
    assert expected in refused(*words)


def test_foreign_zips_need_trust(refused: Refused, here: Path) -> None:
    from stable_baselines3 import PPO

    PPO("MlpPolicy", "CartPole-v1", device="cpu").save(here / "foreign.zip")
    assert "--trust" in refused("eval", "foreign.zip")
    assert "--trust" in refused("render", "foreign.zip")
    (here / "other.zip").write_bytes(b"PK no zip")
    assert "not a stable-baselines3 zip" in refused("eval", "other.zip", "--trust")
    assert "file not found" in refused("eval", "none.zip")


def test_outputs_that_exist_stay(refused: Refused, here: Path) -> None:
    for name in ("drive.mp4", "scores.json"):
        (here / name).write_text("precious")
    assert "drive.mp4: exists already; fix: --overwrite" in refused("render", "reference")
    assert "scores.json: exists already" in refused("eval", "reference", "--out", "scores.json")
    assert "is not a folder" in refused("eval", "reference", "--out", "deep/scores.json")
    assert "unknown kind of film" in refused("render", "reference", "--out", "film.doc")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["eval", "reference", "--episodes", "0"], "expected 1 to 1000"),
        (["eval", "reference", "--episodes", "2000"], "expected 1 to 1000"),
        (["eval", "reference", "camera.width_px=64"], "expected world.KEY=VALUE; fix: world.camera.width_px=64"),
        (["eval", "reference", "engine=bath"], "unknown engine; did you mean 'batch'?"),
        (["eval", "expert", "--fair"], "--fair: lane_follow has no streets, and so no others to see; fix: a world"),
        (["eval", "runs/tiny", "--fair"], "has no streets"),
        (["bench", "driving", "expert", "--fair", "--world", "lane_follow"], "--fair: lane_follow has no streets"),
        (["render", "reference", "engine=batch"], "expected world.KEY=VALUE"),
        (["eval", "expert", "agent.clearance_m=1"], "fix: a YAML file with `base:` the driver and that key"),
        (["show", "lane_follow", "world.lane_width_m=3"], "unknown key; did you mean 'world.road.lane_width_m'?"),
        (["train", "tiny.yaml", "agent=reference"], "algorithm = 'reference': does not learn; expected one of"),
        (["train", "tiny.yaml", "--seed", "-1"], "seed = -1"),
        (["train", "dqn-lane-follow", "world=easy.yaml"], "command line: train_tiers.hard = 8: expected a tier"),
        (["eval", "reference", "world.camera.width_px=3"], "width_px = 3"),
        (["eval", "runs/tiny", "world.camera.width_px=100"], "action grid and state, or world.camera.width_px=64"),
        (["perception", "explain", "pilotnet-160", "--scalar", "ego_lane"], "or a model that predicts segmentation"),
        (["render", "reference", "--seeds", "1,x"], "expected whole numbers"),
        (["render", "reference", "--seeds=-1"], "expected numbers >= 0"),
        (["train", "--resume", "runs/tiny", "agent.gamma=0.5"], "only budget_steps can change when a run is resumed"),
        (["train", "--resume", "runs/tiny", "--seed", "1"], "only budget_steps can change when a run is resumed"),
        (["train", "--resume", "runs/tiny", "budget_steps=0"], "command line: budget_steps = 0"),
        (["train", "--resume", "runs/tiny", "budget_steps=_"], "only budget_steps can change when a run is resumed"),
        (["train", "--resume", "runs/tiny"], "has trained for 32 steps already; fix: "),
        (["train", "--resume", "runs/tiny", "budget_steps=16"], "budget_steps = 16, but the run has trained for 32"),
        (["show", "runs/tiny", "seed=1"], "is trained and cannot be changed"),
    ],
)  # fmt: skip
def test_options_that_do_not_fit(refused: Refused, words: list[str], expected: str) -> None:
    assert expected in refused(*words)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["eval", "reference", "--split", "tset"], "--split"),
        (["fly"], "No such command 'fly'"),
        (["trian"], "'train'"),
        (["train", "--sed", "1"], "--seed"),
        (["eval"], "RUN|DRIVER"),
        (["eval", ""], "is empty; expected a name"),
        (["eval", "reference", "--out", "", "--overwrite"], "is empty; expected a path"),
        (["train", "quickstart", "--runs", " "], "is empty; expected a path"),
        (["export", "", "mine"], "is empty; expected a path"),
        (["render", "reference", "--episodes", "-1"], "--episodes"),
    ],
)  # fmt: skip
def test_usage_errors_look_like_all_others(
    words: list[str], expected: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    code = run_main(words, monkeypatch)
    shown = check(code, capfd.readouterr().err)
    assert shown.startswith("error: drive-rl")
    assert expected in shown


@pytest.mark.parametrize("words", [[], ["perception"]])
def test_a_verb_of_verbs_alone_prints_its_help(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run_main(words, monkeypatch) == 2
    assert capfd.readouterr().err.startswith("Usage: drive-rl")


@pytest.mark.parametrize(
    "words",
    [
        ["eval", "refrence"],
        ["eval", "reference", "world=lane_folow"],
        ["eval", "ppo-lane-follow", "world.road.lenth_m=70"],
        ["render", "ppo"],
        ["export", "runs/nothing", "mine"],
        ["train", "quickstrt"],
    ],
)
def test_a_typo_is_answered_before_anything_heavy_is_imported(tmp_path: Path, words: list[str]) -> None:
    script = (
        "import sys; sys.argv = ['drive-rl', *sys.argv[1:]]\n"
        "from drive_rl.cli.main import main\n"
        "try: main()\n"
        "except SystemExit as end: assert end.code == 2\n"
        "heavy = {'torch', 'pybullet', 'numba', 'stable_baselines3', 'wandb', 'cv2', 'scipy'}\n"
        "print(*heavy & set(sys.modules))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *words], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stderr.startswith("error: ")
    assert done.stdout == "\n"


@pytest.mark.parametrize("words", [["train", "tiny.yaml"], ["eval", "runs/tiny"], ["render", "runs/tiny"]])
def test_cuda_without_a_gpu(refused: Refused, words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert "no usable GPU here" in refused(*words, "--device", "cuda")


def test_results_are_strict_json(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_main(["eval", "runs/tiny", "--episodes", "1"], monkeypatch) == 0
    text = (the_run(here) / "eval-val-1.json").read_text()
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
