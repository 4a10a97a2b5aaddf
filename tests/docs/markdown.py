"""Blocks, links and headings of a Markdown page.

A fenced block may have marks, in an HTML comment on the lines before it: `<!-- file: net.py -->`,
`<!-- exit: 1 -->`, `<!-- not run -->`. A `text` block without a mark is what the block before it
prints, where that is one that is run.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = (ROOT / "README.md", *sorted(DOCS.rglob("*.md")))

RUN = ("bash", "python")
"""Kinds of blocks that are run."""

_COMMENT = re.compile(r"^<!--\s*(.*?)\s*-->$")
_FENCE = re.compile(r"^(\s*)(```+)\s*(\w*)\s*$")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^(#+) (.*)$")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block."""

    kind: str
    """Word after the fence; empty where there is none."""
    text: str
    """What is inside, without the fence's indentation."""
    line: int
    """Line of the page that its first line is on."""
    marks: Mapping[str, str] = field(default_factory=dict)
    """What the comment before it says."""


@dataclass(frozen=True, slots=True)
class Step:
    """A block that is run, with what it prints."""

    block: Block
    printed: Block | None
    """The `text` block after it; None where the page does not show what comes out."""


def blocks(text: str) -> list[Block]:
    """All fenced blocks of a page."""
    found: list[Block] = []
    marks: dict[str, str] = {}
    lines = iter(enumerate(text.splitlines(), start=1))
    for number, line in lines:
        comment, fence = _COMMENT.match(line.strip()), _FENCE.match(line)
        if comment:
            key, _, value = comment.group(1).partition(":")
            marks[key.strip()] = value.strip()
        elif fence:
            indent, ticks, kind = fence.groups()
            inside = list(_until(lines, ticks))
            body = "".join(one.removeprefix(indent) + "\n" for one in inside)
            found.append(Block(kind, body, number + 1, marks))
            marks = {}
        elif line.strip():
            marks = {}
    return found


def _until(lines: Iterator[tuple[int, str]], ticks: str) -> Iterator[str]:
    for _, line in lines:
        if line.strip() == ticks:
            return
        yield line
    raise ValueError(f"a block that begins with {ticks} has no end")


def steps(text: str) -> list[Step]:
    """Blocks to write or run, in order, each with the output that the page shows.

    Raises:
        ValueError: A block has two outputs.
    """
    found: list[Step] = []
    for block in blocks(text):
        runs = bool(found) and found[-1].block.kind in RUN and "file" not in found[-1].block.marks
        if block.kind != "text" or block.marks or not runs:
            found.append(Step(block, None))
        elif found[-1].printed is None:
            found[-1] = Step(found[-1].block, block)
        else:
            raise ValueError(f"line {block.line}: a second output of one block")
    return [step for step in found if "not run" not in step.block.marks]


def prose(text: str) -> str:
    """A page without its fenced blocks."""
    kept, fence = [], ""
    for line in text.splitlines():
        found = _FENCE.match(line)
        if found and not fence:
            fence = found.group(2)
        elif fence and line.strip() == fence:
            fence = ""
        elif not fence:
            kept.append(line)
    return "\n".join(kept)


def links(text: str) -> list[str]:
    """Targets of a page's links."""
    return _LINK.findall(re.sub(r"`[^`]*`", "", prose(text)))


def headings(text: str) -> list[tuple[int, str]]:
    """Level and words of a page's headings."""
    found = map(_HEADING.match, prose(text).splitlines())
    return [(len(one.group(1)), one.group(2)) for one in found if one]


def anchor(heading: str) -> str:
    """What a forge calls a heading in a link: `zoo.trace()` is `zootrace`."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def sections(text: str, level: int = 2) -> dict[str, str]:
    """Text under each heading of a level, by the heading's words without backticks."""
    found: dict[str, list[str]] = {}
    current: list[str] = []
    fence = ""
    for line in text.splitlines():
        ticks = _FENCE.match(line)
        if ticks:
            fence = "" if fence else ticks.group(2)
        heading = None if fence else _HEADING.match(line)
        if heading and len(heading.group(1)) <= level:
            current = []
            if len(heading.group(1)) == level:
                found[heading.group(2).replace("`", "")] = current
        else:
            current.append(line)
    return {name: "\n".join(lines) for name, lines in found.items()}


def tables(text: str) -> list[list[list[str]]]:
    """Tables of a text: rows of cells, without the line that divides head and body."""
    found: list[list[list[str]]] = []
    before = ""
    for line in prose(text).splitlines():
        if line.startswith("|"):
            if not before.startswith("|"):
                found.append([])
            cells = [one.strip() for one in re.split(r"(?<!\\)\|", line.strip()[1:-1])]
            if not all(re.fullmatch(r":?-+:?", one) for one in cells):
                found[-1].append([one.replace("\\|", "|") for one in cells])
        before = line
    return found


def plain(cell: str) -> str:
    """A cell without backticks."""
    return cell.replace("`", "").strip()
