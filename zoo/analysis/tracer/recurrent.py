"""Recurrent layers as the CPU takes them apart, where oneDNN does not run them (`RNN.cpp`).

The CPU multiplies all steps' inputs by the input weights at once; torch's meta device does so step
by step, which keeps other tensors alive. Each function takes the arguments of its namesake in
`torch._VF`, and gives NotImplemented for packed sequences.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as fn

State = tuple[Tensor, ...]
Cell = Callable[[Tensor, State, Sequence[Tensor], bool], State]
"""(input already multiplied, states, weights of the layer, whether there are biases) -> states."""


def _hidden(state: Tensor, weights: Sequence[Tensor], biases: bool) -> Tensor:
    return fn.linear(state, weights[1], weights[3] if biases else None)


def _lstm_cell(given: Tensor, states: State, weights: Sequence[Tensor], biases: bool) -> State:
    h, c = states
    gates = _hidden(h, weights, biases).add_(given)
    into, forget, cell, out = gates.unsafe_chunk(4, 1)
    into, forget, cell, out = into.sigmoid_(), forget.sigmoid_(), cell.tanh_(), out.sigmoid_()
    c = (forget * c).add_(into * cell)
    h = out * c.tanh()
    return (fn.linear(h, weights[-1]), c) if len(weights) in (3, 5) else (h, c)


def _gru_cell(given: Tensor, states: State, weights: Sequence[Tensor], biases: bool) -> State:
    (h,) = states
    given_parts = given.unsafe_chunk(3, 1)
    parts = _hidden(h, weights, biases).unsafe_chunk(3, 1)
    reset = parts[0].add_(given_parts[0]).sigmoid_()
    into = parts[1].add_(given_parts[1]).sigmoid_()
    new = given_parts[2].add(parts[2].mul_(reset)).tanh_()
    return ((h - new).mul_(into).add_(new),)


def _tanh_cell(given: Tensor, states: State, weights: Sequence[Tensor], biases: bool) -> State:
    return (_hidden(states[0], weights, biases).add_(given).tanh(),)


def _relu_cell(given: Tensor, states: State, weights: Sequence[Tensor], biases: bool) -> State:
    return (_hidden(states[0], weights, biases).add_(given).relu(),)


def _direction(
    cell: Cell, x: Tensor, states: State, weights: Sequence[Tensor], biases: bool, back: bool
) -> tuple[Tensor, State, Sequence[Tensor]]:
    """(T, B, I) -> (T, B, H), the last states, and the inputs of the steps."""
    steps = fn.linear(x, weights[0], weights[2] if biases else None).unbind(0)
    outputs = []
    for step in reversed(steps) if back else steps:
        states = cell(step, states, weights, biases)
        outputs.append(states[0])
    kept = steps if back else ()  # a second direction's live until both are joined
    del steps
    return torch.stack(outputs[::-1] if back else outputs, 0), states, kept


def _layers(cell: Cell, x: Any, hidden: Sequence[Tensor], *rest: Any) -> Any:
    weights, biases, layers, dropout, train, bidirectional, batch_first = rest
    if not isinstance(biases, bool) or x.dim() != 3:
        return NotImplemented
    directions = 2 if bidirectional else 1
    each = len(weights) // (layers * directions)
    x = x.transpose(0, 1) if batch_first else x
    firsts = [one.unbind(0) for one in hidden]
    lasts: list[State] = []
    for layer in range(layers):
        outputs: list[Tensor] = []
        for back in range(directions):
            number = layer * directions + back
            own = weights[each * number : each * (number + 1)]
            first = tuple(one[number] for one in firsts)
            y, last, kept = _direction(cell, x, first, own, biases, bool(back))
            outputs.append(y)
            lasts.append(last)
        x = torch.cat(outputs, outputs[0].dim() - 1) if bidirectional else outputs[0]
        del outputs, y, kept
        if dropout and train and layer < layers - 1:
            x = torch.dropout(x, dropout, train)
    ends = [torch.stack(list(one), 0) for one in zip(*lasts, strict=True)]
    if batch_first:
        x = x.transpose(0, 1) if len(ends) == 2 else x.transpose_(0, 1)
    return (x, *ends)


def lstm(x: Any, hidden: Any, *rest: Any) -> Any:
    """`torch._VF.lstm`."""
    return _layers(_lstm_cell, x, hidden, *rest)


def gru(x: Any, hidden: Tensor, *rest: Any) -> Any:
    """`torch._VF.gru`."""
    return _layers(_gru_cell, x, (hidden,), *rest)


def rnn_tanh(x: Any, hidden: Tensor, *rest: Any) -> Any:
    """`torch._VF.rnn_tanh`."""
    return _layers(_tanh_cell, x, (hidden,), *rest)


def rnn_relu(x: Any, hidden: Tensor, *rest: Any) -> Any:
    """`torch._VF.rnn_relu`."""
    return _layers(_relu_cell, x, (hidden,), *rest)
