"""Whoever turns observations into actions, and how they are scored."""
