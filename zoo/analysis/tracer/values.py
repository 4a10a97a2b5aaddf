"""Which tensors are the same, and which operators read them?

A tensor is told by its block, and by where in it its elements lie: a view of the same elements is
the same value, a slice is another. So a run says what later operators need of what earlier ones
made (`zoo.analysis.cuts`). Parameters, buffers and inputs are one value each, whatever views of
them are read.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import torch

from zoo.analysis.records import Phase, Value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from zoo.analysis.tracer.ledger import Ledger

DETACH = torch.ops.aten.detach.default


class Values:
    """Numbers values in the order in which they turn up.

    Args:
        ledger: Knows blocks by the addresses of storages.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._numbers: dict[Any, int] = {}
        self._found: list[tuple[int, int, int]] = []
        """Block, bytes and birth of each."""
        self._gradients: set[int] = set()

    def read(
        self, func: Any, tensors: Sequence[Tensor], storages: Sequence[int], phase: Phase
    ) -> tuple[int, ...]:
        """The values that an operator reads.

        Args:
            func: The operator; through `detach` no gradient flows.
            tensors: What it is given.
            storages: Addresses of their storages; 0 where one has none.
            phase: Part of the step; the forward pass alone is written down.

        Returns:
            A number for each tensor; -1 for one without a block.
        """
        if phase != "forward":
            return ()
        found = tuple(map(self.number, tensors, storages))
        if func is not DETACH and torch.is_grad_enabled():
            for number, tensor in zip(found, tensors, strict=True):
                if tensor.requires_grad:
                    self._gradients.add(number)
        return found

    def number(self, tensor: Tensor, storage: int, born: int = -1) -> int:
        """The number of a value, new where it was not there before.

        Args:
            tensor: That shows it.
            storage: Address of its storage.
            born: Index of the operator that returned it; -1 where none did.

        Returns:
            Its number; -1 where it is in no block.
        """
        block = self._ledger.block(storage)
        if block is None:
            return -1
        if block.born < 0:
            if block.value < 0:
                block.value = len(self._found)
                self._found.append((block.number, block.nbytes, -1))
            return block.value
        key = (block.number, tensor.storage_offset(), tensor.shape, tensor.stride())
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self._found)
            if block.born == born:
                nbytes = min(tensor.numel() * tensor.element_size(), block.nbytes)
            else:
                nbytes = self._nbytes(tensor)
            self._found.append((block.number, nbytes, born))
        return number

    @staticmethod
    def _nbytes(tensor: Tensor) -> int:
        """Bytes of its elements; one that is repeated counts once."""
        sizes = zip(tensor.shape, tensor.stride(), strict=True)
        elements = prod(size if stride else min(size, 1) for size, stride in sizes)
        return min(elements * tensor.element_size(), tensor.untyped_storage().nbytes())

    def values(self) -> tuple[Value, ...]:
        """All values, by their numbers."""
        return tuple(
            Value(block, nbytes, born, number in self._gradients)
            for number, (block, nbytes, born) in enumerate(self._found)
        )
