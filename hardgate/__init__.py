"""Hardgate."""
