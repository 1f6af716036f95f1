"""Ground truth of a picture of streets: classes, depth, instances, lines, boxes in two and three dimensions."""

import math
from dataclasses import dataclass, replace
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray

from drive_rl.sim.engines.streets.scene import StreetScene
from drive_rl.sim.map.network import Light
from drive_rl.sim.map.roadside import BUILDING, BUS_STOP_SIGN, GIVE_WAY_SIGN, KIND, LAMP_POST, STOP_SIGN, TREE
from drive_rl.sim.sensors.lane_labels import StreetLine
from drive_rl.sim.sensors.pinhole import Rays, Viewpoint
from drive_rl.sim.sensors.renderer import CLASSES, VEHICLE, Truth
from drive_rl.sim.sensors.solids import NO_SOLIDS, Solids
from drive_rl.sim.sensors.streets.labels import label_street
from drive_rl.sim.sensors.streets.renderer import render_street
from drive_rl.sim.traffic.population import CROSSING_CYCLIST, KINDS, PEDESTRIAN, WORKS
from drive_rl.sim.vehicle import CarState

OBJECTS = ("cyclist", "pedestrian", "signal", "static", "building", "tree", "pole", "sign")
STREET_CLASSES = (*CLASSES, *OBJECTS)
"""Names of the values in a segmentation of streets, where no pixel is `ego_lane`; motorcycles are vehicles."""
_CYCLIST, _PEDESTRIAN, _SIGNAL, _STATIC, _BUILDING, _TREE, _POLE, _SIGN = range(len(CLASSES), len(STREET_CLASSES))
_CLASS_OF = {KINDS.index("cyclist"): _CYCLIST, CROSSING_CYCLIST: _CYCLIST, PEDESTRIAN: _PEDESTRIAN, WORKS: _STATIC}
_SIGNS = dict.fromkeys((STOP_SIGN, GIVE_WAY_SIGN, BUS_STOP_SIGN), _SIGN)
_BESIDE = {BUILDING: _BUILDING, TREE: _TREE, LAMP_POST: _POLE, **_SIGNS}


@dataclass(frozen=True)
class StreetObject:
    """Something that at least a pixel of the picture shows."""

    instance: int  # its value in `StreetTruth.instances`
    kind: str  # one of STREET_CLASSES
    box_px: tuple[int, int, int, int]  # around what is visible: left, top, right, bottom; the last two are outside
    pixels: int  # how many show it
    centre_m: tuple[float, float, float]  # of the box around all of it, in the vehicle frame: forward, left, up
    size_m: tuple[float, float, float]  # length, width, height
    yaw_rad: float  # against the vehicle's, in [-pi, pi)
    light: Literal["red", "yellow", "green"] | None = None  # of a signal


@dataclass(frozen=True)
class StreetTruth(Truth):
    """A picture of streets and its ground truth; `classes` are indices into STREET_CLASSES, `lanes` are empty.

    Where the picture shows the sign of the route, labels are of what is behind it.
    """

    instances: NDArray[np.int32] | None = None  # (H, W), the same number for an object in all pictures; 0: none
    objects: tuple[StreetObject, ...] = ()  # by instance
    lines: tuple[StreetLine, ...] = ()  # painted along lanes; `StreetEnv.truth` fills them in


def street_truth(scene: StreetScene, car: int, state: CarState, steps: int, rays: Rays, planes: int) -> StreetTruth:
    """Return the picture of a car's driver, and its ground truth.

    Args:
        scene: What is around the cars.
        car: Which of them.
        state: Its state.
        steps: How many steps its episode has lasted.
        rays: Its camera's.
        planes: 1 for grey, 3 for RGB.
    """
    pose, shape = (state.x_m, state.y_m, state.yaw_rad), (len(rays.rows), len(rays.bearings))
    image, view = np.empty((planes, *shape), np.uint8), scene.view(car, rays, planes, (pose, steps), NO_SOLIDS)
    render_street(view, *pose, image)
    scene.sign(car, image)
    classes, depth_m, solid = np.empty(shape, np.uint8), np.empty(shape, np.float32), np.empty(shape, np.int32)
    label_street(view, Viewpoint(pose[0], pose[1], math.cos(pose[2]), math.sin(pose[2])), classes, depth_m, solid)
    owner = scene.solids(car, rays, (pose, steps))[1]
    actors, signals, beside = scene.cars.whole.shape[1], scene.signals(car), scene.beside(car)
    number = np.where(owner < 0, actors - 1 - owner, owner)  # signals come after the actors
    instances = np.where(solid >= 0, np.append(number, 0)[solid], 0).astype(np.int32)
    objects = []
    for instance in np.unique(instances[instances > 0]).tolist():
        signal = instance - actors
        found = _object(instance, instances, _part(view.solids, number == instance), pose)
        if signal >= signals:
            kind = _BESIDE[int(beside[signal - signals, KIND])]
            found = replace(found, kind=STREET_CLASSES[kind])
        elif signal >= 0:
            found = replace(found, kind=STREET_CLASSES[_SIGNAL], light=_light(scene.light(car, signal, steps)))
        else:
            kind = _CLASS_OF.get(int(scene.cars.kind[car, instance]), VEHICLE)
            found = replace(found, kind=STREET_CLASSES[kind])
        classes[instances == instance] = STREET_CLASSES.index(found.kind)
        objects.append(found)
    return StreetTruth(image, classes, depth_m, (), instances, tuple(objects))


def _light(light: Light) -> Literal["red", "yellow", "green"]:
    return cast(Literal["red", "yellow", "green"], light.name.lower())


def _part(solids: Solids, rows: NDArray[np.bool_]) -> NDArray[np.float64]:
    return solids.shape[rows].astype(np.float64)


def _object(
    instance: int, instances: NDArray[np.int32], parts: NDArray[np.float64], pose: tuple[float, float, float]
) -> StreetObject:
    """Return an object of parts (n, 9), `Solid`, all turned alike; its kind is still open."""
    rows, columns = np.nonzero(instances == instance)
    box = int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1
    cos, sin = parts[0, 7:]
    frame = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])  # its own axes in the world, as columns
    centres = parts[:, 1:4] @ frame
    low, high = (centres - parts[:, 4:7]).min(axis=0), (centres + parts[:, 4:7]).max(axis=0)
    x, y, z = frame @ ((low + high) / 2)
    dx, dy, (cos_own, sin_own) = x - pose[0], y - pose[1], (math.cos(pose[2]), math.sin(pose[2]))
    yaw = (math.atan2(sin, cos) - pose[2] + math.pi) % (2 * math.pi) - math.pi
    return StreetObject(
        instance=instance,
        kind="",
        box_px=box,
        pixels=len(rows),
        centre_m=(float(cos_own * dx + sin_own * dy), float(cos_own * dy - sin_own * dx), float(z)),
        size_m=cast(tuple[float, float, float], tuple((high - low).tolist())),
        yaw_rad=yaw,
    )
