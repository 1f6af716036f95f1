"""Bullet's own renderers, `tiny` and `egl`, on a mesh of the road: a cross-check of ours, and far slower.

The road is cut into strips that do not overlap (shoulders, lines, dashes, lanes), all at z = 0, over a verge plane a
little lower. Each kind of strip is one body, so that Bullet's mask of bodies is a segmentation. Parked cars are
white boxes. The scene has a Bullet client of its own, apart from the one that simulates.
"""

import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from drive_rl.config.specs.car import CameraSpec
from drive_rl.config.specs.world import RoadSpec, WorldSpec
from drive_rl.sim.appearance import ASPHALT, MARKING, SKY, VERGE, Appearance
from drive_rl.sim.engines.bullet import Pose
from drive_rl.sim.engines.bullet_client import BulletClient, pybullet
from drive_rl.sim.engines.egl import EglContext
from drive_rl.sim.map.geometry import Road
from drive_rl.sim.sensors.renderer import BACKGROUND, EGO_LANE, LINE, ROAD, VEHICLE

_STEP_M = 0.5
_NEAR_M, _FAR_M = 0.2, 600.0
_VERGE_Z_M = -0.03
_SCENES_A_CLIENT = {"tiny": 1, "egl": 20}
"""Roads that are laid in one client: Bullet keeps a part of every body and every mesh until its client is closed. A new
one takes 3 ms, and 100 ms with EGL; laying a road takes 40 ms."""
_MESH_BYTES_A_CLIENT = 40_000_000
"""Meshes after which a client is full, too: EGL's buffer holds 134 MB, and draws what is beyond it wrong. The longest
and widest road takes 75 MB, one of the shipped worlds less than 2 MB."""
_VERTEX_BYTES = 36
_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601


class _Scene(NamedTuple):
    road: Road
    appearance: Appearance
    parked: list[Pose]


class _Saved(NamedTuple):
    world: WorldSpec
    scene: _Scene | None
    closed: bool


class BulletCamera:
    """Takes pictures of one road at a time; a copy (`copy.deepcopy`, `pickle`) of it has a scene of its own.

    Raises:
        DriveRLError: the world's camera asks for `egl` and Bullet's EGL plugin cannot be loaded.
    """

    def __init__(self, world: WorldSpec) -> None:
        self._world = world
        self._classes: dict[int, int] = {}
        self._cars: list[int] = []
        self._renderer = pybullet.ER_TINY_RENDERER
        if world.camera.renderer == "egl":
            self._renderer = pybullet.ER_BULLET_HARDWARE_OPENGL
        self._scene: _Scene | None = None
        self._open()

    @property
    def client(self) -> int:
        """Bullet's number for the scene's client; -1 after `close`."""
        return self._own.number

    def __getstate__(self) -> _Saved:
        return _Saved(self._world, self._scene, self.client < 0)

    def __setstate__(self, saved: _Saved) -> None:
        BulletCamera.__init__(self, saved.world)
        if saved.scene is not None:
            self.lay(*saved.scene)
        if saved.closed:
            self.close()

    def _open(self) -> None:
        """Start with an empty scene in a client of its own."""
        self._own, self._laid, self._mesh_bytes = BulletClient(), 0, 0
        self._classes, self._cars = {}, []
        client = self._own.number
        # Bullet would cache every file by its name, for ever
        pybullet.setPhysicsEngineParameter(enableFileCaching=0, physicsClientId=client)
        self._egl = EglContext(client) if self._world.camera.renderer == "egl" else None
        if self._egl:
            self._own.before_closing(self._egl.use)

    def _focus(self) -> None:
        if self._egl:
            self._egl.use()

    def close(self) -> None:
        """Free the client; safe to call twice."""
        self._own.close()

    def lay(self, road: Road, appearance: Appearance, parked: Sequence[Pose] = ()) -> None:
        """Replace the scene by a road and parked cars, with an episode's appearance."""
        if self._laid == _SCENES_A_CLIENT[self._world.camera.renderer] or self._mesh_bytes > _MESH_BYTES_A_CLIENT:
            self._own.close()
            self._open()
        self._focus()
        for body in [*self._classes, *self._cars]:
            pybullet.removeBody(body, physicsClientId=self._own.number)
        self._laid += 1
        self._scene = _Scene(road, appearance, list(parked))
        rgb = appearance.rgb
        colour = {ROAD: rgb[ASPHALT], EGO_LANE: rgb[ASPHALT], LINE: rgb[MARKING]}
        self._classes = {
            self._body(*_quads(strips), colour[kind]): kind
            for kind, strips in _strips(road, self._world.road).items()
            if strips
        }
        low, high = road.knots[:, :2].min(axis=0) - 500, road.knots[:, :2].max(axis=0) + 500
        verge = [(low[0], low[1]), (high[0], low[1]), (high[0], high[1]), (low[0], high[1])]
        corners = np.array([(x, y, _VERGE_Z_M) for x, y in verge])
        self._classes[self._body(corners, [0, 1, 2, 0, 2, 3], rgb[VERGE])] = BACKGROUND
        self._cars = [self._car(pose) for pose in parked]

    def _car(self, pose: Pose) -> int:
        car, (x, y, yaw) = self._world.car, pose
        half = [car.length_m / 2, car.width_m / 2, car.height_m / 2]
        client = self._own.number
        shape = pybullet.createVisualShape(pybullet.GEOM_BOX, halfExtents=half, physicsClientId=client)
        turn = [0, 0, math.sin(yaw / 2), math.cos(yaw / 2)]
        return pybullet.createMultiBody(0, -1, shape, [x, y, half[2]], turn, physicsClientId=client)

    def _body(self, vertices: NDArray[np.float64], indices: list[int], colour: NDArray[np.float32]) -> int:
        self._mesh_bytes += _VERTEX_BYTES * len(indices)
        with tempfile.TemporaryDirectory() as folder:  # the EGL renderer crashes on a mesh that is not in a file
            path = Path(folder) / "mesh.stl"  # it keeps every OBJ file until the process ends
            path.write_bytes(_stl(vertices, indices))
            shape = pybullet.createVisualShape(
                pybullet.GEOM_MESH,
                fileName=str(path),
                rgbaColor=[*(float(c) for c in colour), 1],
                specularColor=[0, 0, 0],
                physicsClientId=self._own.number,
            )
            return pybullet.createMultiBody(0, -1, shape, physicsClientId=self._own.number)

    def photograph(self, x_m: float, y_m: float, yaw_rad: float, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Fill `image` (C, H, W) uint8 with what the car's camera sees; return the classes (H, W) uint8."""
        assert self._scene is not None, "lay() comes first"
        camera, appearance = self._world.camera, self._scene.appearance
        rgba, bodies = self._take(x_m, y_m, yaw_rad, appearance)
        classes = np.full(bodies.shape, VEHICLE, np.uint8)
        classes[bodies < 0] = BACKGROUND
        for body, kind in self._classes.items():
            classes[bodies == body] = kind
        rgb = rgba[..., :3].astype(np.float32)
        rgb[bodies < 0] = 255 * appearance.rgb[SKY]
        picture = rgb if camera.channels == "rgb" else (rgb @ _LUMA)[..., None]
        image[:] = np.clip(picture, 0, 255).astype(np.uint8).transpose(2, 0, 1)
        return classes

    def _take(
        self, x_m: float, y_m: float, yaw_rad: float, appearance: Appearance
    ) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
        camera = self._world.camera
        height = camera.height_m + appearance.camera_height_error_m
        pitch = camera.pitch_rad + appearance.camera_pitch_error_rad
        cos, sin = math.cos(yaw_rad), math.sin(yaw_rad)
        lens = np.array([x_m + cos * camera.forward_m, y_m + sin * camera.forward_m, height])
        ahead = np.array([cos * math.cos(pitch), sin * math.cos(pitch), -math.sin(pitch)])
        up = np.array([cos * math.sin(pitch), sin * math.sin(pitch), math.cos(pitch)])
        self._focus()
        _, _, rgba, _, bodies = pybullet.getCameraImage(
            camera.width_px,
            camera.height_px,
            pybullet.computeViewMatrix(lens.tolist(), (lens + ahead).tolist(), up.tolist()),
            _projection(camera, 0.5 if self._renderer == pybullet.ER_TINY_RENDERER else 0.0),
            lightDirection=[0, 0, 1],
            lightAmbientCoeff=0.6,
            lightDiffuseCoeff=0.4,
            lightSpecularCoeff=0,
            shadow=0,
            renderer=self._renderer,
            physicsClientId=self._own.number,
        )
        shape = (camera.height_px, camera.width_px)
        return np.asarray(rgba, np.uint8).reshape(*shape, 4), np.asarray(bodies, np.int32).reshape(shape)


def _projection(camera: CameraSpec, shift_px: float) -> list[float]:
    """Return OpenGL's projection matrix, the picture shifted to the left and down.

    TinyRenderer samples at the lower left corner of a pixel, OpenGL and `pinhole.py` at its centre.
    """
    aspect = camera.width_px / camera.height_px
    vertical = 2 * math.atan(math.tan(camera.fov_rad / 2) / aspect)
    matrix = list(pybullet.computeProjectionMatrixFOV(math.degrees(vertical), aspect, _NEAR_M, _FAR_M))
    matrix[8] += 2 * shift_px / camera.width_px
    matrix[9] += 2 * shift_px / camera.height_px
    return matrix


Strip = NDArray[np.float64]
"""(n, 2, 3): n cross sections of a strip, from their right to their left end [m]."""


def _strips(road: Road, spec: RoadSpec) -> dict[int, list[Strip]]:
    """Return the strips of each class."""
    lane, half_line = spec.lane_width_m, spec.line_width_m / 2
    right, left = -spec.lanes_ahead * lane, spec.lanes_oncoming * lane
    lines = [right + lane * k for k in range(spec.lanes_ahead + spec.lanes_oncoming + 1)]
    end = road.length_m
    out: dict[int, list[Strip]] = {
        ROAD: [
            _strip(road, right - spec.shoulder_m, right - half_line, 0, end),
            _strip(road, left + half_line, left + spec.shoulder_m, 0, end),
        ],
        EGO_LANE: [],
        LINE: [],
    }
    for d in lines[:-1]:
        out[EGO_LANE if d == right else ROAD].append(_strip(road, d + half_line, d + lane - half_line, 0, end))
    for d in lines:
        if d in (right, left):
            out[LINE].append(_strip(road, d - half_line, d + half_line, 0, end))
            continue
        period = spec.dash_length_m + spec.dash_gap_m
        for s in np.arange(0, end, period):
            painted = min(s + spec.dash_length_m, end)
            out[LINE].append(_strip(road, d - half_line, d + half_line, s, painted))
            # the gap belongs to the lanes on either side, as in the ground truth
            gap = min(s + period, end)
            if gap > painted:
                out[ROAD].append(_strip(road, d, d + half_line, painted, gap))
                below = EGO_LANE if d == right + lane else ROAD
                out[below].append(_strip(road, d - half_line, d, painted, gap))
    return out


def _strip(road: Road, low_d: float, high_d: float, start_s: float, end_s: float) -> Strip:
    count = max(2, math.ceil((end_s - start_s) / _STEP_M) + 1)
    sections = [
        [(*road.place(float(s), d)[:2], 0.0) for d in (low_d, high_d)] for s in np.linspace(start_s, end_s, count)
    ]
    return np.array(sections)


def _quads(strips: list[Strip]) -> tuple[NDArray[np.float64], list[int]]:
    """Return vertices (n, 3) and triangle indices of strips, facing up."""
    indices: list[int] = []
    base = 0
    for strip in strips:
        for i in range(len(strip) - 1):
            a = base + 2 * i
            indices += [a, a + 3, a + 1, a, a + 2, a + 3]
        base += 2 * len(strip)
    return np.concatenate([strip.reshape(-1, 3) for strip in strips]), indices


_STL_TRIANGLE = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attributes", "<u2")])


def _stl(vertices: NDArray[np.float64], indices: list[int]) -> bytes:
    """Return triangles that face up as a binary STL file, to the micrometre."""
    corners = np.round(vertices, 6)[np.array(indices).reshape(-1, 3)]  # (n, 3, 3)
    triangles = np.zeros(len(corners), _STL_TRIANGLE)
    triangles["normal"] = 0, 0, 1
    triangles["corners"] = corners
    return bytes(80) + np.uint32(len(triangles)).tobytes() + triangles.tobytes()
