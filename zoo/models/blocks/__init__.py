"""Blocks that several architectures share; each is written once, here."""
