"""The contract of heads of perception models, ours and plugins'."""

from typing import TYPE_CHECKING

import numpy as np

from drive_rl.config.reader import load_world
from drive_rl.config.specs.perception import DataSpec, ModelSpec
from drive_rl.errors import DriveRLError
from drive_rl.testing.contract import SMALL, expect

if TYPE_CHECKING:
    from torch import Tensor

    from drive_rl.perception.data.samples import Samples
    from drive_rl.perception.heads.head import Labels, Predictions
    from drive_rl.perception.models.perception_model import PerceptionModel

_PICTURES = 16
_STEPS = 30


def check_head(name: str) -> None:
    """Check a head: predictions of each picture by itself, losses that it learns from, scores of all pictures.

    Raises:
        ContractError: it does not keep its contract.
        DriveRLError: one of its methods fails, or returns something of another shape.
    """
    import torch

    from drive_rl.perception.data.rendered_dataset import held_out
    from drive_rl.perception.data.samples import Samples
    from drive_rl.perception.heads.head import Labels
    from drive_rl.perception.models.perception_model import PerceptionModel

    what, world = f"head {name}", load_world("lane_follow", SMALL)
    samples = held_out(world, DataSpec(weather=True), "val", _PICTURES)
    images, device = torch.as_tensor(samples.images), torch.device("cpu")

    def make() -> PerceptionModel:
        torch.manual_seed(0)
        return PerceptionModel(ModelSpec(heads=(name,)), world).eval()

    model, again = make(), make()
    with torch.no_grad():
        predictions = model(images)
        apart = [model(image[None]) for image in images]
        for output, values in predictions.items():
            _check_output(what, values, torch.cat([each[output] for each in apart]))
        same = _equal(predictions, model(images))
        expect(same, what, "the same predictions of the same pictures (in eval mode)")
        expect(_equal(predictions, again(images)), what, "the same weights after the same torch.manual_seed")
        for weights in again.parameters():
            weights.add_(1.0)
        again.load_state_dict(model.state_dict())
        expect(_equal(predictions, again(images)), what, "the same predictions after its state_dict is loaded")
    _check_scores(what, model, samples)
    expect(model.heads[name].known(samples), what, "a target in rendered pictures, which have every label")
    unknown = Samples.unlabelled(samples.images)
    for loss in model.heads[name].losses(predictions, Labels(unknown, device), "l1").values():
        expect(bool(torch.isfinite(loss)), what, f"a finite loss of pictures without labels, found {loss}")
    _check_learning(what, model, name, samples)


def _check_output(what: str, values: "Tensor", apart: "Tensor") -> None:
    import torch

    expect(len(values) == _PICTURES, what, f"a prediction of each of {_PICTURES} pictures, found {len(values)}")
    expect(bool(torch.isfinite(values).all()), what, "finite predictions")
    close = torch.allclose(values, apart, rtol=1e-3, atol=1e-4)
    expect(close, what, "predictions that do not depend on the rest of the batch")


def _check_learning(what: str, model: "PerceptionModel", name: str, samples: "Samples") -> None:
    """Check that every weight of the head gets a gradient, and that its loss falls."""
    import torch

    from drive_rl.perception.heads.head import Labels

    images, labels = torch.as_tensor(samples.images), Labels(samples, torch.device("cpu"))
    optimizer, losses = torch.optim.Adam(model.train().parameters(), 2e-3), list[float]()
    for _ in range(_STEPS):
        loss = _loss(model, name, model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    without = [key for key, weights in model.network(name).named_parameters() if weights.grad is None]
    expect(not without, what, f"a gradient for every weight; none for {', '.join(without)}")
    better = losses[-1] < losses[0]
    expect(better, what, f"a loss that falls as it learns the same pictures, found {losses[0]:.4g} to {losses[-1]:.4g}")


def _loss(model: "PerceptionModel", name: str, predictions: "Predictions", labels: "Labels") -> "Tensor":
    import torch

    return torch.stack(list(model.heads[name].losses(predictions, labels, "l1").values())).sum()


def _check_scores(what: str, model: "PerceptionModel", samples: "Samples") -> None:
    """Check that scores are the same in whatever batches the pictures come."""
    from drive_rl.perception.evaluation.accuracy import evaluate_accuracy
    from drive_rl.run.storage.json_values import plain

    found = [evaluate_accuracy(model, samples, batch) for batch in (_PICTURES, 5, _PICTURES)]
    for each in found:
        if each.failed:
            raise DriveRLError("; ".join(each.failed.values()))
    whole, parts, again = map(plain, found)
    expect(whole == again, what, "the same scores again")
    expect(_close(whole, parts), what, "scores that do not depend on the batches that pictures come in")


def _equal(first: "Predictions", second: "Predictions") -> bool:
    return first.keys() == second.keys() and all(bool((first[name] == second[name]).all()) for name in first)


def _close(first: object, second: object) -> bool:
    """Whether two results as JSON are alike but for rounding."""
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(_close(first[key], second[key]) for key in first)
    if isinstance(first, list) and isinstance(second, list):
        return len(first) == len(second) and all(map(_close, first, second))
    if isinstance(first, float) and isinstance(second, float):
        return bool(np.isclose(first, second, rtol=1e-3, atol=1e-5))
    return first == second
