"""The world and the car: road -> field -> vehicle -> Bullet -> camera -> reward -> environment."""
