"""`zoo formula`: figures as formulas in the dims that are left open."""

from __future__ import annotations

from typing import Any

import click

from zoo.cli.options import report, run_options, step_options, strict_option, table_options
from zoo.cli.output import output_options


@click.command()
@click.argument("model")
@click.option(
    "--at",
    "at",
    multiple=True,
    metavar="DIM=N,...",
    help="Numbers of dims; of all of them: the figures, too.",
)
@click.option("--largest", metavar="DIM", help="How large DIM may be under the budgets.")
@click.option(
    "--under",
    multiple=True,
    metavar="FIGURE=AMOUNT",
    help="peak=24GB, macs=600M, parameters=5M, activation=1GB; repeat for several.",
)
@run_options
@step_options
@table_options
@strict_option
@output_options
@click.pass_context
def formula(ctx: click.Context, /, model: str, **options: Any) -> None:
    """MACs, parameters and memory of MODEL as formulas in the dims of --input that are names.

    \b
    zoo formula resnet50 --input B,3,H,W
    zoo formula ./gpt.py:GPT --input B,T:int64 --hint T=1024
    zoo formula resnet18 --input B,1,96,96 --largest B --under peak=24GB
    zoo formula resnet18 --input B,1,96,96 --train --optimizer adamw
    """  # noqa: D301 - click wants the character itself
    at = {name: _length(name, text) for name, text in _pairs(options.pop("at"), "--at").items()}
    under = _pairs(options.pop("under"), "--under")
    ctx.exit(report("formula", model, options, at=at, under=under or None))


def _pairs(words: tuple[str, ...], option: str) -> dict[str, str]:
    """`B=8,H=224` as a mapping."""
    found: dict[str, str] = {}
    for word in (part.strip() for one in words for part in one.split(",")):
        name, sign, value = word.partition("=")
        if not sign or not name.strip() or not value.strip():
            example = "B=8,H=224" if option == "--at" else "peak=24GB"
            raise click.UsageError(f"{option} {word!r} is not NAME=NUMBER. Try {option} {example}.")
        if found.setdefault(name.strip(), value.strip()) != value.strip():
            raise click.UsageError(f"{option} {name.strip()} is given twice. Give one number.")
    return found


def _length(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise click.UsageError(f"--at {name}={text!r} is no whole number. Try --at {name}=8.")
    return int(text)
