"""The plain loop with which tests let a model learn, on one thread: its batches are small."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def one_thread() -> Iterator[None]:
    """Several threads wait for each other longer than small operators take."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def step(loss: Tensor, optimizer: torch.optim.Optimizer) -> float:
    """Go down the gradient once.

    Returns:
        The loss before.
    """
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def fit(
    model: nn.Module,
    loss: Callable[[], Tensor],
    *,
    steps: int,
    rate: float,
    last_rate: float | None = None,
) -> list[float]:
    """Adam on the loss of a new batch at each step.

    The rate falls to `last_rate` on a straight line, where there is one.

    Returns:
        The loss of each step.
    """
    optimizer = torch.optim.Adam(model.parameters(), rate)
    end = 1.0 if last_rate is None else last_rate / rate
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, end, total_iters=steps)
    losses = []
    with one_thread():
        for _ in range(steps):
            losses.append(step(loss(), optimizer))
            schedule.step()
    return losses
