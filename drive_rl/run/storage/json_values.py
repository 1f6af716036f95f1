"""Conversion of values to what JSON can hold."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

JsonTable = dict[str, Any]  # raw JSON: what is used of it is checked by `read_table`


def plain(value: Any) -> Any:
    """Return a value for JSON: arrays as lists, named tuples as mappings, NaN and infinity as None."""
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    return None if isinstance(value, float) and not math.isfinite(value) else value
