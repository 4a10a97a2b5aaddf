"""Runs the command in this process, as its entry point does."""

from __future__ import annotations

from dataclasses import dataclass

from click.testing import CliRunner

from zoo.cli import main


@dataclass(frozen=True, slots=True)
class Done:
    """What a command did."""

    code: int
    out: str
    err: str


def zoo(*words: str) -> Done:
    """`zoo WORDS...`; an exception that is not an exit is raised."""
    result = CliRunner().invoke(main, list(words))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Done(result.exit_code, result.stdout, result.stderr)
