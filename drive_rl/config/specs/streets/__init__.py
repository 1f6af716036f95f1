"""Specs of streets: maps, traffic, hazards, and the worlds that have them."""
