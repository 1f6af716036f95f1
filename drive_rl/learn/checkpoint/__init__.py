"""Checkpoints that resume exactly, exports, and foreign zips."""
