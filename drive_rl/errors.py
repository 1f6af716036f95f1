"""The one error that a user of drive-rl can cause. It knows nothing of who raises it or who prints it."""

from drive_rl.plain_text import plain


class DriveRLError(ValueError):
    """Something the user gave cannot be used, and the message is one paragraph that says how to mend it.

    The message names the file, the key, the value found, what was expected, and the fix:
    ``envs/my_road.yaml: road.lane_width_m = -3: must be > 0``. The command line prints it and
    exits with code 2.

    What a file holds may be part of it, so that control characters are escaped.
    """

    def __init__(self, message: str) -> None:
        super().__init__(plain(message))
