"""Labelled pictures of streets, written as an ordinary data set: PNG pictures and masks, COCO's instances, a manifest.

It knows the layout on disk (`street_card` describes it). It knows no driver and no model.
"""

import json
from collections.abc import Callable
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import NotRequired, TypedDict

import numpy as np
from numpy.typing import NDArray

from drive_rl.config.specs.base import SPLITS, Split
from drive_rl.config.specs.copies import copies, kept, with_sums
from drive_rl.config.specs.world import WorldSpec
from drive_rl.errors import DriveRLError
from drive_rl.perception.data.data_card import street_card
from drive_rl.perception.data.data_set_files import CocoAnnotation, CocoImage, new_data_set, write_manifest, write_png
from drive_rl.perception.data.formats.drive_rl_format import STREET_KIND
from drive_rl.perception.data.samples import WEATHER
from drive_rl.perception.data.street_pictures import (
    APART_M,
    APART_S,
    MOST_PER_ROAD,
    Act,
    StreetPicture,
    pictured,
    street_pictures,
)
from drive_rl.perception.data.weather import draw_weather, weather
from drive_rl.run.folder import write_copies
from drive_rl.run.storage.atomic import write_text
from drive_rl.sim.engines.streets.truth import OBJECTS, STREET_CLASSES, StreetObject
from drive_rl.sim.sensors.lane_labels import StreetLine
from drive_rl.sim.sensors.pinhole import focal_px

DEPTH_PER_M = 256
"""Value of a pixel of depth over its metres, as KITTI has it; 0: none, or beyond what 16 bits hold."""

_WEATHER = 7
"""Random stream of the weather."""
_LABELLED = ("vehicle", *OBJECTS)
_DECIMALS = 4  # of metres and radians
_LINE_DECIMALS = 2  # of pixels and metres
_APART_PX = 2.0


def write_street_data(
    world: WorldSpec,
    act: Act,
    split: Split,
    samples: int,
    out: Path,
    in_weather: bool = False,
    overwrite: bool = False,
    progress: Callable[[int], None] = lambda more: None,
) -> Path:
    """Write the first `samples` labelled pictures of a split's routes, whole or not at all; return the folder.

    The same arguments give the same bytes, and picture n is the same in larger and smaller data sets.

    Args:
        world: The world, which has streets.
        act: The driver from whose car pictures are taken.
        split: Which routes.
        samples: How many pictures.
        out: The folder.
        in_weather: Whether half of them show fog, dusk or rain.
        overwrite: Whether a data set of ours that is there is replaced; nothing else ever is.
        progress: Called with the number of pictures just written.

    Raises:
        DriveRLError: the split has too few routes, the world is not for the `field` renderer, PyBullet is missing,
            something else is at `out`, or the disk is full.
    """
    out, roads, world = out.absolute(), len(SPLITS[split]), with_sums(world)
    if not 1 <= samples <= roads * MOST_PER_ROAD:
        raise DriveRLError(
            f"{samples} pictures of split {split}: it has {roads} routes, of at most {MOST_PER_ROAD} pictures each;"
            f" fix: 1 to {roads * MOST_PER_ROAD} pictures"
        )
    with new_data_set(out, overwrite) as new:
        written = _Written(new, world, in_weather)
        with closing(street_pictures(world, split, act)) as pictures:
            for picture in islice(pictures, samples):
                written.add(picture)
                progress(1)
        if written.count < samples:
            raise DriveRLError(
                f"{samples} pictures of split {split}: its {roads} routes gave {written.count}; fix: fewer pictures, or"
                " longer routes (world.streets.route_m, world.task.time_limit_s)"
            )
        written.finish()
        write_text(new / "README.md", street_card(world, split, samples, len(written.seeds), written.objects))
        facts = {"split": split, "count": samples, "seeds": written.seeds, "classes": list(STREET_CLASSES)}
        write_copies(new, copies(world))
        write_manifest(new, STREET_KIND, kept(pictured(world)), {**facts, "data": _how(in_weather)})
    return out


def _how(in_weather: bool) -> dict[str, object]:
    return {"per_road": MOST_PER_ROAD, "apart_s": APART_S, "apart_m": APART_M, "weather": in_weather}


class _CocoCamera(TypedDict):
    focal_px: float
    centre_px: tuple[float, float]
    position_m: tuple[float, float, float]
    pitch_rad: float


class _CocoImage(CocoImage):
    seed: int
    time_s: float
    weather: str
    camera: _CocoCamera


class _Attributes(TypedDict):
    instance: int
    centre_m: list[float]
    size_m: list[float]
    yaw_rad: float
    light: NotRequired[str]


class RunLengths(TypedDict):
    """COCO's, not compressed."""

    size: list[int]
    counts: list[int]


class _CocoAnnotation(CocoAnnotation):
    segmentation: RunLengths
    attributes: _Attributes


class _Line(TypedDict):
    colour: str
    dashed: bool
    points_px: list[list[float]]
    ground_m: list[list[float]]


class _Written:
    """A data set that grows picture by picture."""

    def __init__(self, folder: Path, world: WorldSpec, in_weather: bool) -> None:
        self._folder, self._camera, self._in_weather = folder, world.camera, in_weather
        self._control_hz = world.task.control_hz
        self._images: list[_CocoImage] = []
        self._annotations: list[_CocoAnnotation] = []
        self._lines: list[str] = []
        for name in ("images", "masks", "instances", "depth"):
            (folder / name).mkdir()

    @property
    def count(self) -> int:
        """Pictures so far."""
        return len(self._images)

    @property
    def objects(self) -> int:
        """Annotations so far."""
        return len(self._annotations)

    @property
    def seeds(self) -> list[int]:
        """Seeds of the routes so far."""
        return sorted({image["seed"] for image in self._images})

    def add(self, picture: StreetPicture) -> None:
        """Write a picture, its masks and its depth, and keep the other labels for `finish`."""
        name, truth, instances = f"{self.count:06d}.png", picture.truth, picture.truth.instances
        assert instances is not None, "streets have them"
        rng = np.random.default_rng([picture.seed, _WEATHER, picture.step])
        kind = WEATHER[draw_weather(rng) if self._in_weather else 0]
        image = weather(truth.image, truth.depth_m, kind, rng)
        write_png(self._folder / "images" / name, np.moveaxis(image, 0, 2))
        write_png(self._folder / "masks" / name, truth.classes)
        write_png(self._folder / "instances" / name, instances.astype(np.uint16))
        write_png(self._folder / "depth" / name, _depth(truth.depth_m))
        lines = {"file_name": f"images/{name}", "lines": [_line(line) for line in truth.lines]}
        self._lines.append(json.dumps(lines, allow_nan=False))
        self._images.append(self._image(name, picture, kind))
        self._annotations += [
            _annotation(self.objects + at, self.count, found, instances == found.instance)
            for at, found in enumerate(truth.objects, start=1)
        ]

    def finish(self) -> None:
        """Write the labels that are one file for all pictures."""
        categories = [{"id": STREET_CLASSES.index(name), "name": name} for name in _LABELLED]
        labels = {"images": self._images, "annotations": self._annotations, "categories": categories}
        write_text(self._folder / "instances.json", json.dumps(labels, allow_nan=False) + "\n")
        write_text(self._folder / "lines.json", "\n".join(self._lines) + "\n")

    def _image(self, name: str, picture: StreetPicture, kind: str) -> _CocoImage:
        camera = self._camera
        return _CocoImage(
            id=self.count + 1,
            file_name=f"images/{name}",
            width=camera.width_px,
            height=camera.height_px,
            seed=picture.seed,
            time_s=round(picture.step / self._control_hz, _DECIMALS),
            weather=kind,
            camera=_CocoCamera(
                focal_px=focal_px(camera),
                centre_px=(camera.width_px / 2, camera.height_px / 2),
                position_m=(camera.forward_m, 0.0, picture.camera_height_m),
                pitch_rad=picture.camera_pitch_rad,
            ),
        )


def _annotation(number: int, image: int, found: StreetObject, shown: NDArray[np.bool_]) -> _CocoAnnotation:
    left, top, right, bottom = found.box_px
    attributes = _Attributes(
        instance=found.instance,
        centre_m=np.round(found.centre_m, _DECIMALS).tolist(),
        size_m=np.round(found.size_m, _DECIMALS).tolist(),
        yaw_rad=round(found.yaw_rad, _DECIMALS),
    )
    if found.light is not None:
        attributes["light"] = found.light
    return _CocoAnnotation(
        id=number,
        image_id=image,
        category_id=STREET_CLASSES.index(found.kind),
        bbox=[left, top, right - left, bottom - top],
        area=found.pixels,
        iscrowd=0,
        segmentation=run_lengths(shown),
        attributes=attributes,
    )


def _line(line: StreetLine) -> _Line:
    """Return a line with its ends, and of the points between those that are `_APART_PX` from the last one kept."""
    kept = [0]
    for at in range(1, len(line.points) - 1):
        if np.abs(line.points[at] - line.points[kept[-1]]).max() >= _APART_PX:
            kept.append(at)
    kept.append(len(line.points) - 1)
    return _Line(
        colour=line.colour,
        dashed=line.dashed,
        points_px=np.round(line.points[kept], _LINE_DECIMALS).tolist(),
        ground_m=np.round(line.ground_m[kept], _LINE_DECIMALS).tolist(),
    )


def run_lengths(shown: NDArray[np.bool_]) -> RunLengths:
    """Return COCO's run lengths of a mask: down its columns, those outside first."""
    pixels = shown.ravel(order="F")
    ends = [*(np.flatnonzero(pixels[1:] != pixels[:-1]) + 1).tolist(), pixels.size]
    counts = np.diff([0, *ends] if not pixels[0] else [0, 0, *ends])
    return RunLengths(size=list(shown.shape), counts=counts.tolist())


def _depth(depth_m: NDArray[np.float32]) -> NDArray[np.uint16]:
    values = np.round(depth_m.astype(np.float64) * DEPTH_PER_M)
    return np.where(values <= np.iinfo(np.uint16).max, values, 0).astype(np.uint16)
