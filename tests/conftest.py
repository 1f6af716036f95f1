"""What all tests share: signals as a terminal gives them, and in CI the same random cases every time."""

import os
import signal

from hypothesis import settings

# Started in the background or by `nohup`, the tests would inherit ignored signals.
for _number, _handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(_number) == signal.SIG_IGN:
        signal.signal(_number, _handler)

# CI judges a change, not chance: new cases are looked for by whoever runs the tests at home, and by benchmarks/fuzz.py.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")
