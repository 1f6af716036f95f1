"""The 15 standard corruptions at 5 severities, by the library imagecorruptions-imaug.

It knows pictures and stacks of pictures. It knows nothing of models or of scores. Source of the corruptions:
Hendrycks & Dietterich 2019, "Benchmarking Neural Network Robustness to Common Corruptions and Perturbations"
(arXiv 1903.12261), in the form of Michaelis et al. 2019 (arXiv 1907.07484), for pictures of any size.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from drive_rl.errors import DriveRLError
from drive_rl.perception.optional import need

CORRUPTIONS = (
    *("gaussian_noise", "shot_noise", "impulse_noise"),
    *("defocus_blur", "glass_blur", "motion_blur", "zoom_blur"),
    *("snow", "frost", "fog", "brightness"),
    *("contrast", "elastic_transform", "pixelate", "jpeg_compression"),
)
SEVERITIES = (1, 2, 3, 4, 5)
_NOISES = CORRUPTIONS[:3]
_OWN_SEED = ("impulse_noise", "glass_blur")
"""Those that draw from a generator of their own instead of NumPy's global one."""
_SMALLEST_PX = 32
"""Smallest side that the library takes."""
_GLOBAL_GENERATOR = Lock()
"""Held while a corruption draws: the library's functions draw from NumPy's global generator."""


def corrupt(
    images: NDArray[np.uint8], name: str, severity: int, seed: int, planes: int | None = None
) -> NDArray[np.uint8]:
    """Return corrupted pictures, (B, C, H, W) uint8.

    Each picture is corrupted by its own draw. The frames of one stack share it (the same frost, fog, angle of motion),
    except for the three noises: a sensor's noise is new in each frame. The same arguments give the same pictures, and
    NumPy's global generator is left as it was found. Threads that corrupt wait for each other; while one does, no
    other thread may draw from that generator.

    Args:
        images: (B, C, H, W) uint8, RGB or grey, C = planes x frames of a stack.
        name: One of `CORRUPTIONS`.
        severity: 1 (weak) to 5 (strong).
        seed: >= 0. Picture i draws from (seed, i), whatever the corruption and its severity.
        planes: 3 if a frame is RGB, 1 if it is grey. By default 3 where C is a multiple of 3, else 1: give 1
            for a stack of three grey frames.

    Raises:
        DriveRLError: unknown corruption or severity, pictures of another form, or the library is not installed.
    """
    planes = _planes(images, planes)
    _check(name, severity)
    library = need("imagecorruptions")
    batch, channels, height, width = images.shape
    frames = images.reshape(batch, channels // planes, planes, height, width)
    corrupted = np.empty_like(frames)
    with _global_generator_kept():
        for i, j in np.ndindex(frames.shape[:2]):
            own = (seed, i, j) if name in _NOISES else (seed, i)
            corrupted[i, j] = _corrupt_frame(library, frames[i, j], name, severity, own)
    return corrupted.reshape(images.shape)


def _corrupt_frame(
    library: Any, frame: NDArray[np.uint8], name: str, severity: int, seed: tuple[int, ...]
) -> NDArray[np.uint8]:
    """(planes, H, W) -> (planes, H, W), by the library's function for RGB pictures."""
    planes, height, width = frame.shape
    rgb = np.ascontiguousarray(np.broadcast_to(frame, (3, height, width)).transpose(1, 2, 0))
    below, beside = max(_SMALLEST_PX - height, 0), max(_SMALLEST_PX - width, 0)
    rgb = np.pad(rgb, ((0, below), (0, beside), (0, 0)), mode="edge")
    drawn = int(np.random.SeedSequence(seed).generate_state(1)[0])
    np.random.seed(drawn)
    own = {"seed": drawn} if name in _OWN_SEED else {}
    rgb = library.corrupt(rgb, severity=severity, corruption_name=name, **own)[:height, :width]
    return rgb.transpose(2, 0, 1) if planes == 3 else cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)[None]


@contextmanager
def _global_generator_kept() -> Iterator[None]:
    with _GLOBAL_GENERATOR:
        state = np.random.get_state()
        try:
            yield
        finally:
            np.random.set_state(state)


def _planes(images: NDArray[np.uint8], planes: int | None) -> int:
    if images.dtype != np.uint8 or images.ndim != 4:
        raise DriveRLError(f"images = {images.dtype} {images.shape}: expected uint8 (B, C, H, W)")
    channels = images.shape[1]
    if planes is None:
        return 1 if channels % 3 else 3
    if planes not in (1, 3) or channels % planes:
        raise DriveRLError(f"planes = {planes}: expected 1 or 3, and a divisor of the {channels} channels")
    return planes


def _check(name: str, severity: int) -> None:
    if name not in CORRUPTIONS:
        raise DriveRLError(f"corruption = {name}: expected one of {', '.join(CORRUPTIONS)}")
    if severity not in SEVERITIES:
        raise DriveRLError(f"severity = {severity}: expected 1 to 5")
