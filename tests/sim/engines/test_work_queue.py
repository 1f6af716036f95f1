"""Threads that take their work from one counter: every item is done once."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numba import njit

from drive_rl.sim.engines.work_queue import new_counter, take


@njit(nogil=True)
def count(counter, done):
    first = take(counter, 3)
    while first < done.size:
        done[first : first + 3] += 1
        first = take(counter, 3)


def test_every_item_is_taken_once() -> None:
    counter, done = new_counter(), np.zeros(1_000_000, np.int64)
    with ThreadPoolExecutor(4) as pool:
        for thread in [pool.submit(count, counter, done) for _ in range(4)]:
            thread.result()
    assert (done == 1).all()
