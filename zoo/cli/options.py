"""Options that every command which runs a model has, and what is done with them.

A command is its own options, these groups of them, and one call of `report`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from string import ascii_lowercase
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from zoo.cli.output import Output, Progress, check, emit

F = TypeVar("F", bound=Callable[..., Any])
Words = str | tuple[str, ...] | None
"""A model, several, or those that the project names."""


def _group(*options: Callable[[Any], Any]) -> Callable[[F], F]:
    """Several options as one decorator, in the order in which help shows them."""

    def decorate(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


run_options = _group(
    click.option(
        "--input",
        "-i",
        "inputs",
        multiple=True,
        metavar="DIMS",
        help="1,3,224,224, x=1,3,8,8, 1,128:int64, ids=1,128@ints:VOCAB or f32[1,3,8,8]; "
        "repeat for several.",
    ),
    click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="K=V",
        help="Argument of the model's constructor.",
    ),
    click.option(
        "--device", default="cpu", show_default=True, help="Device that the run is simulated on."
    ),
    click.option(
        "--dtype", help="Cast floating point weights and inputs, for example to bfloat16."
    ),
    click.option(
        "--hint",
        "hints",
        multiple=True,
        metavar="WHAT=N",
        help="What a data-dependent operation finds, by name or file:line.",
    ),
)
"""What runs, and on what."""
how_options = _group(
    click.option(
        "--optimizer",
        metavar="NAME",
        help="sgd, sgd-momentum, adam, adamw, ..., or package.module:factory.",
    ),
    click.option(
        "--loss", metavar="NAME", help="sum, cross-entropy, mse, or package.module:function."
    ),
    click.option("--autocast", metavar="bf16|fp16", help="Run eligible operators in this dtype."),
    click.option(
        "--accumulate",
        type=click.IntRange(min=1),
        metavar="N",
        help="Micro-batches for each step of the optimizer.",
    ),
    click.option(
        "--keep-gradients",
        is_flag=True,
        help="zero_grad(set_to_none=False): gradients stay between steps.",
    ),
    click.option(
        "--checkpoint",
        multiple=True,
        metavar="PATTERN",
        help="Modules that keep their inputs only and run again in the backward pass; "
        "'layer*' or 'blocks.*'; repeat for several.",
    ),
)
"""How a training step is made."""
step_options = _group(
    click.option(
        "--train",
        is_flag=True,
        help="Record a training step: forward, backward, optimizer. Any of the options below "
        "turns this on.",
    ),
    how_options,
)
"""Whether there is a training step, and how it is made."""
table_options = _group(
    click.option("--depth", type=click.IntRange(min=0), help="Levels of the tree to show."),
    click.option("--columns", metavar="A,B", help="Columns to show, in this order."),
    click.option("--sort", metavar="COLUMN", help="Sort the rows by a column, largest first."),
    click.option("--binary", is_flag=True, help="Count bytes in 1,024s (MiB)."),
)
"""Which part of the report is shown, and in which order."""
RUN = frozenset(
    "inputs settings device dtype hints batch train optimizer loss autocast accumulate "
    "keep_gradients checkpoint".split()
)
"""Names of the options that say what runs and how; a saved trace has run."""
strict_option = click.option(
    "--strict", is_flag=True, help="Exit with 1 when an operator has no formula."
)
"""For reports that count what operators cost."""


def hints_of(words: tuple[str, ...]) -> dict[str, float]:
    """`--hint nonzero=100 --hint net.py:12=0.5` as a mapping."""
    found = {}
    for word in words:
        place, _, value = word.rpartition("=")
        try:
            found[place] = float(value)
        except ValueError:
            place = ""
        if not place:
            raise click.UsageError(f"--hint {word!r} is not OPERATION=NUMBER or FILE:LINE=NUMBER.")
    return found


def step_of(options: dict[str, Any]) -> dict[str, Any]:
    """The training step as arguments of `zoo.trace`; takes its options out of `options`.

    Only what the user said is in it: defaults are those of `zoo.trace`.

    Args:
        options: Of the command, by their names in Python.

    Returns:
        Nothing where no training step was asked for. Optimizer and loss are the user's words.
    """
    train = options.pop("train", False)
    keep = options.pop("keep_gradients", False)
    said = {
        "optimizer": options.pop("optimizer", None),
        "loss": options.pop("loss", None),
        "autocast": options.pop("autocast", None),
        "accumulate": options.pop("accumulate", None),
        "set_to_none": False if keep else None,
        "checkpoint": options.pop("checkpoint", ()) or None,
    }
    given = {name: value for name, value in said.items() if value is not None}
    return {"train": True, **given} if train or given else {}


def output_of(options: dict[str, Any]) -> Output:
    """How the report is shown; takes its options out of `options`."""
    columns = options.pop("columns", None)
    return Output(
        fmt=options.pop("fmt"),
        path=options.pop("path"),
        columns=tuple(columns.split(",")) if columns is not None else None,
        sort=options.pop("sort", None),
        depth=options.pop("depth", None),
        binary=options.pop("binary", False),
    )


def settings_of(words: tuple[str, ...], many: int) -> Any:
    """Arguments of the constructor; of several models one mapping each.

    Args:
        words: `name=value`, which is for all, or `b:name=value`, which is for the second.
        many: How many models there are.

    Returns:
        One mapping for one model, else a list of them.
    """
    from zoo import api

    if many == 1:
        return api.read_settings(words)
    letters = ascii_lowercase[:many]
    own = [(word[:1], word[2:]) for word in words if word[1:2] == ":" and word[0] in letters]
    shared = [word for word in words if word[1:2] != ":" or word[0] not in letters]
    return [
        api.read_settings([*shared, *(word for owner, word in own if owner == letter)])
        for letter in letters
    ]


def called(analysis: str, model: Words, options: dict[str, Any], **named: Any) -> Any:
    """What a call of `zoo.api` gives for what the user said, with progress on stderr.

    Args:
        analysis: Name of the call.
        model: The user's words: of a model, or of a saved trace, which takes no option of a run;
            of several, for a call that takes `inputs` by name; None where the project names them.
        options: Of the command, by their names in Python.
        **named: More arguments of the call, which win over all others.

    Returns:
        What the call returns.

    Raises:
        OptionError: An option of a run was given beside a saved trace.
    """
    from zoo import api
    from zoo.analysis.saved import is_saved
    from zoo.subjects import named_step

    words: tuple[str | None, ...] = model if isinstance(model, tuple) else (model,)
    if all(is_saved(word) for word in words):
        rest = _without_run(" and ".join(map(str, words)), options)
        return getattr(api, analysis)(*words, **{**rest, **named})
    hints = hints_of(options.pop("hints", ()))
    inputs, settings = options.pop("inputs", ()), options.pop("settings", ())
    if isinstance(model, tuple):
        named["inputs"] = inputs
    else:
        words = (model, *inputs)
    progress = Progress(words[0] or "zoo")
    try:
        with redirect_stdout(sys.stderr):  # what the user's code prints is not the report
            step = named_step(step_of(options))
            return getattr(api, analysis)(
                *words,
                arguments=settings_of(settings, len(words) if isinstance(model, tuple) else 1),
                hints=hints,
                progress=progress,
                **{**step, **options, **named},
            )
    finally:
        progress.done()


def _without_run(model: str, options: dict[str, Any]) -> dict[str, Any]:
    """Options without those of a run; one of these that the user gave is an error."""
    context = click.get_current_context()
    for option in context.command.params:
        name = str(option.name)
        said = context.get_parameter_source(name) not in {None, ParameterSource.DEFAULT}
        if said and name in RUN and name in options:
            from zoo.errors import OptionError

            raise OptionError(option.opts[0], f"{model} has run already", "Leave it out.")
    return {name: value for name, value in options.items() if name not in RUN}


def report(analysis: str, model: Words, options: dict[str, Any], **named: Any) -> int:
    """Run, analyse, write: all that a command does with what the user said.

    Args:
        analysis: Name of a call of `zoo.api`.
        model: The user's words; those of several models, for an analysis that takes `inputs` by
            name; None where the project names them.
        options: Of the command, by their names in Python. Those that are of none of the groups
            above are handed to the analysis.
        **named: More arguments of the analysis, which win over all others.

    Returns:
        The exit code: 1 where the run broke, or where `--strict`, `--fits` or a limit is not met.
    """
    output = output_of(options)
    check(output)
    strict = options.pop("strict", False)
    found = called(analysis, model, options, **named)
    emit(found, output)
    uncounted = found.totals.get("uncounted")
    if strict and uncounted:
        click.echo(f"zoo: no formula covers {', '.join(uncounted)} (--strict).", err=True)
    large = found.totals.get("fits") is False
    if large:
        click.echo(f"zoo: {model} does not fit into {found.totals['limit_bytes']:,} B.", err=True)
    beyond = found.totals.get("exceeded", ())
    for sentence in beyond:
        click.echo(f"zoo: {found.model.name}: {sentence}.", err=True)
    broke = found.failure is not None
    return 1 if broke or (strict and uncounted) or large or beyond else 0
