"""Minibatches of a corpus: what follows what, and that no token is lost or doubled."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from zoo.errors import LanguageError
from zoo.language import random_batches, sequential_batches, windows

SIZES = st.integers(1, 5)


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@given(st.integers(6, 80), SIZES, SIZES, st.integers(0, 9))
def test_rows_go_on_from_minibatch_to_minibatch(n: int, rows: int, steps: int, seed: int) -> None:
    batches = list(sequential_batches(range(n), rows, steps, generator(seed)))
    inputs = torch.cat([x for x, _ in batches], dim=1)
    targets = torch.cat([y for _, y in batches], dim=1)
    assert torch.equal(targets, inputs + 1)
    first = int(inputs[0, 0])
    assert first < steps
    length = (n - first - 1) // rows
    assert inputs.flatten().tolist() == list(range(first, first + rows * length))
    assert all(x.shape == (rows, steps) for x, _ in batches[:-1])


@given(st.integers(26, 80), SIZES, SIZES, st.integers(0, 9))
def test_random_pieces_come_once(n: int, rows: int, steps: int, seed: int) -> None:
    batches = list(random_batches(range(n), rows, steps, generator(seed)))
    assert batches
    for x, y in batches:
        assert x.shape == y.shape == (rows, steps)
        assert torch.equal(y, x + 1)
        assert bool((x.diff(dim=1) == 1).all())
    starts = [int(row[0]) for x, _ in batches for row in x]
    assert len({start % steps for start in starts}) == 1
    assert len(set(starts)) == len(starts) > (n - 2 * steps) // steps - rows


def test_another_seed_cuts_elsewhere() -> None:
    firsts = {
        int(next(sequential_batches(range(50), 2, 8, generator(seed)))[0][0, 0])
        for seed in range(60)
    }
    assert firsts == set(range(8))
    assert int(next(sequential_batches(range(50), 2, 8))[0][0, 0]) == 0
    orders = {
        tuple(int(x[0, 0]) for x, _ in random_batches(range(50), 1, 8, generator(seed)))
        for seed in range(5)
    }
    assert len(orders) == 5


def test_windows_are_the_book_s() -> None:
    """Its time machine: each window of ten characters, and the same moved by one."""
    x, y = windows(range(30), 10)
    assert x.shape == y.shape == (20, 10)
    assert x[3].tolist() == list(range(3, 13))
    assert torch.equal(y, x + 1)


@pytest.mark.parametrize(("n", "rows", "steps"), [(4, 4, 1), (9, 9, 3)])
def test_a_corpus_that_is_too_short(n: int, rows: int, steps: int) -> None:
    with pytest.raises(LanguageError, match=rf"needs a corpus of {rows + 1} .* shape \({n},\)"):
        sequential_batches(range(n), rows, steps)
    with pytest.raises(LanguageError, match=rf"{rows * steps + 1} .* Take fewer rows or steps"):
        random_batches(range(n), rows, steps, generator(0))
    with pytest.raises(LanguageError, match="0 rows of 3 steps hold no token"):
        sequential_batches(range(n), 0, 3)
