"""Hazards: what a script does on the ego car's way."""
