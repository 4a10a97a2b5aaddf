"""`zoo crosscheck`: what other tools say of a model, and why they say something else."""

from __future__ import annotations

from typing import Any

import click

from zoo.cli.options import report, run_options
from zoo.cli.output import output_options


@click.command()
@click.argument("model")
@click.option(
    "--engine",
    "engines",
    multiple=True,
    metavar="NAME",
    help="Tool to ask; repeat for several; all that plugins bring unless told.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=120.0,
    show_default=True,
    metavar="S",
    help="Seconds for each tool.",
)
@click.option("--batch", type=click.IntRange(min=1), metavar="N", help="First dim of the inputs.")
@run_options
@click.option("--columns", metavar="A,B", help="Columns to show, in this order.")
@click.option("--sort", metavar="COLUMN", help="Sort the rows by a column, largest first.")
@output_options
@click.pass_context
def crosscheck(ctx: click.Context, /, model: str, **options: Any) -> None:
    """What other tools say of MODEL's MACs and parameters, and why they say something else.

    Each tool runs on real weights, in a process of its own.

    \b
    zoo crosscheck resnet18
    zoo crosscheck torchvision/vit_b_16 --engine torchinfo --engine fvcore --format json
    """  # noqa: D301 - click wants the character itself
    named = options.pop("engines")
    ctx.exit(report("crosscheck", model, options, engines=named or None))
