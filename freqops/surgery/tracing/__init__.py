"""Seeing what a model calls: one run on fake tensors, and questions about it."""
