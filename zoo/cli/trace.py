"""`zoo trace`: a run as a file, which every command takes in place of the model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo.cli.options import called, run_options, step_options

if TYPE_CHECKING:
    from zoo.analysis.records import Trace


@click.command()
@click.argument("model")
@click.option(
    "--output",
    "-o",
    "path",
    metavar="FILE",
    help="Write to FILE, named *.json or *.json.gz; standard output gets the JSON without it.",
)
@click.option("--batch", type=click.IntRange(min=1), metavar="N", help="First dim of the inputs.")
@run_options
@step_options
@click.pass_context
def trace(ctx: click.Context, /, model: str, path: str | None, **options: Any) -> None:
    """Run MODEL once, without its weights, and save what happened.

    The file stands for the model in the other commands, also on a machine that has neither the
    model's code nor torch.

    \b
    zoo trace resnet18 -o resnet18.json.gz
    zoo summary resnet18.json.gz
    zoo trace ./net.py:Net --input 32,3,224,224 --optimizer adamw -o step.json.gz
    zoo memory step.json.gz --by module
    """  # noqa: D301 - click wants the character itself
    from zoo.analysis.saved import check, packed
    from zoo.files import check_writable, write_whole

    if path is not None:
        check(path)
        check_writable(path)
    found: Trace = called("trace", model, options)
    data = packed(found, path)
    if path is None:
        click.echo(data, nl=False)
    else:
        write_whole(Path(path), data)
        text = f"{path}: {len(found.calls):,} module calls, {len(found.ops):,} operators"
        click.echo(f"zoo: {text}, {len(data):,} B", err=True)
    if found.failure is not None:
        place = f" ({found.failure.source})" if found.failure.source else ""
        click.echo(f"zoo: the run broke: {found.failure.message}{place}", err=True)
        ctx.exit(1)
