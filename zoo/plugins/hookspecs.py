"""What a plugin can bring.

A plugin is a module (or any object) with functions marked `@zoo.hookimpl`, named in the
entry-point group `zoo`. Every hook returns values, takes no arguments and registers nothing, so
that a plugin is tested by calling it. A plugin may leave out any hook. What a hook raises, or
returns that is not as said here, is shown by `zoo plugins` beside the plugin's name and stops
nobody else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pluggy import HookimplMarker, HookspecMarker

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import click

    from zoo.analysis.costs.base import CostFormula
    from zoo.analysis.devices import Device
    from zoo.analysis.opinions import Engine
    from zoo.catalog.card import ModelCard

PROJECT = "zoo"
"""Name of the hooks, and of the entry-point group."""

hookspec = HookspecMarker(PROJECT)
hookimpl = HookimplMarker(PROJECT)
"""Marks a function of a plugin as its answer to the hook of that name."""


@hookspec
def zoo_models() -> Iterable[ModelCard]:
    """Architectures that this plugin brings.

    Called once per manager, at the first look-up of a model; `zoo list` waits for it. Returns
    cards whose names differ from each other; a second card of one name is refused. Must not import
    torch or the architectures: a card names its factory as `module:attribute`, which is imported
    when it is first built. Must not write to stdout.
    """
    raise NotImplementedError


@hookspec
def zoo_costs() -> Mapping[str, CostFormula]:
    """Cost formulas of operators that zoo does not know, or knows less well.

    Called once per manager, before the first trace. Returns the operator's name, with its overload
    (`mylib.scale.default`) or without (`mylib.scale`), and its formula: the specs of the
    operator's input and output tensors -> MACs (int), or a `zoo.Cost`. Wins over zoo's own
    formula; a name that another plugin has already is refused. Must not import torch, and must not
    import the operators.
    """
    raise NotImplementedError


@hookspec
def zoo_devices() -> Iterable[Device]:
    """Devices that models may run on, with their peaks, bandwidth and memory.

    Called once per manager, when a device is looked up or `zoo devices` lists them. Returns
    `zoo.Device` records in plain bytes, B/s and FLOP/s (dense, two per multiply-accumulate), with
    a source. A device any of whose names another one has already is refused, and the error names
    both owners. Must not import torch, and must not look at the machine: the answer is the same on
    all of them.
    """
    raise NotImplementedError


@hookspec
def zoo_engines() -> Iterable[Engine]:
    """Other tools that count, as second opinions for `zoo crosscheck`.

    Called once per manager, when second opinions are asked for. Returns `zoo.Engine` records: how
    a tool is asked, and the rule by which it counts. A name that another engine has already,
    whatever its case, is refused. Must not import torch or the tool: `Engine.run` does, in a
    process of its own, and may do to the model what it likes. `Engine.rule` gets a run and no
    model.
    """
    raise NotImplementedError


@hookspec
def zoo_commands() -> Iterable[click.Command]:
    """Commands to stand beside zoo's own.

    Called once per manager, when `zoo --help` lists commands or a word is none of zoo's own.
    Returns named commands; a name that zoo or another plugin has already is refused. Must not
    import torch before a command is run.
    """
    raise NotImplementedError
