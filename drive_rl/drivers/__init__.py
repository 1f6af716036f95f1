"""Drivers, which map observations to actions, and their evaluation."""
