"""What can be declared (worlds, drivers, experiments, perception models), where it is stored, and its one reader."""
