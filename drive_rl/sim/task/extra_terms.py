"""Reward terms of plugins: Python functions of an episode's metrics, compiled, and combined with our own terms.

A world without any has no part in this. Where a world has extra terms, one more compiled function runs over the rows of
metrics after each step and weighs all terms again. It knows no engine.
"""

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FunctionType
from typing import Any

import numpy as np
from numba import float64, njit
from numpy.typing import NDArray

from drive_rl.config.extensions import Extension, find
from drive_rl.config.plugin_call import called, parameters_of
from drive_rl.config.shelf import nearest
from drive_rl.config.specs.world import WorldSpec
from drive_rl.errors import DriveRLError
from drive_rl.sim.task.outcome import METRICS, TERMS, rules_of, step_reward
from drive_rl.sim.task.reward import RewardRules

RANGES = {
    "offset_m": (-5, 5), "heading_error_rad": (-3, 3), "speed_mps": (-5, 60), "target_speed_mps": (1, 60),
    "route_completion": (0, 1), "lateral_accel_mps2": (-15, 15), "longitudinal_accel_mps2": (-15, 15),
    "steer_rad": (-1, 1), "s_m": (0, 5000), "x_m": (-5000, 5000), "y_m": (-5000, 5000), "yaw_rad": (-math.pi, math.pi),
    "time_s": (0, 3600), "lane_offset_m": (-5, 5),
}  # fmt: skip
"""Where each of METRICS can be: a term is tried there when it is compiled."""
_TRIES = 200

compile_here = njit
"""numba's, without a place on disk: what it compiles depends on a plugin."""


@dataclass(frozen=True)
class ExtraTerms:
    """The extra terms of a world, compiled. A copy (`copy`, `pickle`) compiles them anew, where the plugin is loaded.

    `weigh` takes a row of metrics, a row of all terms, our own first, and the step's end code; it writes the extra
    terms and returns the reward. CPU loops and CUDA kernels call it.
    """

    names: tuple[str, ...]
    rules: RewardRules  # its weights are those of all terms, our own first
    weigh: Any = field(repr=False)

    def __reduce__(self) -> tuple[Any, ...]:
        return _extra_terms, (self.names, self.rules)

    def explained(self, weigh: Callable[[], Any], metrics: Callable[[], NDArray[np.float64]]) -> Any:
        """Return what `weigh` returns; a term that fails is named, by the rows (..., n) that `metrics` returns.

        Raises:
            DriveRLError: a term fails, with where.
        """
        try:
            return weigh()
        except Exception:
            for extension in map(_registered, self.names):
                of_row = _compiled(extension)
                for row in metrics().reshape(-1, len(METRICS)):
                    _value(extension, of_row, row)
            raise

    def check(self, terms: Any) -> None:
        """Refuse extra terms beyond [0, 1] in rows of all terms, (..., n) of NumPy or torch.

        Raises:
            DriveRLError: with the term's name and its value.
        """
        extra = terms[..., len(TERMS) :]
        if bool(((extra >= 0) & (extra <= 1)).all()):
            return
        for column, name in enumerate(self.names):
            for value in extra[..., column].reshape(-1).tolist():
                if not 0 <= value <= 1:
                    raise _beyond(_registered(name), value)


def term_names(world: WorldSpec) -> tuple[str, ...]:
    """Return the names of a world's reward terms, in the order of a row of terms."""
    return (*TERMS, *world.reward.extra)


def extra_terms(world: WorldSpec) -> ExtraTerms | None:
    """Return a world's extra terms, compiled; None where it has none.

    Raises:
        DriveRLError: a term is not loaded, takes what is not a metric, or does not compile.
    """
    extra, rules = world.reward.extra, rules_of(world).reward
    if not extra:
        return None
    return _extra_terms(tuple(extra), rules._replace(weights=(*rules.weights, *map(float, extra.values()))))


def _extra_terms(names: tuple[str, ...], rules: RewardRules) -> ExtraTerms:
    fill = _nothing
    for column, name in enumerate(names, len(TERMS)):
        fill = _then(fill, _compiled(_registered(name)), column)
    return ExtraTerms(names, rules, _weighing(fill, rules))


def _registered(name: str) -> Extension:
    extension = find("reward_term", name)
    if extension is None:
        raise DriveRLError(
            f"reward.extra.{name}: its plugin is not loaded in this process; fix: --plugin FILE.py, or"
            " drive_rl.extend.load(FILE) before the environment is made"
        )
    return extension


@njit
def _nothing(metrics, terms):
    """Fill no term."""


def _then(before: Any, term: Any, column: int) -> Any:
    """Return a function that fills what `before` fills, and a column."""

    @njit
    def fill(metrics, terms):
        before(metrics, terms)
        terms[column] = term(metrics)

    return fill


def _weighing(fill: Any, rules: RewardRules) -> Any:
    @njit
    def weigh(metrics, terms, end):
        fill(metrics, terms)
        return step_reward(terms, end, rules)

    return weigh


def _compiled(extension: Extension) -> Any:
    """Return a term as a compiled function of a row of metrics."""
    columns, function = _columns_of(extension), njit(_plain(extension))
    try:
        function.compile((float64,) * len(columns))
        returns = function.overloads[(float64,) * len(columns)].signature.return_type
    except Exception as error:
        raise DriveRLError(
            f"{_what(extension)} does not compile: {_brief(error)}; fix: arithmetic and `math` on floats alone"
        ) from error
    if str(returns) not in ("float64", "float32", "int64", "bool"):
        raise DriveRLError(f"{_what(extension)} returns {returns}: expected a float; fix: return one")
    of_row = _of_row(function, columns)
    _try(extension, of_row)
    return of_row


def _try(extension: Extension, of_row: Any) -> None:
    """Refuse a term that fails or leaves [0, 1] where cars can be, before anything is learned from it."""
    low, high = np.array([RANGES[name] for name in METRICS], float).T
    rows = np.random.default_rng(0).uniform(low, high, (_TRIES, len(METRICS)))
    for row in (np.clip(0.0, low, high), low, high, *rows):
        value, found = _value(extension, of_row, row)
        if not 0 <= value <= 1:
            raise _beyond(extension, value, f" at {found}")


def _value(extension: Extension, of_row: Any, row: NDArray[np.float64]) -> tuple[float, str]:
    """Return a term's value at a row of metrics, and that row in words.

    Raises:
        DriveRLError: it fails there.
    """
    names = inspect.signature(_plain(extension)).parameters
    found = ", ".join(f"{name} = {row[METRICS.index(name)]:.4g}" for name in names)
    with called(_what(extension), f"fails at {found}"):
        return of_row(row), found


def _beyond(extension: Extension, value: float, where: str = "") -> DriveRLError:
    return DriveRLError(
        f"{_what(extension)} = {value:g}{where}: expected a number in [0, 1]; fix: bound"
        " it, such as min(max(..., 0.0), 1.0)"
    )


def _plain(extension: Extension) -> Callable[..., Any]:
    """Return a term as a Python function, which a plugin may have compiled itself."""
    with called(_what(extension), "cannot be read"):
        function = getattr(extension.make, "py_func", extension.make)
    if not isinstance(function, FunctionType):
        raise DriveRLError(
            f"{_what(extension)}: is a {type(function).__name__}: expected a function; fix: write it with def"
        )
    return function


def _what(extension: Extension) -> str:
    return f"{extension.plugin}: reward term {extension.name}"


def _columns_of(extension: Extension) -> tuple[int, ...]:
    """Return where a term's parameters lie in a row of metrics."""
    parameters = parameters_of(_what(extension), _plain(extension))
    for parameter in parameters:
        if parameter.name in METRICS and parameter.kind is not parameter.POSITIONAL_OR_KEYWORD:
            raise DriveRLError(
                f"{_what(extension)}: parameter {parameter.name!r} is {parameter.kind.description}; fix: name it alone,"
                " without '*' or '/'"
            )
        if parameter.name not in METRICS:
            raise DriveRLError(
                f"{_what(extension)}: parameter {parameter.name!r}: expected the name of"
                f" a metric; {nearest(parameter.name, METRICS)}"
            )
    if not parameters:
        raise DriveRLError(f"{_what(extension)} has no parameter; fix: name metrics, such as speed_mps")
    return tuple(METRICS.index(parameter.name) for parameter in parameters)


def _of_row(function: Callable[..., float], columns: tuple[int, ...]) -> Any:
    """Return `function` of some columns of a row; written out, because numba takes no `*args` on a GPU."""
    arguments = ", ".join(f"metrics[{column}]" for column in columns)
    scope: dict[str, Any] = {"function": function, "__name__": __name__}
    exec(f"def of_row(metrics):\n    return float(function({arguments}))", scope)
    return njit(scope["of_row"])


def _brief(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip() and not line.startswith("During")]
    text = " ".join(lines[1:3] if len(lines) > 1 else lines)
    return text[:300]
