"""Specs of drivers: any algorithm's; here PPO, imitation, the reference driver and plugins."""

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from drive_rl.config.extensions import find, reserve
from drive_rl.config.specs.base import Actions, Fraction, NonNegative, Positive, Spec
from drive_rl.config.specs.learner import Help, RewardedSpec, TrainedSpec
from drive_rl.config.specs.off_policy import DqnSpec, QrdqnSpec, SacSpec
from drive_rl.config.specs.plugin import Extends, Plugins

ALGORITHMS = ("ppo", "recurrent-ppo", "dqn", "qrdqn", "sac", "dagger", "bc", "reference", "expert")
"""Our own drivers; a plugin's has a recipe of its own (`PluginDriverSpec`)."""

reserve("driver", ALGORITHMS)

LogStd = Annotated[float, Field(ge=-10, le=5)]


class OnPolicySpec(RewardedSpec):
    """What PPO and recurrent PPO share."""

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


class PpoSpec(OnPolicySpec):
    """PPO (Schulman et al. 2017, arXiv 1707.06347) on stable-baselines3."""

    algorithm: Literal["ppo"]
    critic: Literal["observation", "state"] = Field(
        default="observation",
        description="What the value is of: the driver's observation, or, while the driver sees the camera only, the"
        " true state (asymmetric, Pinto et al. 2017, arXiv 1710.06542).",
    )
    critic_epochs: int = Field(default=0, ge=0, le=1000, description="Passes of the value's layers beyond `epochs`.")
    self_supervised: NonNegative = Field(
        default=0.0,
        le=100,
        description="Weight of an auxiliary loss that teaches the encoder from pictures and actions alone: inverse"
        " dynamics (Pathak et al. 2017, arXiv 1705.05363); 0: none. Its gain is within seeds' spread (docs/log.md).",
    )
    init_from: str | None = Field(
        default=None,
        description="Driver that learned by imitation, whose policy this one starts from (null: random).",
    )

    @property
    def help(self) -> Help:
        """What the driver learns from, beside rewards."""
        return "asymmetric" if self.critic == "state" else super().help

    @model_validator(mode="after")
    def _critic_sees_more(self) -> Self:
        if self.critic_epochs and self.guidance is not None and self.observation == "camera":
            raise ValueError(f"critic_epochs = {self.critic_epochs}: is for guidance = null; fix: critic_epochs = 0")
        if self.critic == "state" and (self.observation != "camera" or self.guidance is not None):
            raise ValueError(
                f"critic = state: the driver has observation = {self.observation} and guidance ="
                f" {'null' if self.guidance is None else 'its own'}, expected the camera alone; fix: observation ="
                " camera and guidance = null, or critic = observation"
            )
        return self

    @model_validator(mode="after")
    def _supervises_an_encoder(self) -> Self:
        if self.self_supervised and (self.help != "pixels" or self.encoder.frozen):
            frozen = ", whose encoder is frozen" if self.encoder.frozen else ""
            raise ValueError(
                f"self_supervised = {self.self_supervised:g}: the driver learns from {self.help}{frozen}, but expected"
                " pictures and rewards alone; fix: self_supervised = 0"
            )
        return self

    @model_validator(mode="after")
    def _starts_as_imitation_does(self) -> Self:
        if self.init_from is None:
            return self
        expected = {"observation": "camera", "actions": "continuous", "guidance": None, "encoder.init_from": None}
        found = {"guidance": self.guidance and "its own", "encoder.init_from": self.encoder.init_from}
        found |= {"observation": self.observation, "actions": self.actions}
        if other := [key for key in expected if found[key] != expected[key]]:
            shown = (" and ".join(f"{key} = {values[key] or 'null'}" for key in other) for values in (found, expected))
            raise ValueError("init_from = {!r}: the driver has {}; fix: {}".format(self.init_from, *shown))
        return self


class RecurrentPpoSpec(OnPolicySpec):
    """PPO with an LSTM (Hochreiter & Schmidhuber 1997) each for the policy and its values, on sb3-contrib."""

    takes_guidance: ClassVar[bool] = False

    algorithm: Literal["recurrent-ppo"]
    lstm_units: int = Field(default=64, ge=1, le=4096, description="Units of each LSTM, between features and `hidden`.")
    sequence_steps: int = Field(
        default=16, ge=1, le=100_000, description="Steps in a row that a minibatch holds, through which gradients flow."
    )


class DaggerSpec(TrainedSpec):
    """Imitation of a teacher: `dagger` learns its actions where the learner drives, `bc` where the teacher does.

    With `demonstrations`, `bc` learns from them alone, and nobody drives.

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
    demonstrations: str | None = Field(
        default=None,
        description="Folder of a teacher's samples that `drive-rl data record` wrote: all that bc learns from, and what"
        " dagger begins with (null: none).",
    )
    samples: int = Field(default=32_768, ge=1, le=10_000_000, description="Latest pictures kept for training.")
    passes: Positive = Field(default=2, le=100, description="Passes over each picture, on average.")
    batch_size: int = Field(default=64, ge=1, le=100_000, description="Pictures in a minibatch.")
    loss: Literal["l1", "l2"] = Field(default="l2", description="Loss of the actions.")
    steering_scale: Positive = Field(
        default=1,
        le=100,
        description="An error of the steering counts as one so many times as large, beside those of the pedal.",
    )
    state_loss: NonNegative = Field(
        default=0,
        le=100,
        description="Weight of the loss (l1) of the true state, which the network predicts beside the actions while it"
        " learns (0: it does not).",
    )
    pedal_quantile: float = Field(
        default=0.5,
        gt=0,
        lt=1,
        description="Which quantile of the teacher's pedal is learned while the car moves: below 0.5 the driver is"
        " careful where pictures leave it open. Other than 0.5 it needs `loss: l1` and a `state_loss`.",
    )
    feature_norm: bool = Field(
        default=False,
        description="Normalise the encoder's features before their ReLU (layer norm), so that none of them dies.",
    )
    steps_per_update: int = Field(default=8, ge=2, le=100_000, description="Steps of each environment between updates.")

    @model_validator(mode="after")
    def _knows_quantiles(self) -> Self:
        if self.pedal_quantile != 0.5 and (self.loss != "l1" or not self.state_loss):
            raise ValueError(
                f"pedal_quantile = {self.pedal_quantile:g}: needs loss = l1, whose median it moves, and a state_loss"
                f" above 0, for the speed; found loss = {self.loss}, state_loss = {self.state_loss:g}; fix: set them,"
                " or pedal_quantile = 0.5"
            )
        return self

    @property
    def help(self) -> Help:
        """What the driver learns from."""
        return "imitation"

    @property
    def offline(self) -> bool:
        """Whether it learns from recorded samples alone; a step of the budget is one of them, seen `passes` times."""
        return self.algorithm == "bc" and self.demonstrations is not None


class _GeometricSpec(Spec):
    name: str = Field(description="The file's name.")
    description: str = Field(default="", description="One line for `drive-rl list`.")
    observation: Literal["state"] = Field(default="state", description="It observes the true lane state.")
    actions: Literal["continuous"] = Field(default="continuous", description="Continuous commands.")
    lookahead_s: Positive = Field(default=0.6, le=10, description="Look-ahead distance over speed [s].")
    min_lookahead_m: Positive = Field(default=4.0, le=100, description="Smallest look-ahead distance [m].")
    speed_gain: Positive = Field(default=0.6, le=100, description="Pedal over speed error [s/m].")
    plugins: Plugins = ()


class ReferenceSpec(_GeometricSpec):
    """A privileged driver: pure-pursuit steering and proportional speed control (Coulter 1992; Snider 2009)."""

    algorithm: Literal["reference"]


class ExpertSpec(_GeometricSpec):
    """The reference driver that also passes what stands or rides slowly in its lane, once the gap is long enough."""

    algorithm: Literal["expert"]
    clearance_m: Positive = Field(default=0.5, le=5, description="Gap to what it passes, sideways [m].")
    stop_gap_m: Positive = Field(default=9, le=50, description="How far before it the car waits [m].")
    speed_mps: Positive = Field(default=8, le=60, description="How much faster than that it passes, at most [m/s].")


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


RewardedDriverSpec = PpoSpec | RecurrentPpoSpec | DqnSpec | QrdqnSpec | SacSpec
LearnerSpec = RewardedDriverSpec | DaggerSpec


def normalises(agent: LearnerSpec) -> bool:
    """Return whether a driver of pictures normalises the features that its encoder finds."""
    if isinstance(agent, DaggerSpec):
        return agent.feature_norm
    return isinstance(agent, RecurrentPpoSpec) or (isinstance(agent, PpoSpec) and agent.init_from is None)


def helps(agent: LearnerSpec) -> tuple[Help, ...]:
    """Return all that a driver learned from, beside rewards; what it started from comes first."""
    if isinstance(agent, DaggerSpec) and agent.state_loss:
        return "imitation", "guided"
    if not isinstance(agent, PpoSpec) or agent.init_from is None:
        return (agent.help,)
    return ("imitation",) if agent.help == "pixels" else ("imitation", agent.help)


AnyDriverSpec = LearnerSpec | ReferenceSpec | ExpertSpec | PluginDriverSpec
AgentSpec = Annotated[
    Annotated[PpoSpec, Tag("ppo")]
    | Annotated[RecurrentPpoSpec, Tag("recurrent-ppo")]
    | Annotated[DqnSpec, Tag("dqn")]
    | Annotated[QrdqnSpec, Tag("qrdqn")]
    | Annotated[SacSpec, Tag("sac")]
    | Annotated[DaggerSpec, Tag("dagger")]
    | Annotated[DaggerSpec, Tag("bc")]
    | Annotated[ReferenceSpec, Tag("reference")]
    | Annotated[ExpertSpec, Tag("expert")]
    | Annotated[PluginDriverSpec, Tag(PLUGIN_DRIVER)],
    Discriminator(_kind_of_driver),
]
