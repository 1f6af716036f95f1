"""Drivers: build, train, evaluate, imitate, checkpoint."""

import os

# Read when torch is first imported. By default torch's threads spin while they wait for one another: on a machine that
# is busy with anything else, an update on 2 threads took 7 times as long (675 against 100 ms) as with threads that
# sleep. A wish of the user's own stands.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
