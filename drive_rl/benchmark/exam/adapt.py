"""Pictures of the exam's camera -> a model's input: resampled, and made grey or RGB. It knows cameras, and no model."""

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from drive_rl.config.specs.car import CameraSpec
from drive_rl.errors import DriveRLError
from drive_rl.perception.data.samples import UNKNOWN_SCENE, Samples

Images = NDArray[np.uint8]
"""(N, frames x channels, H, W)."""
_MOUNT = {"fov_rad": "rad", "height_m": "m", "pitch_rad": "rad", "forward_m": "m"}


def input_of(exam: CameraSpec, own: CameraSpec) -> Callable[[Images], Images]:
    """Return what makes a model's input of the exam's pictures.

    Raises:
        DriveRLError: the model reads frames that the exam does not show.
    """
    if own.depth > exam.frame_stack:
        raise DriveRLError(
            f"not made for this exam: the model reads {own.depth} frames, the exam shows {exam.frame_stack}; fix:"
            f" a suite with camera.frame_stack = {own.depth}"
        )
    if _pictures(exam) == _pictures(own):
        return lambda images: images
    return lambda images: np.stack([_fit(each, exam, own) for each in images])


def samples_for(samples: Samples, exam: CameraSpec, own: CameraSpec) -> Samples:
    """Return the exam's labelled pictures as a model's input; masks take the class of the nearest pixel.

    Raises:
        DriveRLError: as `input_of`.
    """
    images, size = input_of(exam, own)(samples.images), (own.width_px, own.height_px)
    classes = samples.classes
    if classes.shape[1:] != size[::-1]:
        classes = np.stack([cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST_EXACT) for mask in classes])
    return replace(samples, images=images, classes=classes)


def with_tiers(samples: Samples, named: list[str], known: list[str]) -> Samples:
    """Return samples whose tiers are numbered as a model knows them: those of other names are unknown.

    Args:
        samples: The samples.
        named: The tiers' names in the order in which the samples number them.
        known: The model's.
    """
    number = np.array([known.index(name) if name in known else UNKNOWN_SCENE for name in named], np.int64)
    scene = samples.scene.copy()
    scene[:, 0] = np.where(scene[:, 0] >= 0, number[scene[:, 0]], UNKNOWN_SCENE)
    return replace(samples, scene=scene)


def adaptations(exam: CameraSpec, own: CameraSpec) -> tuple[str, ...]:
    """Return in words how the exam's pictures differ from those that a model was made for; empty: they do not."""
    notes = []
    if _pictures(exam) != _pictures(own):
        notes.append(f"resampled from {_words(exam)} to its own {_words(own)}")
    moved = [
        f"{key.rpartition('_')[0]} {getattr(own, key):g} {unit} instead of {getattr(exam, key):g}"
        for key, unit in _MOUNT.items()
        if abs(getattr(own, key) - getattr(exam, key)) > 1e-9
    ]
    if moved:
        notes.append(f"not made for the exam's mount: {', '.join(moved)}")
    return tuple(notes)


def _fit(image: Images, exam: CameraSpec, own: CameraSpec) -> Images:
    """Return one stack (C, H, W) as the model's."""
    frames = image.reshape(exam.frame_stack, exam.planes, *image.shape[1:])
    return np.concatenate([_frame(frames[-1 - age], own) for age in own.ages])


def _frame(frame: Images, own: CameraSpec) -> Images:
    picture = np.ascontiguousarray(frame.transpose(1, 2, 0))
    if own.planes != picture.shape[2]:
        picture = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY if own.planes == 1 else cv2.COLOR_GRAY2RGB)
    smaller = own.width_px * own.height_px < picture.shape[0] * picture.shape[1]
    kind = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    picture = cv2.resize(picture, (own.width_px, own.height_px), interpolation=kind)
    return np.ascontiguousarray(np.atleast_3d(picture).transpose(2, 0, 1), np.uint8)


def _pictures(camera: CameraSpec) -> tuple[object, ...]:
    return camera.width_px, camera.height_px, camera.planes, camera.ages


def _words(camera: CameraSpec) -> str:
    frames = f"{camera.frame_stack} frames of " if camera.frame_stack > 1 else ""
    return f"{frames}{camera.width_px}x{camera.height_px} {camera.channels}"
