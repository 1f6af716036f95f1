"""Perception models that others made: any file or code that turns pictures into arrays, behind a small YAML file."""
