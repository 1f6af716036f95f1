"""Work shared by threads: each takes the next items from one counter until none is left.

Equal shares would end at different times: a core that runs other programs too is slower for a while.
"""

from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from drive_rl.sim.compiled import njit


def new_counter() -> NDArray[np.int64]:
    """Return the counter of new work, (1,)."""
    return np.zeros(1, np.int64)


@njit
def take(counter: NDArray[np.int64], many: int) -> int:
    """Return the first of the next `many` items; no other thread gets them."""
    return _fetch_and_add(counter, many)  # pyright: ignore[reportCallIssue]


@intrinsic
def _fetch_and_add(typing_context: Any, counter: Any, amount: Any) -> Any:
    """Add to the only element of an int64 array; return what it held, as one atomic operation."""
    del typing_context, amount

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        return builder.atomic_rmw("add", array.data, arguments[1], "monotonic")

    return types.int64(counter, types.int64), generate
