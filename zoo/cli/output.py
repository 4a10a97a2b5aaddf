"""How a report leaves the command: rendered for the terminal, a pipe or a file."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from zoo.files import check_writable, write_whole

if TYPE_CHECKING:
    from zoo.analysis.records import Report

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Output:
    """What the user asked for."""

    fmt: str = "text"
    """Format."""
    path: str | None = None
    """File; None for standard output."""
    columns: tuple[str, ...] | None = None
    """Columns in the user's order; None for the format's own."""
    sort: str | None = None
    """Column to sort by."""
    depth: int | None = None
    """Levels of the tree."""
    binary: bool = False
    """Whether bytes are counted in 1,024s."""


def output_options(function: F) -> F:
    """Give a command `--format` and `--output`."""
    function = click.option(
        "--output", "-o", "path", metavar="FILE", help="Write to FILE, whole or not at all."
    )(function)
    return click.option(
        "--format",
        "fmt",
        default="text",
        metavar="text|json|csv|md",
        help="Form of the report.",
        show_default=True,
    )(function)


def check(output: Output) -> None:
    """Find out before a long run whether the report can be written.

    Args:
        output: What the user asked for.

    Raises:
        BadFormat: No such format.
        OutputError: The file's folder is missing, or not writable.
    """
    from zoo.errors import BadFormat
    from zoo.views import FORMATS

    if output.fmt not in FORMATS:
        raise BadFormat(output.fmt, FORMATS)
    if output.path is not None:
        check_writable(output.path)


def emit(report: Report, output: Output) -> None:
    """Render a report and write it.

    Args:
        report: What to show.
        output: How to show it, and where it goes.

    Raises:
        OutputError: The file cannot be written.
        UnknownColumn: A column that the report does not have.
    """
    from zoo import views

    terminal = output.path is None and sys.stdout.isatty()
    if terminal:
        import shutil
    text = views.render(
        report,
        output.fmt,
        width=shutil.get_terminal_size().columns if terminal else None,
        color=terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb",
        units=views.Units.BINARY if output.binary else views.Units.SI,
        columns=output.columns,
        depth=output.depth,
        sort=output.sort,
    )
    text = text if text.endswith("\n") else text + "\n"
    if output.path is None:
        click.echo(text, nl=False, color=terminal or None)
    else:
        write_whole(Path(output.path), text.encode())


class Progress:
    """A line on stderr that says how far a run is, where stderr is a terminal."""

    def __init__(self, what: str) -> None:
        self.what, self.shown = what, False

    def __call__(self, done: int | str) -> None:
        """Say how many operators ran, or who is asked now."""
        if done and sys.stderr.isatty():
            self.shown = True
            said = f"{done:,} operators" if isinstance(done, int) else f"asking {done}"
            click.echo(f"\r\033[K{self.what}: {said}", nl=False, err=True)

    def done(self) -> None:
        """Clear the line."""
        if self.shown:
            click.echo("\r\033[K", nl=False, err=True)
