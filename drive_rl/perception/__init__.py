"""Models that see the road, their data, and how they are measured. Knows worlds; knows no policy and no reward."""
