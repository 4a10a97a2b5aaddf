"""What a user asks about: a model in words or as a module, and inputs, that can run several times.

The one place where words meet plugins, the catalog and the tracer; `zoo.api` is what users call.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.analysis.report import ModelInfo

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn

    from zoo.analysis.records import Trace
    from zoo.catalog import Resolved
    from zoo.plugins.manager import Manager


STEP = ("optimizer", "loss", "autocast", "accumulate", "set_to_none", "checkpoint")
"""Options of a run that make it a training step, or say how."""


def manager() -> Manager:
    """Plugins, as seen from the working folder."""
    from zoo.plugins.project import stamp

    folder = str(Path.cwd())
    return manager_in(folder, stamp(folder))


@lru_cache(maxsize=1)
def manager_in(folder: str, stamp: float) -> Manager:  # noqa: ARG001 - a change asks anew
    """Plugins as seen from a folder; the last one is kept until its pyproject.toml changes."""
    from zoo.plugins.manager import manager as made

    return made(project=folder)


def words_of(default: str | tuple[str, ...] | None) -> tuple[str, ...]:
    """A default input as words of `--input`."""
    if default is None:
        return ()
    return (default,) if isinstance(default, str) else tuple(default)


def _resolve(words: str, arguments: Mapping[str, Any] | None) -> Resolved:
    from zoo.catalog import resolve

    return resolve(words, manager().catalog(), arguments)


class Subject:
    """A model with its inputs.

    Args:
        model: A module, or words: `name`, `plugin/name`, `./net.py:Net`, `package.module:factory`.
        inputs: What `forward` gets; none for the model's default input.
        kwargs: More of these, by name.
        arguments: What the model is built with, when it is given by words.

    Raises:
        OptionError: A trace was given, which cannot run again.
    """

    def __init__(
        self,
        model: str | nn.Module,
        inputs: tuple[Any, ...] = (),
        *,
        kwargs: Mapping[str, Any] | None = None,
        arguments: Mapping[str, Any] | None = None,
    ) -> None:
        _runs(model)
        self.info: ModelInfo | None = None
        self.default: str | tuple[str, ...] | None = None
        self.module: Any = model
        if isinstance(model, str):
            from zoo.analysis.skeleton import skeleton

            found = _resolve(model, arguments)
            self.info = ModelInfo(found.name, found.plugin, found.factory, dict(found.arguments))
            self.default = found.default_input
            self.module = skeleton(found.build)
        self.own_inputs = bool(inputs)
        self.inputs = inputs or (() if kwargs else words_of(self.default))
        self.kwargs = kwargs

    def trace(
        self,
        *,
        train: bool = False,
        optimizer: Any = "sgd",
        loss: Any = "sum",
        autocast: str | None = None,
        accumulate: int = 1,
        set_to_none: bool = True,
        checkpoint: Any = (),
        freeze: Any = None,
        **options: Any,
    ) -> Trace:
        """Run once. See `zoo.trace`."""
        from zoo.analysis.tracer.run import run
        from zoo.analysis.tracer.step import Training, autocast_dtype

        step = None
        if not train:
            _refuse(optimizer=optimizer != "sgd", loss=loss != "sum", checkpoint=bool(checkpoint))
            _refuse(accumulate=accumulate != 1, set_to_none=not set_to_none, freeze=bool(freeze))
        elif loss != "none":
            step = Training(
                optimizer=optimizer,
                loss=loss,
                accumulate=accumulate,
                set_to_none=set_to_none,
                checkpoint=(checkpoint,) if isinstance(checkpoint, str) else tuple(checkpoint),
                plan=freeze,
            )
        found = run(
            self.module,
            self.inputs,
            kwargs=self.kwargs,
            info=self.info,
            training=train,
            step=step,
            autocast=autocast_dtype(autocast),
            plugin_formulas=manager().costs(),
            **options,
        )
        return self._reminded(found)

    def _reminded(self, found: Trace) -> Trace:
        """A trace that broke on other inputs than the default, with a word on the default."""
        failure = found.failure
        if failure is None or failure.hint is not None:
            return found
        if self.default is None or not self.own_inputs:
            return found
        hint = f"The default input is {' and '.join(words_of(self.default))}."
        return replace(found, failure=replace(failure, hint=hint))


def _runs(model: object) -> None:
    """Raise for a trace, or the name of a saved one, where a model has to run."""
    from zoo.analysis.records import Trace
    from zoo.analysis.saved import is_saved

    if isinstance(model, Trace) or is_saved(model):
        from zoo.errors import OptionError

        what = model if isinstance(model, str) else "a trace"
        raise OptionError(
            str(what), "it has run already, and this runs the model anew", "Give the model itself."
        )


def _refuse(**said: bool) -> None:
    """Raise for an option of a training step where there is none."""
    for name, given in said.items():
        if given:
            from zoo.errors import StepError

            raise StepError(name, "it was given without a training step", "Say train=True.")


def named(word: str | None) -> Any:
    """What `package.module:attribute` leads to, for an optimizer or a loss; other words as is."""
    from zoo.catalog.locate import is_reference, locate

    return locate(word).target if word is not None and is_reference(word) else word


def named_step(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options of a run with what the words of its optimizer and loss lead to."""
    found = {name: named(options[name]) for name in ("optimizer", "loss") if name in options}
    return {**options, **found}


def built(name: str, arguments: Mapping[str, Any] | None, words: tuple[str, ...] = ()) -> nn.Module:
    """A real module; lazy layers get their parameters on `words`, or else the default input."""
    from zoo.analysis.skeleton import materialise

    resolved = _resolve(name, arguments)
    model = resolved.build()
    materialise(model, words or words_of(resolved.default_input))
    return model


def real(name: str, inputs: tuple[Any, ...], options: Mapping[str, Any]) -> nn.Module:
    """A real module that fits the inputs of its run."""
    shapes = (one if isinstance(one, str) else ",".join(map(str, one)) for one in inputs)
    plain_shapes = all(isinstance(one, str | tuple | list) for one in inputs)
    return built(name, options.get("arguments"), tuple(shapes) if plain_shapes else ())
