"""A perception model: an encoder and the heads on it. Pictures in, predictions of what is on them out, in SI units.

It knows encoders and heads. It knows no losses, labels or files.
"""

from typing import cast

from torch import Tensor, nn

from drive_rl.config.specs.perception import ModelSpec, PerceptionSpec
from drive_rl.config.specs.world import WorldSpec
from drive_rl.perception.models.encoders import Encoder
from drive_rl.perception.models.heads import HEADS, Decoder, Head, LaneHead, LaneOfLines, Parts, Predictions, SceneHead


class PerceptionModel(nn.Module):
    """(B, C, H, W) pictures, uint8 or floats in [0, 255] -> `Predictions`.

    Args:
        spec: Encoder and heads.
        world: Whose pictures it takes: its camera, its lanes, its tiers of roads.

    Raises:
        DriveRLError: the pictures are too small for the encoder.
    """

    def __init__(self, spec: ModelSpec, world: WorldSpec) -> None:
        super().__init__()
        camera = world.camera
        self.spec = spec
        self.shape = camera.planes * camera.frame_stack, camera.height_px, camera.width_px
        self.encoder = Encoder(spec.encoder, self.shape, camera.frame_stack)
        self.dropout = nn.Dropout(spec.dropout)
        self.decoder = Decoder(self.encoder, self.shape) if {"segmentation", "lines"} & set(spec.heads) else None
        parts = Parts(spec, world, self.shape, self.decoder)
        for name in self.heads:
            self.add_module(name, HEADS[name](parts))

    @property
    def heads(self) -> list[str]:
        """The names of its heads, in the order in which they run."""
        return [name for name in HEADS if name in self.spec.heads]

    @property
    def lane_head(self) -> LaneHead | LaneOfLines | None:
        """The lane head, if it has one."""
        return cast("LaneHead | LaneOfLines | None", self._modules.get("lane"))

    @property
    def scene_head(self) -> SceneHead | None:
        """The scene head, if it has one."""
        return cast("SceneHead | None", self._modules.get("scene"))

    def forward(self, images: Tensor) -> Predictions:
        """Return what is on the pictures."""
        predictions = Predictions()
        features, maps = self.encoder.features_and_maps(images)
        inputs: dict[str, Tensor | Predictions] = {"features": self.dropout(features), "predictions": predictions}
        if self.decoder is not None:
            inputs["map"] = self.decoder(maps)
        for name in self.heads:
            head = cast(Head, self._modules[name])
            predictions |= head(inputs[head.reads])
        return predictions


def build_perception(spec: PerceptionSpec) -> PerceptionModel:
    """Return the untrained model of a spec, with weights drawn from torch's generator.

    Raises:
        DriveRLError: the pictures are too small for the encoder.
    """
    return PerceptionModel(spec.model, spec.world)
