"""Runs a model once on tensors without data and writes down all that happens."""
