"""Extension points: one decorator for each thing that your own Python may add to drive-rl. Imports nothing heavy.

    from drive_rl import extend

    @extend.encoder("my_encoder")
    def my_encoder(channels: int, height: int, width: int) -> nn.Module: ...

A name registered here goes wherever one of ours does: into YAML, onto the command line. The file is loaded by
`--plugin FILE.py`, by `extend.load("FILE.py")`, or through the entry-point group `drive_rl` of an installed package.
`drive_rl.testing.check_plugin("FILE.py")` holds it to the contract that our own keep. Worked examples: docs/extend/.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeVar, get_args

from drive_rl.config.extensions import FormatAbout, Kind, Measured, MetricAbout, load_file, register
from drive_rl.config.shelf import nearest
from drive_rl.errors import DriveRLError

__all__ = ["data_format", "driver", "encoder", "head", "load", "metric", "perception_model", "reward_term"]

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


def head(name: str, scores: Mapping[str, Literal[1, -1, 0]]) -> _Decorator:
    """Register a head of perception models, `model.heads: [lane, NAME]`.

    It is a class `(world)` with four methods; what is not known of a picture is NaN in its target:

    - `build(shape) -> torch.nn.Module` maps (B, n) features, shape = (n,), to float predictions (B, ...). With
      `reads = "map"` in the class it maps the decoder's map (B, channels, h, w), shape = (channels, h, w).
    - `target(samples)` returns the truth (B, ...) of `drive_rl.perception.data.samples.Samples`, as numpy arrays.
    - `loss(predicted, target)` returns one number, of tensors of the pictures whose target is known.
    - `score(predicted, target)` returns each of `scores`, of arrays of those pictures; None where it is not defined.

    Args:
        name: Its name; that of its predictions, its loss, and the beginning of its scores' names, too.
        scores: Each score's name, which ends in its unit, such as `mae_m`; 1: higher is better, -1: lower, 0: neither.

    Raises:
        DriveRLError: `scores` is not such a mapping.
    """
    known = isinstance(scores, Mapping) and all(
        isinstance(score, str) and score.isidentifier() and better in (1, -1, 0) for score, better in scores.items()
    )
    if not known:
        raise DriveRLError(
            f"head {name!r}: scores = {scores!r}: expected names and 1, -1 or 0; fix: such as scores={{'mae_m': -1}}"
        )
    return _registering("head", name, dict(scores))


def reward_term(name: str) -> _Decorator:
    """Register a reward term, `reward.extra: {NAME: WEIGHT}`.

    It is a function of floats to a float in [0, 1], pure, which numba can compile, for it runs within every engine, on
    a GPU too. Its parameters are named as in `info`, such as `speed_mps` and `offset_m`.
    """
    return _registering("reward_term", name)


def driver(name: str) -> _Decorator:
    """Register a driver, `algorithm: NAME` in a recipe with `options:` of its own.

    It is a class `(world, **options)` that is a `drive_rl.drivers.driver.Driver`: `observation`, `actions`, and `act`.
    """
    return _registering("driver", name)


def metric(
    name: str,
    of: Measured = "episodes",
    label: str = "",
    unit: str = "",
    better: Literal[1, -1, 0] = 1,
) -> _Decorator:
    """Register a metric: a function of what was measured to a finite number, or None where it is not defined.

    Args:
        name: Ends in its unit, such as `_m`.
        of: What it takes: `episodes`, a sequence of `drive_rl.sim.task.scoring.EpisodeMetrics`, for `drive-rl eval`; or
            the result of that part of `drive-rl bench perception`.
        label: For people; empty: the name in words.
        unit: Empty for a share or a count.
        better: 1: higher, -1: lower, 0: neither.

    Raises:
        DriveRLError: one of these is something else.
    """
    if of not in (known := get_args(Measured)):
        raise DriveRLError(
            f"metric {name!r}: of = {of!r}: expected one of {', '.join(known)}; {nearest(str(of), known)}"
        )
    _check_words("metric", name, label=label, unit=unit)
    if better not in (1, -1, 0):
        raise DriveRLError(f"metric {name!r}: better = {better!r}: expected 1, -1 or 0; fix: 0 for neither")
    return _registering("metric", name, MetricAbout(of, label or str(name).replace("_", " "), unit, better))


def data_format(name: str, files: str) -> _Decorator:
    """Register a format of labelled pictures, `data.format: NAME`; folders of it are recognised, too.

    It is a class with two static methods. `detect(folder)` returns the label files of each part, such as
    `{"train": [folder / "labels.csv"]}`, and nothing for a folder of another format. `read(folder, files, skipped)`
    yields a `drive_rl.perception.data.records.Record` for each picture; what cannot be used goes to `skipped.add`.

    Args:
        name: Its name.
        files: The files by which it is recognised, in words.

    Raises:
        DriveRLError: `files` is not text.
    """
    _check_words("data_format", name, files=files)
    return _registering("data_format", name, FormatAbout(files))


def perception_model(name: str, adapter: Mapping[str, object]) -> _Decorator:
    """Register a whole perception model: `drive-rl bench perception NAME`, `drive-rl perception predict NAME`.

    It is a function without arguments that returns a `torch.nn.Module`, or a function from an array to an array,
    several, or a mapping.

    Args:
        name: Its name.
        adapter: What it takes and what its outputs are, with the keys of an adapter's file (docs/howto/own-model.md)
            but `model`; `weights` is a file beside the plugin's.

    Raises:
        DriveRLError: `adapter` is not such a mapping.
    """
    if not isinstance(adapter, Mapping) or not all(isinstance(key, str) for key in adapter) or "model" in adapter:
        raise DriveRLError(
            f"perception_model {name!r}: adapter = {adapter!r}: expected the keys of an adapter but model; fix: such as"
            " {'outputs': {'output': {'kind': 'classes', 'map': 'drive_rl'}}}"
        )
    return _registering("perception_model", name, dict(adapter))


def _check_words(kind: Kind, name: str, **words: object) -> None:
    for key, value in words.items():
        if not isinstance(value, str) or not value.isprintable():
            raise DriveRLError(f"{kind} {name!r}: {key} = {value!r}: expected text on one line; fix: such as {key}='x'")


def _registering(kind: Kind, name: str, about: Any = None) -> _Decorator:
    if not isinstance(name, str):
        raise DriveRLError(f'extend.{kind}: a name was expected, not {name!r}; fix: write @extend.{kind}("NAME")')

    def decorate(make: _Made) -> _Made:
        register(kind, name, make, about)
        return make

    return decorate
