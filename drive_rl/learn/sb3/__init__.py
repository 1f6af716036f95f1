"""stable-baselines3 adapted: vector environments, feature extractors, exploration, logging."""
