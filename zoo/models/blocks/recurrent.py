"""Recurrent layers of torch by their word, and their states.

Dive into Deep Learning, 9.6, 10.1 and 10.2. L layers of width N hold a state (L, B, N); an LSTM
holds two, hidden and cell.
"""

from __future__ import annotations

from torch import Tensor, nn

CELLS: dict[str, type[nn.RNN | nn.GRU | nn.LSTM]] = {
    "rnn": nn.RNN,
    "gru": nn.GRU,
    "lstm": nn.LSTM,
}
"""torch's recurrent layers, by the words of `cell`."""

Hidden = Tensor | tuple[Tensor, Tensor]
"""State of a recurrent network: (L, B, N), or for an LSTM two of them, hidden and cell."""


def recurrent(
    cell: str, num_inputs: int, num_hiddens: int, num_layers: int, dropout: float
) -> nn.RNN | nn.GRU | nn.LSTM:
    """A recurrent network that takes time first.

    Args:
        cell: One of `CELLS`.
        num_inputs: Width of what it reads at each step.
        num_hiddens: Width N of its state.
        num_layers: Layers L, each reads the one below.
        dropout: Probability with which an element between two layers is left out in training.

    Returns:
        The network of torch.

    Raises:
        ValueError: No network is called so.
    """
    if cell not in CELLS:
        raise ValueError(f"no cell is called {cell!r}: take one of {', '.join(CELLS)}")
    between = dropout if num_layers > 1 else 0.0
    return CELLS[cell](num_inputs, num_hiddens, num_layers, dropout=between)


def reordered(hidden: Hidden, rows: Tensor) -> Hidden:
    """Some examples of a network's state, in a new order.

    Args:
        hidden: (L, B, N), or for an LSTM two of them.
        rows: Which examples, (M,).

    Returns:
        (L, M, N), or two of them.
    """
    if isinstance(hidden, tuple):
        return hidden[0].index_select(1, rows), hidden[1].index_select(1, rows)
    return hidden.index_select(1, rows)
