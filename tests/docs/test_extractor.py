"""The reader and the player of pages, on pages that are right and on pages that are wrong."""

from __future__ import annotations

import sys
from pathlib import Path
from traceback import extract_tb

import pytest

from tests.docs.markdown import anchor, blocks, headings, links, sections, steps, tables
from tests.docs.playing import Mismatch, matches, play

GOOD = """\
# A page

<!-- file: made/words.py -->
```python
WORD = "seen"
```

```python
from made.words import WORD

print(WORD)
```

```text
seen
```

```bash
zoo summary mlp --depth 0 --columns macs
```

```text
mlp (book), input: f32[1,1,28,28]
...
MACs                    203,264   203 k
...
```

<!-- exit: 2 -->
```bash
zoo summary nothing-like-it
```

<!-- not run -->
```bash
rm -r everything
```
"""


def test_a_page_that_tells_the_truth_passes(tmp_path: Path) -> None:
    modules, path, cwd = set(sys.modules), list(sys.path), Path.cwd()
    assert play(GOOD, "good.md", tmp_path) == 3
    assert (tmp_path / "made" / "words.py").read_text() == 'WORD = "seen"\n'
    assert (path, cwd) == (sys.path, Path.cwd())
    assert not {name for name in set(sys.modules) - modules if name.startswith("made")}


@pytest.mark.parametrize(
    ("right", "wrong", "says"),
    [
        ("\nseen\n", "\nunseen\n", r"good.md:15: other output than shown[\s\S]*-unseen\n\+seen"),
        ("203,264", "203,265", r"good.md:23: other output"),
        ("<!-- exit: 2 -->\n", "", r"'zoo summary nothing-like-it' exits with 2, not 0"),
        ("depth 0 --", "dept 0 --", r"exits with 2, not 0[\s\S]*dept"),
        ("<!-- not run -->\n", "", r"'rm -r everything' is neither zoo nor pip install"),
    ],
)
def test_a_page_that_does_not_fails(right: str, wrong: str, says: str, tmp_path: Path) -> None:
    assert GOOD.count(right) == 1
    with pytest.raises(Mismatch, match=says):
        play(GOOD.replace(right, wrong), "good.md", tmp_path)


def test_a_python_block_that_raises_fails_at_its_line(tmp_path: Path) -> None:
    page = GOOD.replace("print(WORD)", "print(WORDS)")
    with pytest.raises(NameError, match="WORDS") as raised:
        play(page, "good.md", tmp_path)
    last = extract_tb(raised.tb)[-1]
    assert (last.filename, last.lineno) == ("good.md", 11)


def test_what_is_output_and_what_is_not() -> None:
    text = "```text\nhello\n```\n"
    (alone,) = steps(text)
    assert alone.printed is None
    (after,) = steps("```python\n1\n```\n" + text)
    assert after.printed is not None
    assert steps("<!-- not run -->\n```python\n1\n```\n" + text) == []
    with pytest.raises(ValueError, match="line 8: a second output"):
        steps("```python\n1\n```\n" + text + text)


def test_a_block_without_end_is_refused() -> None:
    with pytest.raises(ValueError, match="has no end"):
        blocks("```python\nhello\n")


def test_shown_output_is_compared_line_by_line() -> None:
    assert matches("a  \nb\nc\n", "a\nb\nc\n")
    assert matches("a\nb\nc\n", "a\n...\n")
    assert matches("a\nb\nc\n", "...\nb\n...\n")
    assert not matches("a\nb\nc\n", "a\nc\n")
    assert not matches("a\nb\nc\n", "...\nd\n...\n")
    assert not matches("axb\n", "a.b\n")
    assert not matches("", "a\n")


def test_what_is_read_of_a_page() -> None:
    page = "# One `x`\n[a](b.md#c) `[no](d)`\n```text\n# no\n[no](e)\n```\n"
    page += "## Two()\n| a | `b\\|c` |\n| - | - |\n"
    assert links(page) == ["b.md#c"]
    assert headings(page) == [(1, "One `x`"), (2, "Two()")]
    assert anchor("zoo.trace()") == "zootrace"
    assert anchor("What a FLOP is") == "what-a-flop-is"
    assert tables(sections(page)["Two()"]) == [[["a", "`b|c`"]]]
