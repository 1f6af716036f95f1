"""Learning from pixels with a lane-state network trained alongside."""
