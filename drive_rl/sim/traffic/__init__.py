"""What is not the ego car: other drivers, how they follow, change lanes and give way. Knows no engines, no pictures."""
