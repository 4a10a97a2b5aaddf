"""`zoo transfer`: what moving data costs."""

from __future__ import annotations

from typing import Any

import click
from click.core import ParameterSource

from zoo.cli.options import report, run_options, step_options, table_options
from zoo.cli.output import output_options


@click.command()
@click.argument("model")
@click.option(
    "--by", default="link", metavar="link|cut|replica", show_default=True, help="What a row is."
)
@click.option("--batch", type=click.IntRange(min=1), metavar="N", help="First dim of the inputs.")
@click.option("--on", metavar="DEVICE", help="A device of `zoo devices`.")
@click.option(
    "--parts", type=int, metavar="K", help="Of cuts: devices the model is divided between [2]."
)
@click.option("--replicas", type=int, metavar="N", help="Devices that train, at most [8].")
@click.option(
    "--network",
    metavar="100Gbit",
    help="What replicas are joined by, in place of the device's own link.",
)
@click.option(
    "--measure", is_flag=True, help="Of links: measure the copies on the accelerator here too."
)
@run_options
@step_options
@table_options
@output_options
@click.pass_context
def transfer(ctx: click.Context, /, model: str, **options: Any) -> None:
    """What moving MODEL and its data costs, and where it is best divided.

    \b
    zoo transfer resnet18 --input 32,1,96,96 --by link --on rtx4090
    zoo transfer resnet18 --input 32,1,96,96 --by cut --parts 3 --on a100 --train
    zoo transfer resnet18 --input 32,1,96,96 --by replica --on a100 --network 100Gbit
    """  # noqa: D301 - click wants the character itself
    if ctx.get_parameter_source("device") is ParameterSource.DEFAULT:
        del options["device"]  # it follows from --on
    ctx.exit(report("transfers", model, options))
