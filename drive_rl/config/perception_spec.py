"""What can be declared of perception: frozen specs of models that see the road, and of how they learn.

The field descriptions are the one documentation of every key, as in `spec.py`.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from drive_rl.config.driver_spec import EncoderSpec
from drive_rl.config.extensions import find, reserve, unknown
from drive_rl.config.plugin_spec import Extends, Plugins
from drive_rl.config.spec import NonNegative, Positive, Spec, Track
from drive_rl.config.world_spec import WorldSpec

DATA_FORMATS = ("ours", "tusimple", "culane", "coco")
reserve("data_format", DATA_FORMATS)

Head = Literal["lane", "segmentation", "lines", "scene"]


class ModelSpec(Spec):
    """A perception model: an image encoder, and heads that read it."""

    encoder: EncoderSpec = Field(default=EncoderSpec(), description="The image encoder.")
    heads: tuple[Head, ...] = Field(default=("lane",), min_length=1, description="What the model tells.")
    dropout: Annotated[float, Field(ge=0, lt=1)] = Field(default=0.0, description="Dropout ahead of lane and scene.")
    init_from: str | None = Field(
        default=None, description="A perception run or model whose encoder this one starts from (null: from scratch)."
    )

    @model_validator(mode="after")
    def _each_head_once(self) -> Self:
        if len(set(self.heads)) < len(self.heads):
            raise ValueError(f"heads = {list(self.heads)}: one is named twice; fix: name each once")
        return self


class DataSpec(Spec):
    """The pictures: rendered while learning, or of a folder."""

    folder: str | None = Field(
        default=None, description="A data set on disk (ours, TuSimple, CULane or COCO); null: rendered while learning."
    )
    format: Annotated[str | None, Extends("data_format")] = Field(
        default=None,
        exclude_if=lambda format: format is None,
        description=f"Its format: {', '.join(DATA_FORMATS)}, or a plugin's (null: detected).",
    )
    per_road: int = Field(default=16, ge=1, le=1000, description="Rendered pictures of each road.")
    offset_m: NonNegative = Field(default=1.2, le=10, description="Rendered: offset from the lane centre, +- [m].")
    heading_rad: NonNegative = Field(default=0.2, le=1.5, description="Rendered: heading error, +- [rad].")
    weather: bool = Field(default=False, description="Rendered: fog, dusk and rain beside clear weather.")
    labelled: Annotated[float, Field(gt=0, le=1)] = Field(
        default=1.0, description="Part of the train roads that are labelled; learning sees these alone."
    )

    @model_validator(mode="after")
    def _known_format(self) -> Self:
        if self.format not in (None, *DATA_FORMATS) and find("data_format", str(self.format)) is None:
            raise ValueError(f"format = {self.format!r}: {unknown('data_format', str(self.format), DATA_FORMATS)}")
        return self


class FitSpec(Spec):
    """How a model learns."""

    task: Literal["labels", "vicreg"] = Field(
        default="labels", description="Learn the labels; or, without any, VICReg (arXiv 2105.04906) on the encoder."
    )
    samples: int = Field(default=16_000, ge=1, le=10**10, description="Pictures to learn from; repeats count again.")
    batch_size: int = Field(default=32, ge=1, le=100_000, description="Pictures in a minibatch.")
    optimizer: Literal["sgd", "momentum", "adagrad", "adam"] = Field(default="adam", description="Optimizer.")
    learning_rate: Positive = Field(default=2e-3, ge=1e-8, le=10, description="Step size.")
    learning_rate_end: NonNegative = Field(default=2e-5, le=10, description="Step size at the end (cosine).")
    weight_decay: NonNegative = Field(default=0.0, le=1, description="Decay of the weights (decoupled for adam).")
    lane_loss: Literal["l1", "l2"] = Field(default="l1", description="Loss of the lane state.")
    max_grad_norm: Positive = Field(default=5.0, ge=1e-6, le=1000, description="Gradient clip.")
    augment: bool = Field(default=True, description="Brightness, contrast, blur and noise, drawn for each picture.")
    mixed_precision: bool = Field(default=True, description="Half precision on a GPU; the CPU always uses float32.")
    evaluate_every: int = Field(default=4_000, ge=1, le=10**10, description="Pictures between looks at the val roads.")
    val_samples: int = Field(default=512, ge=1, le=1_000_000, description="Val pictures of each look.")
    patience: int | None = Field(
        default=None, ge=1, le=10_000, description="Stop after so many looks without a gain (null: never)."
    )
    head_finetune_samples: int = Field(
        default=0,
        ge=0,
        le=10**7,
        description="At the end, a head that reads the lane off lines learns alone from so many pictures.",
    )
    freeze_encoder: bool = Field(default=False, description="Leave the encoder as it started; learn the heads alone.")


class PerceptionSpec(Spec):
    """A perception experiment: which model learns to see which world."""

    name: str = Field(description="The file's name.")
    description: str = Field(default="", description="One line for `drive-rl list`.")
    world: WorldSpec = Field(description="The world: a name, or a mapping with `base: NAME` and differences.")
    model: ModelSpec = Field(default=ModelSpec(), description="The model.")
    data: DataSpec = Field(default=DataSpec(), description="The pictures.")
    fit: FitSpec = Field(default=FitSpec(), description="How it learns.")
    seed: int = Field(default=0, ge=0, le=2**31 - 1, description="Seed of weights, pictures and augmentation.")
    track: Track = Field(default="wandb", description="Tracker.")
    project: str = Field(default="drive-rl", description="The tracker's project.")
    plugins: Plugins = ()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.fit.task == "vicreg" and self.fit.freeze_encoder:
            raise ValueError("fit.freeze_encoder = true: vicreg learns the encoder alone; fix: freeze_encoder = false")
        if self.fit.task == "vicreg" and self.fit.batch_size < 2:
            raise ValueError("fit.batch_size = 1: vicreg compares several pictures; fix: fit.batch_size >= 2")
        if self.fit.freeze_encoder and self.model.init_from is None:
            raise ValueError("fit.freeze_encoder = true: a random encoder would stay random; fix: set model.init_from")
        return self
