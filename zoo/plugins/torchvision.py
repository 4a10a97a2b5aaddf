"""torchvision's builders, with the names and figures of their published weights.

What there is, is read from `torchvision_models.json`, which `tools/torchvision_cards.py` writes;
neither torch nor torchvision is imported for it. A card builds the architecture of the default
weights, without loading them: nothing is downloaded unless `weights` are asked for. Published GMACs
are torchvision's own (`meta["_ops"]`), on the default input.
"""

from __future__ import annotations

import json
import os
from typing import Any, NamedTuple

from zoo.catalog.card import DefaultInput, ModelCard
from zoo.plugins.hookspecs import hookimpl

FILE = os.path.join(os.path.dirname(__file__), "torchvision_models.json")  # noqa: PTH118, PTH120


class Published(NamedTuple):
    """A set of weights that torchvision publishes. No torch, and no weights."""

    model: str
    """torchvision's name of the builder; the card's name."""
    weights: str
    """Name in the builder's enumeration of weights."""
    is_default: bool
    """Whether it is what torchvision calls DEFAULT."""
    family: str
    """classification, segmentation, detection, video, optical_flow or quantization."""
    num_params: int
    """Published number of parameters. Of quantization: the float model's."""
    gmacs: float
    """Published multiply-accumulates in 1e9, 3 decimals. Of a detector: with trained weights."""
    acc1: float | None
    """Top-1 accuracy in per cent; None where it is not a classifier."""
    dataset: str | None
    """Data set of `acc1`: ImageNet-1K or Kinetics-400."""
    input: DefaultInput
    """What `gmacs` was measured on, in the words of `--input`."""
    arguments: dict[str, Any]
    """What the card's factory is called with to have this architecture."""


def published() -> tuple[Published, ...]:
    """All published weights, by model in the order of torchvision's list."""
    return tuple(
        Published(
            model["name"],
            one["name"],
            one["name"] == model["default"],
            model["family"],
            one["num_params"],
            one["gmacs"],
            one["acc1"],
            one["dataset"],
            _input(one["input"]),
            one["arguments"],
        )
        for model in _models()
        for one in model["weights"]
    )


@hookimpl
def zoo_models() -> tuple[ModelCard, ...]:
    """A card for each builder."""
    return tuple(_card(model) for model in _models())


def _models() -> list[dict[str, Any]]:
    with open(FILE, encoding="utf-8") as file:  # noqa: PTH123
        models: list[dict[str, Any]] = json.load(file)["models"]
    return models


def _card(model: dict[str, Any]) -> ModelCard:
    default = next(one for one in model["weights"] if one["name"] == model["default"])
    return ModelCard(
        model["name"],
        model["factory"],
        _summary(model, default),
        _input(default["input"]),
        default["arguments"],
        (*model["kinds"], model["family"], "torchvision"),
        model["paper"],
        model["year"],
        model["link"],
    )


def _summary(model: dict[str, Any], default: dict[str, Any]) -> str:
    """`25,557,032 parameters, 4.089 GMACs, 80.858 % on ImageNet-1K. Weights: ...`."""
    known = default["acc1"] is not None
    accuracy = f", {default['acc1']} % on {default['dataset']}" if known else ""
    names = [one["name"] for one in model["weights"] if one is not default]
    others = f"{default['name']} (default)" + "".join(f", {name}" for name in names)
    figures = f"{default['num_params']:,} parameters, {default['gmacs']} GMACs{accuracy}"
    task = model["family"].replace("_", " ")
    return f"{task[0].upper()}{task[1:]}: {figures}. Weights: {others}."


def _input(words: str | list[str]) -> DefaultInput:
    return words if isinstance(words, str) else tuple(words)
