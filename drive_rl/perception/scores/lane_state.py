"""How far the regressed lane is off: mean absolute error of each field. It knows the fields only by the names given."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from drive_rl.errors import DriveRLError

RADIANS = "_rad"


class FieldError(NamedTuple):
    """Mean absolute error in the field's unit over `n` labels; NaN without labels."""

    mae: float
    n: int


def lane_errors(
    predicted: NDArray[np.floating], truth: NDArray[np.floating], fields: Sequence[str]
) -> dict[str, FieldError]:
    """Mean absolute error of `predicted` (N, F) against `truth` (N, F), by field name (such as `samples.LANE_FIELDS`).

    NaN labels are left out. A field in radians stands there twice: ``heading_error_rad`` and, in degrees,
    ``heading_error_deg``. A prediction that is not finite makes its field's error infinite or NaN; it is not left out.
    Raises DriveRLError for other shapes.
    """
    guess, labels = np.asarray(predicted, dtype=np.float64), np.asarray(truth, dtype=np.float64)
    if not guess.shape == labels.shape == (len(labels), len(fields)):
        raise DriveRLError(f"predicted {guess.shape}, truth {labels.shape}: expected both to be (N, {len(fields)})")
    errors: dict[str, FieldError] = {}
    for field, found, wanted in zip(fields, guess.T, labels.T, strict=True):
        known = ~np.isnan(wanted)
        n = int(known.sum())
        mae = float(np.abs(found[known] - wanted[known]).mean()) if n else float("nan")
        errors[field] = FieldError(mae, n)
        if field.endswith(RADIANS):
            errors[field.removesuffix(RADIANS) + "_deg"] = FieldError(float(np.degrees(mae)), n)
    return errors
