"""Worlds on maps from files: how they name the file, and that both engines drive there."""

from pathlib import Path
from typing import cast

import numpy as np
import pytest
from small_xodr import crossroads

from drive_rl.config.reader import load_agent, load_world
from drive_rl.config.specs.driver import ReferenceSpec
from drive_rl.config.specs.streets.streets import StreetsSpec
from drive_rl.config.specs.world import WorldSpec
from drive_rl.drivers.evaluate import evaluate
from drive_rl.drivers.reference import ReferenceDriver
from drive_rl.errors import DriveRLError
from drive_rl.sim.engines.cpu_batch import cpu_batch
from drive_rl.sim.engines.streets.batch import StreetBatch
from drive_rl.sim.envs.make_env import make_env
from drive_rl.sim.envs.street_env import StreetEnv
from drive_rl.sim.task.street_episode import draw_street_episode, map_seed_of

WORLD = """base: town
streets: {{map: {{kind: {kind}, path: {path}}}, route_m: 150, traffic: {{actors: 8}}}}
reward_threshold: null
"""


@pytest.fixture
def world(tmp_path: Path) -> WorldSpec:
    """A world that names the file beside it, read from another folder."""
    (tmp_path / "maps").mkdir()
    (tmp_path / "maps" / "cross.xodr").write_text(crossroads())
    (tmp_path / "mine.yaml").write_text(WORLD.format(kind="opendrive", path="maps/cross.xodr"))
    return load_world(str(tmp_path / "mine.yaml"))


def streets_of(world: WorldSpec) -> StreetsSpec:
    return cast(StreetsSpec, world.streets)


def reference(world: WorldSpec) -> ReferenceDriver:
    return ReferenceDriver(cast(ReferenceSpec, load_agent("reference")), world.car, world.task)


def test_a_path_starts_at_its_files_folder(world: WorldSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert streets_of(world).map.model_dump() == {"kind": "opendrive", "path": str(tmp_path / "maps" / "cross.xodr")}
    (tmp_path / "more.yaml").write_text("base: mine.yaml\n")
    monkeypatch.chdir(tmp_path / "maps")
    typed = load_world("town", ["streets.map={kind: opendrive, path: cross.xodr}"])
    assert streets_of(typed).map == streets_of(world).map


def test_all_seeds_share_the_map(world: WorldSpec) -> None:
    assert {map_seed_of(streets_of(world), seed) for seed in (0, 17, 10_003, 20_999)} == {0}
    starts = [draw_street_episode(world, streets_of(world), seed).start for seed in (0, 1, 10_000, 20_000)]
    assert len({(each.x_m, each.y_m) for each in starts}) == 4


def test_the_reference_arrives(world: WorldSpec) -> None:
    score, _ = evaluate(reference(world), world, "val", 12, engine="batch")
    assert score.success.value == 1


def test_both_engines_drive_alike(world: WorldSpec) -> None:
    env = cast(StreetEnv, make_env(world, observation="camera+state"))
    batch, driver = cast(StreetBatch, cpu_batch(world, 1, "camera+state", 1)), reference(world)
    for seed in (0, 20_001):
        seen, _ = env.reset(options={"road_seed": seed})
        batch.begin([0], [seed])
        for _ in range(120):
            assert np.array_equal(seen["camera"], batch.pictures[0])
            action = driver.act(seen["state"][None])[0]
            seen, _, terminated, truncated, _ = env.step(action)
            batch.step(action[None].astype(float))
            car = env.car
            assert batch.cars.body[:3, 0] == pytest.approx([car.x_m, car.y_m, car.yaw_rad], abs=1e-6)
            if terminated or truncated:
                break
    env.close()
    batch.close()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["streets.traffic.actors=400"], "mine: .*fix:"),
        (["streets.junction={control: signal, arms: 3}"], r"no such junction on \S+cross\.xodr; fix: another streets"),
    ],
)
def test_what_cannot_be_driven_is_refused(world: WorldSpec, changes: list[str], message: str, tmp_path: Path) -> None:
    changed = load_world(str(tmp_path / "mine.yaml"), changes)
    with pytest.raises(DriveRLError, match=message):
        draw_street_episode(changed, streets_of(changed), 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("streets.map={kind: opendrive}", "streets.map.path"),
        ("streets.map={kind: opendrive, path: ''}", "streets.map.path"),
        ("streets.map={kind: opendrive, path: 3}", "streets.map.path"),
        ("streets.map={kind: opendrive, path: none.xodr}", "none.xodr: cannot be read: No such file"),
        ("streets.map={kind: opendrives, path: a.xodr}", "did you mean 'opendrive'"),
        ("streets.map={kind: town, path: a.xodr}", "path.*unknown key"),
    ],
)
def test_a_map_without_its_file_is_refused(change: str, message: str) -> None:
    with pytest.raises(DriveRLError, match=message):
        load_world("town", [change])
