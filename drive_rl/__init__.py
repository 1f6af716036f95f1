"""drive-rl: driving from pixels. Importing it registers one Gymnasium id for each world on the shelf."""

import os.path
import signal
import sys
import warnings

_is_command_line = os.path.basename("".join(sys.argv[:1])) == "drive-rl" or sys.orig_argv[1:3] == ["-m", "drive_rl"]
if _is_command_line and signal.getsignal(signal.SIGINT) == signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C while modules load ends without a traceback

from drive_rl.registration import register_worlds  # noqa: E402 - it is slow to load

__version__ = "0.1.0"

with warnings.catch_warnings():
    if _is_command_line:  # whose verbs refuse a bad shelf themselves
        warnings.simplefilter("ignore")
    register_worlds()
