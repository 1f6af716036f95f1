"""The worlds that an experiment learns in: their environments as one vector, and one teacher for all of them.

It knows an experiment's spec. It does not know how anything learns.
"""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.vec_env import VecEnv

from drive_rl.config.specs.base import Actions, Observation
from drive_rl.config.specs.experiment import RunSpec
from drive_rl.drivers.driver import Driver
from drive_rl.drivers.lane_estimator import LaneEstimator
from drive_rl.learn.build import CPU, make_envs, predicting
from drive_rl.learn.curriculum import first_seed
from drive_rl.learn.own_drivers import load_teacher
from drive_rl.learn.sb3.joined_vec_env import JoinedVecEnv, rows_of
from drive_rl.sim.task.outcome import state_fields


def make_training_envs(
    spec: RunSpec, seed: int, device: torch.device = CPU, estimator: LaneEstimator | None = None
) -> VecEnv:
    """Return the environments that an experiment learns in, seeded but not yet reset; arguments as `make_envs`.

    Raises:
        DriveRLError: as `make_envs`.
    """
    worlds, agent = spec.training_worlds, spec.agent
    if len(worlds) == 1:
        return make_envs(worlds[0], agent, "train", agent.num_envs, seed, spec.engine, device, estimator)
    parts: list[VecEnv] = []
    try:
        for world, count in zip(worlds, shares(agent.num_envs, len(worlds)), strict=True):
            parts.append(make_envs(world, agent, "train", count, seed, spec.engine))
    except BaseException:
        for part in parts:
            part.close()
        raise
    threads = len(os.sched_getaffinity(0)) if spec.engine == "batch" else 1
    envs = JoinedVecEnv(parts, threads)
    envs.seed(first_seed(seed))
    return envs if estimator is None else predicting(envs, spec.world, estimator)


def load_teachers(spec: RunSpec) -> Driver | None:
    """Return the driver that an experiment's agent imitates, in all its worlds; None: it learns without.

    Raises:
        DriveRLError: as `load_teacher`.
    """
    worlds = spec.training_worlds
    found = [load_teacher(spec.agent, world) for world in worlds]
    teachers = [teacher for teacher in found if teacher is not None]
    if len(found) == 1 or not teachers:
        return found[0]
    return _Teachers(
        teachers, [len(state_fields(world)) for world in worlds], shares(spec.agent.num_envs, len(teachers))
    )


def shares(count: int, worlds: int) -> list[int]:
    """Return how many of `count` environments each world has."""
    return [count // worlds + (at < count % worlds) for at in range(worlds)]


class _Teachers:
    """Drivers of several worlds' environments, as one `Driver`.

    Args:
        drivers: One for each world.
        widths: How many fields the worlds' states have.
        counts: How many environments each world has.
    """

    def __init__(self, drivers: Sequence[Driver], widths: Sequence[int], counts: Sequence[int]) -> None:
        self.name = drivers[0].name
        self.observation: Observation = drivers[0].observation
        self.actions: Actions = drivers[0].actions
        self._drivers, self._widths = drivers, widths
        self._rows = rows_of(counts)

    def act(self, observations: Any) -> np.ndarray:
        """Return one action for each environment of all worlds."""
        each = zip(self._drivers, self._widths, self._rows, strict=True)
        return np.concatenate([driver.act(self._own(observations, width, rows)) for driver, width, rows in each])

    def _own(self, observations: Any, width: int, rows: slice) -> Any:
        """Return what the driver of some rows is shown: a state without what was filled up."""
        if isinstance(observations, dict):
            return {"camera": observations["camera"][rows], "state": observations["state"][rows, :width]}
        return observations[rows, :width] if self.observation == "state" else observations[rows]
