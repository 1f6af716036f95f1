"""Models saved by stable-baselines3 itself: zips that hold pickles, opened only when the user trusts them.

It identifies a zip's algorithm from its readable part. It does not know drive-rl's own checkpoints, which need no
trust.
"""

import json
import lzma
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3 import DQN, PPO, SAC
from stable_baselines3.common.base_class import BaseAlgorithm
from torch import nn

from drive_rl.errors import DriveRLError
from drive_rl.perception.optional import need
from drive_rl.run.storage.atomic import require_file
from drive_rl.run.storage.json_values import JsonTable

_LARGEST_SETTINGS = 2**28  # bytes: the last observations, and little else
_ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, lzma.LZMAError)
_READABLE = ("PPO", "RecurrentPPO", "DQN", "QRDQN", "SAC")
_KNOWN = f"{', '.join(_READABLE[:-1])} or {_READABLE[-1]}"
_WANTED = f"fix: give the path of what `model.save` of stable-baselines3 wrote for {_KNOWN}"
_LSTMS = ("lstm_actor", "lstm_critic")
"""Where a policy of RecurrentPPO keeps the LSTMs whose state `predict` takes and returns."""

_BY_POLICY = {
    "sb3_contrib.common.recurrent": "RecurrentPPO",
    "sb3_contrib.ppo_recurrent": "RecurrentPPO",
    "sb3_contrib.common.maskable": "MaskablePPO",
    "sb3_contrib.ppo_mask": "MaskablePPO",
    "sb3_contrib.qrdqn": "QRDQN",
    "sb3_contrib.tqc": "TQC",
    "sb3_contrib.ars": "ARS",
    "sb3_contrib.crossq": "CrossQ",
    "stable_baselines3.sac": "SAC",
    "stable_baselines3.td3": "TD3 or DDPG",
}
"""Where the policy classes of other algorithms are defined."""

_BY_SETTINGS: tuple[tuple[str, frozenset[str]], ...] = (
    ("TRPO", frozenset({"cg_max_steps"})),
    ("QRDQN", frozenset({"n_quantiles"})),
    ("TQC", frozenset({"top_quantiles_to_drop_per_net"})),
    ("ARS", frozenset({"n_delta"})),
    ("TD3 or DDPG", frozenset({"policy_delay"})),
    ("SAC", frozenset({"target_entropy"})),
    ("PPO", frozenset({"n_epochs", "clip_range", "gae_lambda"})),
    ("DQN", frozenset({"target_update_interval", "exploration_fraction", "exploration_final_eps"})),
    ("A2C", frozenset({"gae_lambda", "vf_coef"})),
)
"""Settings that distinguish an algorithm from those after it."""

_REASONS = {
    "MaskablePPO": "it needs a mask of valid actions, which these worlds do not provide",
}


def load_foreign(path: Path, trust: bool, device: str = "cpu") -> BaseAlgorithm:
    """Load a zip of stable-baselines3 or sb3-contrib: PPO, RecurrentPPO, DQN, QRDQN or SAC.

    Args:
        path: The zip.
        trust: Whether the user passed `--trust`: unpickling can run any code of the zip's author.
        device: Torch device of the model.

    Raises:
        DriveRLError: not such a zip, another algorithm, not trusted, it does not load with the installed versions, or
            its policy needs more than observations and its own LSTM: another recurrent state, or the statistics of
            VecNormalize; or it is sb3-contrib's, which is not installed.
    """
    path = Path(path)
    name = _algorithm_of(path)
    if not trust:
        raise DriveRLError(
            f"{path}: a stable-baselines3 zip: it holds pickles, and opening it can run any code of its author; fix:"
            " add --trust if you know where it comes from"
        )
    algorithm = _class_of(name)
    try:
        model = algorithm.load(path, device=device, custom_objects={"buffer_size": 1})  # a driver needs no replay
    except Exception as error:  # a pickle of other versions can fail in any way
        raise DriveRLError(
            f"{path}: does not load here ({type(error).__name__}: {error}); fix: use the Python and stable-baselines3"
            " versions that its system_info.txt names"
        ) from error
    _check_self_contained(path, model)
    return model


def is_recurrent(model: BaseAlgorithm) -> bool:
    """Whether a loaded model's policy has a state that must be carried through an episode."""
    return type(model).__name__ == "RecurrentPPO"


def _algorithm_of(path: Path) -> str:
    """Identify the algorithm by the policy's class and the names of the settings; nothing is unpickled."""
    name = _name_of(_settings(path))
    if name in _READABLE:
        return name
    what = f"saved by {name}" if name else "saved by an unknown algorithm"
    reason = _REASONS.get(name, f"of zips, drive-rl reads those of {_KNOWN}")
    raise DriveRLError(f"{path}: {what}: {reason}; fix: train one of {_KNOWN} and save that")


def _class_of(name: str) -> type[BaseAlgorithm]:
    if name in ("RecurrentPPO", "QRDQN"):
        need("sb3_contrib", "contrib")
        from sb3_contrib import QRDQN, RecurrentPPO

        return RecurrentPPO if name == "RecurrentPPO" else QRDQN
    return {"PPO": PPO, "DQN": DQN, "SAC": SAC}[name]


def _settings(path: Path) -> JsonTable:
    """Return the readable part of a zip: settings as JSON, some with a pickle besides."""
    require_file(path, _WANTED)
    try:
        with zipfile.ZipFile(path) as archive:
            size = archive.getinfo("data").file_size
            if size > _LARGEST_SETTINGS:
                raise ValueError(f"data: {size} bytes, but at most {_LARGEST_SETTINGS} are read")
            settings = json.loads(archive.read("data"))
    except (OSError, EOFError, KeyError, ValueError, RuntimeError, *_ZIP_ERRORS) as error:
        raise DriveRLError(f"{path}: not a stable-baselines3 zip ({error}); {_WANTED}") from error
    if not isinstance(settings, dict):
        raise DriveRLError(f"{path}: not a stable-baselines3 zip (data is not a table of settings); {_WANTED}")
    return settings


def _name_of(settings: JsonTable) -> str:
    """Return the algorithm's name; empty where it is unknown."""
    policy = settings.get("policy_class")
    module = policy.get("__module__") if isinstance(policy, dict) else None
    for place, name in _BY_POLICY.items():
        if isinstance(module, str) and (module == place or module.startswith(f"{place}.")):
            return name
    return next((name for name, keys in _BY_SETTINGS if keys <= settings.keys()), "")


def _check_self_contained(path: Path, model: BaseAlgorithm) -> None:
    """Refuse a policy that needs more than observations and the state of its own LSTMs."""
    own = [getattr(model.policy, name) for name in _LSTMS] if is_recurrent(model) else []
    if any(isinstance(module, nn.RNNBase) and module not in own for module in model.policy.modules()):
        raise DriveRLError(
            f"{path}: its policy {type(model.policy).__name__} has a recurrent layer of its own, whose state nobody"
            " keeps; fix: train sb3-contrib's RecurrentPPO, or stack frames (world.camera.frame_stack)"
        )
    if model._last_original_obs is not None and not _bytes_only(model._last_obs):
        raise DriveRLError(
            f"{path}: trained through VecNormalize, whose statistics are in another file (vecnormalize.pkl): its policy"
            " would get unscaled observations; fix: train without VecNormalize"
        )


def _bytes_only(observations: Any) -> bool:
    """Whether all observations are bytes: pictures, which VecNormalize does not scale."""
    parts = observations.values() if isinstance(observations, dict) else [observations]
    return all(np.asarray(part).dtype == np.uint8 for part in parts)
