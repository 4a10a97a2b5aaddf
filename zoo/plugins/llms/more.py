"""Cards of decoders after Llama: experts, windows and latent attention."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoo.catalog.card import ModelCard

CARDS: tuple[ModelCard, ...] = ()
