"""What can be declared: frozen specs of worlds, drivers, experiments and perception models."""
