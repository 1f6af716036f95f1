"""Labelled pictures: rendered, read from folders, written."""
