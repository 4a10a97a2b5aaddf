"""Which module call made what runs in the backward pass.

Autograd numbers its nodes as the forward pass makes them. While an operator of the forward pass is
handled, the next number is known, and the operator's own node has the one before; while an operator
of the backward pass is handled, the node that runs it is known. A node that adds a gradient to a
parameter has no such number: what it runs belongs to the parameter's module.

A node that no operator was seen to make (writing into a view makes two) came with the one before.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Any

import torch
from torch.autograd.function import BackwardCFunction

if TYPE_CHECKING:
    from collections.abc import Mapping

Made = tuple[int, "str | None"]
"""A module call and a line of the user's code."""


class Makers:
    """Remembers who made which node."""

    def __init__(self) -> None:
        self._numbers: list[int] = []
        """Of the nodes whose maker is known, ascending."""
        self._nodes: dict[int, Made] = {}
        self._ops: dict[int, int] = {}
        """Operators that made them, where one did."""
        self._owners: Mapping[int, int] = {}
        self._last: Made = (0, None)
        self.op: int | None = None
        """The operator of the forward pass whose node `running` found last."""

    def made(self, call: int, source: str | None, op: int | None = None) -> None:
        """An operator of the forward pass runs; its node, if it has one, is there.

        So is the node of a `torch.autograd.Function`, which runs its operators without gradients.

        Args:
            call: The module call that it belongs to.
            source: Line of the user's code.
            op: Its index.
        """
        number: int = torch.autograd._get_sequence_nr() - 1  # type: ignore[attr-defined]
        if number not in self._nodes:
            self._nodes[number] = (call, source)
            self._numbers.append(number)
            if op is not None:
                self._ops[number] = op

    def owned(self, owners: Mapping[int, int]) -> None:
        """Say which call the gradient of a parameter belongs to, by the parameter's `id`."""
        self._owners = owners

    def in_user_code(self) -> bool:
        """Whether the node that runs, or ran last, is a backward pass that the user wrote."""
        return isinstance(torch._C._current_autograd_node(), BackwardCFunction)

    def running(self) -> Made:
        """The call and line that made the node which runs now."""
        node: Any = torch._C._current_autograd_node()
        if node is None:
            return self._last  # two gradients of one tensor are added between nodes
        variable = getattr(node, "variable", None)
        if variable is not None:
            self.op = None
            return self._owners.get(id(variable), self._last[0]), None
        number = getattr(node, "_sequence_nr", None)
        if number is not None:
            place = bisect_right(self._numbers, number())
            if place:
                self._last = self._nodes[self._numbers[place - 1]]
                self.op = self._ops.get(self._numbers[place - 1], self.op)
        if torch.is_grad_enabled():  # a checkpointed piece of code runs again and makes nodes
            self.made(*self._last, self.op)
        return self._last
