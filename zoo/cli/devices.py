"""`zoo devices`: what accelerators can do at most, and what they are called."""

from __future__ import annotations

import click

from zoo.cli.output import Output, check, emit, output_options


@click.command()
@click.argument("query", required=False)
@click.option("--columns", metavar="A,B", help="Columns to show, in this order.")
@click.option("--sort", metavar="COLUMN", help="Sort the rows by a column, largest first.")
@click.option("--binary", is_flag=True, help="Count bytes in 1,024s (GiB).")
@output_options
def devices(
    query: str | None,
    columns: str | None,
    sort: str | None,
    binary: bool,
    fmt: str,
    path: str | None,
) -> None:
    """Devices with their peaks, bandwidth and memory, all or those that match QUERY.

    \b
    zoo devices "NVIDIA H100 80GB HBM3"
    zoo devices 4090 --format json
    """  # noqa: D301 - click wants the character itself
    chosen = tuple(columns.split(",")) if columns is not None else None
    output = Output(fmt, path, chosen, sort, binary=binary)
    check(output)
    from zoo import api

    emit(api.devices(query), output)
