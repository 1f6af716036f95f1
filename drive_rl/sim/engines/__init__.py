"""What moves the car: PyBullet, the batch engine on CPU, and CUDA."""
