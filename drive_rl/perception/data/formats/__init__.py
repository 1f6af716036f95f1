"""Folder formats of labelled pictures, one module each."""
