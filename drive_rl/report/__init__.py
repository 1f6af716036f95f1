"""Output for people: films, lists and tables. Knows drivers, worlds and scores; not how training works inside."""
