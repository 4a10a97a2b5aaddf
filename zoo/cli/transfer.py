"""`zoo transfer`: what moves between devices, where the host waits for it, and what it costs."""

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
    default="code",
    metavar="code|link|cut|replica",
    show_default=True,
    help="What a row is: a line of code, a link, a place to divide the model at, or a number of "
    "devices that train it together.",
)
@click.option("--batch", type=click.IntRange(min=1), metavar="N", help="First dim of the inputs.")
@click.option(
    "--on",
    metavar="DEVICE",
    help="A device of `zoo devices`: adds the time that copies take on its links.",
)
@click.option(
    "--parts", type=int, metavar="K", help="By cut: devices the model is divided between [2]."
)
@click.option(
    "--replicas", type=int, metavar="N", help="By replica: devices that train, at most [8]."
)
@click.option(
    "--network",
    metavar="100Gbit",
    help="By replica: what joins the devices, in place of their own link.",
)
@click.option(
    "--measure", is_flag=True, help="By link: measure the copies on the accelerator here too."
)
@run_options
@step_options
@table_options
@output_options
@click.pass_context
def transfer(ctx: click.Context, /, model: str, **options: Any) -> None:
    """Copies between devices and waits of the host in MODEL's own code, found without a GPU.

    Or what moving it costs, where to divide it, and when several devices pay (--by). The run takes
    place on cuda, or on the device of --on.

    \b
    zoo transfer resnet18 --input 1,1,96,96
    zoo transfer ./net.py:Net --input 32,3,64,64 --optimizer adamw
    zoo transfer resnet18 --input 32,1,96,96 --by link --on rtx4090
    zoo transfer resnet18 --input 32,1,96,96 --by cut --parts 3 --on a100 --train
    zoo transfer resnet18 --input 32,1,96,96 --by replica --on a100 --network 100Gbit
    """  # noqa: D301 - click wants the character itself
    if ctx.get_parameter_source("device") is ParameterSource.DEFAULT:
        del options["device"]  # it follows from --on
    ctx.exit(report("transfers", model, options))
