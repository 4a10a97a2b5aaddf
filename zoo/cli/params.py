"""`zoo params`: parameters by name, module, role and dtype."""

from __future__ import annotations

from typing import Any

import click

from zoo.cli.options import report, run_options, table_options
from zoo.cli.output import output_options


@click.command()
@click.argument("model")
@click.option(
    "--by",
    default="parameter",
    metavar="parameter|module|role|dtype",
    show_default=True,
    help="What a row is.",
)
@click.option(
    "--values",
    is_flag=True,
    help="Build the model for real; mean, std, norm, zeros and non-finite values.",
)
@run_options
@table_options
@output_options
@click.pass_context
def params(ctx: click.Context, /, model: str, **options: Any) -> None:
    """Parameters of MODEL: role, shape, bytes; which are trained, tied, unused.

    A model without a known input is not run: what is unused is not known then.

    \b
    zoo params googlenet --by role
    zoo params resnet18 --columns shape,parameters --sort parameters
    zoo params torchvision/resnet18 --values
    """  # noqa: D301 - click wants the character itself
    ctx.exit(report("params", model, options))
