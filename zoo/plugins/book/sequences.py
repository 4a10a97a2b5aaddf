"""Cards of chapters 9 and 10: recurrent networks and language models."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoo.catalog.card import ModelCard

CARDS: tuple[ModelCard, ...] = ()
