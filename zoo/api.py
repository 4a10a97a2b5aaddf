"""The calls that the command line and Python users share.

trace = zoo.trace("googlenet", (1, 1, 96, 96))
report = zoo.summary(trace)
report.totals["macs"]; print(report); report.to_json(); report.to_frame()
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from zoo.analysis import report as plain
from zoo.analysis.report import Column, ModelInfo
from zoo.subjects import Subject, built, manager, real, words_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import click
    import pandas as pd
    from torch import nn

    from zoo.analysis.costs.base import CostFormula
    from zoo.analysis.devices import Device
    from zoo.analysis.freezing import Plan
    from zoo.analysis.records import Trace


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
    batch: int | None = None,
    train: bool = False,
    optimizer: str | Callable[[Any], Any] = "sgd",
    loss: str | Callable[[Any], Any] = "sum",
    autocast: str | None = None,
    accumulate: int = 1,
    set_to_none: bool = True,
    checkpoint: str | Sequence[str] = (),
    freeze: Plan | None = None,
    device: str = "cpu",
    dtype: str | None = None,
    formulas: Mapping[str, CostFormula] | None = None,
    hints: Mapping[str, float] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Trace:
    """Run a model once on tensors without data, and record everything.

    With `train`, one step of its training is recorded: forward pass, backward pass and optimizer,
    whose state is there from earlier steps.

    Args:
        model: A module, which is given back as it was and whose weights are not read; or words as
            of the command line: `name`, `plugin/name`, `./net.py:Net`, `package.module:factory`.
        *inputs: What `forward` gets, in order: a shape `(1, 3, 96, 96)`, a word of `--input`
            ("f32[1,3,96,96]", "ids=1,128:int64"), a `TensorSpec`, a real tensor, or a nest of
            these. None: the model's default input.
        kwargs: More of these, by name.
        arguments: What the model is built with, when it is given by words.
        batch: First dim of the inputs; None leaves them as they are given.
        train: Whether the run is a training step, with dropout and batch statistics on.
        optimizer: A name (`sgd`, `sgd-momentum`, `adam`, `adamw`, ...), or a function that makes
            one of the list of the model's parameters.
        loss: `sum` of all outputs that gradients reach (or the loss that the model returned),
            `cross-entropy`, `mse`, a function of what the model returned, or `none`: the forward
            pass alone, in training mode and without gradients.
        autocast: `bfloat16` or `float16`: the dtype that eligible operators run in.
        accumulate: Micro-batches between two steps of the optimizer; figures are those of one.
        set_to_none: Whether gradients are freed between steps, not set to zero.
        checkpoint: Paths of modules, with `*`, that keep their inputs only and run again in the
            backward pass.
        freeze: A plan of `zoo.analysis.freezing`: what is not trained, beside what the model
            itself froze.
        device: Where the run is said to take place: `cpu`, `cuda`, `mps`, ...
        dtype: What floating point weights and inputs are cast to.
        formulas: Costs by operator, `{"mylib.scale": formula}`, above plugins' and zoo's own.
        hints: What data-dependent operations find, by operation (`nonzero`) or by `file.py:12`.
        progress: Is called now and then with the number of operators so far.

    Returns:
        The trace. A model that raises gives a trace that ends there, with its `failure`.

    Raises:
        InputError: Inputs that cannot be read or that do not fit.
        StepError: The training step cannot be made, or has nothing to train.
        ZooError: The model's words lead nowhere, or its constructor raised.

    Example:
        >>> trace("lenet", (1, 1, 28, 28)).outputs
        (TensorSpec(shape=(1, 10), dtype='float32', device='cpu'),)
    """
    subject = Subject(model, inputs, kwargs=kwargs, arguments=arguments)
    return subject.trace(
        batch=batch,
        train=train,
        optimizer=optimizer,
        loss=loss,
        autocast=autocast,
        accumulate=accumulate,
        set_to_none=set_to_none,
        checkpoint=checkpoint,
        freeze=freeze,
        device=device,
        dtype=dtype,
        formulas=formulas,
        hints=hints,
        progress=progress,
    )


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

    alone = {"loss": "none"} if options.get("train") else {}
    return _shown(summarise(_traced(model, inputs, {**options, **alone})))


def flops(
    model: str | nn.Module | Trace,
    *inputs: Any,
    by: str = "module",
    causal: str = "full",
    **options: Any,
) -> Report:
    """MACs and FLOPs of a forward pass, or of a training step.

    Args:
        model: A `Trace`, or what `trace` takes.
        *inputs: As for `trace`.
        by: What a row is: a call of a `module`, an `operator`, a `type` of module, a `phase`.
        causal: Whether causal attention is counted in `full`, or in `half`: what its mask leaves.
        **options: As for `trace`.

    Returns:
        The report.

    Raises:
        ZooError: As for `trace`, or a word that is not known.

    Example:
        >>> flops("lenet", (1, 1, 28, 28), by="type").rows[0]["macs"]
        357600
    """
    from zoo.analysis.flops import check
    from zoo.analysis.flops import flops as count

    check(by, causal)
    return _shown(count(_traced(model, inputs, options), by=by, causal=causal))


def params(
    model: str | nn.Module | Trace,
    *inputs: Any,
    by: str = "parameter",
    values: bool = False,
    **options: Any,
) -> Report:
    """Parameters: their roles, shapes and bytes; which are trained, tied, unused.

    A model without a known input is not run: what is unused is not known then.

    Args:
        model: A `Trace`, or what `trace` takes.
        *inputs: As for `trace`.
        by: What a row is: a `parameter`, a `module`, a `role`, a `dtype`.
        values: Whether to say what the elements are like: mean, std, norm, zeros, non-finite. A
            model that is given by words is built for real, as `create` does.
        **options: As for `trace`.

    Returns:
        The report.

    Raises:
        ZooError: As for `trace`, a word that is not known, or weights without values.

    Example:
        >>> params("lenet", by="role").rows[0]["parameters"]
        61470
    """
    from zoo.analysis.params import check
    from zoo.analysis.params import params as listed

    check(by)
    if not values:
        return _shown(listed(_held(model, inputs, options), by=by))
    from zoo.analysis.records import Trace

    if isinstance(model, Trace):
        from zoo.errors import OptionError

        raise OptionError("values", "a trace holds no weights", "Give the module, or its name.")
    from zoo.analysis.values import values as read

    found = read(real(model, inputs, options) if isinstance(model, str) else model)
    return _shown(listed(_held(model, inputs, options), by=by, values=found))


def memory(
    model: str | nn.Module | Trace,
    *inputs: Any,
    by: str = "role",
    on: str | Device | None = None,
    fits: str | float | None = None,
    **options: Any,
) -> Report:
    """Peak memory of a forward pass, or of a training step, and who holds it.

    Args:
        model: A `Trace`, or what `trace` takes.
        *inputs: As for `trace`.
        by: What a row is: a `role`, a `module`, a line of `source`, a `block`, or a stretch of
            `time`.
        on: A device of `devices`, or its name: the run takes place there, with its kernels, and
            totals say what its allocator and its driver show.
        fits: Bytes, "24GB", or the name of a device. Rows are then changes that can be made, one
            at a time, with the largest batch that fits.
        **options: As for `trace`.

    Returns:
        The report. Its rows add up to `peak_bytes`, but for those by `time` and those of changes.

    Raises:
        ZooError: As for `trace`, or a word that is not known.

    Example:
        >>> memory("lenet", (1, 1, 28, 28)).totals["parameter_bytes"]
        246824
    """
    from zoo.analysis.memory import check
    from zoo.analysis.memory import memory as held
    from zoo.errors import OptionError

    check(by)
    limit, room = (None, None) if fits is None else budget(fits)
    place = device(on) if isinstance(on, str) else on or room
    if place is not None:
        options.update(_placed(model, place, room, options))
    if limit is not None:
        if by != "role":
            raise OptionError(f"by {by}", "rows of fits are changes", "Leave one of them out.")
        return _fitting(model, inputs, options, limit, place)
    found = _traced(model, inputs, options)
    report = held(found, by=by)
    if place is not None and found.failure is None:
        report = _on(report, found, place)
    return _shown(report)


def _placed(
    model: str | nn.Module | Trace,
    place: Device,
    room: Device | None,
    options: Mapping[str, Any],
) -> Mapping[str, Any]:
    """Options by which a run takes place on a device; none for a run that did."""
    from zoo.analysis import on_device
    from zoo.analysis.memory import place_of
    from zoo.analysis.records import Trace

    if isinstance(model, Trace):
        on_device.check(place, place_of(model), room)
        return {}
    on_device.check(place, options.get("device"), room)
    return {"device": options.get("device", place.kind)}


def _on(report: plain.Report, found: Trace, place: Device) -> plain.Report:
    """A memory report with what a device's allocator and driver show."""
    from zoo.analysis import on_device

    usage = on_device.usage(found, place)
    return replace(
        report,
        totals={**report.totals, "device": place.name, **on_device.figures(usage)},
        notes=(*report.notes, *on_device.notes(usage, place)),
    )


def _fitting(
    model: str | nn.Module | Trace,
    inputs: tuple[Any, ...],
    options: dict[str, Any],
    limit: int,
    place: Device | None,
) -> Report:
    """A memory report whose rows are changes to a job."""
    from zoo.analysis.fits import TOTALS, Job, fitted
    from zoo.analysis.memory import memory as held
    from zoo.analysis.records import Trace
    from zoo.errors import OptionError

    if isinstance(model, Trace):
        raise OptionError("fits", "a trace has run already", "Give the model itself.")
    named = {name: options.pop(name) for name in ("kwargs", "arguments") if name in options}
    subject = Subject(model, inputs, **named)
    kept = ("batch", "device", "dtype", "formulas", "hints", "progress")
    alone = {name: options[name] for name in kept if name in options}
    found = subject.trace(**options)
    report = held(found)
    if found.failure is not None:
        unknown = {**dict.fromkeys(TOTALS), "limit_bytes": limit}
        return _shown(replace(report, totals={**report.totals, **unknown}))
    shape = next((one.spec.shape for one in found.inputs if one.spec.shape), (1,))
    options.pop("batch", None)

    def run(*, batch: int, **settings: Any) -> Trace:
        return subject.trace(batch=batch, **{**options, **settings})

    look = found if found.step is None else subject.trace(**alone)
    if place is not None:
        report = _on(report, found, place)
    return _shown(fitted(report, Job(run, limit, place, shape[0]), found, look, options))


def freeze(
    model: str | nn.Module,
    *inputs: Any,
    through: str | None = None,
    train: str | Sequence[str] | None = None,
    fraction: float | None = None,
    of: str = "macs",
    epochs: int = 10,
    kwargs: Mapping[str, Any] | None = None,
    arguments: Mapping[str, Any] | None = None,
    **options: Any,
) -> Report:
    """What training costs when a part of the model is frozen, before it is trained.

    Args:
        model: As for `trace`, but no `Trace`: each plan is a training step of its own.
        *inputs: As for `trace`.
        through: Freeze what runs up to the end of this module.
        train: Train what these patterns name (`"layer4.*,fc"`), and nothing else.
        fraction: Freeze the first stages, until they hold this share.
        of: What `fraction` is a share of: `macs` or `parameters`.
        epochs: How often each input is seen; matters to cached features.
        kwargs: As for `trace`.
        arguments: As for `trace`.
        **options: As for `trace`.

    Returns:
        The report: a row that trains everything, and one for the plan; without a plan one for
        every depth. Totals are those of the last row.

    Raises:
        NothingToTrain: The plan leaves nothing to train.
        PlanError: The plan names nothing, or several plans were given.
        ZooError: As for `trace`.

    Example:
        >>> freeze("lenet", through="conv2").totals["trainable_parameters"]
        59134
    """
    from zoo.analysis.freeze import freeze as priced
    from zoo.analysis.freeze import planned
    from zoo.analysis.freezing import Plan
    from zoo.errors import PlanError

    subject = Subject(model, inputs, kwargs=kwargs, arguments=arguments)
    kept = ("batch", "device", "dtype", "formulas", "hints", "progress")
    alone = {name: options.pop(name) for name in kept if name in options}
    look = subject.trace(**alone)
    if "freeze" in options or isinstance(train, bool):
        raise PlanError("plan", "it is made here", "Say what to train: train='layer4.*,fc'.")
    if look.failure is not None:
        broken = subject.trace(train=True, **alone, **options)
        return _shown(priced([(Plan("train everything"), broken)], epochs=epochs))
    steps = [
        (plan, subject.trace(train=True, freeze=plan, **alone, **options))
        for plan in planned(look, through=through, train=train, fraction=fraction, of=of)
    ]
    return _shown(priced(steps, epochs=epochs))


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
    return built(name, arguments if weights is None else {**arguments, "weights": weights})


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
        for entry in manager().catalog().search(query, plugin=plugin, tag=tag)
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
    entry = manager().catalog().find(name)
    card = entry.card
    said = {
        "name": card.name,
        "plugin": entry.plugin,
        "summary": card.summary,
        "paper": card.paper,
        "year": card.year,
        "link": card.link,
        "default input": ", ".join(words_of(card.default_input)) or None,
        "factory": card.factory,
        "tags": ", ".join(card.tags) or None,
        **{f"--set {argument}": text for argument, text in described(entry).items()},
    }
    rows = tuple({"field": key, "value": value} for key, value in said.items() if value is not None)
    model = ModelInfo(card.name, entry.plugin, card.factory, dict(card.arguments))
    return Report("info", model, (), INFO_COLUMNS, rows, {})


def devices(query: str | None = None) -> Report:
    """Devices that match, a row each, with their peaks, bandwidth and memory.

    Args:
        query: Part of a name, a maker or a kind, or a pattern with `*`; None for all.

    Returns:
        The report.

    Raises:
        UnknownDevice: None matches.

    Example:
        >>> [row["name"] for row in devices("NVIDIA H100 80GB HBM3").rows]
        ['H100-SXM5-80GB']
    """
    from zoo.analysis.devices_report import report

    return _shown(report(manager().devices(), query))


def device(name: str) -> Device:
    """What is known of a device.

    Args:
        name: As people or `nvidia-smi` write it.

    Returns:
        The device; its `assumption` says what a short name left open.

    Raises:
        UnknownDevice: No device is called so.

    Example:
        >>> device("rtx 4090").name, device("H100").assumption is None
        ('GeForce RTX 4090', False)
    """
    return manager().devices().find(name)


def budget(value: str | float) -> tuple[int, Device | None]:
    """Memory that something has to fit into.

    Args:
        value: Bytes, `24GB` (1e9 B), `24GiB` (2**30 B), or the name of a device.

    Returns:
        Bytes, and the device where one was named.

    Raises:
        BadBudget: It is neither a size nor a device, or the device's memory is not known.
    """
    from zoo.analysis.devices import budget as read

    return read(value, manager().devices())


PLUGIN_COLUMNS = (
    Column("name", "", "What the plugin is called."),
    Column("status", "", "`ok`, or `broken` where something it brings was left out."),
    Column("models", "1", "Models that it brings."),
    Column("version", "", "Version of its distribution."),
    Column("errors", "", "What is wrong with it."),
)
VERBOSE_COLUMNS = (
    Column("devices", "1", "Devices that it brings."),
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
            "devices": one.devices,
            "version": one.version,
            "errors": list(one.errors),
            "distribution": one.distribution,
            "hooks": list(one.hooks),
            "source": one.source,
        }
        for one in manager().plugins()
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

    return _shown(examine(manager()))


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
    return manager().commands(taken)


def _one_or_list(default: str | tuple[str, ...] | None) -> str | list[str] | None:
    return list(default) if isinstance(default, tuple) else default


def _traced(
    model: str | nn.Module | Trace, inputs: tuple[Any, ...], options: Mapping[str, Any]
) -> Trace:
    from zoo.analysis.records import Trace

    if not isinstance(model, Trace):
        return trace(model, *inputs, **options)
    if inputs or options:
        from zoo.errors import OptionError

        raise OptionError("beside a trace", "a trace has run already", "Give it alone.")
    return model


def _held(
    model: str | nn.Module | Trace, inputs: tuple[Any, ...], options: Mapping[str, Any]
) -> Trace:
    """As `_traced`, but a model without a known input is only looked at."""
    from zoo.analysis.records import Trace

    if isinstance(model, Trace) or inputs or options.get("kwargs"):
        return _traced(model, inputs, options)
    subject = Subject(model, arguments=options.get("arguments"))
    if subject.inputs:
        return _traced(model, inputs, options)
    from inspect import signature

    from zoo.analysis.held import held

    signature(trace).bind(model, **options)  # raises for what `trace` does not take
    given = {name: options[name] for name in ("device", "dtype") if name in options}
    return held(subject.module, info=subject.info, **given)


def _shown(report: plain.Report) -> Report:
    values = {one.name: getattr(report, one.name) for one in fields(plain.Report)}
    return Report(**values)
