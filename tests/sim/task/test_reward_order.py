"""In every world, returns rank drivers as scores do. It covers `reward`, too."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from drive_rl.config.reader import load_world
from drive_rl.config.shelf import entries
from drive_rl.config.specs.driver import ReferenceSpec
from drive_rl.config.specs.world import WorldSpec
from drive_rl.drivers.reference import ReferenceDriver
from drive_rl.sim.engines.cpu_batch import cpu_batch
from drive_rl.sim.task.outcome import STATE_FIELDS

ROADS = range(10_000, 10_016)
TARGET = STATE_FIELDS.index("target_speed_mps")
WAITS_MPS = 3.0
"""Below such a target speed, reward pays for standing: how long one has to wait is luck, not driving."""

Act = Callable[[np.ndarray, int], np.ndarray]
"""States (B, 11) and the number of the step -> actions (B, 1 or 2)."""

WORLDS = sorted(entries("envs"))
HELD = [name for name in WORLDS if load_world(name).task.controls == "steering"]
"""Worlds whose cars hold their speed by themselves: no driver is slower than another, and none stands."""


@dataclass(frozen=True)
class Driven:
    """Means over roads."""

    total: float
    """Return, without a discount."""
    moving: float
    """The same without the steps in which it has to wait, or nearly so."""
    success: float
    completion: float
    speed_mps: float


def drive(world: WorldSpec, act: Act) -> Driven:
    batch, total, waited, step = cpu_batch(world, len(ROADS), "state"), 0.0, 0.0, 0
    batch.begin(range(len(ROADS)), ROADS)
    episodes = []
    while batch.drives.any():
        driving = batch.drives.copy()
        waits = driving & (batch.observe()[:, TARGET] < WAITS_MPS)
        ended = batch.step(act(batch.observe(), step).astype(np.float64))
        total += float(batch.cars.reward[driving].sum())
        waited += float(batch.cars.reward[waits].sum())
        episodes += batch.episode_metrics(ended)
        step += 1
    batch.close()
    means = [float(np.mean([getattr(e, name) for e in episodes])) for name in ("success", "route_completion")]
    return Driven(
        total / len(ROADS),
        (total - waited) / len(ROADS),
        means[0],
        means[1],
        float(np.mean([e.mean_speed_mps for e in episodes])),
    )


def at_speed(world: WorldSpec, share: float) -> Act:
    """Return the reference driver at a share of the target speed."""
    reference = ReferenceDriver(ReferenceSpec(name="reference", algorithm="reference"), world.car, world.task)

    def act(states: np.ndarray, step: int) -> np.ndarray:
        slower = states.copy()
        slower[:, TARGET] *= share
        return reference.act(slower)

    return act


def leaving_at(world: WorldSpec, last_step: int) -> Act:
    """Return the reference driver that steers off the road after a step."""
    reference = at_speed(world, 0.9)

    def act(states: np.ndarray, step: int) -> np.ndarray:
        actions = reference(states, step)
        actions[:, 0] = np.where(step > last_step, -1.0, actions[:, 0])
        return actions

    return act


def standing(states: np.ndarray, step: int) -> np.ndarray:
    return np.tile([[0.0, -1.0]], (len(states), 1))


@pytest.mark.parametrize("name", sorted({*WORLDS} - {*HELD}))
def test_within_the_limit_faster_earns_more(name: str) -> None:
    world = load_world(name)
    driven = [drive(world, at_speed(world, share)) for share in (0.9, 0.75, 0.6, 0.45)]
    speeds, returns = [it.speed_mps for it in driven], [it.moving for it in driven]
    assert speeds == sorted(speeds, reverse=True)
    assert returns == sorted(returns, reverse=True)
    assert driven[0].success == 1


@pytest.mark.parametrize("name", WORLDS)
def test_who_gets_farther_earns_more_and_who_stands_or_leaves_at_once_pays(name: str) -> None:
    world = load_world(name)
    last = leaving_at(world, -1) if name in HELD else standing
    acts = [at_speed(world, 0.9), *(leaving_at(world, step) for step in (200, 100, 20)), last]
    driven = [drive(world, act) for act in acts]
    completions, returns = [it.completion for it in driven], [it.total for it in driven]
    assert completions == sorted(completions, reverse=True)
    assert returns == sorted(returns, reverse=True)
    assert returns[-1] < 0


@pytest.mark.parametrize("name", WORLDS)
def test_a_slow_arrival_earns_more_than_a_fast_start(name: str) -> None:
    world = load_world(name)
    assert drive(world, at_speed(world, 0.6)).total > drive(world, leaving_at(world, 200)).total
