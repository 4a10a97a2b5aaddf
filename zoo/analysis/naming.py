"""What the path of a module and the name of its class say."""

from __future__ import annotations

import re


def above(path: str) -> list[str]:
    """A path and the paths that it is in, outermost first; the model's own is empty.

    >>> above("a.b"), above("")
    (['', 'a', 'a.b'], [''])
    """
    parts = path.split(".") if path else []
    return ["", *(".".join(parts[: end + 1]) for end in range(len(parts)))]


def called(word: str, kind: str) -> bool:
    """Whether a pattern is a word of a class's name, as Norm is of BatchNorm2d, not of Normal.

    >>> called("Norm", "LazyBatchNorm2d"), called("Norm", "Normalizer")
    (True, False)
    """
    return re.search(f"{word}(?![a-z])", kind) is not None
