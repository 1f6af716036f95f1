"""Spec of a suite: the exam that the benchmark sets all perception models alike.

Field descriptions are the only documentation of the keys, as in `world.py`.
"""

from typing import Literal

from pydantic import Field

from drive_rl.config.specs.base import NonNegative, Spec
from drive_rl.config.specs.world import WorldSpec


class ExamCameraSpec(Spec):
    """The pictures that the car's camera takes in every world of a suite; models resample them to their own input."""

    width_px: int = Field(default=160, ge=16, le=4096, description="Image width [px].")
    height_px: int = Field(default=80, ge=16, le=4096, description="Image height [px].")
    channels: Literal["grey", "rgb"] = Field(default="rgb", description="`grey` (1 channel) or `rgb` (3).")
    frame_stack: int = Field(default=1, ge=1, le=16, description="Latest frames shown at once.")


class ConditionSpec(Spec):
    """One condition of a suite: where the car drives, how its camera is mounted, and in which weather."""

    world: WorldSpec = Field(description="The world and the mount: a name, or `base: NAME` and differences.")
    weather: Literal["clear", "fog", "dusk", "rain"] = Field(default="clear", description="The weather.")


class SuiteSpec(Spec):
    """A suite: one file in `configs/suites/`."""

    name: str = Field(description="The file's name.")
    description: str = Field(default="", description="One line about it.")
    camera: ExamCameraSpec = Field(default=ExamCameraSpec(), description="The pictures.")
    conditions: dict[str, ConditionSpec] = Field(
        min_length=1, description="Conditions by name; delays and corruptions are tried in the first."
    )
    offset_m: NonNegative = Field(
        default=1.2, le=10, description="Pictures are taken off the lane's centre line by +- [m]."
    )
    heading_rad: NonNegative = Field(default=0.2, le=1.5, description="Pictures are taken off the heading by +- [rad].")
    delay_s: NonNegative | None = Field(
        default=None, le=2, description="Delay of each command [s]; null: the model's own median latency."
    )
    size: Literal["full", "reduced", "gate"] = Field(
        default="full", description="How much is measured; gate: pictures and clean driving alone, in two minutes."
    )
