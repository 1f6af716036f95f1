"""Extension points: one decorator for each thing that your own Python may add to drive-rl. Imports nothing heavy.

    from drive_rl import extend

    @extend.encoder("my_encoder")
    def my_encoder(channels: int, height: int, width: int) -> nn.Module: ...

A name registered here goes wherever one of ours does: into YAML, onto the command line. The file is loaded by
`--plugin FILE.py`, by `extend.load("FILE.py")`, or through the entry-point group `drive_rl` of an installed package.
`drive_rl.testing.check_plugin("FILE.py")` holds it to the contract that our own keep. Worked examples: docs/extend/.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from drive_rl.config.extensions import Kind, load_file, register

__all__ = ["driver", "encoder", "load", "reward_term"]

load = load_file
"""Run a plugin file; a script's `--plugin FILE.py`."""

_Made = TypeVar("_Made", bound=Callable[..., Any])
_Decorator = Callable[[_Made], _Made]


def encoder(name: str) -> _Decorator:
    """Register an image encoder, `encoder.kind: NAME`.

    It is a function `(channels, height, width) -> torch.nn.Module`; the module maps (B, channels, height, width)
    float pictures in [0, 1] to (B, n), for any n. An `nn.Sequential` serves heads that need feature maps, too.
    """
    return _registering("encoder", name)


def reward_term(name: str) -> _Decorator:
    """Register a reward term, `reward.extra: {NAME: WEIGHT}`.

    It is a function of floats to a float in [0, 1], pure, which numba can compile, for it runs within every engine, on
    a GPU too. Its parameters are named as in `info["metrics"]`, such as `speed_mps` and `offset_m`.
    """
    return _registering("reward_term", name)


def driver(name: str) -> _Decorator:
    """Register a driver, `algorithm: NAME` in a recipe with `options:` of its own.

    It is a class `(world, **options)` that is a `drive_rl.drivers.driver.Driver`: `observation`, `actions`, and `act`.
    """
    return _registering("driver", name)


def _registering(kind: Kind, name: str, about: Any = None) -> _Decorator:
    def decorate(make: _Made) -> _Made:
        register(kind, name, make, about)
        return make

    return decorate
