"""How is a long sequence cut into minibatches of inputs and the tokens that follow them?

Dive into Deep Learning, 9.3.4. A target is its input moved by one token. Three ways to cut:

    sequential_batches    rows of the corpus side by side; each minibatch goes on where the last
                          ended, so that a model can carry its state over
    random_batches        the corpus in pieces, in any order; a state means nothing in the next
    windows               every window of the corpus, as pieces that overlap

The first two begin at a random offset where a generator is given: another cut in every epoch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo.errors import LanguageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import torch
    from torch import Tensor

Batch = tuple["Tensor", "Tensor"]
"""Inputs and targets, both (B, T)."""


def sequential_batches(
    ids: Sequence[int] | Tensor,
    batch_size: int,
    num_steps: int,
    generator: torch.Generator | None = None,
) -> Iterator[Batch]:
    """Minibatches of which each goes on where the one before it ended, row by row.

    Args:
        ids: A corpus of N token ids.
        batch_size: Rows B.
        num_steps: Tokens T of a row; the last minibatch may have fewer.
        generator: Draws the offset, from 0 to T - 1; None begins at the first token.

    Returns:
        Inputs and targets, (B, T), in the order of the corpus.

    Raises:
        LanguageError: The corpus is too short.
    """
    import torch

    corpus = _corpus(ids, batch_size, num_steps, batch_size + 1)
    corpus = corpus[_offset(corpus, num_steps, batch_size + 1, generator) :]
    length = (len(corpus) - 1) // batch_size
    inputs = corpus[: batch_size * length].reshape(batch_size, length)
    targets = corpus[1 : batch_size * length + 1].reshape(batch_size, length)
    return zip(
        torch.split(inputs, num_steps, dim=1), torch.split(targets, num_steps, dim=1), strict=True
    )


def random_batches(
    ids: Sequence[int] | Tensor, batch_size: int, num_steps: int, generator: torch.Generator
) -> Iterator[Batch]:
    """Minibatches of pieces of the corpus, each piece once, in random order.

    Args:
        ids: A corpus of N token ids.
        batch_size: Pieces B of a minibatch; what is left over is left out.
        num_steps: Tokens T of a piece.
        generator: Draws the offset and the order.

    Returns:
        Inputs and targets, (B, T).

    Raises:
        LanguageError: The corpus is too short.
    """
    import torch

    least = batch_size * num_steps + 1
    corpus = _corpus(ids, batch_size, num_steps, least)
    corpus = corpus[_offset(corpus, num_steps, least, generator) :]
    pieces = corpus[:-1].unfold(0, num_steps, num_steps)  # (P, T)
    after = corpus[1:].unfold(0, num_steps, num_steps)  # (P, T)
    order = torch.randperm(len(pieces), generator=generator)
    chosen = order[: len(order) // batch_size * batch_size].split(batch_size)
    return ((pieces[rows], after[rows]) for rows in chosen)


def windows(ids: Sequence[int] | Tensor, num_steps: int) -> Batch:
    """Every window of a corpus and the same window moved by one token.

    Args:
        ids: A corpus of N token ids.
        num_steps: Tokens T of a window.

    Returns:
        Inputs and targets, (N - T, T). They share the memory of the corpus.

    Raises:
        LanguageError: The corpus is too short.
    """
    corpus = _corpus(ids, 1, num_steps, num_steps + 1)
    return corpus[:-1].unfold(0, num_steps, 1), corpus[1:].unfold(0, num_steps, 1)


def _corpus(
    ids: Sequence[int] | Tensor, batch_size: int, num_steps: int, least: int
) -> torch.Tensor:
    """A corpus as a tensor, long enough for a minibatch."""
    import torch

    if batch_size < 1 or num_steps < 1:
        reason = f"{batch_size} rows of {num_steps} steps hold no token"
        raise LanguageError("batches", reason, "Take 1 or more of both.")
    corpus = torch.as_tensor(ids)
    if corpus.dim() != 1 or len(corpus) < least:
        shape = tuple(corpus.shape)
        reason = f"a minibatch needs a corpus of {least} tokens or more, got one of shape {shape}"
        raise LanguageError("batches", reason, "Take fewer rows or steps, or a longer corpus.")
    return corpus


def _offset(corpus: Tensor, num_steps: int, least: int, generator: torch.Generator | None) -> int:
    """Where to begin, so that a minibatch is left."""
    import torch

    if generator is None:
        return 0
    highest = min(num_steps, len(corpus) - least + 1)
    return int(torch.randint(highest, (), generator=generator))
