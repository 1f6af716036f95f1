"""A perception model: an encoder and the heads on it. Pictures in, predictions of what is on them out, in SI units.

It knows encoders and heads. It knows no losses, labels or files.
"""

from typing import NamedTuple, cast

from torch import Tensor, nn

from drive_rl.config.specs.perception import ModelSpec, PerceptionSpec
from drive_rl.config.specs.world import WorldSpec
from drive_rl.perception.heads.head import Head, Parts, Predictions
from drive_rl.perception.heads.networks import LaneHead, LaneOfLines
from drive_rl.perception.heads.ours import HEADS
from drive_rl.perception.heads.registry import heads_of
from drive_rl.perception.models.decoder import Decoder
from drive_rl.perception.models.encoders import Encoder


class PictureModel(nn.Module):
    """(B, C, H, W) pictures, uint8 or floats in [0, 255] -> `Predictions`: ours, or an adapter's."""

    shape: tuple[int, int, int]
    """Channels, height and width of its camera's pictures."""
    heads: dict[str, Head]
    """By name, in the order in which they run."""
    runtimes: tuple[str, ...] = ("eager", "compiled", "onnx")
    """Those that can run it."""
    not_made_for: tuple[str, ...] = ()
    """What cannot be measured of it, such as `attacks`."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width [px] of the pictures that it takes as they are."""
        return self.shape[1:]

    def of_file(self, threads: int) -> "FileModel | None":
        """Return it for a number of threads, where it is a file that a runtime of its own runs; else None."""
        return None


class FileModel(NamedTuple):
    """A model that is a file, run by ONNX Runtime."""

    model: PictureModel
    parameters: int
    bytes: int


class PerceptionModel(PictureModel):
    """(B, C, H, W) pictures, uint8 or floats in [0, 255] -> `Predictions`.

    Args:
        spec: Encoder and heads.
        world: Whose pictures it takes: its camera, its lanes, its tiers of roads.

    Raises:
        DriveRLError: the pictures are too small for the encoder, or a plugin's head cannot be used.
    """

    def __init__(self, spec: ModelSpec, world: WorldSpec) -> None:
        super().__init__()
        camera = world.camera
        self.spec = spec
        self.shape = camera.planes * camera.frame_stack, camera.height_px, camera.width_px
        self.encoder = Encoder(spec.encoder, self.shape, camera.frame_stack)
        self.dropout = nn.Dropout(spec.dropout)
        self.heads = heads_of(spec.heads, world)
        reads_map = any(head.reads == "map" for head in self.heads.values())
        self.decoder = Decoder(self.encoder, self.shape) if reads_map else None
        parts = Parts(self.shape, spec.encoder.features, self.decoder.shape if self.decoder is not None else None)
        self._networks = {name: name if name in HEADS else f"plugin_{name}" for name in self.heads}
        for name, head in self.heads.items():
            self.add_module(self._networks[name], head.network(parts))

    @property
    def lane_head(self) -> LaneHead | LaneOfLines | None:
        """The network of the lane head, if it has one."""
        return cast("LaneHead | LaneOfLines | None", self._modules.get("lane"))

    def network(self, head: str) -> nn.Module:
        """Return the network of one of its heads."""
        return cast(nn.Module, self._modules[self._networks[head]])

    def forward(self, images: Tensor) -> Predictions:
        """Return what is on the pictures."""
        predictions = Predictions()
        features, maps = self.encoder.features_and_maps(images)
        inputs: dict[str, Tensor | Predictions] = {"features": self.dropout(features), "predictions": predictions}
        if self.decoder is not None:
            inputs["map"] = self.decoder(maps)
        for name, head in self.heads.items():
            predictions |= self.network(name)(inputs[head.reads])
        return predictions


def build_perception(spec: PerceptionSpec) -> PerceptionModel:
    """Return the untrained model of a spec, with weights drawn from torch's generator.

    Raises:
        DriveRLError: the pictures are too small for the encoder.
    """
    return PerceptionModel(spec.model, spec.world)
