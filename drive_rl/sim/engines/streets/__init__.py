"""Streets in the batch engine and in Bullet's: routes, actors and maps of many cars."""
