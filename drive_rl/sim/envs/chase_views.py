"""Frames of the batch engine's cars, for people: the chase view that `LaneEnv` renders."""

import numpy as np
from numpy.typing import NDArray

from drive_rl.sim.engines.batch import Batch
from drive_rl.sim.engines.streets.batch import StreetBatch
from drive_rl.sim.envs.street_views import street_chase_view
from drive_rl.sim.envs.views import CHASE, chase_view
from drive_rl.sim.task.episode import Episode, draw_episode
from drive_rl.sim.vehicle import CarState


class ChaseViews:
    """The chase views of a batch's cars. Each car's episode is drawn once."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch
        self._episodes: dict[int, Episode] = {}  # by car

    def frame(self, car: int) -> NDArray[np.uint8]:
        """Return a car seen from behind, (H, W, 3) RGB uint8; of an episode that has ended, where it did."""
        batch, seed = self._batch, int(self._batch.road_seeds[car])
        state = CarState(*batch.to_numpy(batch.cars.body[:, car]).tolist())
        if isinstance(batch, StreetBatch):
            return street_chase_view(batch.world, batch.scene, car, state, int(batch.cars.steps[car]), CHASE)
        episode = self._episodes.get(car)
        if episode is None or episode.seed != seed:
            self._episodes[car] = episode = draw_episode(batch.world, seed)
        return chase_view(batch.world, episode, state)
