"""`zoo summary`: shapes, parameters and MACs, layer by layer."""

from __future__ import annotations

from typing import Any

import click

from zoo.cli.options import report, run_options, strict_option, table_options
from zoo.cli.output import output_options


@click.command()
@click.argument("model")
@run_options
@click.option(
    "--train", is_flag=True, help="Run in training mode: dropout and batch statistics on."
)
@table_options
@strict_option
@output_options
@click.pass_context
def summary(ctx: click.Context, /, model: str, **options: Any) -> None:
    """Shapes, parameters and MACs of MODEL, layer by layer.

    \b
    zoo summary googlenet --input 1,1,96,96
    zoo summary ./net.py:Net --input 1,3,32,32 --depth 2 --format md
    """  # noqa: D301 - click wants the character itself
    ctx.exit(report("summary", model, options))
