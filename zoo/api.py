"""The calls that the command line and Python users share.

trace = zoo.trace("googlenet", (1, 1, 96, 96))
report = zoo.summary(trace)
report.totals["macs"]; print(report); report.to_json(); report.to_frame()
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.analysis import report as plain
from zoo.analysis.report import Column, ModelInfo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import click
    import pandas as pd
    from torch import nn

    from zoo.analysis.costs.base import CostFormula
    from zoo.analysis.records import Trace
    from zoo.catalog import Resolved
    from zoo.plugins.manager import Manager


@dataclass(frozen=True, slots=True)
class Report(plain.Report):
    """A table that can show itself."""

    def __str__(self) -> str:
        from zoo.views import text

        return text(self, width=None)

    def to_json(self) -> str:
        """One JSON object, in the form of `--format json`."""
        from zoo.views import render

        return render(self, "json")

    def to_frame(self) -> pd.DataFrame:
        """The rows as a pandas DataFrame, a row each, columns as in `rows`.

        Returns:
            A frame with as many rows as the report.

        Raises:
            MissingDependency: pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError:
            from zoo.errors import MissingDependency

            raise MissingDependency("pandas", "Report.to_frame()") from None
        return pd.DataFrame.from_records([dict(row) for row in self.rows])


def trace(  # noqa: PLR0913 - the contract's arguments
    model: str | nn.Module,
    *inputs: Any,
    kwargs: Mapping[str, Any] | None = None,
    arguments: Mapping[str, Any] | None = None,
    train: bool = False,
    device: str = "cpu",
    dtype: str | None = None,
    formulas: Mapping[str, CostFormula] | None = None,
    hints: Mapping[str, float] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Trace:
    """Run a model once on tensors without data, and record everything.

    Args:
        model: A module, which is given back as it was and whose weights are not read; or words as
            of the command line: `name`, `plugin/name`, `./net.py:Net`, `package.module:factory`.
        *inputs: What `forward` gets, in order: a shape `(1, 3, 96, 96)`, a word of `--input`
            ("f32[1,3,96,96]", "ids=1,128:int64"), a `TensorSpec`, a real tensor, or a nest of
            these. None: the model's default input.
        kwargs: More of these, by name.
        arguments: What the model is built with, when it is given by words.
        train: Whether the run is in training mode.
        device: Where the run is said to take place: `cpu`, `cuda`, `mps`, ...
        dtype: What floating point weights and inputs are cast to.
        formulas: Costs by operator, `{"mylib.scale": formula}`, above plugins' and zoo's own.
        hints: What data-dependent operations find, by operation (`nonzero`) or by `file.py:12`.
        progress: Is called now and then with the number of operators so far.

    Returns:
        The trace. A model that raises gives a trace that ends there, with its `failure`.

    Raises:
        InputError: Inputs that cannot be read or that do not fit.
        ZooError: The model's words lead nowhere, or its constructor raised.

    Example:
        >>> trace("lenet", (1, 1, 28, 28)).outputs
        (TensorSpec(shape=(1, 10), dtype='float32', device='cpu'),)
    """
    from zoo.analysis.tracer.run import run

    if isinstance(model, str):
        module, info, default = _skeleton(model, arguments)
    else:
        module, info, default = model, None, None
    given = inputs or (() if kwargs else _words(default))
    found = run(
        module,
        given,
        kwargs=kwargs,
        info=info,
        training=train,
        device=device,
        dtype=dtype,
        formulas=formulas,
        plugin_formulas=_manager().costs(),
        hints=hints,
        progress=progress,
    )
    return _reminded(found, default) if inputs else found


def _reminded(found: Trace, default: str | tuple[str, ...] | None) -> Trace:
    """A trace that broke on other inputs than the default, with a word on the default."""
    if found.failure is None or found.failure.hint is not None or default is None:
        return found
    hint = f"The default input is {' and '.join(_words(default))}."
    return replace(found, failure=replace(found.failure, hint=hint))


def summary(model: str | nn.Module | Trace, *inputs: Any, **options: Any) -> Report:
    """Shapes, parameters and costs of every module call.

    Args:
        model: A `Trace`, or what `trace` takes.
        *inputs: As for `trace`.
        **options: As for `trace`.

    Returns:
        A report whose rows are the module calls, depth first.

    Raises:
        ZooError: As for `trace`.

    Example:
        >>> summary("lenet", (1, 1, 28, 28)).totals["parameters"]
        61706
    """
    from zoo.analysis.summary import summary as summarise

    return _shown(summarise(_traced(model, inputs, options)))


def create(name: str, *, weights: Any = None, **arguments: Any) -> nn.Module:
    """Build a real module, with its weights allocated.

    A model of lazy layers is run once on its default input, so that all parameters are there.

    Args:
        name: Words as for `trace`.
        weights: What the architecture's own `weights` argument takes (`"DEFAULT"` for torchvision,
            which downloads them); None draws new ones.
        **arguments: What it is built with.

    Returns:
        The module, in training mode.

    Raises:
        ZooError: The words lead nowhere, an argument does not fit, or the constructor raised.
    """
    settings = arguments if weights is None else {**arguments, "weights": weights}
    resolved = _resolve(name, settings)
    model = resolved.build()
    from zoo.analysis.skeleton import materialise

    materialise(model, _words(resolved.default_input))
    return model


LIST_COLUMNS = (
    Column("name", "", "What the model is called."),
    Column("plugin", "", "Which plugin brings it."),
    Column("summary", "", "What it is."),
    Column("tags", "", "Words to filter by."),
    Column("default_input", "", "What it runs on when nothing is said."),
    Column("year", "", "Year of its paper."),
)


def list_models(
    query: str | None = None, *, plugin: str | None = None, tag: str | None = None
) -> Report:
    """Models that match, a row each.

    Args:
        query: Part of the name or of the summary, or a pattern with `*`; None for all.
        plugin: Only this plugin's.
        tag: Only those with this tag.

    Returns:
        The report.

    Raises:
        UnknownPlugin: No plugin is called so.
    """
    rows = tuple(
        {
            "name": entry.name,
            "plugin": entry.plugin,
            "summary": entry.card.summary,
            "tags": list(entry.card.tags),
            "default_input": _one_or_list(entry.card.default_input),
            "year": entry.card.year,
        }
        for entry in _manager().catalog().search(query, plugin=plugin, tag=tag)
    )
    return Report("list", ModelInfo(""), (), LIST_COLUMNS, rows, {"models": len(rows)})


INFO_COLUMNS = (Column("field", "", "What is said."), Column("value", "", "What it says."))


def info(name: str) -> Report:
    """What a model's card says, and the arguments that it takes.

    Args:
        name: `name` or `plugin/name`.

    Returns:
        The report, a row for each field.

    Raises:
        ZooError: No model is called so.
    """
    from zoo.catalog.described import described
    from zoo.catalog.locate import is_reference
    from zoo.errors import BadReference

    if is_reference(name):
        reason = "info tells of models of the catalog. Use `zoo summary` for your own"
        raise BadReference(name, reason + ", or name it in pyproject.toml ([tool.zoo.models]).")
    entry = _manager().catalog().find(name)
    card = entry.card
    said = {
        "name": card.name,
        "plugin": entry.plugin,
        "summary": card.summary,
        "paper": card.paper,
        "year": card.year,
        "link": card.link,
        "default input": ", ".join(_words(card.default_input)) or None,
        "factory": card.factory,
        "tags": ", ".join(card.tags) or None,
        **{f"--set {argument}": text for argument, text in described(entry).items()},
    }
    rows = tuple({"field": key, "value": value} for key, value in said.items() if value is not None)
    model = ModelInfo(card.name, entry.plugin, card.factory, dict(card.arguments))
    return Report("info", model, (), INFO_COLUMNS, rows, {})


PLUGIN_COLUMNS = (
    Column("name", "", "What the plugin is called."),
    Column("status", "", "`ok`, or `broken` where something it brings was left out."),
    Column("models", "1", "Models that it brings."),
    Column("version", "", "Version of its distribution."),
    Column("errors", "", "What is wrong with it."),
)
VERBOSE_COLUMNS = (
    Column("distribution", "", "What pip calls it."),
    Column("hooks", "", "Hooks that it answers."),
    Column("source", "", "File that holds its hooks."),
)


def list_plugins(*, verbose: bool = False) -> Report:
    """Plugins and their health, a row each.

    Args:
        verbose: Whether to say also where each is and which hooks it answers.

    Returns:
        The report.
    """
    rows = tuple(
        {
            "name": one.name,
            "status": "broken" if one.errors else "ok",
            "models": one.models,
            "version": one.version,
            "errors": list(one.errors),
            "distribution": one.distribution,
            "hooks": list(one.hooks),
            "source": one.source,
        }
        for one in _manager().plugins()
    )
    columns = PLUGIN_COLUMNS + (VERBOSE_COLUMNS if verbose else ())
    broken = sum(row["status"] == "broken" for row in rows)
    totals = {"plugins": len(rows), "broken": broken}
    return Report("plugins", ModelInfo(""), (), columns, rows, totals)


def doctor() -> Report:
    """Whether this installation can do what it should, a row for each thing looked at.

    Returns:
        The report; a row's `status` is `ok`, `missing` or `broken`.
    """
    from zoo.health import doctor as examine

    return _shown(examine(_manager()))


def read_settings(words: Iterable[str]) -> dict[str, Any]:
    """Read `name=value` words of `--set`.

    Args:
        words: One for each argument.

    Returns:
        The arguments, typed by how they are written.

    Raises:
        BadArgument: A word is no `name=value`, or its value cannot be read.
    """
    from zoo.catalog.arguments import parse_settings

    return parse_settings(words)


def plugin_commands(taken: Iterable[str] = ()) -> Mapping[str, click.Command]:
    """Commands that plugins bring, by name.

    Args:
        taken: Names that they may not have.

    Returns:
        The commands.
    """
    return _manager().commands(taken)


def _manager() -> Manager:
    from zoo.plugins.project import stamp

    folder = str(Path.cwd())
    return _manager_in(folder, stamp(folder))


@lru_cache(maxsize=1)
def _manager_in(folder: str, stamp: float) -> Manager:  # noqa: ARG001 - a change asks anew
    """Plugins as seen from a folder; the last one is kept until its pyproject.toml changes."""
    from zoo.plugins.manager import manager

    return manager(project=folder)


def _resolve(words: str, arguments: Mapping[str, Any] | None) -> Resolved:
    from zoo.catalog import resolve

    return resolve(words, _manager().catalog(), arguments)


def _skeleton(
    words: str, arguments: Mapping[str, Any] | None
) -> tuple[nn.Module, ModelInfo, str | tuple[str, ...] | None]:
    from zoo.analysis.skeleton import skeleton

    found = _resolve(words, arguments)
    described = ModelInfo(found.name, found.plugin, found.factory, dict(found.arguments))
    return skeleton(found.build), described, found.default_input


def _words(default: str | tuple[str, ...] | None) -> tuple[str, ...]:
    if default is None:
        return ()
    return (default,) if isinstance(default, str) else tuple(default)


def _one_or_list(default: str | tuple[str, ...] | None) -> str | list[str] | None:
    return list(default) if isinstance(default, tuple) else default


def _traced(
    model: str | nn.Module | Trace, inputs: tuple[Any, ...], options: Mapping[str, Any]
) -> Trace:
    from zoo.analysis.records import Trace

    if not isinstance(model, Trace):
        return trace(model, *inputs, **options)
    if inputs or options:
        from zoo.errors import InputError

        raise InputError("beside a trace", "a trace has run already", "Give it alone.")
    return model


def _shown(report: plain.Report) -> Report:
    values = {one.name: getattr(report, one.name) for one in fields(plain.Report)}
    return Report(**values)
