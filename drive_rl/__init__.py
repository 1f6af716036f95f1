"""drive-rl: driving from pixels. Importing it registers one Gymnasium id for each world on the shelf."""

from drive_rl.worlds import register_worlds

__version__ = "0.1.0"

register_worlds()
