"""Encoders, heads, and trained models as folders."""
