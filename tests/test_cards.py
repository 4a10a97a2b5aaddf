"""Does every command say something of every model of ours, on the input that its card brings?

    pytest tests/test_cards.py

torchvision's builders run on their default inputs in `test_published.py`.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import pytest

import zoo
from zoo.plugins import book, llms
from zoo.plugins import torchvision as builders

if TYPE_CHECKING:
    from collections.abc import Callable

    from zoo.analysis.report import Report
    from zoo.catalog.card import ModelCard

KINDS = {"cnn", "rnn", "attention", "embedding", "mlp"}
"""Tags of which a card has at least one: `zoo list --tag` finds it there."""
CARDS = {f"book/{card.name}": card for card in book.CARDS}
CARDS |= {f"llms/{card.name}": card for card in llms.CARDS}
FIRST: dict[object, str] = {}
"""By file and types of modules: the card that stands for others made of the same."""
LONG = 500
"""Operators from which on a model is not trained at every depth here."""


@cache
def run(name: str, *, train: bool = False, device: str = "cpu") -> zoo.Trace:
    return zoo.trace(name, train=train, device=device)


def stands_for(name: str) -> str:
    """The first card of the same file with the same types of modules."""
    types = frozenset(call.type for call in run(name).calls)
    return FIRST.setdefault((CARDS[name].factory.partition(":")[0], types), name)


OF_A_RUN: tuple[Callable[[Any], Report], ...] = (zoo.summary, zoo.params, zoo.flops, zoo.memory)


def holds(report: Report, name: str) -> None:
    assert report.failure is None, f"{name}: {report.failure}"
    assert report.totals.get("uncounted", []) == []
    assert [note.text for note in report.notes if note.severity == "error"] == []


@pytest.mark.parametrize("name", CARDS)
def test_analyses_of_the_forward_pass(name: str) -> None:
    trace = run(name)
    for analysis in OF_A_RUN:
        holds(analysis(trace), name)
    assert zoo.summary(trace).totals["coverage"] == 1.0


@pytest.mark.parametrize("name", CARDS)
def test_analyses_of_a_training_step(name: str) -> None:
    if stands_for(name) != name:
        pytest.skip(f"made of the same modules as {stands_for(name)}")
    if not zoo.params(run(name)).totals["trainable_parameters"]:
        pytest.skip("nothing to train")
    trace = run(name, train=True)
    holds(zoo.flops(trace), name)
    holds(zoo.memory(trace), name)
    if len(run(name).ops) < LONG:
        holds(zoo.freeze(name), name)
    holds(zoo.transfers(run(name, train=True, device="cuda")), name)


@pytest.mark.parametrize("name", CARDS)
def test_a_card_says_what_it_is(name: str) -> None:
    card = CARDS[name]
    assert KINDS & set(card.tags)
    assert card.default_input
    assert card.paper
    assert card.year
    assert card.link
    assert card.summary.endswith(".")
    said = {row["field"] for row in zoo.info(name).rows}
    assert {"paper", "year", "default input", "factory", "tags"} <= said
    assert name.startswith("llms/") or card.book or card.table


@pytest.mark.parametrize("card", builders.zoo_models(), ids=lambda card: card.name)
def test_a_builder_of_torchvision_has_a_kind(card: ModelCard) -> None:
    assert KINDS & set(card.tags)
