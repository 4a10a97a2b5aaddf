"""`zoo transfer`: what moves between devices, and where the host waits for it."""

from __future__ import annotations

from typing import Any

import click
from click.core import ParameterSource

from zoo.cli.options import report, run_options, step_options, table_options
from zoo.cli.output import output_options


@click.command()
@click.argument("model")
@click.option("--by", default="code", metavar="code", show_default=True, help="What a row is.")
@click.option("--batch", type=click.IntRange(min=1), metavar="N", help="First dim of the inputs.")
@click.option(
    "--on",
    metavar="DEVICE",
    help="A device of `zoo devices`: adds the time that copies take on its link.",
)
@run_options
@step_options
@table_options
@output_options
@click.pass_context
def transfer(ctx: click.Context, /, model: str, **options: Any) -> None:
    """Copies between devices and waits of the host in MODEL's own code, found without a GPU.

    The run takes place on cuda, or on the device of --on.

    \b
    zoo transfer resnet18 --input 1,1,96,96
    zoo transfer ./net.py:Net --input 32,3,64,64 --optimizer adamw
    zoo transfer torchvision/fasterrcnn_resnet50_fpn --on rtx4090
    """  # noqa: D301 - click wants the character itself
    if ctx.get_parameter_source("device") is ParameterSource.DEFAULT:
        del options["device"]  # it follows from --on
    ctx.exit(report("transfers", model, options))
