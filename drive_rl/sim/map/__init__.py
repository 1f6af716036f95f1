"""Roads: geometry, generation, distance fields, speed profiles."""
