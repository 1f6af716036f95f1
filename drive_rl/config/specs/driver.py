"""Specs of drivers: image encoder, help during training, PPO, DQN, imitation, and the reference driver."""

import re
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from drive_rl.config.extensions import find, reserve, unknown
from drive_rl.config.specs.base import Actions, Fraction, NonNegative, Observation, Positive, Spec
from drive_rl.config.specs.plugin import Extends, Plugins

ENCODERS = ("small", "nature", "impala", "pilotnet", "resnet18", "unet")
ALGORITHMS = ("ppo", "dqn", "dagger", "bc", "reference")
"""Our own drivers; a plugin's has a recipe of its own (`PluginDriverSpec`)."""

reserve("encoder", ENCODERS)
reserve("driver", ALGORITHMS)

LogStd = Annotated[float, Field(ge=-10, le=5)]

Help = Literal["pixels", "guided", "imitation", "perception model", "state"]
"""What a driver learned from, beside rewards: its pictures alone; the true lane state (`guided`); a teacher's actions
(`imitation`); a perception model's predictions; or it observes the true state itself."""


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


class _TrainedSpec(Spec):
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


class _LearnerSpec(_TrainedSpec):
    """What PPO and DQN share."""

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


class PpoSpec(_LearnerSpec):
    """PPO (Schulman et al. 2017, arXiv 1707.06347) on stable-baselines3."""

    algorithm: Literal["ppo"]
    actions: Actions = Field(default="continuous", description="Continuous commands, or the world's grid.")
    steps_per_update: int = Field(
        default=256, ge=2, le=100_000, description="Steps of each environment between updates."
    )
    batch_size: int = Field(default=256, ge=2, le=1_000_000, description="Samples in a minibatch.")
    epochs: int = Field(default=4, ge=1, le=100, description="Passes over the samples of each update.")
    gae_lambda: Fraction = Field(default=0.9, description="Lambda of the advantage estimate.")
    clip_range: Positive = Field(default=0.2, ge=1e-6, le=10, description="PPO's clip.")
    entropy_coef: NonNegative = Field(default=0.0, le=10, description="Weight of the entropy bonus.")
    value_coef: NonNegative = Field(default=0.5, le=10, description="Weight of the value loss.")
    max_grad_norm: Positive = Field(default=0.5, ge=1e-6, le=1000, description="Gradient clip.")
    log_std_init: tuple[LogStd, LogStd] = Field(
        default=(-1.8, -0.7), description="Log of the first action noise of steering and pedal (continuous actions)."
    )

    @model_validator(mode="after")
    def _batch_fits(self) -> Self:
        samples = self.num_envs * self.steps_per_update
        if self.batch_size > samples:
            raise ValueError(
                f"batch_size = {self.batch_size} is more than the {samples} samples of an update"
                f" (num_envs x steps_per_update); fix: batch_size <= {samples}"
            )
        return self


class DqnSpec(_LearnerSpec):
    """DQN (Mnih et al. 2015, doi 10.1038/nature14236) on stable-baselines3."""

    algorithm: Literal["dqn"]
    actions: Literal["discrete"] = Field(default="discrete", description="DQN picks from the world's action grid.")
    buffer_size: int = Field(default=40_000, ge=100, le=10_000_000, description="Transitions kept.")
    learning_starts: int = Field(default=1000, ge=1, le=10_000_000, description="Steps before the first update.")
    batch_size: int = Field(default=64, ge=1, le=100_000, description="Samples in a minibatch.")
    train_every: int = Field(default=1, ge=1, le=100_000, description="Steps of each environment between updates.")
    gradient_steps: int = Field(default=2, ge=1, le=10_000, description="Gradient steps in an update.")
    n_steps: int = Field(default=1, ge=1, le=100, description="Rewards summed before bootstrapping (n-step returns).")
    target_update_every: int = Field(
        default=500, ge=1, le=10_000_000, description="Steps between updates of the target network."
    )
    tau: Fraction = Field(default=1.0, gt=0, description="Weight of the online network in such an update; 1 copies it.")
    exploration_fraction: Fraction = Field(default=0.3, description="Share of the budget in which exploration decays.")
    exploration_end: Fraction = Field(default=0.02, description="Probability of a random action from then on.")
    max_grad_norm: Positive = Field(default=10, ge=1e-6, le=1000, description="Gradient clip.")

    @model_validator(mode="after")
    def _a_step_fits(self) -> Self:
        if self.buffer_size < self.num_envs:
            raise ValueError(
                f"buffer_size = {self.buffer_size} does not hold one step of num_envs = {self.num_envs}; fix:"
                f" buffer_size >= {self.num_envs}"
            )
        return self

    @model_validator(mode="after")
    def _one_step_of_two_observations(self) -> Self:
        if self.observation == "camera+state" and self.perception_model is None and self.n_steps > 1:
            raise ValueError(
                f"n_steps = {self.n_steps}: the replay buffer of observation = camera+state holds single steps only;"
                " fix: n_steps = 1"
            )
        return self


class DaggerSpec(_TrainedSpec):
    """Imitation of a teacher: `dagger` learns its actions where the learner drives, `bc` where the teacher does.

    DAgger: Ross et al. 2011, arXiv 1011.0686; behaviour cloning with noise: DART, Laskey et al. 2017, arXiv 1703.09327.
    """

    algorithm: Literal["dagger", "bc"]
    observation: Literal["camera"] = Field(default="camera", description="The driver observes pictures only.")
    actions: Literal["continuous"] = Field(default="continuous", description="Continuous commands.")
    teacher: str = Field(
        default="reference", description="A driver with continuous actions, by name or path; it may observe the state."
    )
    teacher_fraction: Fraction = Field(
        default=0.3, description="dagger: share of the budget over which the teacher drives ever fewer episodes."
    )
    noise: NonNegative = Field(
        default=0.2,
        le=1,
        description="Standard deviation of the noise on the actions driven; those learned are without it.",
    )
    samples: int = Field(default=32_768, ge=1, le=10_000_000, description="Latest pictures kept for training.")
    passes: Positive = Field(default=2, le=100, description="Passes over each picture, on average.")
    batch_size: int = Field(default=64, ge=1, le=100_000, description="Pictures in a minibatch.")
    steps_per_update: int = Field(default=8, ge=2, le=100_000, description="Steps of each environment between updates.")

    @property
    def help(self) -> Help:
        """What the driver learns from."""
        return "imitation"


class ReferenceSpec(Spec):
    """A privileged driver: pure-pursuit steering and proportional speed control (Coulter 1992; Snider 2009)."""

    name: str = Field(description="The file's name.")
    description: str = Field(default="", description="One line for `drive-rl list`.")
    algorithm: Literal["reference"]
    observation: Literal["state"] = Field(default="state", description="It observes the true lane state.")
    actions: Literal["continuous"] = Field(default="continuous", description="Continuous commands.")
    lookahead_s: Positive = Field(default=0.6, le=10, description="Look-ahead distance over speed [s].")
    min_lookahead_m: Positive = Field(default=4.0, le=100, description="Smallest look-ahead distance [m].")
    speed_gain: Positive = Field(default=0.6, le=100, description="Pedal over speed error [s/m].")
    plugins: Plugins = ()


class PluginDriverSpec(Spec):
    """A driver of a plugin, with options of its own."""

    name: str = Field(description="The file's name.")
    description: str = Field(default="", description="One line for `drive-rl list`.")
    algorithm: Annotated[str, Extends("driver")] = Field(description="The name that the plugin registers.")
    options: dict[str, bool | int | float | str] = Field(
        default={}, description="Arguments of the driver, which says what they mean."
    )
    plugins: Plugins = ()


PLUGIN_DRIVER = "plugin"
"""What the reader calls a recipe's kind where `algorithm` is a plugin's."""


def _kind_of_driver(raw: Any) -> str | None:
    """Return the tag of a raw recipe, or of a spec: its algorithm, `plugin` for a plugin's; None where it has none."""
    algorithm = raw.get("algorithm") if isinstance(raw, dict) else getattr(raw, "algorithm", None)
    if isinstance(algorithm, str) and find("driver", algorithm) is not None:
        return PLUGIN_DRIVER
    return None if algorithm is None else str(algorithm)


LearnerSpec = PpoSpec | DqnSpec | DaggerSpec
AnyDriverSpec = LearnerSpec | ReferenceSpec | PluginDriverSpec
AgentSpec = Annotated[
    Annotated[PpoSpec, Tag("ppo")]
    | Annotated[DqnSpec, Tag("dqn")]
    | Annotated[DaggerSpec, Tag("dagger")]
    | Annotated[DaggerSpec, Tag("bc")]
    | Annotated[ReferenceSpec, Tag("reference")]
    | Annotated[PluginDriverSpec, Tag(PLUGIN_DRIVER)],
    Discriminator(_kind_of_driver),
]
