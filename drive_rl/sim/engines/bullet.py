"""The PyBullet world: one client, one car, parked cars. It has named methods; no other module touches Bullet's indices.

The car is a single rigid body without wheel joints: the vehicle model gives force and yaw moment at each physics step,
Bullet integrates them and detects contacts. Gravity is off, since the formula carries the wheel loads.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from drive_rl.config.specs.car import CarSpec
from drive_rl.sim.engines.bullet_client import BulletClient, pybullet
from drive_rl.sim.map.geometry import wrap
from drive_rl.sim.vehicle import CarState, car_params, push

Pose = tuple[float, float, float]
"""x, y [m], yaw [rad]."""
Motion = tuple[float, float, float, float, float, float]
"""x, y [m], yaw [rad], speed along x and y in the world's frame [m/s], yaw rate [rad/s]."""

_AWAY_Z_M = -1000.0
"""Where bodies are that nothing uses."""
_DISTANCE = 8
"""Where a contact point of Bullet holds how far apart the bodies are [m]."""


class _Saved(NamedTuple):
    car: CarSpec
    dt_s: float
    closed: bool
    state: CarState
    parked: list[Pose]


class BulletWorld:
    """One Bullet client holding one car.

    A copy (`copy.deepcopy`, `pickle`) has a client of its own with the same cars: the two then drive alike and
    independently.
    """

    def __init__(self, car: CarSpec, dt_s: float) -> None:
        self._own = BulletClient()
        self._client = self._own.number
        self._car = car
        self._params = car_params(car, dt_s)
        self._dt_s = dt_s
        self._state = CarState()
        self._bodies: list[int] = []  # of parked cars, made once: Bullet never frees all of a body's memory
        self._parked: list[Pose] = []  # poses of those in use
        self._boxes: dict[tuple[float, float], list[int]] = {}  # of actors, by their half length and half width
        pybullet.setPhysicsEngineParameter(
            fixedTimeStep=dt_s,
            numSubSteps=0,
            numSolverIterations=10,
            deterministicOverlappingPairs=1,
            physicsClientId=self._client,
        )
        half = [car.length_m / 2, car.width_m / 2, car.height_m / 2]
        self._box = pybullet.createCollisionShape(pybullet.GEOM_BOX, halfExtents=half, physicsClientId=self._client)
        self._body = self._make(car.mass_kg)
        pybullet.changeDynamics(
            self._body,
            -1,
            linearDamping=0,
            angularDamping=0,
            mass=car.mass_kg,  # Bullet resets the mass if only the inertia is given
            localInertiaDiagonal=[car.yaw_inertia_kgm2] * 3,
            activationState=pybullet.ACTIVATION_STATE_DISABLE_SLEEPING,
            physicsClientId=self._client,
        )
        # only a step transforms the new inertia to the world frame: without it, the first step of a client differs
        # from all others, and neither the first episode nor a resume is exact
        pybullet.stepSimulation(self._client)

    @property
    def client(self) -> int:
        """Bullet's number for this world's client; -1 after `close`."""
        return self._own.number

    def __getstate__(self) -> _Saved:
        return _Saved(self._car, self._dt_s, self.client < 0, self._state, self._parked)

    def __setstate__(self, saved: _Saved) -> None:
        BulletWorld.__init__(self, saved.car, saved.dt_s)
        self.place(saved.state, saved.parked)
        if saved.closed:
            self.close()

    def _make(self, mass_kg: float) -> int:
        height = [0, 0, self._car.height_m / 2]
        return pybullet.createMultiBody(
            mass_kg, self._box, -1, height, useMaximalCoordinates=True, physicsClientId=self._client
        )

    def place(self, state: CarState, parked: list[Pose]) -> None:
        """Put the car into a state, and parked cars at their poses."""
        while len(self._bodies) < len(parked):
            self._bodies.append(self._make(0))
        if self._bodies:  # Bullet drops the last episode's contacts only while nothing touches
            for body in self._bodies:
                self._set_pose(body, (0, 0, 0), _AWAY_Z_M)
            pybullet.performCollisionDetection(self._client)
        for body, pose in zip(self._bodies, parked, strict=False):
            self._set_pose(body, pose)
        self._parked = list(parked)
        self.set_state(state)

    def _set_pose(self, body: int, pose: Pose, below_m: float = 0.0) -> None:
        x, y, yaw = pose
        pybullet.resetBasePositionAndOrientation(
            body,
            [x, y, self._car.height_m / 2 + below_m],
            [0, 0, math.sin(yaw / 2), math.cos(yaw / 2)],
            physicsClientId=self._client,
        )

    def set_state(self, state: CarState) -> None:
        """Put the car into a state and leave everything else where it is."""
        self._state = state
        self._set_pose(self._body, (state.x_m, state.y_m, state.yaw_rad))
        cos, sin = math.cos(state.yaw_rad), math.sin(state.yaw_rad)
        pybullet.resetBaseVelocity(
            self._body,
            [state.vx_mps * cos - state.vy_mps * sin, state.vx_mps * sin + state.vy_mps * cos, 0],
            [0, 0, state.yaw_rate_radps],
            physicsClientId=self._client,
        )

    def state(self) -> CarState:
        """Return the car's state."""
        return self._state

    def drive(self, steer: float, pedal: float, steps: int) -> bool:
        """Drive `steps` physics steps with commands in [-1, 1]; return whether the car touched anything.

        Bullet is put into `state` first, so that those seven numbers suffice for an exact resume. The state of a car
        that touches something is the one at the contact, before Bullet pushes it back.
        """
        self.set_state(self._state)
        body, client, params = self._body, self._client, self._params
        angle = self._state.steer_rad
        for _ in range(steps):
            x, y, yaw, wx, wy, yaw_rate = motion = self._motion()
            angle, fx, fy, moment = push(yaw, wx, wy, yaw_rate, angle, steer, pedal, params)
            position = (x, y, self._car.height_m / 2)
            pybullet.applyExternalForce(body, -1, (fx, fy, 0.0), position, pybullet.WORLD_FRAME, client)
            pybullet.applyExternalTorque(body, -1, (0.0, 0.0, moment), pybullet.WORLD_FRAME, client)
            pybullet.stepSimulation(client)
            if self._parked and pybullet.getContactPoints(bodyA=body, physicsClientId=client):
                self._state = _car_state(motion, angle)
                return True
        self._state = _car_state(self._motion(), angle)
        return False

    def touches(self, bodies: NDArray[np.float64]) -> bool:
        """Return whether the car, where it is, touches one of some boxes, which are gone again afterwards.

        Args:
            bodies: (n, 5), x, y [m], yaw [rad], half length and half width [m].
        """
        used: list[int] = []
        for x, y, yaw, *half in bodies.tolist():
            pool = self._boxes.setdefault((half[0], half[1]), [])
            free = [body for body in pool if body not in used]
            used.append(free[0] if free else self._add_box(pool, half))
            self._set_pose(used[-1], (x, y, yaw))
        pybullet.performCollisionDetection(self._client)
        found = pybullet.getContactPoints(bodyA=self._body, physicsClientId=self._client)
        for body in used:
            self._set_pose(body, (0, 0, 0), _AWAY_Z_M)
        if used:  # Bullet keeps the contacts of bodies that it has not looked at again
            pybullet.performCollisionDetection(self._client)
        return any(point[_DISTANCE] <= 0 for point in found)

    def _add_box(self, pool: list[int], half: list[float]) -> int:
        shape = pybullet.createCollisionShape(
            pybullet.GEOM_BOX, halfExtents=[*half, self._car.height_m / 2], physicsClientId=self._client
        )
        pool.append(
            pybullet.createMultiBody(
                0, shape, -1, [0, 0, _AWAY_Z_M], useMaximalCoordinates=True, physicsClientId=self._client
            )
        )
        return pool[-1]

    def _motion(self) -> Motion:
        (x, y, _), (_, _, qz, qw) = pybullet.getBasePositionAndOrientation(self._body, self._client)
        (wx, wy, _), (_, _, yaw_rate) = pybullet.getBaseVelocity(self._body, self._client)
        return x, y, 2 * math.atan2(qz, qw), wx, wy, yaw_rate

    def close(self) -> None:
        """Free the client; safe to call twice."""
        self._own.close()


def _car_state(motion: Motion, steer: float) -> CarState:
    x, y, yaw, wx, wy, yaw_rate = motion
    cos, sin = math.cos(yaw), math.sin(yaw)
    return CarState(x, y, wrap(yaw), wx * cos + wy * sin, wy * cos - wx * sin, yaw_rate, steer)
