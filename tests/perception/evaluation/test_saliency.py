"""Saliency: a model that looks at one patch only, completeness by hand, and the score by hand."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from drive_rl.errors import DriveRLError
from drive_rl.perception.evaluation.saliency import (
    SCALARS,
    attributions,
    grad_cam,
    integrated_gradients,
    on_markings,
    overlay,
    visual_backprop,
)

TOP, LEFT, SIDE = 8, 24, 8
PATCH = (slice(None), slice(TOP, TOP + SIDE), slice(LEFT, LEFT + SIDE))


class PatchEncoder(nn.Module):
    """Sees nothing outside one patch: two convolutions with positive weights and no bias."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mask = torch.zeros(1, 1, 32, 48)
        self.mask[:, :, *PATCH[1:]] = 1
        self.fine = nn.Conv2d(channels, 4, 3, 1, 1, bias=False)
        self.coarse = nn.Conv2d(4, 4, 2, 2, bias=False)
        for layer in (self.fine, self.coarse):
            nn.init.uniform_(layer.weight, 0.1, 1)

    def maps(self, images: Tensor) -> list[Tensor]:
        fine = self.fine(images.float() / 255 * self.mask).relu()
        return [fine, self.coarse(fine).relu()]

    def forward(self, images: Tensor) -> Tensor:
        return self.maps(images)[-1].mean(dim=(2, 3))


class PatchModel(nn.Module):
    """Lane state and classes from what the patch shows."""

    def __init__(self, channels: int = 3) -> None:
        super().__init__()
        self.encoder = PatchEncoder(channels)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        features = self.encoder(images).sum(dim=1)
        return {"lane": features[:, None].expand(-1, 6), "classes": features[:, None, None, None].expand(-1, 5, 4, 4)}


class LinearModel(nn.Module):
    """offset = weight . pixels + 3."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return {"lane": (images * self.weight).sum(dim=(1, 2, 3))[:, None] + 3}


@pytest.fixture
def images() -> Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(1, 256, (2, 3, 32, 48), dtype=np.uint8))


METHODS = {
    "integrated_gradients": lambda model, images: integrated_gradients(model, images, SCALARS["offset"]),
    "integrated_gradients of classes": lambda model, images: integrated_gradients(model, images, SCALARS["ego_lane"]),
    "grad_cam": lambda model, images: grad_cam(model, images, SCALARS["offset"]),
    "visual_backprop": visual_backprop,
}


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
@pytest.mark.parametrize("channels", [1, 3])
def test_saliency_lies_where_the_model_looks(method, channels, images):
    torch.manual_seed(0)
    found = method(PatchModel(channels), images[:, :channels])
    assert found.shape == (2, 32, 48)
    assert found.dtype == np.float32
    assert found.min() >= 0
    assert found.sum(axis=(1, 2)) == pytest.approx([1, 1], abs=1e-5)
    # A coarse map of half the resolution, scaled up, and a 3x3 kernel reach up to 3 pixels further.
    near = found[:, TOP - 3 : TOP + SIDE + 3, LEFT - 3 : LEFT + SIDE + 3]
    assert near.sum(axis=(1, 2)) == pytest.approx([1, 1], abs=1e-5)
    assert (found[PATCH].sum(axis=(1, 2)) > 0.6).all()


def test_integrated_gradients_of_a_linear_model_by_hand(images):
    """Each attribution is weight x (pixel - baseline); they sum to f(picture) - f(baseline)."""
    weight = torch.randn(3, 32, 48, generator=torch.Generator().manual_seed(1))
    model, baseline = LinearModel(weight), torch.full((2, 3, 32, 48), 40.0)
    found = attributions(model, images, SCALARS["offset"], baseline)
    assert torch.allclose(found, weight * (images.float() - 40), atol=1e-2)
    with torch.no_grad():
        rise = SCALARS["offset"](model(images.float())) - SCALARS["offset"](model(baseline))
    assert found.sum(dim=(1, 2, 3)).tolist() == pytest.approx(rise.tolist(), rel=1e-4)


def test_integrated_gradients_are_complete_for_a_net_with_bends(images):
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.Tanh(), nn.Conv2d(4, 1, 3, 2), nn.Flatten(), nn.LazyLinear(1))

    class Net(nn.Module):
        def forward(self, images: Tensor) -> dict[str, Tensor]:
            return {"lane": layers(images / 255)}

    model = Net()
    with torch.no_grad():
        rise = (model(images.float())["lane"] - model(torch.zeros(2, 3, 32, 48))["lane"])[:, 0]
    found = attributions(model, images, SCALARS["offset"]).sum(dim=(1, 2, 3))
    assert found.tolist() == pytest.approx(rise.tolist(), rel=1e-3, abs=1e-4)


def test_grad_cam_takes_the_last_layer_that_the_output_depends_on(images):
    """A decoder's layer after the encoder's coarsest map must not be taken for an output that does not need it."""

    class WithDecoder(PatchEncoder):
        def __init__(self) -> None:
            super().__init__(3)
            self.decoder = nn.Conv2d(4, 4, 1)
            self.decoded: Tensor | None = None

        def maps(self, images: Tensor) -> list[Tensor]:
            maps = super().maps(images)
            self.decoded = self.decoder(maps[0])
            return maps

    torch.manual_seed(0)
    model = PatchModel()
    model.encoder = WithDecoder()
    found = grad_cam(model, images, SCALARS["offset"])
    assert (found[PATCH].sum(axis=(1, 2)) > 0.6).all()


def test_grad_cam_without_a_map_is_refused(images):
    model = LinearModel(torch.ones(3, 32, 48))
    model.encoder = nn.Identity()
    with pytest.raises(DriveRLError, match="no feature map"):
        grad_cam(model, images, SCALARS["offset"])


def test_a_model_that_sees_nothing_has_even_maps(images):
    model = PatchModel()
    nn.init.zeros_(model.encoder.fine.weight)
    for method in METHODS.values():
        assert method(model, images) == pytest.approx(np.full((2, 32, 48), 1 / (32 * 48)))


def test_parameters_keep_their_gradients(images):
    model = PatchModel()
    for method in METHODS.values():
        method(model, images)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_share_on_markings_by_hand():
    """Two pictures with one marked pixel of 24, a quarter of the saliency on the first; a third one without any."""
    classes = np.ones((3, 4, 6), np.uint8)
    classes[0, 1, 1] = classes[1, 3, 5] = 3
    saliency = np.zeros((3, 4, 6), np.float32)
    saliency[0, 1, 1], saliency[0, 1, 2], saliency[0, 3, 5] = 0.25, 0.5, 0.25
    saliency[1, 3, 5] = 1
    saliency[2] = 1 / 24
    exact = on_markings(saliency, classes, margin_px=0)
    assert exact.saliency == pytest.approx([0.25, 1, np.nan], nan_ok=True)
    assert exact.pixels == pytest.approx([1 / 24, 1 / 24, np.nan], nan_ok=True)
    assert exact.lift == pytest.approx(0.625 * 24)
    near = on_markings(saliency, classes, margin_px=1)  # 3x3 round the first, 2x2 in the corner
    assert near.saliency == pytest.approx([0.75, 1, np.nan], nan_ok=True)
    assert near.pixels == pytest.approx([9 / 24, 4 / 24, np.nan], nan_ok=True)
    assert near.lift == pytest.approx(0.875 / (6.5 / 24))


def test_an_even_map_has_lift_one_and_no_markings_no_lift():
    classes = np.zeros((2, 20, 30), np.uint8)
    even = np.full((2, 20, 30), 1 / 600, np.float32)
    assert np.isnan(on_markings(even, classes).lift)
    classes[:, 10, 3:20] = 3
    assert on_markings(even, classes).lift == pytest.approx(1, rel=1e-5)


def test_overlay_colours_what_is_salient_and_keeps_the_newest_frame_elsewhere():
    stack = np.stack([np.full((20, 30), value, np.uint8) for value in (10, 60, 90, 120)])  # four grey frames
    saliency = np.zeros((20, 30), np.float32)
    saliency[5:10, 5:10] = 1 / 25
    found = overlay(stack, saliency)
    assert found.shape == (20, 30, 3)
    assert found.dtype == np.uint8
    assert (found[15, 20] == 120).all()
    red, _, blue = found[7, 7].astype(int)
    assert red > blue  # RGB, not BGR: the top of the colour map is yellow
    assert (overlay(stack[:3], np.zeros((20, 30), np.float32), planes=1) == 90).all()
