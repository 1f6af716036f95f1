"""Files that survive crashes and are read without trust."""
