"""The exam: the same roads, poses, mounts and weathers for every model, from a suite or from named worlds.

It knows worlds and the camera's pictures of them. It knows no model.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from drive_rl.config.reader import load_suite, load_world, with_parts
from drive_rl.config.specs.base import Split
from drive_rl.config.specs.car import CameraSpec
from drive_rl.config.specs.perception import DataSpec
from drive_rl.config.specs.suite import ConditionSpec, SuiteSpec
from drive_rl.config.specs.world import WorldSpec
from drive_rl.perception.data.rendered_dataset import held_out
from drive_rl.perception.data.samples import WEATHER, Samples
from drive_rl.perception.data.weather import weather
from drive_rl.sim.sensors.pinhole import DEPTH, cast_rays

DEFAULT_SUITE = "open"
Images = NDArray[np.uint8]


@dataclass(frozen=True)
class Condition:
    """Where a car drives, with the exam's camera, and in which weather."""

    name: str
    world: WorldSpec
    weather: str

    @property
    def filter(self) -> Callable[[Images], Images] | None:
        """What the weather does to pictures (B, C, H, W) of flat ground; None: nothing."""
        return None if self.weather == "clear" else _weather(self.weather, self.world.camera)


@dataclass(frozen=True)
class Exam:
    """What all models are asked."""

    suite: SuiteSpec
    conditions: tuple[Condition, ...]
    data: Path | None = None
    """A folder of labelled pictures instead of those of the conditions."""

    def record(self) -> "ExamRecord":
        """Return it in words."""
        camera = self.camera
        return ExamRecord(
            self.suite.name,
            f"{camera.frame_stack} x {camera.width_px}x{camera.height_px} {camera.channels}",
            {
                each.name: f"{_road(each.world)}, {each.weather}, {_mount(each.world.camera)}"
                for each in self.conditions
            },
            self.suite.delay_s,
        )

    @property
    def camera(self) -> CameraSpec:
        """The camera in the first condition, whose pictures have the size of all."""
        return self.conditions[0].world.camera

    @property
    def tiers(self) -> list[str]:
        """The names of all tiers of roads, in the order in which `pictures` numbers them."""
        return sorted({tier for each in self.conditions for tier in each.world.road.tiers})

    def pictures(self, split: Split, count: int) -> Samples:
        """Return `count` labelled pictures: as many of each condition, of the first roads of the split, in turn.

        Raises:
            DriveRLError: the split has too few roads.
        """
        each = -(-count // len(self.conditions))
        parts = [self._of(condition, split, each) for condition in self.conditions]
        order = np.arange(each * len(parts)).reshape(len(parts), each).T.ravel()  # one of each condition, and again
        return Samples.joined(parts).take(order[:count])

    def names_of(self, count: int) -> tuple[str, ...]:
        """Return the condition of each of the first pictures."""
        return tuple(self.conditions[i % len(self.conditions)].name for i in range(count))

    def _of(self, condition: Condition, split: Split, count: int) -> Samples:
        data = DataSpec(offset_m=self.suite.offset_m, heading_rad=self.suite.heading_rad)
        found = held_out(condition.world, data, split, count)
        scene, own = found.scene.copy(), sorted(condition.world.road.tiers)
        scene[:, 0] = [self.tiers.index(own[tier]) for tier in scene[:, 0]]
        scene[:, 1] = WEATHER.index(condition.weather)
        seen = condition.filter
        return replace(found, images=seen(found.images) if seen else found.images, scene=scene)


@dataclass(frozen=True)
class ExamRecord:
    """An exam in words, for results."""

    suite: str
    camera: str
    conditions: dict[str, str]
    """By name: the world, the weather, and the camera's mount."""
    delay_s: float | None = None
    """The suite's own delay; None: each model's latency."""


def exam_of(suite: SuiteSpec) -> Exam:
    """Return the exam that a suite sets.

    Raises:
        DriveRLError: a world cannot have the suite's camera.
    """
    pictures = {"camera": suite.camera.model_dump() | {"frame_ages": None}}
    return Exam(
        suite,
        tuple(
            Condition(name, with_parts(each.world, pictures, f"suite {suite.name}: {name}"), each.weather)
            for name, each in suite.conditions.items()
        ),
    )


def load_exam(suite: str | None = None, worlds: Sequence[str] = ()) -> Exam:
    """Return the exam of a suite, or of worlds alone, in clear weather; by default the suite `open`.

    Raises:
        DriveRLError: there is no such suite or world, or it is not valid.
    """
    if not worlds:
        return exam_of(load_suite(DEFAULT_SUITE if suite is None else suite))
    found = {world.name: ConditionSpec(world=world) for world in map(load_world, worlds)}
    if suite is not None:
        base = load_suite(suite)
        return exam_of(base.model_copy(update={"conditions": {**base.conditions, **found}}))
    return exam_of(SuiteSpec(name=", ".join(found), conditions=found))


def _road(world: WorldSpec) -> str:
    return world.description or world.name


def _mount(camera: CameraSpec) -> str:
    return f"{camera.fov_rad:g} rad wide, {camera.height_m:g} m up, pitched {camera.pitch_rad:g} rad"


def _weather(kind: str, camera: CameraSpec) -> Callable[[Images], Images]:
    """Return a weather over pictures, each row of a batch in its own; solids are as far as the ground behind."""
    depth_m = np.repeat(cast_rays(camera).rows[:, DEPTH, None], camera.width_px, axis=1)  # (H, W)

    def apply(images: Images) -> Images:
        count, _, height, width = images.shape
        frames = images.reshape(count, camera.frame_stack, camera.planes, height, width)
        out = np.empty_like(frames)
        for row, stack in enumerate(frames):
            for at, frame in enumerate(stack):
                out[row, at] = weather(frame, depth_m, kind, np.random.default_rng([row, at]))
        return out.reshape(images.shape)

    return apply
