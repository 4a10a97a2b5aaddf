"""Which blocks of memory a run holds, from when to when, and for whom.

A block is born with the operator whose result it holds, and dies when nothing refers to it any
more: the model's variables, autograd's graph and the optimizer's state keep blank tensors exactly
as they keep real ones, so that Python and autograd themselves say when memory is given back. Views
share their block. What a kernel allocates and frees inside itself is not seen here
(`workspaces.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING
from weakref import ref

import torch

from zoo.analysis.records import Role, Storage

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor


@dataclass(slots=True)
class Block:
    """A block that may still be alive."""

    nbytes: int
    device: str
    role: Role
    born: int
    call: int | None
    source: str | None
    name: str
    died: int | None = None
    first_read: int | None = None
    last_read: int | None = None
    number: int = -1
    value: int = -1
    """Of a block that was there before the run: the one value that it is."""


class Ledger:
    """Blocks of a run, in the order of their birth."""

    def __init__(self) -> None:
        self.now = -1
        """Index of the last operator."""
        self.blocks: list[Block] = []
        self._live: dict[int, tuple[Block, ref[torch.UntypedStorage]]] = {}
        self._joined: list[tuple[Block, Block]] = []

    def add(
        self,
        tensor: Tensor,
        device: str,
        role: Role = "temporary",
        *,
        name: str = "",
        born: int = -1,
        call: int | None = None,
        source: str | None = None,
    ) -> None:
        """Write down the tensor's block, unless it is known.

        Args:
            tensor: Any tensor; one that is not strided has no block of its own.
            device: Where it is said to lie.
            role: What it is for.
            name: Of the parameter, buffer or input, or of the operator that made it.
            born: Index of that operator; -1 for what is there before the run.
            call: Index of the module call that it belongs to.
            source: Line of the user's code.
        """
        if tensor.layout != torch.strided:
            return
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key in self._live:
            return
        block = Block(storage.nbytes(), device, role, born, call, source, name)
        block.number = len(self.blocks)
        self.blocks.append(block)
        self._live[key] = (block, ref(storage, partial(self._died, key)))

    def mark(self, tensor: Tensor, role: Role, name: str | None = None) -> None:
        """Say what a block is for, that was only known to be some result."""
        if tensor.layout != torch.strided:
            return
        found = self._live.get(tensor.untyped_storage()._cdata)
        if found is not None and found[0].role in ("temporary", "saved"):
            found[0].role = role
            if name is not None:
                found[0].name = name

    def read(self, storages: Iterable[int]) -> None:
        """Write down that the running operator reads blocks.

        Args:
            storages: Addresses of their storages.
        """
        for key in storages:
            found = self._live.get(key)
            if found is not None:
                block = found[0]
                block.last_read = self.now
                if block.first_read is None:
                    block.first_read = self.now

    def block(self, storage: int) -> Block | None:
        """The block that a storage is; None where it is none.

        Args:
            storage: Its address.

        Returns:
            The block.
        """
        found = self._live.get(storage)
        return None if found is None else found[0]

    def forward_is_over(self) -> None:
        """What is alive now, and was made by operators, waits for the backward pass."""
        for block, _ in self._live.values():
            if block.role == "temporary":
                block.role = "saved"

    def joined(self, total: Tensor, gradient: Tensor) -> None:
        """Autograd adds a gradient to another, in place where nothing else holds the first.

        While a dispatch mode is on it does not, and makes a new tensor; where the first gradient is
        let go of after this operator, the block of the sum is counted from the next one on.

        Args:
            total: The sum.
            gradient: The first of the two.
        """
        if gradient._is_view() or gradient.shape != total.shape:
            return
        made = self._live.get(total.untyped_storage()._cdata)
        first = self._live.get(gradient.untyped_storage()._cdata)
        if made is not None and first is not None:
            self._joined.append((made[0], first[0]))

    def spend(self, nbytes: int, device: str, call: int, source: str | None, name: str) -> None:
        """Write down what the last operator allocated and freed inside itself."""
        self.blocks.append(
            Block(nbytes, device, "temporary", self.now, call, source, name, died=self.now)
        )

    def _died(self, key: int, _: object) -> None:
        block, _ = self._live.pop(key)
        block.died = self.now

    def storages(self) -> tuple[Storage, ...]:
        """All blocks; those that are alive outlive the run."""
        for made, first in self._joined:
            if first.died == made.born:
                made.born += 1
        self._joined.clear()
        return tuple(
            Storage(
                id=number,
                nbytes=block.nbytes,
                device=block.device,
                role=block.role,
                born=block.born,
                died=block.died,
                call=block.call,
                source=block.source,
                name=block.name,
                first_read=block.first_read,
                last_read=block.last_read,
            )
            for number, block in enumerate(self.blocks)
        )
