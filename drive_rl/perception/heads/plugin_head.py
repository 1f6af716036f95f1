"""Heads of plugins: a user's class -> a `Head`. What the class returns is checked, and what it raises is explained."""

import math
from collections.abc import Callable, Mapping
from typing import Any, cast, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from drive_rl.config.extensions import Extension
from drive_rl.config.plugin_call import attribute, called
from drive_rl.config.specs.world import WorldSpec
from drive_rl.errors import DriveRLError
from drive_rl.perception.data.samples import Samples
from drive_rl.perception.heads.head import Arrays, Labels, LaneLoss, Parts, Predictions, Ratios, Reads
from drive_rl.perception.heads.plugin_network import rows_of, running, try_learning

METHODS = ("build", "target", "loss", "score")
_READS = tuple(kind for kind in get_args(Reads) if kind != "predictions")
_AT_ONCE = 256  # pictures that are looked through for a target
Scores = dict[str, float | None]


class PluginHead:
    """A plugin's head (a `Head`).

    Args:
        extension: What the plugin registered: a class that is made for a world.
        world: The world.

    Raises:
        DriveRLError: the class fails, lacks a method, or reads something that there is not.
    """

    def __init__(self, extension: Extension, world: WorldSpec) -> None:
        self.name, self._what = extension.name, f"{extension.plugin}: head {extension.name}"
        self._scores: Mapping[str, int] = extension.about
        self._head = self._call("cannot be made for a world", extension.make, world)
        for method in METHODS:
            if not callable(self._call(f"{method} cannot be read", getattr, self._head, method, None)):
                raise self._wrong(f"has no {method}(); fix: add it, as docs/extend/head.md has it")
        self.reads: Reads = cast(Reads, attribute(self._what, self._head, "reads", _READS, "features"))

    def network(self, parts: Parts) -> nn.Module:
        """Return its network, tried on two pictures' inputs.

        Raises:
            DriveRLError: it fails, is not a module, or does not map (2, ...) to a tensor (2, ...).
        """
        shape = (parts.features,) if self.reads == "features" else parts.map
        assert shape is not None, "PerceptionModel makes a decoder for heads that read its map"
        network = self._call(f"build({shape}) fails", self._head.build, shape)
        if not isinstance(network, nn.Module):
            raise self._wrong(f"build({shape}) returned {_kind(network)}: expected a torch.nn.Module; fix: return one")
        with torch.no_grad():
            found = self._call(f"its module fails on (2, {_listed(shape)})", network.eval(), torch.zeros(2, *shape))
        if not isinstance(found, Tensor) or found.dim() == 0 or len(found) != 2 or not found.is_floating_point():
            raise self._wrong(
                f"its module returned {_kind(found)} for (2, {_listed(shape)}): expected a float tensor (2, ...), one"
                " row a picture; fix: correct build"
            )
        self._call(f"its module cannot learn from (2, {_listed(shape)})", _try, network, shape)
        return _Named(self.name, network.train(), self._what)

    def known(self, samples: Samples) -> bool:
        """Whether any picture has a target."""
        parts = (samples.take(slice(first, first + _AT_ONCE)) for first in range(0, len(samples), _AT_ONCE))
        return any(_rows(self._target(part)).any() for part in parts)

    def losses(self, predictions: Predictions, labels: Labels, lane_loss: LaneLoss) -> dict[str, Tensor]:
        """Return its loss, under its name, of the pictures whose target is known; 0 if there are none.

        Raises:
            DriveRLError: the loss fails, is not one finite number, or does not depend on the predictions.
        """
        predicted, target = predictions[self.name], self._target(labels.samples)
        rows = _rows(target)
        if not rows.any():
            return {self.name: 0.0 * predicted.sum()}
        at = torch.as_tensor(np.flatnonzero(rows), device=labels.device)
        known = torch.as_tensor(target[rows], device=labels.device)
        loss = self._call("loss fails", self._head.loss, predicted[at], known)
        self._check_loss(loss, predicted, known)
        return {self.name: loss}

    def measures(self) -> dict[str, "PluginMeasure"]:
        """Return what its scores come from, under its name."""
        return {self.name: PluginMeasure(self)}

    def of_known(self, predictions: Arrays, samples: Samples) -> tuple[NDArray[Any], NDArray[np.float32]]:
        """Return predictions and targets of the pictures whose target is known."""
        target = self._target(samples)
        return predictions[self.name][_rows(target)], target[_rows(target)]

    def score(self, predicted: NDArray[Any], target: NDArray[np.float32]) -> Scores:
        """Return its scores by name; None where one is not defined, as all are without a picture.

        Raises:
            DriveRLError: it fails, or returns other names than it was registered with, or not finite numbers.
        """
        if not len(target):
            return dict.fromkeys(self._scores)
        found = self._call("score fails", self._head.score, predicted, target)
        if not isinstance(found, Mapping) or set(found) != set(self._scores):
            names = sorted(found) if isinstance(found, Mapping) else _kind(found)
            raise self._wrong(
                f"score returned {names}: expected {sorted(self._scores)}, the scores that @extend.head names; fix: the"
                " same names in both"
            )
        return {name: self._number(name, found[name]) for name in self._scores}

    def _target(self, samples: Samples) -> NDArray[np.float32]:
        samples = samples.copied()  # what other heads learn from is not the plugin's to edit
        target = self._call("target fails", lambda: np.asarray(self._head.target(samples), np.float32))
        if target.ndim == 0 or len(target) != len(samples):
            raise self._wrong(
                f"target returned {target.shape} for {len(samples)} pictures: expected ({len(samples)}, ...); fix: one"
                " row a picture, NaN where it is unknown"
            )
        if np.isinf(target).any():
            raise self._wrong("target holds an infinite number: expected finite ones, or NaN; fix: NaN if unknown")
        return target

    def _check_loss(self, loss: object, predicted: Tensor, target: Tensor) -> None:
        of = f"of predictions {tuple(predicted.shape)} and targets {tuple(target.shape)}"
        if not isinstance(loss, Tensor) or loss.shape != () or not loss.is_floating_point():
            raise self._wrong(f"loss returned {_kind(loss)} {of}: expected one number; fix: such as .mean()")
        if not torch.isfinite(loss):
            raise self._wrong(
                f"loss is {loss.item()} {of}: expected a finite number; fix: correct loss, or a smaller"
                " fit.learning_rate if it became so while it learned"
            )
        if predicted.requires_grad and not loss.requires_grad:
            raise self._wrong("loss does not depend on the predictions: nothing is learned; fix: correct loss")

    def _number(self, name: str, value: object) -> float | None:
        number = None if value is None else self._call(f"score {name}", lambda: float(value))  # pyright: ignore
        if number is not None and not math.isfinite(number):
            raise self._wrong(
                f"score {name} = {number}: expected a finite number, or None where it is not defined; fix: None"
            )
        return number

    def _call(self, doing: str, function: Callable[..., Any], *values: object) -> Any:
        with called(self._what, doing):
            return function(*values)

    def _wrong(self, what: str) -> DriveRLError:
        return DriveRLError(f"{self._what}: {what}")


class PluginMeasure:
    """The predictions of a plugin's head, and their targets (a `Measure`)."""

    def __init__(self, head: PluginHead) -> None:
        self._head = head
        self._parts: list[tuple[NDArray[Any], NDArray[np.float32]]] = []

    def add(self, predictions: Arrays, samples: Samples) -> None:
        """Keep those of a batch."""
        self._parts.append(self._head.of_known(predictions, samples))

    def scores(self) -> Scores:
        """Return the scores of all pictures."""
        predicted, target = (np.concatenate(parts) for parts in zip(*self._parts, strict=True))
        return self._head.score(predicted, target)

    def ratios(self) -> Ratios:
        """Return nothing: a plugin's scores are of all pictures at once."""
        return {}


class _Named(nn.Module):
    """A plugin's network, `what`, whose output has a name."""

    def __init__(self, name: str, network: nn.Module, what: str) -> None:
        super().__init__()
        self.name, self.network, self._what = name, network, what

    def forward(self, x: Tensor) -> Predictions:
        with running(self._what):
            found = self.network(x.clone())  # other heads read x, whatever this one does to it
            return {self.name: rows_of(self._what, found, x)}


def _try(network: nn.Module, shape: tuple[int, ...]) -> None:
    try_learning(network, torch.zeros(2, *shape, requires_grad=True).clone())


def _rows(target: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return which pictures have a target: one that is not NaN throughout."""
    return np.asarray(~np.isnan(target).reshape(len(target), -1).all(axis=1))


def _kind(value: object) -> str:
    return f"a tensor {tuple(value.shape)}" if isinstance(value, Tensor) else f"a {type(value).__name__}"


def _listed(shape: tuple[int, ...]) -> str:
    return ", ".join(map(str, shape))
