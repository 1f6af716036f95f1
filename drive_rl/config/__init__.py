"""What can be declared (worlds, drivers, experiments, perception), where it lies, and the one reader of it."""
