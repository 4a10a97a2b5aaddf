"""Similarity, analogy and files of word vectors."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from zoo.errors import LanguageError
from zoo.language import TokenEmbedding, nearest

if TYPE_CHECKING:
    from pathlib import Path

FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)
TOKENS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(
    lambda token: token.split() == [token]
)


def some() -> TokenEmbedding:
    words = ("man", "woman", "king", "queen", "apple")
    vectors = [[1.0, 0, 1], [1, 1, 1], [3, 0, 0.5], [3, 1, 0.5], [0, -2, 0]]
    return TokenEmbedding(words, torch.tensor(vectors))


def test_vectors_of_words() -> None:
    embedding = some()
    assert len(embedding) == 5
    assert "king" in embedding
    assert "pear" not in embedding
    assert embedding["woman"].tolist() == [1, 1, 1]
    assert embedding[["apple", "pear", "man"]].tolist() == [[0, -2, 0], [0, 0, 0], [1, 0, 1]]
    assert embedding["pear"].tolist() == [0, 0, 0]


def test_weights_of_a_model_are_taken_without_their_gradient() -> None:
    table = nn.Embedding(3, 2)
    embedding = TokenEmbedding("abc", table.weight)
    assert not embedding.vectors.requires_grad
    assert embedding.similar("a", k=2)


def test_cosine() -> None:
    embedding = some()
    wanted = torch.cosine_similarity(embedding["man"], embedding["king"], dim=0).item()
    assert embedding.similarity("man", "king") == pytest.approx(wanted)
    assert embedding.similarity("king", "king") == pytest.approx(1)


def test_a_word_is_not_among_those_near_it() -> None:
    found = some().similar("king", k=9)
    assert [word for word, _ in found] == ["queen", "man", "woman", "apple"]
    cosines = [cosine for _, cosine in found]
    assert cosines == sorted(cosines, reverse=True)


def test_an_analogy_leaves_out_what_was_asked() -> None:
    embedding = some()
    assert embedding.analogy("man", "woman", "king")[0][0] == "queen"
    b, a, c = (nn.functional.normalize(embedding[w], dim=0) for w in ("woman", "man", "king"))
    first = nearest(embedding.vectors, b - a + c, 5)[1].tolist()
    answers = [word for word, _ in embedding.analogy("man", "woman", "king", k=9)]
    assert answers == [
        embedding.tokens[n] for n in first if embedding.tokens[n] not in ("man", "woman", "king")
    ]


@given(st.integers(1, 6), st.integers(1, 8), st.integers(0, 99))
def test_nearest_by_trying_all(k: int, words: int, seed: int) -> None:
    torch.manual_seed(seed)
    vectors, query = torch.randn(words, 3), torch.randn(3)
    cosines = {n: float(v @ query / v.norm() / query.norm()) for n, v in enumerate(vectors)}
    scores, ids = nearest(vectors, query, k)
    assert ids.tolist() == sorted(cosines, key=cosines.__getitem__, reverse=True)[:k]
    assert scores.tolist() == pytest.approx([cosines[n] for n in ids.tolist()], abs=1e-5)
    left = nearest(vectors, query, k, without=ids[:1])[1].tolist()
    assert left == sorted(cosines, key=cosines.__getitem__, reverse=True)[1 : k + 1]


# files


@given(st.dictionaries(TOKENS, st.lists(FLOATS, min_size=3, max_size=3), min_size=1), st.booleans())
def test_a_file_gives_the_same_vectors(
    tmp_path_factory: pytest.TempPathFactory, words: dict[str, list[float]], header: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "vectors.txt"
    embedding = TokenEmbedding(words, torch.tensor(list(words.values())))
    embedding.save(path, header=header)
    again = TokenEmbedding.load(path)
    assert again.tokens == embedding.tokens
    assert torch.equal(again.vectors, embedding.vectors)


@pytest.mark.parametrize(
    "text",
    [
        "2 3\nto 1 2 3\nbe 4 5 6\n",  # word2vec
        "2 3\nto 1 2 3 \nbe 4 5 6 \n",  # fastText ends lines with a space
        "to 1 2 3\nbe 4 5 6\n",  # GloVe
        "to 1 2 3\r\nbe 4 5 6",
        "\ufeffto 1 2 3\nbe 4 5 6\n",
    ],
)
def test_formats(text: str, tmp_path: Path) -> None:
    path = tmp_path / "vectors.txt"
    path.write_bytes(text.encode())
    found = TokenEmbedding.load(path)
    assert found.tokens == ("to", "be")
    assert found.vectors.tolist() == [[1, 2, 3], [4, 5, 6]]


def test_no_words_come_back_as_none(tmp_path: Path) -> None:
    path = tmp_path / "vectors.txt"
    TokenEmbedding([], torch.zeros(0, 3)).save(path)
    assert TokenEmbedding.load(path).vectors.shape == (0, 3)


def test_words_with_spaces_and_numbers_are_words(tmp_path: Path) -> None:
    path = tmp_path / "vectors.txt"
    path.write_text("3 1 2\n7 3 4\n. . . 5 6\n")
    assert TokenEmbedding.load(path).tokens == ("3", "7", ". . .")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"to 1 2\nbe 3\n", "line 2: it wants a word and 2 numbers, got 2 words in all"),
        (b"to 1 2\nbe 3 x4\n", "line 2: 'x4' is no number"),
        (b"to 1 2\nbe 3 nan\n", "line 2: a number is not finite"),
        (b"to 1 2\nbe 3 4\nto 5 6\n", "line 3: 'to' was in line 1 already"),
        (b"3 2\nto 1 2\nbe 3 4\n", "its first line says 3 words, and 2 lines follow"),
        (b"to 1 2\n\xff 3 4\n", "line 2: it is no UTF-8"),
        (b"to 1 2\n\nbe 3 4\n", "line 2: it wants a word and 2 numbers, got 0 words in all"),
        (b"", "line 1: it wants a word and numbers, got 0 words in all"),
        (b"5 100\n", "its first line says 5 words, and 0 lines follow"),
        (b"2 2\nto 1\nbe 3 4\n", "line 2: it wants a word and 2 numbers, got 2 words in all"),
        (b"2 300\nto 1 2\nbe 3 4\n", "line 2: it wants a word and 300 numbers, got 3 words"),
        (b"to\n", "line 1: it wants a word and numbers, got 1 words in all"),
        (b"to 1 2\nbe 1e39 4\n", "line 2: a number is not finite"),
    ],
)
def test_bad_files(data: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "vectors.txt"
    path.write_bytes(data)
    with pytest.raises(LanguageError, match=re.escape(message)):
        TokenEmbedding.load(path)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: some().similar("kinf"), "'kinf': it is not among the 5 that have vectors. Did"),
        (lambda: some().analogy("man", "woman", "xyz"), "Ask for a word that has a vector."),
        (lambda: some().similarity("pear", "man"), "word 'pear'"),
        (lambda: some().similar("man", k=0), "the 0 nearest: there are none"),
        (lambda: TokenEmbedding("ab", torch.ones(3, 2)), "2 words and vectors of shape (3, 2)"),
        (lambda: TokenEmbedding("aba", torch.ones(3, 2)), "word 'a': it is there twice"),
        (
            lambda: TokenEmbedding("ab", torch.tensor([[1.0, 2], [3, torch.nan]])),
            "word 'b': its vector has a number that is not finite",
        ),
        (
            lambda: nearest(torch.ones(2, 3), torch.ones(2), 1),
            "vectors of shape (2, 3) and a query of shape (2,): they are not as wide",
        ),
        (lambda: TokenEmbedding(["a b"], torch.ones(1, 2)).save("x"), "word 'a b': a line of a"),
        (lambda: TokenEmbedding.load("none.txt"), "none.txt: No such file or directory"),
    ],
)
def test_bad_input(call: Any, message: str) -> None:
    with pytest.raises(LanguageError, match=re.escape(message)):
        call()
