"""What must be done and how it was done: spaces, episodes, reward, outcome, scores."""
