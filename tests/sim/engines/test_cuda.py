"""The batch engine on a GPU is the one on the CPU. Without a GPU, tests/test_cuda.py runs this in numba's simulator."""

import os
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

import drive_rl  # noqa: F401 - registers the worlds
from drive_rl.config.reader import load_world
from drive_rl.config.specs.base import Observation
from drive_rl.config.specs.world import WorldSpec
from drive_rl.errors import DriveRLError
from drive_rl.sim.engines.batch import Batch
from drive_rl.sim.envs.vector_env import BatchVectorEnv
from drive_rl.sim.sensors.motion import show_motion

SIMULATED = os.environ.get("NUMBA_ENABLE_CUDASIM") == "1"
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
on_device = pytest.mark.skipif(not SIMULATED and DEVICE == "cpu", reason="needs a GPU or numba's simulator")

Make = Callable[..., Any]


@pytest.fixture
def make() -> Make:
    from drive_rl.sim.engines.cuda import CudaBatch

    def made(world: WorldSpec, num_cars: int, observation: Observation = "camera") -> CudaBatch:
        return CudaBatch(world, num_cars, observation, DEVICE)

    return made


def tiny(name: str, *changes: str) -> WorldSpec:
    size = ["camera.width_px=20", "camera.height_px=16", "camera.frame_stack=2"]
    return load_world(name, [*size, "task.time_limit_s=1", *changes])


def assert_alike(ours: Any, theirs: Batch, drives: np.ndarray) -> None:
    """A GPU rounds a little differently: a few pixels on edges may be off."""
    for name in ("body", "metrics", "terms", "reward", "state", "steps", "end"):
        a, b = getattr(ours.cars, name).cpu().numpy(), getattr(theirs.cars, name)
        if name == "body":
            a, b = a.T, b.T
        assert a[drives] == pytest.approx(b[drives], rel=1e-6, abs=1e-9)
    apart = np.abs(ours.pictures.cpu().numpy().astype(int) - theirs.pictures)[drives]
    assert (apart > 1).mean() < 0.001
    assert (apart > 0).mean() < 0.01


@on_device
@pytest.mark.parametrize(
    ("name", "changes"), [("lane_follow", ["camera.channels=rgb"]), ("parked_cars", []), ("lane_keep", [])]
)
def test_cars_drive_and_see_as_on_the_cpu(make: Make, name: str, changes: list[str]) -> None:
    world = tiny(name, *changes)
    ours, theirs = make(world, 2), Batch(world, 2)
    seeds = iter(range(100))
    rng, episodes = np.random.default_rng(0), 2
    first = [next(seeds) for _ in range(2)]
    for batch in (ours, theirs):
        batch.begin(range(2), first)
    assert_alike(ours, theirs, theirs.drives)
    for step in range(14):
        commands = np.array([rng.uniform(-0.1, 0.1, 2), np.ones(2)]).T[:, : len(world.task.command_names)].copy()
        commands[1, 0] = 1.0  # off the road soon
        ended = theirs.step(commands)
        given = commands if step % 2 else torch.tensor(commands, device=ours.device)
        assert ours.step(given).tolist() == ended.tolist()
        assert_alike(ours, theirs, np.ones(2, bool))
        for found, expected in zip(ours.last_infos(ended), theirs.last_infos(ended), strict=True):
            assert found.keys() == expected.keys()
            for key, value in expected.items():
                np.testing.assert_allclose(found[key], value, rtol=1e-6, atol=1e-9, err_msg=key)
        again = [next(seeds) for _ in ended]
        episodes += len(again)
        for batch in (ours, theirs):
            batch.begin(ended, again)
    assert episodes >= 4


@on_device
def test_motion_is_shown_as_on_the_cpu(make: Make) -> None:
    batch = make(tiny("lane_follow"), 2, "motion")
    batch.begin([0, 1], [1, 2])
    batch.step(np.ones((2, 2)))
    shown, frames = batch.observe().cpu().numpy(), batch.frames.cpu().numpy()
    np.testing.assert_array_equal(shown, show_motion(frames))


@on_device
def test_an_idle_car_stays_as_it_is(make: Make) -> None:
    batch = make(tiny("lane_follow"), 2, "camera+state")
    batch.begin([0, 1], [1, 2])
    batch.idle(1)
    body, pictures = batch.cars.body.clone(), batch.pictures.clone()
    batch.step(np.ones((2, 2)))
    batch.step(np.ones((2, 2)))
    assert torch.equal(batch.cars.body[:, 1], body[:, 1])
    assert not torch.equal(batch.cars.body[:, 0], body[:, 0])
    assert not torch.equal(batch.pictures[0], pictures[0])
    seen = batch.observe()
    assert {key: (part.dtype, str(part.device.type)) for key, part in seen.items()} == {
        "camera": (torch.uint8, DEVICE),
        "state": (torch.float32, DEVICE),
    }
    assert seen["camera"].data_ptr() == batch.frames.data_ptr(), "observations are no copy"


@on_device
def test_the_state_goes_from_one_device_to_the_other(make: Make) -> None:
    world = tiny("lane_follow")
    ours, theirs = make(world, 2), Batch(world, 2)
    ours.begin([0, 1], [5, 6])
    ours.step(np.full((2, 2), 0.1))
    theirs.set_state(ours.get_state())
    back = make(world, 2)
    back.set_state(theirs.get_state())
    for batch in (ours, theirs, back):
        batch.step(np.full((2, 2), 0.2))
    assert_alike(ours, theirs, theirs.drives)
    assert_alike(back, theirs, theirs.drives)
    with pytest.raises(DriveRLError, match="state of 2 cars"):
        make(world, 3).set_state(theirs.get_state())


@on_device
def test_roads_of_other_sizes_come_to_the_device(make: Make) -> None:
    world = tiny("lane_follow", "camera.frame_stack=1", "camera.width_px=16")
    ours, theirs = make(world, 1), Batch(world, 1)
    cells = ours.maps.roads.d_cells.shape[1]
    for seed in (0, 1, 2, 0, 5):
        for batch in (ours, theirs):
            batch.begin([0], [seed])
        assert_alike(ours, theirs, theirs.drives)
    assert ours.maps.roads.d_cells.shape[1] > cells, "one of these roads must need more room"


@on_device
def test_make_vec_gives_tensors_and_the_same_infos() -> None:
    modes: list[dict[str, Any]] = [{"device": DEVICE}, {}]
    ours, theirs = (
        gymnasium.make_vec(
            "drive_rl/LaneFollow-v1",
            num_envs=2,
            vectorization_mode="vector_entry_point",
            world=tiny("lane_follow"),
            observation="camera+state",
            autoreset_mode="SameStep",
            **device,
        )
        for device in modes
    )
    seen, info = ours.reset(seed=3)
    expected, expected_info = theirs.reset(seed=3)
    assert info["road_seed"].tolist() == expected_info["road_seed"].tolist()
    ours.action_space.seed(0)
    for step in range(11):  # the clock ends both episodes at the tenth, for nobody steers off the road before
        actions = ours.action_space.sample() * np.array([0.1, 1], np.float32)
        seen, rewards, terminated, truncated, info = ours.step(torch.tensor(actions, device=DEVICE))
        expected, *numbers, expected_info = theirs.step(actions)
        assert torch.is_tensor(seen["camera"])
        for ours_now, theirs_now in zip((rewards, terminated, truncated), numbers, strict=True):
            assert ours_now.cpu().numpy() == pytest.approx(theirs_now)
        assert seen["state"].cpu().numpy() == pytest.approx(expected["state"], rel=1e-5, abs=1e-6)
        assert info.keys() == expected_info.keys()
        assert truncated.tolist() == [step == 9] * 2
        if step == 9:
            assert info["final_info"]["end_reason"].tolist() == expected_info["final_info"]["end_reason"].tolist()
            assert info["final_obs"][0]["state"] == pytest.approx(expected_info["final_obs"][0]["state"], abs=1e-5)
    with pytest.raises(DriveRLError, match="action of shape"):
        ours.step(torch.zeros(3, 2, device=DEVICE))
    with pytest.raises(DriveRLError, match="expected finite numbers"):
        ours.step(torch.full((2, 2), float("nan"), device=DEVICE))


@on_device
def test_what_cannot_run_is_refused(make: Make) -> None:
    for count in (0, -1, 2.5):
        with pytest.raises(DriveRLError, match=r"num_envs = .*: expected an integer >= 1"):
            make(tiny("lane_follow"), count)
    with pytest.raises(DriveRLError, match=r"renderer = tiny: only engine = bullet"):
        make(tiny("lane_follow", "camera.renderer=tiny"), 1)
    with pytest.raises(DriveRLError, match=r"num_envs = 100000: about .* GB are needed"):
        make(load_world("lane_follow", ["camera.width_px=640", "camera.height_px=480"]), 100_000)


@pytest.mark.skipif(SIMULATED or DEVICE == "cuda", reason="there is a device")
def test_without_a_gpu_it_says_so() -> None:
    from drive_rl.sim.engines.cuda import CudaBatch

    with pytest.raises(DriveRLError, match=r"device 'cuda': torch .* sees 0 GPUs; fix: "):
        CudaBatch(tiny("lane_follow"), 2)
    for name in ("gpu", "cpu", "cuda:x"):
        with pytest.raises(DriveRLError, match=rf"device '{name}': expected cuda or cuda:NUMBER; fix: "):
            CudaBatch(tiny("lane_follow"), 2, device=name)


def test_threads_are_the_cpus() -> None:
    with pytest.raises(DriveRLError, match=r"threads = 2: a batch on a device has none; fix: "):
        BatchVectorEnv(tiny("lane_follow"), 2, threads=2, device="cuda")
