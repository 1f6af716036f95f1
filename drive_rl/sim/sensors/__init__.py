"""The camera: pictures, and the labels of the same pass."""
