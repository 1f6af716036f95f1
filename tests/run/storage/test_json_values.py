import json
from typing import NamedTuple

import numpy as np

from drive_rl.run.storage.json_values import plain


class Pair(NamedTuple):
    a: float
    b: np.ndarray


def test_values_become_json() -> None:
    value = {1: Pair(np.inf, np.arange(2)), "x": (np.float32(0.5), np.int64(3), None, float("nan"), True)}
    found = plain(value)
    assert found == {"1": {"a": None, "b": [0, 1]}, "x": [0.5, 3, None, None, True]}
    assert json.loads(json.dumps(found, allow_nan=False)) == found
