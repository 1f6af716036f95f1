"""A multiplication and an addition with one rounding, for the inner loops of pictures. Knows nothing of pixels.

A compiler fuses the two by itself where it may (`fastmath`), but which ones depends on what else it compiles, so that
pictures would differ between processes. Written out, they are the same everywhere.
"""

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from numba import types
from numba.extending import intrinsic


@intrinsic
def _fma(typing_context: Any, a: Any, b: Any, c: Any) -> Any:
    del typing_context
    if not (isinstance(a, types.Float) and a == b == c):
        return None

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        del context, signature
        return builder.fma(*arguments)

    return a(a, b, c), generate


fma = cast(Callable[[np.float32, np.float32, np.float32], np.float32], _fma)
"""a x b + c, rounded once, of three floats of one type (IEEE 754-2008, fusedMultiplyAdd); for compiled functions."""
