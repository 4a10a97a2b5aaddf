"""`zoo list`, `zoo info` and `zoo plugins`: what there is to ask about."""

from __future__ import annotations

import click

from zoo.cli.output import Output, check, emit, output_options


@click.command("list")
@click.argument("query", required=False)
@click.option("--plugin", metavar="P", help="Only models of this plugin.")
@click.option("--tag", metavar="T", help="Only models with this tag.")
@click.option("--columns", metavar="A,B", help="Columns to show, in this order.")
@output_options
def list_models(
    query: str | None,
    plugin: str | None,
    tag: str | None,
    columns: str | None,
    fmt: str,
    path: str | None,
) -> None:
    """Models by name, all or those that match QUERY."""
    output = Output(fmt, path, tuple(columns.split(",")) if columns is not None else None)
    check(output)
    from zoo import api

    emit(api.list_models(query, plugin=plugin, tag=tag), output)


@click.command()
@click.argument("name")
@output_options
def info(name: str, fmt: str, path: str | None) -> None:
    """What is known of the model NAME: paper, default input, arguments, tags."""
    output = Output(fmt, path)
    check(output)
    from zoo import api

    emit(api.info(name), output)


@click.command()
@click.option(
    "--verbose", "-v", is_flag=True, help="Also where each plugin is and which hooks it has."
)
@output_options
def plugins(verbose: bool, fmt: str, path: str | None) -> None:
    """Plugins and their health."""
    output = Output(fmt, path)
    check(output)
    from zoo import api

    emit(api.list_plugins(verbose=verbose), output)
