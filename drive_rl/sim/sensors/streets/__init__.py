"""What cameras show of maps of streets: ground, solids, labels."""
