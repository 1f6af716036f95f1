"""OpenDRIVE maps as road networks."""
