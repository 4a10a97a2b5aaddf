"""Shapes, parameters, MACs and memory of any PyTorch model."""
