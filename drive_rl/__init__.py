"""drive-rl: driving from pixels. Importing it registers one Gymnasium id for each world on the shelf."""

__version__ = "0.1.0"
