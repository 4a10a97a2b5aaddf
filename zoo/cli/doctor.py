"""`zoo doctor`: whether this installation can do what it should."""

from __future__ import annotations

import click

from zoo.cli.output import Output, check, emit, output_options


@click.command()
@output_options
@click.pass_context
def doctor(ctx: click.Context, fmt: str, path: str | None) -> None:
    """Versions, devices, plugins and their health, and what is missing for which command."""
    output = Output(fmt, path)
    check(output)
    from zoo import api

    report = api.doctor()
    emit(report, output)
    ctx.exit(1 if any(row["status"] == "broken" for row in report.rows) else 0)
