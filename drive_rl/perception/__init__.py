"""Models that see the road, and how well, how fast and how robustly they do."""
