"""Drivers: build, train, evaluate, imitate, checkpoint."""
