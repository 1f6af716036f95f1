"""Gymnasium environments over the engines."""
