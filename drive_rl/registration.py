"""One Gymnasium id for each world on the shelf: `envs/lane_follow.yaml` -> `drive_rl/LaneFollow-v1`."""

import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import gymnasium
from gymnasium.envs.registration import EnvSpec

from drive_rl.config.shelf import entries
from drive_rl.errors import DriveRLError

if TYPE_CHECKING:
    from drive_rl.config.specs.world import WorldSpec


class WorldEnvSpec(EnvSpec):
    """Gymnasium's spec of a world. Its file is read when the length of an episode or the threshold is asked for.

    So importing is quick and cannot fail, and a file that changes later counts.
    """

    def __init__(self, name: str, file: Path) -> None:
        super().__init__(
            name,
            entry_point="drive_rl.sim.envs.make_env:make_env",
            vector_entry_point="drive_rl.sim.envs.vector_env:make_vector_env",
            kwargs={"world": str(file)},
            disable_env_checker=True,
            order_enforce=False,
        )
        self._file = str(file)

    def _set(self, value: object) -> None:
        """Ignore what the base class sets: None."""

    def _steps(self) -> int:
        return self._world().task.max_steps

    def _threshold(self) -> float | None:
        return self._world().reward_threshold

    max_episode_steps = property(_steps, _set)  # pyright: ignore[reportAssignmentType]
    reward_threshold = property(_threshold, _set)  # pyright: ignore[reportAssignmentType]

    def _world(self) -> "WorldSpec":
        from drive_rl.config.reader import load_world  # it takes a while to import

        return load_world(self._file)


VERSION = 1
"""The version of every id: raised where what a world returns changes, so that scores are not compared across it."""


def gym_id(name: str) -> str:
    """Return the Gymnasium id of a world's name."""
    return f"drive_rl/{''.join(part.capitalize() for part in re.split(r'[^A-Za-z0-9]+', name))}-v{VERSION}"


def register_worlds() -> None:
    """Register every world; the file is read when the environment is made.

    Two files such as `my-road.yaml` and `my_road.yaml` share an id. Making an environment by that id is an error that
    names both files; each world still has its own name. A shelf that cannot be read is a warning here, so that
    importing never fails, and an error when it is used.
    """
    try:
        worlds = worlds_of_ids()
    except (DriveRLError, OSError) as error:
        warnings.warn(f"no world is registered: {error}", stacklevel=2)
        return
    for name, files in worlds.items():
        if len(files) > 1:
            gymnasium.registry.pop(name, None)
            refusal, named = "drive_rl.registration:refuse", {"files": [str(file) for file in files]}
            gymnasium.register(name, entry_point=refusal, vector_entry_point=refusal, kwargs=named)
        elif name not in gymnasium.registry:
            gymnasium.registry[name] = WorldEnvSpec(name, files[0])


def worlds_of_ids() -> dict[str, list[Path]]:
    """Return the files of every Gymnasium id: one each, unless names differ only by case or punctuation."""
    found: dict[str, list[Path]] = {}
    for name, path in entries("envs").items():
        found.setdefault(gym_id(name), []).append(path)
    return found


def refuse(files: list[str], **_: object) -> NoReturn:
    """Refuse to make an environment whose id several files share: the entry point of such an id.

    Raises:
        DriveRLError: always; it names the files.
    """
    raise DriveRLError(f"{gym_id(Path(files[0]).stem)}: is the id of {' and '.join(files)}; fix: rename one of them")
