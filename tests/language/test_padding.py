"""Texts of different lengths as rows, and rows as batches."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from zoo.errors import OptionError
from zoo.language import Batches, pad_texts, truncate_pad

LINES = st.lists(st.integers(1, 50), max_size=12)


@given(LINES, st.integers(1, 15))
def test_a_text_is_cut_or_filled(tokens: list[int], steps: int) -> None:
    row = truncate_pad(tokens, steps, 0)
    assert len(row) == steps
    assert row[: len(tokens)] == tokens[:steps]
    assert row[len(tokens) :] == [0] * max(0, steps - len(tokens))


@given(st.lists(LINES, min_size=1, max_size=6), st.integers(1, 15))
def test_lengths_say_where_padding_begins(texts: list[list[int]], steps: int) -> None:
    rows, lengths = pad_texts(texts, list, steps, padding=99)
    assert rows.shape == (len(texts), steps)
    assert rows.dtype == lengths.dtype == torch.int64
    for row, length, text in zip(rows.tolist(), lengths.tolist(), texts, strict=True):
        assert row[:length] == text[:steps]
        assert row[length:] == [99] * (steps - length)


def test_ids_come_from_what_knows_the_words() -> None:
    known = {"a": 3, "good": 4, "film": 5}
    rows, _ = pad_texts([["a", "good", "film"], ["film"]], lambda text: [known[w] for w in text], 2)
    assert rows.tolist() == [[3, 4], [5, 0]]


def test_no_texts() -> None:
    rows, lengths = pad_texts([], list, 4)
    assert rows.shape == (0, 4)
    assert lengths.shape == (0,)
    assert rows.dtype == lengths.dtype == torch.int64
    with pytest.raises(OptionError, match="0 is no length"):
        pad_texts([], list, 0)


@given(st.integers(0, 40), st.integers(1, 12), st.booleans())
def test_a_pass_has_every_row_once(rows: int, size: int, shuffled: bool) -> None:
    numbers = torch.arange(rows)
    generator = torch.Generator().manual_seed(0) if shuffled else None
    batches = Batches((numbers, numbers * 10), size, generator)
    seen = list(batches)
    assert len(seen) == len(batches)
    assert all(len(x) == size for x, _ in seen[:-1])
    assert all(torch.equal(y, x * 10) for x, y in seen)
    order = torch.cat([numbers[:0], *(x for x, _ in seen)])
    assert torch.equal(order.sort().values, numbers)
    assert shuffled or torch.equal(order, numbers)


def test_each_pass_has_an_order_of_its_own() -> None:
    batches = Batches((torch.arange(50),), 50, torch.Generator().manual_seed(0))
    ((first,),), ((second,),) = list(batches), list(batches)
    assert not torch.equal(first, second)


def test_no_length_is_refused() -> None:
    with pytest.raises(OptionError, match=r"0 is no length\. Give a whole number from 1 on"):
        truncate_pad([1], 0, 0)


@pytest.mark.parametrize(
    ("rows", "size", "said"),
    [((3, 4), 2, r"rows are \[3, 4\]"), ((), 2, r"rows are \[\]"), ((3,), 0, "0 is no number")],
)
def test_batches_that_cannot_be_are_refused(rows: tuple[int, ...], size: int, said: str) -> None:
    with pytest.raises(OptionError, match=said):
        Batches(tuple(torch.zeros(n) for n in rows), size)
