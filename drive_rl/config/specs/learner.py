"""What the specs of drivers that learn share: image encoder, help during training, exploration of failed roads."""

import re
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from drive_rl.config.extensions import find, reserve, unknown
from drive_rl.config.specs.base import Fraction, NonNegative, Observation, Positive, Spec
from drive_rl.config.specs.plugin import Extends, Plugins

ENCODERS = ("small", "fine", "nature", "impala", "pilotnet", "resnet18", "unet")

reserve("encoder", ENCODERS)

Help = Literal["pixels", "asymmetric", "guided", "imitation", "perception model", "state"]
"""What a driver learned from, beside rewards: its pictures alone; values of the true state (`asymmetric`); the true
lane state (`guided`); a teacher's actions (`imitation`); a perception model's predictions; or it observes the true
state itself."""


class EncoderSpec(Spec):
    """The image encoder of drivers and of perception models."""

    kind: Annotated[str, Extends("encoder")] = Field(
        default="small",
        description=f"Network family: {', '.join(ENCODERS)}; timm:NAME (the extra `timm`); or a plugin's.",
    )
    features: int = Field(default=128, ge=8, le=4096, description="Length of the feature vector.")

    @model_validator(mode="after")
    def _known_kind(self) -> Self:
        # A plain name alone: timm reads `hf-hub:OWNER/NAME` and `local-dir:/PATH` from elsewhere.
        ours = self.kind in ENCODERS or re.fullmatch(r"timm:[a-z0-9_.]{1,100}", self.kind)
        if not ours and find("encoder", self.kind) is None:
            known = unknown("encoder", self.kind[:100], (*ENCODERS, "timm:NAME (of timm.list_models())"))
            raise ValueError(f"kind = {self.kind[:100]!r}: {known}")
        return self


class DriverEncoderSpec(EncoderSpec):
    """The image encoder of a driver, optionally initialised from a trained perception model."""

    init_from: str | None = Field(
        default=None, description="Perception run or model whose encoder weights initialise this one (null: random)."
    )
    frozen: bool = Field(default=False, description="Keep its weights fixed; only the rest of the driver learns.")

    @model_validator(mode="after")
    def _frozen_has_a_start(self) -> Self:
        if self.frozen and self.init_from is None:
            raise ValueError("frozen = true: a random encoder would stay random; fix: set encoder.init_from")
        return self


class GuidanceSpec(Spec):
    """How the true lane state guides the training of a driver that drives from the camera only.

    A CNN learns to predict the lane state from the images, and the policy learns from its predictions.
    """

    learning_rate: Positive = Field(default=3e-3, ge=1e-8, le=1, description="Adam step size of the CNN.")
    learning_rate_end: NonNegative = Field(
        default=1e-4, le=1, description="Step size at the end of the budget (linear)."
    )
    batch_size: int = Field(default=64, ge=1, le=100_000, description="Images in a minibatch of the CNN.")
    passes: Positive = Field(default=2, le=100, description="Passes of the CNN over each image, on average.")
    pictures: int = Field(default=8192, ge=1, le=10_000_000, description="Latest images kept for training the CNN.")
    truth_fraction: Fraction = Field(
        default=0.5,
        description="Share of the budget over which ever fewer episodes give the policy the true state.",
    )
    at_rest: Fraction = Field(
        default=0.0,
        description="Share of the CNN's training samples turned into a car at rest: identical frames, zero motion.",
    )


class TrainedSpec(Spec):
    """What all drivers that are trained share."""

    name: str = Field(description="The file's name.")
    description: str = Field(default="", description="One line for `drive-rl list`.")
    encoder: DriverEncoderSpec = Field(default=DriverEncoderSpec(), description="The image encoder.")
    hidden: tuple[Annotated[int, Field(ge=1, le=4096)], ...] = Field(
        default=(64, 64), description="Hidden layers between features and actions or values."
    )
    num_envs: int = Field(default=8, ge=1, le=100_000, description="Environments stepped together.")
    learning_rate: Positive = Field(default=5e-4, ge=1e-8, le=1, description="Adam step size.")
    learning_rate_end: NonNegative = Field(
        default=5e-5, le=1, description="Step size at the end of the budget (linear)."
    )
    retry: Fraction = Field(
        default=0.5, description="Probability that an episode takes place on a road that was failed before."
    )
    plugins: Plugins = ()


class RewardedSpec(TrainedSpec):
    """What drivers that learn from rewards share."""

    takes_guidance: ClassVar[bool] = True
    """Whether the algorithm knows guided learning."""

    observation: Observation = Field(default="camera", description="What the driver observes.")
    perception_model: str | None = Field(
        default=None,
        description="Perception run or model, frozen, whose predicted lane state is the policy's input; needs"
        " observation = camera+state, of which it uses the images and the car's own sensors.",
    )
    guidance: GuidanceSpec | None = Field(
        default=None,
        description="Guidance by the true lane state when training from `camera`; null: pixels and reward only.",
    )
    gamma: Fraction = Field(default=0.95, description="Discount.")
    reward_scale: Positive = Field(
        default=1,
        le=1000,
        description="Factor on the rewards that the learner gets; returns are logged without it.",
    )

    @property
    def help(self) -> Help:
        """What the driver learns from, beside rewards."""
        if self.perception_model is not None:
            return "perception model"
        if self.observation in ("state", "camera+state"):
            return "state"
        return "guided" if self.observation == "camera" and self.guidance is not None else "pixels"

    @model_validator(mode="after")
    def _guidance_is_known(self) -> Self:
        if self.guidance is not None and not self.takes_guidance:
            raise ValueError("guidance: this algorithm learns without, only ppo and dqn with it; fix: guidance = null")
        return self

    @model_validator(mode="after")
    def _sees_what_it_learns_from(self) -> Self:
        if self.perception_model is not None and self.observation != "camera+state":
            raise ValueError(
                f"perception_model = {self.perception_model!r}: with observation = {self.observation} it lacks"
                " images or the car's sensors; fix: observation = camera+state"
            )
        if self.encoder.init_from is not None and (self.perception_model is not None or self.observation == "state"):
            raise ValueError(
                f"encoder.init_from = {self.encoder.init_from!r}: a policy that observes the lane state has no encoder;"
                " fix: encoder.init_from = null"
            )
        return self
