"""Tensors that belong together, row by row, a batch at a time.

Dive into Deep Learning, 16.1.3 (reviews: tokens and a label) and 16.4.2 (premise, hypothesis and a
label).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zoo.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch
    from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Batches:
    """Batches of rows; each pass goes over all rows once.

    Example:
        >>> import torch
        >>> tokens, labels = torch.zeros(10, 5), torch.arange(10)
        >>> batches = Batches((tokens, labels), batch_size=4)
        >>> len(batches), [len(y) for x, y in batches]
        (3, [4, 4, 2])

    Raises:
        OptionError: The tensors have different numbers of rows, there are no tensors, or batches
            have no rows.
    """

    tensors: tuple[Tensor, ...]
    """(N, ...) each: row n of all of them is one example."""
    batch_size: int
    """Rows of a batch; the last one has what is left."""
    generator: torch.Generator | None = None
    """Orders the rows anew for each pass; None: they stay in order."""

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise OptionError(
                "batch_size", f"{self.batch_size} is no number of rows", "Give one from 1 on."
            )
        rows = [len(tensor) for tensor in self.tensors]
        if len(set(rows)) != 1:
            raise OptionError(
                "tensors", f"their numbers of rows are {rows}", "Give tensors of equally many rows."
            )

    def __len__(self) -> int:
        """How many batches a pass has."""
        return (len(self.tensors[0]) + self.batch_size - 1) // self.batch_size

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        """One pass: a part of each tensor at a time, (batch, ...) each."""
        import torch

        rows = len(self.tensors[0])
        order = torch.arange(rows)
        if self.generator is not None:
            order = torch.randperm(rows, generator=self.generator)
        for first in range(0, rows, self.batch_size):
            chosen = order[first : first + self.batch_size]  # (batch,)
            yield tuple(tensor[chosen] for tensor in self.tensors)
