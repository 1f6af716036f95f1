"""The spec of a perception model that others made: its file, its input, and what each of its outputs is.

Field descriptions are the only documentation of the keys, as in `base`.
"""

from collections import Counter
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from drive_rl.config.specs.base import Positive, Spec
from drive_rl.config.specs.perception import DataSpec
from drive_rl.config.specs.world import WorldSpec

ClassName = Literal["road", "ego_lane", "marking", "vehicle"]
LaneField = Literal["offset_m", "heading_error_rad", "curvature_0m", "curvature_5m", "curvature_10m", "curvature_20m"]
LANE_FIELDS: tuple[LaneField, ...] = (
    *("offset_m", "heading_error_rad"),
    *("curvature_0m", "curvature_5m", "curvature_10m", "curvature_20m"),
)
ClassIndex = Annotated[int, Field(ge=0, le=9999)]
ClassMap = dict[ClassName, Annotated[tuple[ClassIndex, ...], Field(min_length=1)]]

CLASS_MAPS: dict[str, ClassMap] = {
    "drive_rl": {"road": (1,), "ego_lane": (2,), "marking": (3,), "vehicle": (4,)},
    "cityscapes": {"road": (0,), "vehicle": (13, 14, 15)},
    "bdd100k_drivable": {"ego_lane": (0,), "road": (1,)},
    "culane": {"marking": (1, 2, 3, 4)},
    "pascal_voc": {"vehicle": (6, 7, 14)},
}
"""Class maps by name, of each data set's training indices: class of ours -> theirs; the others are background.

Cityscapes' 19 training classes (arXiv 1604.01685), BDD100K's three drivable areas (arXiv 1805.04687), CULane's four
lanes behind the background (arXiv 1712.06080), and Pascal VOC's 21 classes (bus, car, motorbike).
"""


def _class_map(value: Any) -> Any:
    """Replace the name of a class map by what it stands for."""
    if not isinstance(value, str):
        return value
    if value not in CLASS_MAPS:
        names = ", ".join(CLASS_MAPS)
        raise ValueError(f"expected one of {names}, or a mapping; fix: such as {{road: [0], vehicle: [13, 14]}}")
    return CLASS_MAPS[value]


def _changed(spec: Spec) -> set[str]:
    """Return the keys of a spec that have other values than their defaults."""
    return {key for key, field in type(spec).model_fields.items() if getattr(spec, key) != field.default}


class InputSpec(Spec):
    """What a model takes: pictures of one size, scaled to x = (pixel * scale - mean) / std."""

    size: tuple[int, int] | None = Field(
        default=None, description="Height and width [px] of its pictures (null: the camera's)."
    )
    layout: Literal["nchw", "nhwc"] = Field(default="nchw", description="Order of batch, channels, height and width.")
    colour: Literal["rgb", "bgr", "grey"] = Field(default="rgb", description="Channels of a picture.")
    frame_stack: int = Field(default=1, ge=1, le=16, description="Latest frames along the channels, newest last.")
    dtype: Literal["float32", "float16", "uint8"] = Field(
        default="float32", description="Type of its numbers; uint8 takes pixels as they are."
    )
    scale: Positive = Field(default=1 / 255, description="Factor of pixels in [0, 255].")
    mean: tuple[float, ...] = Field(default=(0.0,), min_length=1, description="Subtracted; one, or one a channel.")
    std: tuple[Positive, ...] = Field(default=(1.0,), min_length=1, description="Divided by; one, or one a channel.")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.size is not None and not all(8 <= side <= 8192 for side in self.size):
            raise ValueError(
                f"size = {list(self.size)}: expected height and width [px], each from 8 to 8192; fix: such as"
                " [256, 512]"
            )
        channels = 1 if self.colour == "grey" else 3
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) not in (1, channels):
                raise ValueError(
                    f"{name} has {len(values)} values: expected 1, or {channels} as colour = {self.colour};"
                    " fix: one for each channel"
                )
        if self.dtype == "uint8" and (changed := _changed(self) & {"scale", "mean", "std"}):
            raise ValueError(f"{min(changed)}: dtype = uint8 takes pixels as they are; fix: leave it out")
        return self


_KEYS: dict[str, set[str]] = {
    "lane_state": {"fields", "std"},
    "lanes": {"form", "unit", "rows", "background", "threshold"},
    "classes": {"form", "map", "layout"},
}
_FORMS: dict[str, tuple[str, ...]] = {
    "lanes": ("points", "columns", "masks"),
    "classes": ("logits", "probabilities", "labels"),
}


class OutputSpec(Spec):
    """What one output of a model is."""

    kind: Literal["lane_state", "lanes", "classes", "boxes", "depth"] = Field(
        description="lane_state (B, fields); lanes; classes (B, K, H, W); boxes and depth are not scored yet."
    )
    form: Literal["points", "columns", "masks", "logits", "probabilities", "labels"] | None = Field(
        default=None,
        description="lanes: points (B, L, P, 2) of column and row, columns (B, L, R) at `rows`, or masks (B, L, H, W);"
        " classes: logits, probabilities, or labels (B, H, W); null: the first of them.",
    )
    fields: tuple[LaneField, ...] = Field(
        default=LANE_FIELDS, min_length=1, description="lane_state: what its columns are, SI units; others count as 0."
    )
    std: str | None = Field(default=None, description="lane_state: the output with standard deviations.")
    unit: Literal["px", "share"] = Field(
        default="px", description="Points and columns: pixels of the input, or shares of its width and height."
    )
    rows: tuple[float, ...] = Field(default=(), description="Columns: the row of each, in `unit`.")
    background: int | None = Field(
        default=None, ge=0, description="Masks: the channel of the background, if the channels compete (null: none)."
    )
    threshold: float = Field(default=0.5, description="Masks without a background: a lane is where they are above it.")
    map: Annotated[ClassMap, BeforeValidator(_class_map)] = Field(
        default={}, description=f"Classes: class of ours -> theirs, or a name: {', '.join(CLASS_MAPS)}."
    )
    layout: Literal["nchw", "nhwc"] = Field(default="nchw", description="Classes: where the channels are.")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.kind not in _KEYS:
            raise ValueError(f"kind = {self.kind}: named in the format, but not scored yet; fix: leave this output out")
        for key in sorted(_changed(self) - {"kind"} - _KEYS[self.kind]):
            raise ValueError(f"{key}: not a key of kind = {self.kind}; fix: leave it out")
        forms = _FORMS.get(self.kind, ())
        if self.form is not None and self.form not in forms:
            raise ValueError(f"form = {self.form}: kind = {self.kind} has {', '.join(forms)}; fix: one of them")
        if self.kind == "lanes" and self.form == "columns" and len(self.rows) < 2:
            raise ValueError("rows is missing: columns are given at rows; fix: rows: [ROW, ...], top to bottom")
        if len(set(self.fields)) < len(self.fields):
            raise ValueError("fields names one twice: expected each once; fix: the name of each column")
        if self.kind == "classes":
            self._check_map()
        return self

    def _check_map(self) -> None:
        if not self.map:
            raise ValueError("map is missing: which of ours its classes are; fix: such as map: cityscapes")
        theirs = Counter(index for indices in self.map.values() for index in indices)
        for index in (index for index, count in theirs.items() if count > 1):
            named = ", ".join(name for name, indices in self.map.items() if index in indices)
            raise ValueError(f"map names class {index} twice (in {named}): expected each once; fix: leave one out")


class AdapterSpec(Spec):
    """A perception model that others made."""

    name: str = Field(description="The file's name.")
    description: str = Field(default="", description="One line about it.")
    model: str = Field(
        description="Beside this file: FILE.onnx, FILE.pt2 (torch.export), FILE.ts (TorchScript) or FILE.py:FACTORY;"
        " or PACKAGE.MODULE:FACTORY or timm:NAME. All but ONNX and timm are code, and need --trust."
    )
    weights: str | None = Field(
        default=None, description="Of a factory or timm: FILE.safetensors, or .pt without code."
    )
    input: InputSpec = Field(default=InputSpec(), description="What it takes.")
    outputs: dict[str, OutputSpec] = Field(
        default={}, description="What its outputs are, by name; empty: named and shaped as drive-rl's own models'."
    )
    world: WorldSpec = Field(
        description="The world: a name, or a mapping with `base: NAME` and differences; left out: the shipped models'."
    )
    data: DataSpec = Field(default=DataSpec(weather=True), description="How labelled pictures are rendered.")

    @property
    def network(self) -> str:
        """What it came as, in a word."""
        if self.model.startswith("timm:"):
            return "timm"
        kinds = {".onnx": "ONNX", ".pt2": "torch.export"} | dict.fromkeys((".ts", ".pt", ".torchscript"), "TorchScript")
        return next((kind for suffix, kind in kinds.items() if self.model.endswith(suffix)), "Python")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        kinds = Counter(output.kind for output in self.outputs.values())
        for kind in (kind for kind, count in kinds.items() if count > 1):
            raise ValueError(f"outputs: {kinds[kind]} are of kind {kind}: expected one; fix: leave the others out")
        for name in (name for name, output in self.outputs.items() if output.std == name):
            raise ValueError(f"outputs.{name}: std = {name}: is the lane state itself; fix: the output with deviations")
        if self.input.frame_stack > self.world.camera.frame_stack:
            raise ValueError(
                f"input.frame_stack = {self.input.frame_stack}: the camera stacks {self.world.camera.frame_stack}; fix:"
                " world.camera.frame_stack"
            )
        takes_weights = self.network in ("timm", "Python")
        if self.weights is not None and not takes_weights:
            raise ValueError(f"weights: {self.network} files hold their own; fix: leave it out")
        return self
