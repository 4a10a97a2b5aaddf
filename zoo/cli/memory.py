"""`zoo memory`: peak memory, who holds it, and whether it fits."""

from __future__ import annotations

from typing import Any

import click
from click.core import ParameterSource

from zoo.cli.options import report, run_options, step_options, table_options
from zoo.cli.output import output_options


@click.command()
@click.argument("model")
@click.option(
    "--by",
    default="role",
    metavar="role|module|source|block|time",
    show_default=True,
    help="What a row is.",
)
@click.option("--batch", type=click.IntRange(min=1), metavar="N", help="First dim of the inputs.")
@click.option(
    "--on",
    metavar="DEVICE",
    help="A device of `zoo devices`: adds what its allocator and nvidia-smi show.",
)
@click.option(
    "--fits",
    metavar="24GB|DEVICE",
    help="Does it fit, with which batch at most, and which one change buys most?",
)
@run_options
@step_options
@table_options
@output_options
@click.pass_context
def memory(ctx: click.Context, /, model: str, **options: Any) -> None:
    """Peak memory of MODEL, of its forward pass or of a training step, and who holds it.

    \b
    zoo memory resnet18 --input 32,1,96,96
    zoo memory resnet18 --input 32,1,96,96 --optimizer adamw --by module
    zoo memory resnet18 --batch 32 --train --on rtx4090
    zoo memory resnet18 --batch 32 --optimizer adamw --fits rtx4090
    """  # noqa: D301 - click wants the character itself
    if ctx.get_parameter_source("device") is ParameterSource.DEFAULT:
        del options["device"]  # it follows from --on and --fits
    ctx.exit(report("memory", model, options))
