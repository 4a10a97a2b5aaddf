"""The `zoo` command: parse, call `zoo.api`, render, echo."""

from zoo.cli.main import main

__all__ = ["main"]
