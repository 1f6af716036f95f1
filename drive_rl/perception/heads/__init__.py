"""Heads: what each reads, its network, the labels that it learns from, its losses and its scores."""
