"""Models saved by stable-baselines3 itself: zips that hold pickles, opened only when the user trusts them.

It knows the zip. It does not know drive-rl's own checkpoints, which need no trust.
"""

import json
import zipfile
from pathlib import Path

from stable_baselines3 import DQN, PPO
from stable_baselines3.common.base_class import BaseAlgorithm

from drive_rl.errors import DriveRLError

_MARKS: tuple[tuple[str, type[BaseAlgorithm]], ...] = (("n_epochs", PPO), ("target_update_interval", DQN))


def load_foreign(path: Path, trust: bool, device: str = "cpu") -> BaseAlgorithm:
    """Load a PPO or DQN zip of stable-baselines3.

    Args:
        path: The zip.
        trust: Whether the user said `--trust`: unpickling can run any code that the zip's author put there.
        device: Torch device of the model.

    Raises:
        DriveRLError: not such a zip, not trusted, or it does not load with the versions installed here.
    """
    path = Path(path)
    algorithm = _algorithm_of(path)
    if not trust:
        raise DriveRLError(
            f"{path}: a stable-baselines3 zip: it holds pickles, and opening it can run any code its author "
            "put "
            "there: add --trust if you know where it comes from"
        )
    try:
        return algorithm.load(path, device=device)
    except Exception as error:  # a pickle of other versions can fail in any way
        raise DriveRLError(
            f"{path}: does not load here ({type(error).__name__}: {error}): it needs the Python and "
            "stable-baselines3 versions it was saved with, which its system_info.txt names"
        ) from error


def _algorithm_of(path: Path) -> type[BaseAlgorithm]:
    """Tell PPO from DQN by the names of the settings in the zip; nothing is unpickled."""
    if not path.is_file():
        raise DriveRLError(f"{path}: file not found: give the path of a stable-baselines3 zip")
    try:
        with zipfile.ZipFile(path) as archive:
            settings = json.loads(archive.read("data"))
    except (OSError, zipfile.BadZipFile, KeyError, ValueError) as error:
        raise DriveRLError(
            f"{path}: not a stable-baselines3 zip ({error}): expected what `model.save` of stable-baselines3 wrote"
        ) from error
    for mark, algorithm in _MARKS:
        if isinstance(settings, dict) and mark in settings:
            return algorithm
    raise DriveRLError(f"{path}: neither PPO nor DQN: drive-rl drives with these two: save one of them")
