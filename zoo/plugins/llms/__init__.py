"""Published language models by their settings: one file of cards for each family.

No weights are downloaded. Parameters are counted once where embedding and head are tied.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo.plugins.hookspecs import hookimpl
from zoo.plugins.llms import bert, gpt, llama, more, t5

if TYPE_CHECKING:
    from zoo.catalog.card import ModelCard

CARDS: tuple[ModelCard, ...] = (*llama.CARDS, *gpt.CARDS, *bert.CARDS, *t5.CARDS, *more.CARDS)


@hookimpl
def zoo_models() -> tuple[ModelCard, ...]:
    """Cards of all families."""
    return CARDS
