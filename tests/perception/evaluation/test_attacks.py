"""FGSM and PGD against a linear model by hand, captum, and a small trained net."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from drive_rl.perception.evaluation.attacks import fgsm, pgd


class Linear(nn.Module):
    """lane = weight . pixels, for pictures of 1 x 1 x 3."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([2.0, -3.0, 0.0]))

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return {"lane": images.flatten(1) @ self.weight}


class Small(nn.Module):
    """A net that predicts on which half a bright picture's patch lies."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.Tanh(), nn.Linear(16, 2))

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return {"tier": self.layers(images / 255)}


@pytest.fixture(scope="module")
def trained() -> tuple[Small, Tensor, Tensor]:
    torch.manual_seed(0)
    sides = torch.arange(64) % 2
    images = torch.rand(64, 1, 8, 8) * 150
    images[sides == 0, :, :, :4] += 60
    images[sides == 1, :, :, 4:] += 60
    net = Small()
    optimizer = torch.optim.Adam(net.parameters(), 0.01)
    for _ in range(150):
        optimizer.zero_grad()
        F.cross_entropy(net(images)["tier"], sides).backward()
        optimizer.step()
    optimizer.zero_grad()
    return net.eval(), images, sides


def start() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_linear_model_by_hand():
    """The loss is the output: a pixel rises where its weight is positive, falls where negative, stays where 0."""
    images = torch.tensor([[100.0, 100.0, 100.0], [254.0, 1.0, 7.0]]).reshape(2, 1, 1, 3)
    found = fgsm(Linear(), images, lambda outputs: outputs["lane"].mean(), epsilon_px=4)
    assert found.flatten(1).tolist() == [[104.0, 96.0, 100.0], [255.0, 0.0, 7.0]]
    found = pgd(Linear(), images, lambda outputs: outputs["lane"].mean(), 4, steps=8, step_px=1, generator=start())
    assert found.flatten(1)[:, :2].tolist() == [[104.0, 96.0], [255.0, 0.0]]  # where the weight is 0 the start stays


def test_small_gradients_count():
    """A mean over many pictures and pixels has gradients far below 1e-6 in each; the sign is what matters."""
    images = torch.full((1, 1, 1, 3), 100.0)
    found = fgsm(Linear(), images, lambda outputs: 1e-12 * outputs["lane"].mean(), epsilon_px=4)
    assert found.flatten().tolist() == [104.0, 96.0, 100.0]


@pytest.mark.filterwarnings("ignore::UserWarning:captum")
def test_agrees_with_captum(trained):
    from captum.robust import FGSM, PGD

    net, images, sides = trained

    def rise(outputs: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(outputs, labels)[None]

    def loss(outputs):
        return F.cross_entropy(outputs["tier"], sides)

    other = FGSM(lambda x: net(x)["tier"], rise, 0, 255)
    other.zero_thresh = 0
    assert torch.allclose(fgsm(net, images, loss, 3), other.perturb(images, 3.0, sides))

    other = PGD(lambda x: net(x)["tier"], rise, 0, 255)
    other.fgsm.zero_thresh = 0
    torch.manual_seed(0)
    expected = other.perturb(images, 3.0, 0.75, 10, sides, random_start=True)
    # Signs flip where a gradient is all but 0: compare what the attacks reach, not every pixel.
    found = pgd(net, images, loss, 3, steps=10, step_px=0.75, generator=start())
    assert (found - expected).abs().gt(1e-3).float().mean() < 0.01


@pytest.mark.parametrize("epsilon", [0.5, 8.0, 300.0])
def test_stays_in_the_ball_and_in_the_picture(trained, epsilon):
    net, images, sides = trained

    def loss(outputs):
        return F.cross_entropy(outputs["tier"], sides)

    for found in (fgsm(net, images, loss, epsilon), pgd(net, images, loss, epsilon, 5, epsilon, start())):
        assert (found - images).abs().max() <= epsilon + 1e-4  # float32 near 255
        assert found.min() >= 0
        assert found.max() <= 255


def test_loss_rises_and_pgd_is_at_least_as_strong(trained):
    net, images, sides = trained

    def loss(outputs):
        return F.cross_entropy(outputs["tier"], sides)

    for epsilon in (2.0, 8.0):
        clean = loss(net(images)).item()
        once = loss(net(fgsm(net, images, loss, epsilon))).item()
        often = loss(net(pgd(net, images, loss, epsilon, 20, epsilon / 8, start()))).item()
        assert once > clean * 1.05
        assert often >= once * 0.999


def test_epsilon_zero_changes_nothing(trained):
    net, images, sides = trained

    def loss(outputs):
        return F.cross_entropy(outputs["tier"], sides)

    whole = images.to(torch.uint8)
    assert torch.equal(fgsm(net, whole, loss, 0), whole.float())
    assert torch.equal(pgd(net, whole, loss, 0, 3, 1.0, start()), whole.float())


def test_the_model_and_the_pictures_are_left_as_they_were(trained):
    net, images, sides = trained
    before, weights = images.clone(), [p.detach().clone() for p in net.parameters()]
    gradients = [torch.full_like(p, 7.0) for p in net.parameters()]
    for parameter, gradient in zip(net.parameters(), gradients, strict=True):
        parameter.grad = gradient.clone()
    with torch.no_grad():  # as a benchmark would be
        pgd(net, images, lambda outputs: F.cross_entropy(outputs["tier"], sides), 2, 3, 1.0, start())
    for parameter, weight, gradient in zip(net.parameters(), weights, gradients, strict=True):
        assert parameter.grad is not None
        assert torch.equal(parameter.grad, gradient)
        assert torch.equal(parameter, weight)
        parameter.grad = None
    assert torch.equal(images, before)
    assert not images.requires_grad


def test_the_start_comes_from_the_generator(trained):
    net, images, sides = trained

    def moved(seed: int) -> np.ndarray:
        generator = torch.Generator().manual_seed(seed)
        return pgd(net, images, lambda o: F.cross_entropy(o["tier"], sides), 4, 1, 0.1, generator).numpy()

    state = torch.get_rng_state()
    assert np.array_equal(moved(1), moved(1))
    assert not np.array_equal(moved(1), moved(2))
    assert torch.equal(torch.get_rng_state(), state)
