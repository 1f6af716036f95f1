"""The one error that a user of drive-rl can cause, and the end that a signal brings."""

from drive_rl.plain_text import plain


class DriveRLError(ValueError):
    """Unusable input from the user; the message is one paragraph with the fix.

    The message names the file, the key, the value found, what was expected, and the fix:
    ``envs/my_road.yaml: road.lane_width_m = -3: expected >= 2``. The command line prints it and
    exits with code 2.

    The message may quote a file, so control characters are escaped.
    """

    def __init__(self, message: str) -> None:
        super().__init__(plain(message))


class PluginNeededError(DriveRLError):
    """A spec that is right, but needs a plugin which was not named."""

    def __init__(self, message: str, needs: str) -> None:
        super().__init__(message)
        self.needs = plain(needs)


class Stopped(SystemExit):
    """A signal ends the command: no error of the code that ran when it came, though it passes through it."""
