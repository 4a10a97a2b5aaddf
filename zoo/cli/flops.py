"""`zoo flops`: MACs and FLOPs by module, operator, type and phase."""

from __future__ import annotations

from typing import Any

import click

from zoo.cli.options import report, run_options, step_options, strict_option, table_options
from zoo.cli.output import output_options


@click.command()
@click.argument("model")
@click.option(
    "--by",
    default="module",
    metavar="module|operator|type|phase",
    show_default=True,
    help="What a row is.",
)
@click.option(
    "--causal",
    default="full",
    metavar="full|half",
    show_default=True,
    help="Count causal attention in full, or what its mask leaves.",
)
@run_options
@step_options
@table_options
@strict_option
@output_options
@click.pass_context
def flops(ctx: click.Context, /, model: str, **options: Any) -> None:
    """MACs and FLOPs of MODEL, of its forward pass or of a training step.

    \b
    zoo flops resnet18 --depth 1
    zoo flops resnet18 --by operator
    zoo flops resnet18 --input 32,3,224,224 --optimizer adamw --by phase
    """  # noqa: D301 - click wants the character itself
    ctx.exit(report("flops", model, options))
