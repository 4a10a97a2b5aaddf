"""Running a model once: `zoo.trace`, and what analyses do with what they are given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zoo.subjects import Subject

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from torch import nn

    from zoo.analysis.costs.base import CostFormula
    from zoo.analysis.freezing import Plan
    from zoo.analysis.records import Trace


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


def load_trace(path: str | Path) -> Trace:
    """A saved trace, which every analysis takes; needs neither torch nor the model's code.

    Args:
        path: A file of `save_trace` or of `zoo trace`.

    Returns:
        The trace, equal to the one that was saved.

    Raises:
        BadTraceFile: There is no such file, it cannot be read, or it holds no trace.
    """
    from zoo.analysis.saved import load_trace as load

    return load(path)


def save_trace(trace: Trace, path: str | Path) -> None:
    """Write a trace to a file, whole or not at all.

    Args:
        trace: Any trace, also one that broke.
        path: A file whose name ends in `.json`, or in `.json.gz` for a smaller one.

    Raises:
        OptionError: The name ends otherwise.
        OutputError: The system refused.
    """
    from zoo.analysis.saved import check, packed
    from zoo.files import expanded, write_whole

    check(path)
    write_whole(expanded(path), packed(trace, path))


def traced(
    model: str | nn.Module | Trace, inputs: tuple[Any, ...], options: Mapping[str, Any]
) -> Trace:
    """The trace that was given, or saved, or that of a model that was given."""
    found = given_trace(model)
    if found is None:
        return trace(model, *inputs, **options)  # type: ignore[arg-type]
    if inputs or options:
        from zoo.errors import OptionError

        raise OptionError("beside a trace", "a trace has run already", "Give it alone.")
    return found


def given_trace(model: object) -> Trace | None:
    """The trace, where one was given or the name of a saved one; None for a model."""
    from zoo.analysis.records import Trace
    from zoo.analysis.saved import is_saved

    if isinstance(model, Trace):
        return model
    return load_trace(str(model)) if is_saved(model) else None


def held(
    model: str | nn.Module | Trace, inputs: tuple[Any, ...], options: Mapping[str, Any]
) -> Trace:
    """As `traced`, but a model without a known input is only looked at."""
    found = given_trace(model)
    if found is not None or inputs or options.get("kwargs"):
        return traced(found or model, inputs, options)
    subject = Subject(model, arguments=options.get("arguments"))  # type: ignore[arg-type]
    if subject.inputs:
        return traced(model, inputs, options)
    from inspect import signature

    from zoo.analysis.held import held as looked_at

    signature(trace).bind(model, **options)  # raises for what `trace` does not take
    given = {name: options[name] for name in ("device", "dtype") if name in options}
    return looked_at(subject.module, info=subject.info, **given)
