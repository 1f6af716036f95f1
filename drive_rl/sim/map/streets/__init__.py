"""Seeded maps of streets: towns, roundabouts, motorways and country roads."""
