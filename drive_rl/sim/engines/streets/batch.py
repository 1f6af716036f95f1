"""Many cars at once in a world with streets, each in traffic of its own; maps are shared. On the CPU."""

from functools import partial

import numpy as np
from numpy.typing import NDArray

from drive_rl.sim.engines.batch import Batch
from drive_rl.sim.engines.cpu_loop import SHARE
from drive_rl.sim.engines.streets.loop import StreetLens, begin_street_cars, step_street_cars
from drive_rl.sim.engines.streets.scene import StreetScene
from drive_rl.sim.engines.streets.visibility import see_street_cars
from drive_rl.sim.engines.work_queue import new_counter
from drive_rl.sim.sensors.pinhole import cast_rays
from drive_rl.sim.sensors.view import TEXELS
from drive_rl.sim.state import State


class StreetBatch(Batch):
    """N cars of a world with streets; otherwise a `Batch`."""

    def _lay(self, spare_roads: int) -> None:
        self.scene = StreetScene(self.world, len(self.cars.slot))
        self._street_lens = StreetLens(cast_rays(self.world.camera).bearings, TEXELS, self.scene.commands)

    def actors(self, car: int) -> NDArray[np.float64]:
        """Return x, y [m] and yaw [rad] of the actors around a car, (actors, 3)."""
        return self.scene.actors(car)

    def get_state(self) -> State:
        """Return NumPy arrays from which `set_state` resumes exactly, in this or another process."""
        return {**super().get_state(), **self.scene.get_state()}

    def set_state(self, state: State) -> None:
        """Resume where `get_state` was called, on a batch of the same world and N.

        Raises:
            DriveRLError: it has another N or another camera, or a car cannot be in it; nothing has changed.
        """
        super().set_state(state)
        self.scene.set_state(state)

    def check_state(self, state: State) -> None:
        """Refuse a state that `set_state` cannot resume from.

        Raises:
            DriveRLError: names the array, what was found and what was expected.
        """
        super().check_state(self.scene.without(state))
        self.scene.check_state(state, np.where(state["drives"], state["slot"], -1))

    def idle(self, car: int) -> None:
        """Take a car off its map: `step` leaves it as it is."""
        if self.drives[car]:
            self.drives[car] = False
            self.scene.release(car)

    def _place(self, car: int, seed: int) -> None:
        self.scene.place(car, seed)
        self.slot[car], self.drives[car], self.road_seeds[car] = car, True, seed

    def _begin(self, chosen: NDArray[np.int64]) -> None:
        shared = self.cars, self.scene.around, self._plan, self._street_lens, self.frames
        self._together(partial(begin_street_cars, new_counter(), chosen, *shared), len(chosen) // SHARE)
        self._see(chosen)

    def _step(self, commands: NDArray[np.float64]) -> None:
        shared = self.cars, self.scene.around, self._plan, self._street_lens
        frames = commands, self._frames_before, self.frames
        self._together(partial(step_street_cars, new_counter(), *shared, *frames), self.num_cars // SHARE)
        self._see(np.flatnonzero(self.drives))

    def _see(self, chosen: NDArray[np.int64]) -> None:
        """Have the states that are observed hold only what the cars have seen, where the world asks for that."""
        if self.scene.visibility is not None and "state" in self.observation:
            shared = self.cars, self.scene.around, self.scene.visibility
            self._together(partial(see_street_cars, new_counter(), chosen, *shared), len(chosen) // SHARE)
