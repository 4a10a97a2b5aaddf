"""How texts of different lengths become rows of one tensor: cut at a length, filled up to it.

Dive into Deep Learning, 10.5.3 and 16.1.2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from zoo.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from torch import Tensor

Token = TypeVar("Token")


def truncate_pad(tokens: Sequence[Token], num_steps: int, padding: Token) -> list[Token]:
    """The first tokens of a text, and padding where it has fewer.

    Args:
        tokens: Words, characters or ids.
        num_steps: How many tokens come back; at least 1.
        padding: Stands behind the end of a shorter text.

    Returns:
        `num_steps` tokens.

    Raises:
        OptionError: `num_steps` is below 1.

    Example:
        >>> truncate_pad(["good", "film"], 3, "<pad>"), truncate_pad([7, 8, 9], 2, 0)
        (['good', 'film', '<pad>'], [7, 8])
    """
    _check_length(num_steps)
    kept = list(tokens[:num_steps])
    return kept + [padding] * (num_steps - len(kept))


def pad_texts(
    texts: Iterable[Sequence[Token]],
    ids: Callable[[Sequence[Token]], Sequence[int]],
    num_steps: int,
    padding: int = 0,
) -> tuple[Tensor, Tensor]:
    """Texts as a tensor of token ids, and how many tokens of each are the text's own.

    Args:
        texts: A sequence of tokens each.
        ids: Ids of a text's tokens, such as a vocabulary's `__getitem__`.
        num_steps: Tokens of each row.
        padding: Id behind the end of a shorter text.

    Returns:
        Token ids (N, num_steps) and valid lengths (N,), both int64.

    Raises:
        OptionError: `num_steps` is below 1.

    Example:
        >>> rows, lengths = pad_texts([[3, 4], [5, 6, 7, 8]], list, 3)
        >>> rows.tolist(), lengths.tolist()
        ([[3, 4, 0], [5, 6, 7]], [2, 3])
    """
    import torch

    _check_length(num_steps)
    known = [ids(text) for text in texts]
    rows = [truncate_pad(text, num_steps, padding) for text in known]
    lengths = [min(len(text), num_steps) for text in known]
    filled = torch.tensor(rows, dtype=torch.int64).reshape(-1, num_steps)  # (N, num_steps)
    return filled, torch.tensor(lengths, dtype=torch.int64)


def _check_length(num_steps: int) -> None:
    if num_steps < 1:
        raise OptionError(
            "num_steps", f"{num_steps} is no length", "Give a whole number from 1 on."
        )
