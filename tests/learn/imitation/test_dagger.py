"""A policy that imitates; tests/learn/test_train.py trains, stops and resumes it."""

from pathlib import Path

import numpy as np
import pytest
import small_specs
import torch

from drive_rl.config.reader import load_world
from drive_rl.errors import DriveRLError
from drive_rl.learn.build import build_model, make_envs
from drive_rl.learn.imitation.dagger import Dagger
from drive_rl.learn.imitation.policy import Actor
from drive_rl.learn.load_driver import load_driver
from drive_rl.learn.own_drivers import load_teacher
from drive_rl.learn.train import train
from drive_rl.sim.task.outcome import STATE_FIELDS

CPU = torch.device("cpu")


def model_of(*changes: str) -> Dagger:
    world, spec = small_specs.world(), small_specs.dagger(*changes)
    envs = make_envs(world, spec, "train", spec.num_envs, 0, "batch")
    model = build_model(spec, envs, CPU, 0, load_teacher(spec, world))
    assert isinstance(model, Dagger)
    return model


def test_the_policys_actions_come_near_the_teachers() -> None:
    model = model_of("num_envs=16", "samples=512", "learning_rate=1.0e-3", "passes=16")
    model.learn(2048)
    pictures, targets = model.guidance._memory.take(torch.arange(512))
    with torch.no_grad():
        left = (Actor(model.policy)(pictures) - targets).square().mean()
    assert left < 0.5 * targets.var(0).mean()


def test_the_network_learns_the_state_beside_the_actions() -> None:
    model = model_of("num_envs=16", "samples=512", "learning_rate=1.0e-3", "passes=16", "state_loss=1")
    untrained = model_of("num_envs=16", "samples=512", "state_loss=1")
    model.learn(2048)
    pictures, targets = model.guidance._memory.take(torch.arange(512))
    speed = 2 + STATE_FIELDS.index("speed_mps")
    with torch.no_grad():
        left, before = ((Actor(each.policy)(pictures) - targets).abs() for each in (model, untrained))
    assert left[:, :2].mean() < 0.7 * before[:, :2].mean()
    assert left[:, speed].mean() < 0.5 * before[:, speed].mean()


def test_normalised_features_stay_alive_at_steps_that_kill_others() -> None:
    shares = []
    for norm in ("false", "true"):
        model = model_of("num_envs=16", "samples=512", "learning_rate=0.03", "passes=16", f"feature_norm={norm}")
        model.learn(2048)
        pictures, _ = model.guidance._memory.take(torch.arange(512))
        with torch.no_grad():
            shares.append(float((model.policy.features_extractor(pictures).amax(dim=0) <= 0).float().mean()))
    assert shares[0] > 0.5
    assert shares[1] < 0.2


def test_the_first_pictures_of_all_are_not_learned_alone() -> None:
    """Learned again and again at the first step size, they killed every unit of one network."""
    guidance = model_of("num_envs=16", "samples=512", "passes=16").guidance
    guidance.reset()
    still = np.zeros((16, 2), np.float32)
    guidance.step(still)
    assert guidance.end_fit() is None
    guidance.fit_later(1.0)
    guidance.step(still)
    assert guidance.end_fit() is not None


def test_what_is_learned_does_not_depend_on_the_number_of_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    def weights(cores: set[int]) -> dict[str, torch.Tensor]:
        with monkeypatch.context() as patch:
            patch.setattr("os.sched_getaffinity", lambda _: cores)
            model = model_of("num_envs=16", "samples=512", "noise=0.2")
            model.learn(1024)
        model.guidance.close()
        return model.policy.state_dict()

    one, two = weights({0}), weights({0, 1})
    assert one.keys() == two.keys()
    for name, tensor in one.items():
        assert torch.equal(tensor, two[name]), name


def test_a_prediction_is_the_mean_action_that_was_trained() -> None:
    model = model_of()
    pictures = np.asarray(model.guidance.reset())
    with torch.no_grad():
        mean = Actor(model.policy)(torch.as_tensor(pictures)).numpy()
    found, _ = model.policy.predict(pictures, deterministic=True)
    np.testing.assert_allclose(found, np.clip(mean, -1, 1), atol=1e-6)


def test_a_teacher_that_does_not_fit_is_refused() -> None:
    discrete = load_driver("dqn-lane-follow")[1]
    for teacher, world, message in (
        (
            "dqn-lane-follow",
            discrete,
            "has discrete actions, but .*; fix: a teacher that steers continuously, such as reference",
        ),
        (
            "small-160",
            load_world("lane_follow"),
            r".*trained in \S+ with .* frames of 160x\d+ px, but lane_follow has .*; fix: ",
        ),
    ):
        with pytest.raises(DriveRLError, match=rf"agent\.teacher = {teacher}: {message}"):
            load_teacher(small_specs.dagger(f"teacher={teacher}"), world)


@pytest.mark.parametrize(
    ("algorithm", "change", "message"),
    [
        ("pixels", "agent.observation=motion", "observes motion, but a teacher is shown the camera and the true state"),
        ("recurrent-ppo", "agent.observation=state", "remembers its episode, which no checkpoint keeps"),
    ],
)
def test_a_teacher_that_needs_more_than_it_is_shown_is_refused(
    algorithm: str, change: str, message: str, tmp_path: Path
) -> None:
    run = train(small_specs.run(algorithm, change, "budget_steps=64", "engine=batch"), tmp_path, "cpu")
    with pytest.raises(DriveRLError, match=rf"agent\.teacher = .*: {message}; fix: .*, such as reference"):
        load_teacher(small_specs.dagger(f"teacher={run.path}"), small_specs.world())


def test_a_teacher_that_does_not_exist_is_refused_before_a_run_folder_is_made(tmp_path: Path) -> None:
    with pytest.raises(DriveRLError, match=r"agent.teacher = refrence: .*'reference'"):
        train(small_specs.run("dagger", "agent.teacher=refrence"), tmp_path, "cpu")
    assert not any(tmp_path.iterdir())
