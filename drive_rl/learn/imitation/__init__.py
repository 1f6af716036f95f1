"""Imitation of a teacher: behaviour cloning and dataset aggregation."""
