"""The perception benchmark: how a model sees, how a car drives on it, and how the two relate."""
