"""Gymnasium's entry point: the environment of a world, on a road or in streets."""

from typing import Any

from drive_rl.config.specs.world import WorldSpec
from drive_rl.sim.envs.lane_env import LaneEnv
from drive_rl.sim.envs.parts import take_world
from drive_rl.sim.envs.street_env import StreetEnv


def make_env(world: str | WorldSpec, **kwargs: Any) -> LaneEnv:
    """Return the environment of a world, by name, YAML path or spec.

    Args:
        world: The world.
        **kwargs: `LaneEnv`'s, of which `observation` is the world's by default, and changes of the world's parts, such
            as `camera={"width_px": 84}`.
    """
    spec = take_world(world, kwargs)
    kwargs.setdefault("observation", spec.observation)
    return (StreetEnv if spec.streets else LaneEnv)(spec, **kwargs)


make_env.metadata = LaneEnv.metadata  # pyright: ignore[reportFunctionMemberAccess] - where Gymnasium looks for modes
