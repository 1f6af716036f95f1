"""The protocol of what predicts a lane state from observations. It knows no network, driver or environment."""

from typing import Any, Protocol


class LaneStateSource(Protocol):
    """Predicts the lane state: a driver and an environment wrapper act on it in place of the true one."""

    def lane_state(self, observations: Any) -> Any:
        """Return lane states (B, fields) in the order of `STATE_FIELDS`: arrays for arrays, tensors for tensors.

        Args:
            observations: What the source reads: pictures (B, C, H, W) uint8, or {camera, state} of B cars.
        """
        ...
