"""`zoo sweep`: many models, a row each."""

from __future__ import annotations

import sys
from time import monotonic
from typing import Any

import click

from zoo.cli.options import hints_of, output_of, run_options, step_of, step_options
from zoo.cli.output import Output, check, emit
from zoo.errors import OptionError


class Numbers(click.ParamType[tuple[int, ...]]):
    """`1,8,32`."""

    name = "numbers"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """Whole numbers above 0."""
        parts = [part.strip() for part in str(value).split(",")]
        if not all(part.isdigit() and int(part) for part in parts):
            self.fail(f"{value!r} is not N or N,N,... above 0.", param, ctx)
        return tuple(map(int, parts))


@click.command()
@click.argument("patterns", nargs=-1, required=True, metavar="PATTERN...")
@click.option(
    "--batch", type=Numbers(), metavar="N,N", help="First dim of the inputs; a row for each."
)
@run_options
@step_options
@click.option("--jobs", "-j", type=click.IntRange(min=1), metavar="N", help="Worker processes.")
@click.option("--timeout", type=float, metavar="SECONDS", help="Time that a model may take.")
@click.option("--retry-failed", is_flag=True, help="Make rows again that failed.")
@click.option("--columns", metavar="A,B", help="Columns to show, in this order.")
@click.option("--sort", metavar="COLUMN", help="Sort the rows by a column, largest first.")
@click.option("--binary", is_flag=True, help="Count bytes in 1,024s (MiB).")
@click.option(
    "--format",
    "fmt",
    default="text",
    metavar="text|json|csv|md",
    help="Form of the report on standard output.",
    show_default=True,
)
@click.option(
    "--output",
    "-o",
    "path",
    metavar="FILE",
    help="Add rows to FILE, named *.csv, *.jsonl or *.parquet, and go on where it ends.",
)
@click.pass_context
def sweep(ctx: click.Context, /, patterns: tuple[str, ...], **options: Any) -> None:
    """Every model that matches a PATTERN as a row; models that fail, too.

    A file of rows that is there is gone on with: rows that it has for the same model, inputs and
    batch are not made again. Exits with 1 where a row failed.

    \b
    zoo sweep 'torchvision/*' --jobs 2 --output all.csv
    zoo sweep 'book/*' 'torchvision/resnet*' --input 1,3,224,224 --sort macs
    zoo sweep 'torchvision/resnet*' --batch 1,8,32 --optimizer adamw --output step.jsonl
    """  # noqa: D301 - click wants the character itself
    path = options["path"]
    output = output_of(options)
    if path is not None:
        _alone(ctx)
        output = Output()
    check(output)
    _columns(output)
    from zoo import api

    line = Line(path)
    try:
        report = api.sweep(patterns, **_arguments(options), output=path, progress=line)
    except KeyboardInterrupt:
        line.interrupted()
        raise
    line.done()
    if path is None:
        emit(report, output)
    ctx.exit(1 if report.totals["failed"] else 0)


def _columns(output: Output) -> None:
    """Refuse columns that there are not, before models run."""
    from zoo.analysis.report import ModelInfo, Report
    from zoo.analysis.sweeps import COLUMNS
    from zoo.views.selection import select

    nothing = Report("sweep", ModelInfo(""), (), COLUMNS, (), {})
    select(nothing, columns=output.columns, sort=output.sort)


def _alone(ctx: click.Context) -> None:
    """Refuse options of a report where rows go to a file."""
    from click.core import ParameterSource

    for name in ("fmt", "columns", "sort", "binary"):
        if ctx.get_parameter_source(name) is not ParameterSource.DEFAULT:
            word = "format" if name == "fmt" else name
            reason = "a file has all columns, in the form that its name says"
            raise OptionError(f"--{word} beside --output", reason, "Leave one of them out.")


def _arguments(options: dict[str, Any]) -> dict[str, Any]:
    """What the user said as arguments of `zoo.sweep`."""
    from zoo import api

    step = step_of(options)
    arguments = api.read_settings(options.pop("settings"))
    hints = hints_of(options.pop("hints"))
    return {**options, **step, "arguments": arguments, "hints": hints}


class Line:
    """How far a sweep is, in a line on stderr; where that is no terminal, only how it ended.

    Args:
        path: The file of rows, if there is one.
    """

    def __init__(self, path: str | None) -> None:
        self.path, self.start = path, monotonic()
        self.before: int | None = None
        self.said = (0, 0, 0)

    def __call__(self, done: int, rows: int, failed: int) -> None:
        """Say how many rows there are."""
        self.said = done, rows, failed
        if self.before is None:
            self.before = done
        if not sys.stderr.isatty():
            return
        text = f"{done}/{rows}" + (f", {failed} failed" if failed else "")
        made = done - self.before
        if made and done < rows:
            text += f", {_time((monotonic() - self.start) / made * (rows - done))} left"
        click.echo(f"\r\033[K{text}", nl=False, err=True)

    def done(self) -> None:
        """Say how it ended."""
        done, _, failed = self.said
        self._end(f"{done} rows, {failed} failed")

    def interrupted(self) -> None:
        """Say what is kept."""
        done, rows, _ = self.said
        kept = "are kept: the same command goes on" if self.path else "are lost without --output"
        self._end(f"interrupted: {done} of {rows} rows {kept}")

    def _end(self, text: str) -> None:
        clear = "\r\033[K" if sys.stderr.isatty() else ""
        place = f"{self.path}: " if self.path else ""
        click.echo(f"{clear}zoo: {place}{text}, {_time(monotonic() - self.start)}", err=True)


def _time(seconds: float) -> str:
    """Seconds as people say them.

    >>> _time(7.4), _time(125), _time(7300)
    ('7 s', '2 min 5 s', '2 h 1 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
