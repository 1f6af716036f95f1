"""Numbers that are allowed alone but leave nothing to learn or to drive: refused, with both keys where two conflict."""

import pytest

from drive_rl.config.reader import load_perception, load_run, load_world
from drive_rl.errors import DriveRLError

DARK = "appearance.asphalt=[0.3,0.3] appearance.verge=[0.3,0.3] appearance.marking=[0.3,0.3]"


@pytest.mark.parametrize(
    ("changes", "keys"),
    [
        ("task.start_offset_m=1.75", ("task.start_offset_m = 1.75", "road.lane_width_m = 3.5")),
        ("task.target_speed_mps=4", ("min_mean_speed_mps = 5", "target_speed_mps = 4")),
        ("task.steer_grid=[0]", ("steer_grid = [0.0]",)),
        ("task.steer_grid=[0,0.5]", ("steer_grid = [0.0, 0.5]",)),
        ("task.pedal_grid=[-1,0]", ("pedal_grid = [-1.0, 0.0]",)),
        ("task.controls=steering task.pedal_grid=[-1,1]", ("pedal_grid = [-1.0, 1.0]", "controls = steering")),
        ("car.drive_force_n=150", ("rolling_n = 200", "drive_force_n = 150")),
        ("car.tyre_mu=0.05 car.mass_kg=500", ("rolling_n = 200", "tyres")),
        ("car.power_w=2000 task.start_speed_mps=[0,5] task.min_mean_speed_mps=9", ("min_mean_speed_mps = 9", "power")),
        ("car.max_steer_rad=0.1", ("road.tiers.hard.min_radius_m = 15", "car.max_steer_rad = 0.1")),
        (
            "road.parked_cars_per_km=5 road.lane_width_m=2 car.width_m=3.5 road.parked_gap_m=-0.5",
            ("road.parked_gap_m = -0.5", "car.width_m = 3.5"),
        ),
        ("camera.pitch_rad=-0.9", ("camera.pitch_rad = -0.9", "camera.fov_rad")),
        ("camera.height_m=100 road.length_m=60 camera.pitch_rad=0.1", ("camera.pitch_rad = 0.1", "road.length_m = 60")),
        (DARK, ("asphalt = [0.3, 0.3]", "marking = [0.3, 0.3]")),
        ("reward.lane=1e-9 reward.speed=0", ("weight is 1e-09",)),
        ("reward.lane=0 reward.speed=0", ("all weights are 0",)),
    ],
)  # fmt: skip
def test_a_world_that_nobody_could_drive_is_refused(changes: str, keys: tuple[str, ...]) -> None:
    with pytest.raises(DriveRLError) as refused:
        load_world("lane_follow", changes.split())
    for key in (*keys, "fix: "):
        assert key in str(refused.value)


@pytest.mark.parametrize(
    ("name", "changes", "keys"),
    [
        ("quickstart", "world.task.time_limit_s=8", ("world.task.time_limit_s = 8", "world.road.length_m = 400")),
        ("quickstart", "budget_steps=20", ("agent.guidance.batch_size = 64", "budget_steps = 20")),
        ("dqn-lane-follow", "budget_steps=1000", ("budget_steps = 1000", "agent.learning_starts = 1000")),
        ("dqn-lane-follow", "agent.target_update_every=130001", ("agent.target_update_every = 130001", "budget_steps")),
        ("dqn-lane-follow", "agent.num_envs=60000", ("buffer_size = 50000", "num_envs = 60000")),
        ("dqn-lane-follow", "agent.tau=0", ("agent.tau = 0",)),
        ("quickstart", "agent.learning_rate=1.0e-20", ("agent.learning_rate = 1e-20",)),
        ("quickstart", "agent.max_grad_norm=1.0e-30", ("agent.max_grad_norm = 1e-30",)),
    ],
)
def test_training_that_could_not_learn_is_refused(name: str, changes: str, keys: tuple[str, ...]) -> None:
    with pytest.raises(DriveRLError) as refused:
        load_run(name, changes.split())
    for key in keys:
        assert key in str(refused.value)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("quickstart", "agent.gamma=0 agent.retry=1 evaluation.every_steps=1000000 agent.entropy_coef=10"),
        ("quickstart", "world.task.control_hz=1 world.task.time_limit_s=90 world.road.line_width_m=0.05"),
        ("dqn-lane-follow", "agent.exploration_fraction=0 agent.exploration_end=1 agent.learning_starts=89000"),
    ],
)
def test_what_is_merely_odd_is_allowed(name: str, changes: str) -> None:
    load_run(name, changes.split())


def test_perception_that_could_not_learn_is_refused() -> None:
    with pytest.raises(DriveRLError, match=r"fit\.batch_size = 1: vicreg .*fix: fit\.batch_size >= 2"):
        load_perception("vicreg", ["fit.batch_size=1"])
