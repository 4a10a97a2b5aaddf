"""`zoo check`: whether models keep within their limits."""

from __future__ import annotations

from typing import Any

import click
from click.core import ParameterSource

from zoo.cli.options import report, run_options, step_options
from zoo.cli.output import output_options


@click.command()
@click.argument("model", required=False)
@click.option("--max-params", metavar="5M", help="Parameters, each once.")
@click.option("--max-trainable-params", metavar="1M", help="Those that gradients reach.")
@click.option("--max-weights", metavar="20MB", help="Bytes of parameters and buffers.")
@click.option("--max-macs", metavar="600M", help="Multiply-accumulates.")
@click.option("--max-flops", metavar="1.2G", help="2 x MACs.")
@click.option("--max-pointwise-flops", metavar="20M", help="Pointwise FLOPs.")
@click.option(
    "--max-activations", metavar="50MB", help="Bytes that the forward pass allocates, in sum."
)
@click.option(
    "--max-peak", metavar="2GB|DEVICE", help="Bytes held at once, or a device to fit into."
)
@click.option(
    "--min-coverage", type=float, metavar="1.0", help="Share of operators that have a formula."
)
@click.option(
    "--no-host-sync",
    is_flag=True,
    help="The host never waits for the device; runs on cuda unless told otherwise.",
)
@click.option("--batch", type=click.IntRange(min=1), metavar="N", help="First dim of the inputs.")
@run_options
@step_options
@output_options
@click.pass_context
def check(ctx: click.Context, /, model: str | None, **options: Any) -> None:
    """Hold MODEL to limits: exit 1 where one is not kept, with what is beyond it.

    Without limits, those that [tool.zoo.check] in pyproject.toml sets for MODEL count; without
    MODEL, all that it sets.

    \b
    zoo check ./net.py:Net --input 1,3,32,32 --max-params 5M --max-macs 600M
    zoo check resnet18 --batch 32 --optimizer adamw --max-peak rtx4090
    zoo check ./net.py:Net --input 1,3,32,32 --no-host-sync
    zoo check
    """  # noqa: D301 - click wants the character itself
    if ctx.get_parameter_source("device") is ParameterSource.DEFAULT:
        del options["device"]  # it follows from the limits
    ctx.exit(report("check", model, options))
