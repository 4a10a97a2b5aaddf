"""The architectures of *Dive into Deep Learning*: one file of cards for each part of the book.

All are written from their papers and the book's tables, with the book's sizes as defaults.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo.plugins.book import (
    applications,
    attention,
    building,
    convolutional,
    deeper,
    embeddings,
    sequences,
    translation,
    vision,
)
from zoo.plugins.hookspecs import hookimpl

if TYPE_CHECKING:
    from zoo.catalog.card import ModelCard

CARDS: tuple[ModelCard, ...] = (
    *building.CARDS,
    *convolutional.CARDS,
    *deeper.CARDS,
    *vision.CARDS,
    *sequences.CARDS,
    *translation.CARDS,
    *attention.CARDS,
    *embeddings.CARDS,
    *applications.CARDS,
)


@hookimpl
def zoo_models() -> tuple[ModelCard, ...]:
    """Cards of the book."""
    return CARDS
