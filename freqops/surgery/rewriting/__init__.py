"""Replacing calls in the source of methods."""
