"""What in a picture a model's output depends on: integrated gradients, Grad-CAM, VisualBackProp, and a score of maps.

It knows a model's outputs and feature maps. It knows nothing of how it was trained. Every method returns (B, H, W)
float32 >= 0 that sums to 1 in each picture; a picture in which a method finds nothing gets the even map.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from drive_rl.errors import DriveRLError
from drive_rl.perception.optional import need
from drive_rl.sim.sensors.renderer import CLASSES

Scalar = Callable[[Mapping[str, Tensor]], Tensor]
"""Outputs of a perception model -> (B,), the output to explain."""
SCALARS: dict[str, Scalar] = {
    "offset": lambda outputs: outputs["lane"][:, 0],
    "heading": lambda outputs: outputs["lane"][:, 1],
    "ego_lane": lambda outputs: outputs["classes"][:, CLASSES.index("ego_lane")].sum(dim=(1, 2)),
}
"""Those most asked for: lane offset [m], heading error [rad], sum of the ego lane's logits."""
_STEPS = 32


def attributions(
    model: nn.Module, images: Tensor, scalar: Scalar, baseline: Tensor | None = None, steps: int = _STEPS
) -> Tensor:
    """Return integrated gradients (Sundararajan et al. 2017, arXiv 1703.01365, eq. 1), by captum.

    Args:
        model: In evaluation mode.
        images: (B, C, H, W) uint8 or float in [0, 255].
        scalar: What is explained.
        baseline: The picture without information, same shape; by default black, as in the paper.
        steps: Points of the integral, by Gauss-Legendre.

    Returns:
        (B, C, H, W), signed; its sum over a picture is f(picture) - f(baseline), but for the integral's error.
    """
    pixels = images.detach().float().requires_grad_()
    origin = torch.zeros_like(pixels) if baseline is None else baseline.float()
    method = need("captum.attr").IntegratedGradients(lambda x: scalar(model(x)))
    found: Tensor = method.attribute(pixels, origin, n_steps=steps, internal_batch_size=len(pixels))
    return found.detach()


def integrated_gradients(
    model: nn.Module, images: Tensor, scalar: Scalar, baseline: Tensor | None = None, steps: int = _STEPS
) -> NDArray[np.float32]:
    """Return the sum over channels of |attributions|, as a map (B, H, W); arguments as in `attributions`."""
    return _as_map(attributions(model, images, scalar, baseline, steps).abs().sum(dim=1))


def grad_cam(model: nn.Module, images: Tensor, scalar: Scalar) -> NDArray[np.float32]:
    """Return Grad-CAM (Selvaraju et al. 2017, arXiv 1610.02391, eq. 2) as a map (B, H, W), by captum.

    The layer is the last one of `model.encoder` whose output is a picture of features and which the scalar depends on.
    """
    pixels = images.detach().float().requires_grad_()
    method = need("captum.attr").LayerGradCam(lambda x: scalar(model(x)), _last_layer(model, pixels[:1], scalar))
    found: Tensor = method.attribute(pixels, relu_attributions=True)  # (B, 1, h, w)
    return _as_map(_resized(found, images.shape[2:])[:, 0])


def visual_backprop(model: Any, images: Tensor) -> NDArray[np.float32]:
    """Return VisualBackProp (Bojarski et al. 2016, arXiv 1611.05418, section 3) as a map (B, H, W).

    The mean feature map of each resolution, multiplied together from the coarsest to the finest. It explains no single
    output: it shows what the encoder lets through. The paper scales up by a deconvolution of ones; this interpolates.
    """
    with torch.no_grad():
        maps = [features.clamp(min=0).mean(dim=1, keepdim=True) for features in model.encoder.maps(images)]
        mask = maps[-1]
        for finer in reversed(maps[:-1]):
            mask = _resized(mask, finer.shape[2:]) * finer
            mask = mask / mask.amax(dim=(2, 3), keepdim=True).clamp(min=torch.finfo().tiny)  # no underflow
    return _as_map(_resized(mask, images.shape[2:])[:, 0])


class Share(NamedTuple):
    """How much of the saliency lies on lane markings, picture by picture; NaN where a picture shows none."""

    saliency: NDArray[np.float32]
    """(B,) share of the saliency on markings, in [0, 1]."""
    pixels: NDArray[np.float32]
    """(B,) share of the pixels that are markings, in [0, 1]: what an even map would score."""

    @property
    def lift(self) -> float:
        """Mean share of saliency over mean share of pixels: 1 is no better than an even map; NaN without markings."""
        known = ~np.isnan(self.saliency)
        return float(self.saliency[known].mean() / self.pixels[known].mean()) if known.any() else float("nan")


def on_markings(saliency: NDArray[np.float32], classes: NDArray[np.uint8], margin_px: int = 2) -> Share:
    """Return the share of each map that lies on lane markings.

    Args:
        saliency: (B, H, W), sums to 1 in each picture.
        classes: (B, H, W) uint8, indices into CLASSES.
        margin_px: How far around a marking still counts as on it: networks respond beside an edge, too.
    """
    kernel = np.ones((2 * margin_px + 1, 2 * margin_px + 1), np.uint8)
    markings = (classes == CLASSES.index("marking")).astype(np.uint8)
    near = np.stack([cv2.dilate(mask, kernel) for mask in markings]).astype(bool)  # (B, H, W)
    pixels = near.mean(axis=(1, 2), dtype=np.float32)
    share = (saliency * near).sum(axis=(1, 2), dtype=np.float32)
    there = pixels > 0
    return Share(np.where(there, share, np.float32("nan")), np.where(there, pixels, np.float32("nan")))


def overlay(image: NDArray[np.uint8], saliency: NDArray[np.float32], planes: int | None = None) -> NDArray[np.uint8]:
    """Return a picture with its saliency laid over it, (H, W, 3) uint8 RGB.

    Args:
        image: (C, H, W) uint8; of a stack the newest frame is shown.
        saliency: (H, W) >= 0; the colours span it up to its 99.5th percentile.
        planes: Channels of a frame: 3 or 1; by default 3 where C is a multiple of 3, else 1.
    """
    planes = planes or (1 if len(image) % 3 else 3)
    picture = np.broadcast_to(image[-planes:], (3, *image.shape[1:])).transpose(1, 2, 0)
    top = max(float(np.percentile(saliency, 99.5)), float(np.finfo(np.float32).tiny))
    strength = np.clip(saliency / top, 0, 1)[..., None]  # (H, W, 1)
    colours = cv2.applyColorMap((255 * strength).astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1]
    grey = picture.mean(axis=2, keepdims=True)
    return ((1 - 0.8 * strength) * grey + 0.8 * strength * colours).round().astype(np.uint8)


def _last_layer(model: Any, image: Tensor, scalar: Scalar) -> nn.Module:
    """The last layer of the encoder to give a picture of features that the scalar depends on."""
    given: dict[nn.Module, Tensor] = {}

    def note(layer: nn.Module, _: object, output: object) -> None:
        given.pop(layer, None)  # of a layer used twice the last output counts, in its place
        if isinstance(output, Tensor) and output.dim() == 4 and output[0, 0].numel() > 1 and output.requires_grad:
            given[layer] = output

    hooks = [layer.register_forward_hook(note) for layer in model.encoder.modules()]
    try:
        with torch.enable_grad():
            value = scalar(model(image)).sum()
    finally:
        for hook in hooks:
            hook.remove()
    gradients = torch.autograd.grad(value, list(given.values()), allow_unused=True) if given else ()
    used = [layer for layer, gradient in zip(given, gradients, strict=True) if gradient is not None]
    if not used:
        raise DriveRLError(
            "model.encoder: no feature map that the chosen output depends on: Grad-CAM needs one; fix: another output"
        )
    return used[-1]


def _resized(maps: Tensor, size: Sequence[int]) -> Tensor:
    """(B, 1, h, w) -> (B, 1, *size), bilinear."""
    return F.interpolate(maps, size=tuple(size), mode="bilinear", align_corners=False)


def _as_map(values: Tensor) -> NDArray[np.float32]:
    """(B, H, W) >= 0 -> the same, summing to 1 in each picture; even where all is 0."""
    array = values.detach().double().cpu().numpy()
    total = array.sum(axis=(1, 2), keepdims=True)
    even = np.full_like(array, 1 / array[0].size)
    return np.where(total > 0, array / np.where(total > 0, total, 1), even).astype(np.float32)
