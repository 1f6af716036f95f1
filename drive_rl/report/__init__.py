"""What people look at: films of episodes. Knows drivers, worlds and scores; not how training works inside."""
