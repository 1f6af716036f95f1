"""The benchmark of drivers: published scores of recorded drives, each under its version's name."""
