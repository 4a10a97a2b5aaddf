"""`zoo compare`: models side by side."""

from __future__ import annotations

from typing import Any

import click

from zoo.cli.options import report, run_options, step_options, strict_option, table_options
from zoo.cli.output import output_options


@click.command()
@click.argument("models", nargs=-1, required=True, metavar="A B [C]...")
@click.option(
    "--all/--changed",
    "everything",
    default=None,
    help="Also rows that are the same in all models, or not. Text and Markdown leave them out "
    "unless told; JSON and CSV have them.",
)
@run_options
@step_options
@table_options
@strict_option
@output_options
@click.pass_context
def compare(
    ctx: click.Context, /, models: tuple[str, ...], everything: bool | None, **options: Any
) -> None:
    """Models side by side: aligned trees, and what differs.

    The models are called a, b, c in the order in which they are named. --set K=V is for all of
    them, --set b:K=V for b alone.

    \b
    zoo compare torchvision/resnet18 torchvision/resnet34
    zoo compare ./old.py:Net ./new.py:Net --input 1,3,32,32
    zoo compare lenet lenet --set b:num_classes=100 --format csv
    """  # noqa: D301 - click wants the character itself
    if everything is None:
        everything = options["fmt"] not in ("text", "md")
    ctx.exit(report("compare", models, options, changed=not everything))
