"""Cards of chapter 11: attention pooling, Transformers and vision Transformers."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoo.catalog.card import ModelCard

CARDS: tuple[ModelCard, ...] = ()
