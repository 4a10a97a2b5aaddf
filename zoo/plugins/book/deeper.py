"""Cards of deeper convolutional networks: later Inceptions, RegNet, pre-activation ResNets."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoo.catalog.card import ModelCard

CARDS: tuple[ModelCard, ...] = ()
