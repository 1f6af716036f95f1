"""Parts of the callbacks; tests/learn/test_train.py covers evaluating, saving and stopping in training."""

import numpy as np
import pytest

from drive_rl.errors import DriveRLError
from drive_rl.learn.callbacks import Every, check_observations


def test_observations_that_are_not_finite_are_refused() -> None:
    good = np.zeros((2, 3), np.float32)
    check_observations({"state": good, "camera": np.zeros((2, 3), np.uint8)}, 5)
    with pytest.raises(DriveRLError, match="observation state holds NaN or infinity at step 5"):
        check_observations(np.array([[np.nan]], np.float32), 5)


def test_every_is_true_once_a_multiple() -> None:
    due = Every(100, 250)
    assert [due(step) for step in (260, 300, 310, 520, 599, 600)] == [False, True, False, True, False, True]
