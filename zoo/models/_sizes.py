"""Are the sizes that a model is built with possible at all?"""

from __future__ import annotations


def at_least_one(**sizes: int | None) -> None:
    """Refuse sizes below 1, by their names.

    Args:
        **sizes: Widths, heads, words, ...; None where there is none.

    Raises:
        ValueError: One is less than 1.

    Example:
        >>> at_least_one(num_heads=0)
        Traceback (most recent call last):
        ValueError: num_heads is 0; it wants a whole number from 1 up
    """
    for name, size in sizes.items():
        if size is not None and size < 1:
            raise ValueError(f"{name} is {size}; it wants a whole number from 1 up")
