"""What the car's camera sees, and the labels of the same pass."""
