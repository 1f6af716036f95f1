"""The run folder, where a run came from, and the trackers its numbers go to."""
