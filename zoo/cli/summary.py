"""`zoo summary`: shapes, parameters and MACs, layer by layer."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from typing import Any

import click

from zoo.cli.output import Output, Progress, check, emit, output_options


def hints_of(words: tuple[str, ...]) -> dict[str, float]:
    """`--hint nonzero=100 --hint net.py:12=0.5` as a mapping."""
    found = {}
    for word in words:
        place, _, value = word.rpartition("=")
        try:
            found[place] = float(value)
        except ValueError:
            place = ""
        if not place:
            raise click.UsageError(f"--hint {word!r} is not OPERATION=NUMBER or FILE:LINE=NUMBER.")
    return found


@click.command()
@click.argument("model")
@click.option(
    "--input",
    "-i",
    "inputs",
    multiple=True,
    metavar="DIMS",
    help="1,3,224,224, x=1,3,8,8, 1,128:int64, ids=1,128@ints:VOCAB or f32[1,3,8,8]; "
    "repeat for several.",
)
@click.option(
    "--set", "settings", multiple=True, metavar="K=V", help="Argument of the model's constructor."
)
@click.option("--depth", type=click.IntRange(min=0), help="Levels of the tree to show.")
@click.option("--columns", metavar="A,B", help="Columns to show, in this order.")
@click.option("--sort", metavar="COLUMN", help="Sort the rows by a column, largest first.")
@click.option(
    "--train", is_flag=True, help="Run in training mode: dropout and batch statistics on."
)
@click.option(
    "--device", default="cpu", show_default=True, help="Device that the run is simulated on."
)
@click.option("--dtype", help="Cast floating point weights and inputs, for example to bfloat16.")
@click.option(
    "--hint",
    "hints",
    multiple=True,
    metavar="WHAT=N",
    help="What a data-dependent operation finds, by name or file:line.",
)
@click.option("--strict", is_flag=True, help="Exit with 1 when an operator has no formula.")
@click.option("--binary", is_flag=True, help="Count bytes in 1,024s (MiB).")
@output_options
@click.pass_context
def summary(ctx: click.Context, /, model: str, fmt: str, path: str | None, **options: Any) -> None:
    """Shapes, parameters and MACs of MODEL, layer by layer.

    \b
    zoo summary googlenet --input 1,1,96,96
    zoo summary ./net.py:Net --input 1,3,32,32 --depth 2 --format md
    """  # noqa: D301 - click wants the character itself
    ctx.exit(run(model, fmt, path, **options))


def run(
    model: str,
    fmt: str,
    path: str | None,
    *,
    inputs: tuple[str, ...],
    settings: tuple[str, ...],
    depth: int | None,
    columns: str | None,
    sort: str | None,
    train: bool,
    device: str,
    dtype: str | None,
    hints: tuple[str, ...],
    strict: bool,
    binary: bool,
) -> int:
    """Trace, summarise, write; returns the exit code."""
    chosen = tuple(columns.split(",")) if columns is not None else None
    output = Output(fmt, path, chosen, sort, depth, binary)
    check(output)
    answers = hints_of(hints)
    from zoo import api

    progress = Progress(model)
    try:
        with redirect_stdout(sys.stderr):  # what the user's code prints is not the report
            report = api.summary(
                model,
                *inputs,
                arguments=api.read_settings(settings),
                train=train,
                device=device,
                dtype=dtype,
                hints=answers,
                progress=progress,
            )
    finally:
        progress.done()
    emit(report, output)
    uncounted = report.totals["uncounted"]
    if strict and uncounted:
        click.echo(f"zoo: no formula covers {', '.join(uncounted)} (--strict).", err=True)
    return 1 if report.failure is not None or (strict and uncounted) else 0
