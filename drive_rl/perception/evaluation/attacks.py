"""Adversarial pictures under an L-infinity bound: FGSM and PGD.

It knows gradients of a loss with respect to pixels. It knows nothing of what the loss means or who scores the result.
Why not captum's: its FGSM takes every gradient below 1e-6 for zero, and the gradient of a mean over the pixels of a
batch is smaller than that at every pixel in [0, 255], so that the attack would change nothing, and the model
seem robust.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

Outputs = Mapping[str, Tensor]
Loss = Callable[[Outputs], Tensor]
"""Outputs of a perception model -> scalar (), larger is worse for the model. The labels are bound into it."""
_WHITE = 255.0


def fgsm(model: nn.Module, images: Tensor, loss: Loss, epsilon_px: float) -> Tensor:
    """Return pictures one step of the fast gradient sign method away (Goodfellow et al. 2015, arXiv 1412.6572, eq. 1).

    Args:
        model: Gives the outputs; in evaluation mode, and left as it was.
        images: (B, C, H, W) uint8 or float in [0, 255].
        loss: What rises, with the labels of these pictures bound into it.
        epsilon_px: Largest change of a pixel, in grey values of 255.

    Returns:
        (B, C, H, W) float32 in [0, 255], not rounded to whole grey values.
    """
    clean = images.float()
    return _within(clean + epsilon_px * _ascent(model, clean, loss), clean, epsilon_px)


def pgd(
    model: nn.Module,
    images: Tensor,
    loss: Loss,
    epsilon_px: float,
    steps: int,
    step_px: float,
    generator: torch.Generator,
) -> Tensor:
    """Return pictures after projected gradient ascent from a random start (Madry et al. 2018, arXiv 1706.06083, 2.1).

    Args:
        model, images, loss, epsilon_px: As in `fgsm`.
        steps: Steps of ascent, each projected back onto the ball and into [0, 255].
        step_px: Length of a step in grey values; the paper takes 2.5 epsilon / steps.
        generator: Draws the start, uniform in the ball.

    Returns:
        As `fgsm`.
    """
    clean = images.float()
    drawn = torch.rand(clean.shape, generator=generator, device=generator.device).to(clean.device)
    moved = _within(clean + epsilon_px * (2 * drawn - 1), clean, epsilon_px)
    for _ in range(steps):
        moved = _within(moved + step_px * _ascent(model, moved, loss), clean, epsilon_px)
    return moved


def _ascent(model: nn.Module, images: Tensor, loss: Loss) -> Tensor:
    """Sign of the loss's gradient at each pixel, (B, C, H, W); the parameters' own `.grad` stays as it is."""
    pixels = images.detach().requires_grad_()
    with torch.enable_grad():
        (gradient,) = torch.autograd.grad(loss(model(pixels)), pixels)
    return gradient.sign()


def _within(images: Tensor, clean: Tensor, epsilon_px: float) -> Tensor:
    """The nearest pictures that lie in the epsilon ball and in [0, 255]."""
    near = torch.clamp(images, clean - epsilon_px, clean + epsilon_px)
    return near.clamp(0, _WHITE)
