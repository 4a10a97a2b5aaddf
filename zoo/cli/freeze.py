"""`zoo freeze`: what a plan to freeze costs, before anything is trained."""

from __future__ import annotations

from typing import Any

import click

from zoo.cli.options import how_options, report, run_options, strict_option, table_options
from zoo.cli.output import output_options


@click.command()
@click.argument("model")
@click.option(
    "--through",
    metavar="MODULE",
    help="Freeze what is read up to the end of MODULE, and not again after it.",
)
@click.option(
    "--train", metavar="A,B", help="Train these modules or parameters only: 'layer4.*,fc'."
)
@click.option(
    "--fraction", type=float, metavar="F", help="Freeze the first stages that hold this share."
)
@click.option(
    "--of",
    default="macs",
    show_default=True,
    metavar="macs|parameters",
    help="What --fraction is a share of.",
)
@click.option(
    "--epochs",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    help="How often each input is seen, for cached features.",
)
@click.option("--batch", type=click.IntRange(min=1), metavar="N", help="First dim of the inputs.")
@run_options
@how_options
@table_options
@strict_option
@output_options
@click.pass_context
def freeze(ctx: click.Context, /, model: str, **options: Any) -> None:
    """What training MODEL costs when a part of it is frozen; without a plan, at every depth.

    \b
    zoo freeze resnet18
    zoo freeze resnet18 --through b4
    zoo freeze resnet18 --train 'b5.*,head' --optimizer adamw --epochs 20
    """  # noqa: D301 - click wants the character itself
    ctx.exit(report("freeze", model, options, train=options.pop("train")))
