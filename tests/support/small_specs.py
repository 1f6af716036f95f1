"""Worlds and experiments small enough for tests: a short road, a small camera, a few hundred steps."""

from drive_rl.config.reader import load_agent, load_run, load_world
from drive_rl.config.specs.driver import (
    DaggerSpec,
    DqnSpec,
    ExpertSpec,
    PluginDriverSpec,
    PpoSpec,
    RecurrentPpoSpec,
    ReferenceSpec,
)
from drive_rl.config.specs.experiment import RunSpec
from drive_rl.config.specs.off_policy import ReplaySpec
from drive_rl.config.specs.world import WorldSpec

WORLD = (
    "road.length_m=60",
    "task.time_limit_s=3.3",
    "camera.width_px=24",
    "camera.height_px=16",
    "camera.frame_stack=2",
)
_GUIDANCE = ("guidance.pictures=100", "guidance.batch_size=16")
_ROLLOUT = (
    "num_envs=2",
    "steps_per_update=32",
    "batch_size=32",
    "epochs=1",
    "encoder.features=16",
    "hidden=[8]",
)
_RECURRENT = (*_ROLLOUT, "lstm_units=8")
_PPO = (*_ROLLOUT, *_GUIDANCE)
_REPLAY = (
    "num_envs=2",
    "learning_starts=32",
    "batch_size=8",
    "buffer_size=400",
    "gradient_steps=1",
    "encoder.features=16",
    "hidden=[8]",
)
_DQN = (*_REPLAY, "target_update_every=64", *_GUIDANCE)
_QRDQN = (*_REPLAY, "target_update_every=64", "quantiles=4")
_SAC = (*_REPLAY, "random_shift_px=2")
_DAGGER = ("num_envs=2", "samples=100", "batch_size=16", "encoder.features=16", "hidden=[8]")
_SMALL = {
    "ppo": _PPO,
    "asymmetric": _ROLLOUT,
    "pixels": _ROLLOUT,
    "recurrent-ppo": _RECURRENT,
    "dqn": _DQN,
    "qrdqn": _QRDQN,
    "sac": _SAC,
    "dagger": _DAGGER,
}

_PLAIN = {
    "ppo": ("engine=bullet",),
    "dqn": (
        *("engine=bullet", "world.task.steer_grid=[-0.8,-0.35,-0.12,0,0.12,0.35,0.8]"),
        "agent.steering_temperature=0",
    ),
}
"""What makes experiments ordinary that learn to steer steadily."""

STREETS = (
    *("world=town", "world.streets.traffic.actors=4", "world.streets.maps=1", "world.task.time_limit_s=6"),
    *("world.streets.route_m=100", "world.camera.width_px=24", "world.camera.height_px=16", "agent.num_envs=2"),
    *("agent.steps_per_update=32", "agent.batch_size=32", "agent.epochs=1", "agent.encoder.features=16"),
    *("agent.hidden=[8]", "agent.guidance.pictures=100", "agent.guidance.batch_size=16", "track=none", "film=false"),
    *("budget_steps=256", "checkpoint_every=128", "evaluation.every_steps=128", "evaluation.episodes=2"),
)
"""A town small enough for tests, and `ppo-batch` in it."""

Rewarded = PpoSpec | RecurrentPpoSpec | ReplaySpec


def world(*changes: str) -> WorldSpec:
    return load_world("lane_follow", [*WORLD, *changes])


def ppo(*changes: str) -> PpoSpec:
    spec = load_agent("ppo", [*_PPO, *changes])
    assert isinstance(spec, PpoSpec)
    return spec


def dqn(*changes: str) -> DqnSpec:
    spec = load_agent("dqn", [*_DQN, *changes])
    assert isinstance(spec, DqnSpec)
    return spec


def learner(algorithm: str, *changes: str) -> Rewarded:
    spec = load_agent(algorithm, [*_SMALL[algorithm], *changes])
    assert not isinstance(spec, DaggerSpec | ReferenceSpec | ExpertSpec | PluginDriverSpec)
    return spec


def dagger(*changes: str) -> DaggerSpec:
    spec = load_agent("dagger", [*_DAGGER, *changes])
    assert isinstance(spec, DaggerSpec)
    return spec


def run(algorithm: str, *changes: str) -> RunSpec:
    experiment = f"{algorithm}-lane-follow" if algorithm in ("ppo", "dqn") else algorithm
    common = ("track=none", "budget_steps=256", "evaluation.every_steps=128", "evaluation.episodes=2")
    prefixed = [f"world.{change}" for change in WORLD] + [f"agent.{change}" for change in _SMALL[algorithm]]
    plain = _PLAIN.get(algorithm, ())
    return load_run(experiment, [*prefixed, *plain, *common, "checkpoint_every=128", *changes])


def in_several_streets(*changes: str) -> RunSpec:
    """Return an experiment that imitates the expert in a town and behind an obstacle, with three cars."""
    small = "{base: %s, streets: {maps: 1, traffic: {actors: 4}}, task: {time_limit_s: 15}}"
    worlds = ",".join(small % name for name in ("town", "scenarios/accident_two_ways"))
    common = [change for change in STREETS if not change.startswith(("agent.epochs", "agent.guidance", "world="))]
    dagger = ("agent.num_envs=3", "agent.samples=100", "agent.batch_size=16")
    return load_run("dagger-streets", [*common, *dagger, f"train_worlds=[{worlds}]", *changes])
