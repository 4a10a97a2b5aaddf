"""What are the tokens of a text?

Dive into Deep Learning, 9.2.2. `clean` keeps letters alone, as the book does with its novel;
`tokenize` splits and changes nothing else, so that every token is a piece of the text it came from.
"""

from __future__ import annotations

import re

from zoo.errors import LanguageError, did_you_mean

UNITS = ("words", "characters")
"""What a text can be split into."""


def clean(text: str) -> str:
    """Lower-case letters, with one space where anything else stood.

    Args:
        text: Any.

    Returns:
        Letters a to z and single spaces, none at the ends.

    Example:
        >>> clean("The Time Machine, by H. G. Wells [1898]")
        'the time machine by h g wells'
    """
    return re.sub("[^A-Za-z]+", " ", text).strip().lower()


def tokenize(text: str, by: str = "words") -> list[str]:
    """Split a text.

    Args:
        text: Any.
        by: `words`, split where there is white space, or `characters`, white space among them.

    Returns:
        Tokens, in order.

    Raises:
        LanguageError: `by` is neither.

    Example:
        >>> tokenize("time traveller"), tokenize("a b", by="characters")
        (['time', 'traveller'], ['a', ' ', 'b'])
    """
    if by not in UNITS:
        hint = did_you_mean(by, UNITS, f"Take {' or '.join(UNITS)}.")
        raise LanguageError("tokenize", f"a text is not split by {by!r}", hint)
    return text.split() if by == "words" else list(text)
