"""Cards of chapters 10 and 11: encoders, decoders and sequence to sequence models."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoo.catalog.card import ModelCard

CARDS: tuple[ModelCard, ...] = ()
