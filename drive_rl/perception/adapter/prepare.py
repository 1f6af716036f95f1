"""A camera's pictures -> the input of a model that others made: frames, colours, size, scale, layout.

It knows pictures and the spec of an input. It knows no model.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from drive_rl.config.specs.adapter import InputSpec
from drive_rl.config.specs.car import CameraSpec

_LUMA = (0.299, 0.587, 0.114)  # of red, green and blue: ITU-R BT.601, as OpenCV's
_DTYPES = {"float32": torch.float32, "float16": torch.float16, "uint8": torch.uint8}


class Prepare(nn.Module):
    """(B, C, H, W) pictures in [0, 255], of any size -> the model's input, (B, c, h, w) or (B, h, w, c)."""

    mean: Tensor
    std: Tensor

    def __init__(self, spec: InputSpec, camera: CameraSpec) -> None:
        super().__init__()
        self.spec, self.planes = spec, camera.planes
        self.size = spec.size or (camera.height_px, camera.width_px)
        self.channels = spec.frame_stack * (1 if spec.colour == "grey" else 3)
        for name, values in (("mean", spec.mean), ("std", spec.std)):
            self.register_buffer(name, torch.tensor(values).reshape(-1, 1, 1), persistent=False)

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of one picture's input."""
        height, width = self.size
        channels = self.channels
        return (channels, height, width) if self.spec.layout == "nchw" else (height, width, channels)

    def forward(self, images: Tensor) -> Tensor:
        """Return the input; a colour picture of a grey camera has three equal channels."""
        count, _, height, width = images.shape
        frames = images.reshape(count, -1, self.planes, height, width)[:, -self.spec.frame_stack :]
        x = self._coloured(frames).reshape(-1, self.channels // self.spec.frame_stack, height, width)
        if (height, width) != self.size:
            x = F.interpolate(x.float(), self.size, mode="bilinear", antialias=True)
        if self.spec.dtype == "uint8":
            x = x if x.dtype == torch.uint8 else x.round().clamp(0, 255)
        else:
            x = (x.float() * self.spec.scale - self.mean) / self.std
        x = x.to(_DTYPES[self.spec.dtype]).reshape(count, self.channels, *self.size)
        return x if self.spec.layout == "nchw" else x.permute(0, 2, 3, 1).contiguous()

    def _coloured(self, frames: Tensor) -> Tensor:
        """Return frames (B, F, planes, H, W) in the model's colours."""
        if self.spec.colour == "grey":
            if self.planes == 1:
                return frames
            luma = torch.tensor(_LUMA, device=frames.device)[:, None, None]
            grey = (frames.float() * luma).sum(dim=2, keepdim=True)
            return grey if frames.is_floating_point() else grey.round()
        rgb = frames.expand(-1, -1, 3, -1, -1) if self.planes == 1 else frames
        return rgb.flip(2) if self.spec.colour == "bgr" else rgb
