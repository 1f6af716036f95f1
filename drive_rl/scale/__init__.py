"""Many trainings of one experiment."""
