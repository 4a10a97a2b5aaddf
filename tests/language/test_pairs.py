"""Batches of pairs: shapes of the book, what stands where, and that nothing is lost."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from zoo.errors import LanguageError
from zoo.language import Vocabulary, build_pairs, read_pairs
from zoo.language.pairs import RESERVED

SIDES = st.lists(st.sampled_from("abc"), max_size=6)
PAIRS = st.lists(st.tuples(SIDES, SIDES), min_size=1, max_size=8)
VOCAB = Vocabulary("abc", reserved=RESERVED)


def test_a_batch_has_the_shapes_of_the_book() -> None:
    """Three pairs of nine steps: source, what the decoder is given, lengths, labels."""
    text = "Go.\tVa !\nHi.\tSalut !\tsomebody\nno tab\nI won!\tJ'ai gagn\u00e9 !\nLast.\tFin."
    pairs = read_pairs(text, most=3)
    assert pairs[0] == (["go", "."], ["va", "!"])
    assert pairs[2] == (["i", "won", "!"], ["j'ai", "gagn\u00e9", "!"])
    source = Vocabulary([left for left, _ in pairs], reserved=RESERVED)
    target = Vocabulary([right for _, right in pairs], reserved=RESERVED)
    made = build_pairs(pairs, source, target, steps=9)
    shapes = [tuple(one.shape) for one in (made.src, made.tgt, made.src_valid_len, made.labels)]
    assert shapes == [(3, 9), (3, 9), (3,), (3, 9)]
    assert made.src_valid_len.tolist() == [3, 3, 4]
    assert source.tokens(made.src[2]) == ["i", "won", "!", "<eos>", *["<pad>"] * 5]
    wanted = ["<bos>", "j'ai", "gagn\u00e9", "!", "<eos>", *["<pad>"] * 4]
    assert target.tokens(made.tgt[2]) == wanted
    assert target.tokens(made.labels[2]) == [*wanted[1:], "<pad>"]


@given(PAIRS)
def test_nothing_is_lost(pairs: list[tuple[list[str], list[str]]]) -> None:
    made = build_pairs(pairs, VOCAB, VOCAB)
    assert made.src.shape == made.tgt.shape == made.labels.shape
    for at, (left, right) in enumerate(pairs):
        assert VOCAB.tokens(made.src[at, : int(made.src_valid_len[at])]) == [*left, "<eos>"]
        kept = [token for token in VOCAB.tokens(made.labels[at]) if token != "<pad>"]
        assert kept == [*right, "<eos>"]
    assert bool((made.tgt[:, 1:] == made.labels[:, :-1]).all())
    assert bool(((made.src != VOCAB["<pad>"]).sum(1) == made.src_valid_len).all())


@given(PAIRS, st.integers(1, 9), st.integers(0, 99))
def test_batches_hold_every_pair_once(
    pairs: list[tuple[list[str], list[str]]], size: int, seed: int
) -> None:
    made = build_pairs(pairs, VOCAB, VOCAB)
    order = torch.Generator().manual_seed(seed)
    batches = list(made.batches(size, order))
    assert [len(one) for one in batches[:-1]] == [size] * (len(batches) - 1)
    rows = sorted(
        tuple(row) for one in batches for row in torch.cat((one.src, one.labels), 1).tolist()
    )
    assert rows == sorted(tuple(row) for row in torch.cat((made.src, made.labels), 1).tolist())
    plain = torch.cat([one.tgt for one in made.batches(size)])
    assert torch.equal(plain, made.tgt)


def test_long_sequences_lose_their_ends() -> None:
    made = build_pairs([(["a", "b", "c"], ["a"])], VOCAB, VOCAB, steps=2)
    assert VOCAB.tokens(made.src[0]) == ["a", "b"]
    assert made.src_valid_len.tolist() == [2]
    assert VOCAB.tokens(made.labels[0]) == ["a", "<eos>"]


def test_what_cannot_be_pairs_is_refused() -> None:
    bare = Vocabulary("abc", reserved=["<pad>"])
    with pytest.raises(LanguageError, match=r"of the targets: it has no <bos> <eos>\. Reserve"):
        build_pairs([(["a"], ["b"])], VOCAB, bare)
    with pytest.raises(LanguageError, match="of the sources: it has no <eos>"):
        build_pairs([(["a"], ["b"])], bare, VOCAB)
    with pytest.raises(LanguageError, match="0 pairs of 3 steps"):
        build_pairs([], VOCAB, VOCAB, steps=3)
    made = build_pairs([(["a"], ["b"])], VOCAB, VOCAB)
    with pytest.raises(LanguageError, match="batch of 0"):
        next(made.batches(0))
