"""How wide is a text on a terminal, and how is it cut and wrapped?

Letters of most European languages, punctuation and box drawing are one cell wide. For everything
else (East Asian letters, emoji, combining marks) rich's tables are asked, and only then imported.
Control characters become visible escapes: a model's name may not move the cursor.
"""

from __future__ import annotations

import re
import textwrap

_NARROW = re.compile("[\x20-\x7e\u00a1-\u00ac\u00ae-\u02ff\u2010-\u2027\u2264\u2265\u2500-\u257f]*")


def clean(text: str, *, ascii: bool = False) -> str:
    r"""The text on one line, without anything a terminal would obey.

    >>> clean("a\n b"), clean("a\x1b[2J"), clean("naïf", ascii=True)
    ('a b', 'a\\x1b[2J', 'na\\xeff')
    """
    text = " ".join(text.split())
    if not text.isprintable():
        text = "".join(
            char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
        )
    return text.encode("ascii", "backslashreplace").decode() if ascii else text


def width(text: str) -> int:
    """Cells that the text takes.

    >>> width("conv1"), width("畳み込み")
    (5, 8)
    """
    if _NARROW.fullmatch(text):
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def pad(text: str, to: int, *, right: bool = False) -> str:
    """The text in `to` cells, at their left or right end."""
    gap = " " * (to - width(text))
    return gap + text if right else text + gap


def cut(text: str, to: int, ellipsis: str, *, keep_end: bool = False) -> str:
    """The text, or what fits of it into `to` cells with `ellipsis` where the rest was.

    >>> cut("inception4a", 6, "…"), cut("inception4a", 6, "…", keep_end=True)
    ('incep…', '…ion4a')
    """
    if width(text) <= to:
        return text
    room = to - len(ellipsis)
    if room <= 0:
        return ellipsis[:to]
    text = text[-room:] if keep_end else text[:room]
    while width(text) > room:
        text = text[1:] if keep_end else text[:-1]
    return ellipsis + text if keep_end else text + ellipsis


def wrap(text: str, to: int | None) -> list[str]:
    """The text in lines of at most `to` cells, long words broken; in one where `to` is None."""
    if to is None or width(text) <= to:
        return [text]
    if _NARROW.fullmatch(text):
        return textwrap.wrap(text, to, break_on_hyphens=False)
    from rich.console import Console
    from rich.text import Text

    return [str(line).rstrip() for line in Text(text).wrap(Console(width=to), to)]
