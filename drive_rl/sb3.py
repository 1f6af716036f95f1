"""The batch engine for stable-baselines3: `make_vec_env`, as its own makes PyBullet's environments.

from stable_baselines3 import PPO
from drive_rl.sb3 import make_vec_env

PPO("CnnPolicy", make_vec_env("drive_rl/LaneFollow-v1", 64, seed=0)).learn(100_000)
"""

from typing import TypedDict, Unpack

import gymnasium

from drive_rl.config.specs.base import Actions, Observation, Split
from drive_rl.config.specs.world import WorldSpec
from drive_rl.learn.sb3.batch_vec_env import BatchVecEnv
from drive_rl.sim.engines.cpu_batch import cpu_batch
from drive_rl.sim.envs.parts import Keywords, Part, take_world


class VecEnvOptions(TypedDict, total=False):
    """Where the cars are simulated, frames, and changes of the world's parts."""

    threads: int | None
    render_mode: str | None
    retry: float
    road: Part
    car: Part
    camera: Part
    task: Part
    reward: Part
    appearance: Part


def make_vec_env(
    world: str | WorldSpec,
    n_envs: int = 1,
    seed: int | None = None,
    observation: Observation | None = None,
    actions: Actions = "continuous",
    split: Split = "train",
    **options: Unpack[VecEnvOptions],
) -> BatchVecEnv:
    """Return cars of the batch engine as a stable-baselines3 `VecEnv`, seeded but not yet reset.

    Infos hold `episode`, as from `Monitor`. `set_options({"road_seed": 7})`, or one such dictionary a car, names the
    roads of the next `reset`. Pictures are (channels, H, W), as stable-baselines3's policies read them, and unchanged
    until the step after the next.

    Args:
        world: A Gymnasium id, a world's name, a YAML path, or a spec.
        n_envs: How many cars.
        seed: Of the order in which roads are drawn; None: another each time.
        observation: What the driver observes; None: what the world says.
        actions: What the driver returns.
        split: Where road seeds are drawn from.
        **options: `threads` (None: one per core, if there are enough cars); `render_mode`, `rgb_array` for frames;
            `retry`, the chance that an episode takes place on a road that was failed before (0); and changes of the
            world's parts, such as `camera={"width_px": 84, "height_px": 84}`.

    Raises:
        DriveRLError: there is no such world, mode or key, `n_envs` is not positive, `retry` is not in [0, 1], or memory
            does not suffice.
    """
    keywords: Keywords = {**options}
    registered = gymnasium.registry.get(world) if isinstance(world, str) else None
    spec = take_world(registered.kwargs["world"] if registered and "world" in registered.kwargs else world, keywords)
    batch = cpu_batch(spec, n_envs, observation or spec.observation, keywords.pop("threads", None))
    envs = BatchVecEnv(batch, actions, split, **keywords)
    envs.seed(seed)
    return envs
