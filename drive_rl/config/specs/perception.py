"""Specs of perception models, of their data and of how they are trained.

Field descriptions are the only documentation of the keys, as in `spec.py`.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from drive_rl.config.extensions import find, reserve, unknown
from drive_rl.config.specs.base import NonNegative, Positive, Spec, Track
from drive_rl.config.specs.learner import EncoderSpec
from drive_rl.config.specs.plugin import Extends, Plugins
from drive_rl.config.specs.world import WorldSpec

DATA_FORMATS = (
    "drive_rl",
    "tusimple",
    "culane",
    "coco",
    "curvelanes",
    "cityscapes",
    "bdd100k",
    "kitti",
    "yolo",
    "masks",
)
reserve("data_format", DATA_FORMATS)

HEADS = ("lane", "segmentation", "lines", "scene")
"""Ours, in the order in which their losses are added up."""
_OUTPUTS = ("lane_std", "classes", "lines_std", "lines_there", "line_places", "tier", "weather")
reserve("head", (*HEADS, *_OUTPUTS, "lane_of_lines", "loss"))  # a head's name is its prediction's and its loss's, too


class ModelSpec(Spec):
    """A perception model: an image encoder, and heads on top of it."""

    encoder: EncoderSpec = Field(default=EncoderSpec(), description="The image encoder.")
    heads: Annotated[tuple[str, ...], Extends("head")] = Field(
        default=("lane",), min_length=1, description=f"What the model predicts: {', '.join(HEADS)}, or plugins' heads."
    )
    dropout: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.0, description="Dropout before lane and scene heads."
    )
    init_from: str | None = Field(
        default=None, description="Perception run or model whose encoder weights initialise this one (null: random)."
    )

    @model_validator(mode="after")
    def _known_heads(self) -> Self:
        for name in self.heads:
            if name not in HEADS and find("head", name) is None:
                raise ValueError(f"heads = {list(self.heads)}: {name!r}: {unknown('head', name, HEADS)}")
        if len(set(self.heads)) < len(self.heads):
            raise ValueError(f"heads = {list(self.heads)}: one is listed twice; fix: list each once")
        return self


class OtherWorldSpec(Spec):
    """Another world that pictures are rendered in, with the recipe's camera."""

    world: WorldSpec = Field(description="The world: a name, or `base: NAME` and differences; its camera is not used.")
    share: Annotated[float, Field(gt=0, le=1)] = Field(description="Share of the roads that are rendered in it.")


class DataSpec(Spec):
    """The labelled pictures: rendered during training, or read from a folder."""

    folder: str | None = Field(
        default=None,
        description="A data set on disk, of one of the formats below; null: rendered during training.",
    )
    format: Annotated[str | None, Extends("data_format")] = Field(
        default=None,
        exclude_if=lambda format: format is None,
        description=f"Its format: {', '.join(DATA_FORMATS)}, or a plugin's (null: detected).",
    )
    per_road: int = Field(default=16, ge=1, le=1000, description="Rendered pictures of each road.")
    offset_m: NonNegative = Field(default=1.2, le=10, description="Rendered: offset from the lane centre, +- [m].")
    heading_rad: NonNegative = Field(default=0.2, le=1.5, description="Rendered: heading error, +- [rad].")
    weather: bool = Field(default=False, description="Rendered: fog, dusk and rain as well as clear weather.")
    labelled: Annotated[float, Field(gt=0, le=1)] = Field(
        default=1.0, description="Share of the train roads that have labels; training uses these only."
    )
    worlds: dict[str, OtherWorldSpec] = Field(
        default={},
        exclude_if=lambda worlds: not worlds,
        description="Rendered: other worlds by name, to learn from and to validate on; the other roads are in `world`.",
    )

    @model_validator(mode="after")
    def _known_format(self) -> Self:
        if self.format not in (None, *DATA_FORMATS) and find("data_format", str(self.format)) is None:
            raise ValueError(f"format = {self.format!r}: {unknown('data_format', str(self.format), DATA_FORMATS)}")
        return self

    @model_validator(mode="after")
    def _shares_of_roads(self) -> Self:
        shares = {name: other.share for name, other in self.worlds.items()}
        if (total := sum(shares.values())) > 1 + 1e-9:
            raise ValueError(
                f"worlds: the shares {', '.join(f'{name} {share:g}' for name, share in shares.items())} add up to"
                f" {total:g}: expected at most 1; fix: smaller ones"
            )
        return self


class FitSpec(Spec):
    """How a model is trained."""

    task: Literal["labels", "vicreg"] = Field(
        default="labels",
        description="Learn from labels; or VICReg (arXiv 2105.04906) on the encoder, without them.",
    )
    samples: int = Field(default=16_000, ge=1, le=10**10, description="Samples to train on; repeats count again.")
    batch_size: int = Field(default=32, ge=1, le=100_000, description="Samples in a minibatch.")
    optimizer: Literal["sgd", "momentum", "adagrad", "adam"] = Field(default="adam", description="Optimizer.")
    learning_rate: Positive = Field(default=2e-3, ge=1e-8, le=10, description="Step size.")
    learning_rate_end: NonNegative = Field(default=2e-5, le=10, description="Step size at the end (cosine).")
    weight_decay: NonNegative = Field(default=0.0, le=1, description="Weight decay (decoupled for adam).")
    lane_loss: Literal["l1", "l2"] = Field(default="l1", description="Loss of the lane state.")
    max_grad_norm: Positive = Field(default=5.0, ge=1e-6, le=1000, description="Gradient clip.")
    augment: bool = Field(default=True, description="Random brightness, contrast, blur and noise for each picture.")
    mixed_precision: bool = Field(default=True, description="Half precision on a GPU; the CPU always uses float32.")
    evaluate_every: int = Field(default=4_000, ge=1, le=10**10, description="Samples between validations.")
    val_samples: int = Field(default=512, ge=1, le=1_000_000, description="Val samples in each validation.")
    patience: int | None = Field(
        default=None, ge=1, le=10_000, description="Stop after this many validations without improvement (null: never)."
    )
    head_finetune_samples: int = Field(
        default=0,
        ge=0,
        le=10**7,
        description="At the end, train only the head that fits the lane to its lines, on this many samples.",
    )
    freeze_encoder: bool = Field(default=False, description="Keep the encoder's weights fixed; only the heads learn.")


class PerceptionSpec(Spec):
    """A perception experiment: which model is trained in which world."""

    name: str = Field(description="The file's name.")
    description: str = Field(default="", description="One line for `drive-rl list`.")
    world: WorldSpec = Field(description="The world: a name, or a mapping with `base: NAME` and differences.")
    model: ModelSpec = Field(default=ModelSpec(), description="The model.")
    data: DataSpec = Field(default=DataSpec(), description="The labelled pictures.")
    fit: FitSpec = Field(default=FitSpec(), description="How it is trained.")
    seed: int = Field(default=0, ge=0, le=2**31 - 1, description="Seed of weights, pictures and augmentation.")
    track: Track = Field(default="wandb", description="Tracker of metrics, beside metrics.csv.")
    project: str = Field(default="drive-rl", description="The tracker's project.")
    plugins: Plugins = ()

    @property
    def worlds(self) -> dict[str, float]:
        """The share of roads in each world, by name; empty where pictures come from a folder."""
        if self.data.folder is not None:
            return {}
        others = {name: other.share for name, other in self.data.worlds.items()}
        own = max(0.0, 1 - sum(others.values())) + others.get(self.world.name, 0.0)
        return {self.world.name: round(own, 9), **{n: s for n, s in others.items() if n != self.world.name}}

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.fit.task == "vicreg" and self.fit.freeze_encoder:
            raise ValueError("fit.freeze_encoder = true: vicreg trains the encoder only; fix: freeze_encoder = false")
        if self.fit.task == "vicreg" and self.fit.batch_size < 2:
            raise ValueError("fit.batch_size = 1: vicreg compares several samples; fix: fit.batch_size >= 2")
        if self.fit.freeze_encoder and self.model.init_from is None:
            raise ValueError("fit.freeze_encoder = true: a random encoder would stay random; fix: set model.init_from")
        return self
