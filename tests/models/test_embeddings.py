"""Word embeddings: shapes, parameters, and each loss against its formula written out."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import zoo
from tests.models.measures import numel
from zoo.language import huffman, subword_ids
from zoo.models.fasttext import FastText, fasttext
from zoo.models.glove import GloVe, glove, glove_loss
from zoo.models.hierarchical_softmax import (
    HierarchicalSoftmax,
    SkipGramHierarchical,
    balanced,
    hierarchical_softmax_loss,
    skip_gram_hierarchical,
)
from zoo.models.word2vec import CBOW, SkipGram, cbow, negative_sampling_loss, skip_gram
from zoo.plugins.book.embeddings import CARDS

ORACLE = Path(__file__).parents[1] / "oracles" / "d2l.json"
ITEMS: dict[str, dict[str, Any]] = {
    item["id"]: item for item in json.loads(ORACLE.read_text())["items"]
}
D2L_ITEMS = ("word2vec-embedding", "word2vec-skipgram")
TABLE, SKIP_GRAM = (ITEMS[name] for name in D2L_ITEMS)

# V, N -> parameters; the default V and N are 6719 and 100
PARAMETERS = {
    "skip_gram": lambda v, n: 2 * v * n,
    "cbow": lambda v, n: 2 * v * n,
    "skip_gram_hierarchical": lambda v, n: v * n + (v - 1) * n,
    "glove": lambda v, n: 2 * v * (n + 1),
    "fasttext": lambda v, n: (v + 200_000 + 1) * n + v * n,
}
OUTPUTS = {
    "skip_gram": [512, 1, 60],
    "cbow": [512, 1, 6],
    "skip_gram_hierarchical": [512, 10],
    "glove": [512],
    "fasttext": [512, 1, 60],
}


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def ids(*shape: int, words: int = 20) -> torch.Tensor:
    return torch.randint(words, shape)


# shapes and parameters


def test_there_is_a_card_for_each_model() -> None:
    assert {card.name for card in CARDS} == set(PARAMETERS) == set(OUTPUTS)


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)
def test_default_run(card: zoo.ModelCard) -> None:
    report = zoo.summary(f"book/{card.name}")
    assert report.rows[0]["output_shape"] == OUTPUTS[card.name]
    assert report.totals["parameters"] == PARAMETERS[card.name](6719, 100)
    small = zoo.summary(f"book/{card.name}", arguments={"vocab_size": 50, "embedding_dim": 7})
    assert small.totals["parameters"] == PARAMETERS[card.name](50, 7)


@pytest.mark.parametrize("name", ["skip_gram", "fasttext"])
def test_macs_are_a_product_for_each_pair(name: str) -> None:
    assert zoo.summary(f"book/{name}").totals["macs"] == 512 * 60 * 100


def test_macs_of_a_tree_are_a_product_for_each_step_down() -> None:
    balanced_depth = math.ceil(math.log2(6719))
    macs = zoo.summary("book/skip_gram_hierarchical").totals["macs"]
    assert macs == 512 * 10 * balanced_depth * 100


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize(
    ("name", "inputs", "macs"),
    [
        ("skip_gram", ("B,1:int64", "B,M:int64"), "100*B*M"),
        ("cbow", ("B,C:int64", "B,C", "B,M:int64"), "100*B*C + 100*B*M"),
        ("skip_gram_hierarchical", ("B,1:int64", "B,M:int64"), "1300*B*M"),
        ("glove", ("B:int64", "B:int64"), "100*B"),
        ("fasttext", ("B,S:int64", "B,M:int64"), "100*B*M"),
    ],
)
def test_formulas(name: str, inputs: tuple[str, ...], macs: str, *, train: bool) -> None:
    report = zoo.formula(f"book/{name}", *inputs, train=train)
    assert str(report.totals["forward_macs"]) == macs
    assert [note.text for note in report.notes] == []


def test_the_book_s_embedding() -> None:
    model = skip_gram(TABLE["args"]["num_embeddings"], TABLE["args"]["embedding_dim"])
    assert isinstance(model.center, nn.Embedding)
    assert list(model.center.weight.shape) == TABLE["outputs"]["weight"]
    assert numel(model.center) == TABLE["derived_params"]


def test_the_book_s_forward_pass() -> None:
    model = skip_gram(20, SKIP_GRAM["args"]["embedding_dim"])
    inputs = SKIP_GRAM["inputs"]
    y = model(ids(*inputs["center"]), ids(*inputs["contexts_and_negatives"]))
    assert list(y.shape) == SKIP_GRAM["outputs"]["Y"]


def test_first_weights_are_xavier_s() -> None:
    for model in (skip_gram(300, 20), cbow(300, 20), skip_gram_hierarchical(300, 20)):
        for weight in model.parameters():
            bound = math.sqrt(6 / sum(weight.shape))
            assert 0.95 * bound < weight.abs().max() <= bound * (1 + 1e-6)


def test_first_vectors_of_parts_are_small() -> None:
    """A word is a sum of many: with torch's variance of 1 it would begin far out."""
    weight = fasttext(300, 50, 20).center.weight
    assert 0.95 / 20 < weight.abs().max() <= 1 / 20


# skip-gram and CBOW


def test_skip_gram_is_products_of_vectors() -> None:
    model = SkipGram(20, 4)
    center, beside = ids(3, 1), ids(3, 5)
    y = model(center, beside)
    for b in range(3):
        for m in range(5):
            v = model.center.weight[center[b, 0]]
            u = model.context.weight[beside[b, m]]
            torch.testing.assert_close(y[b, 0, m], v @ u)


def test_cbow_takes_the_mean_of_what_is_no_padding() -> None:
    model = CBOW(20, 4)
    contexts, asked = ids(2, 3), ids(2, 5)
    mask = torch.tensor([[1, 1, 1], [1, 0, 0]])
    y = model(contexts, mask, asked)
    assert y.shape == (2, 1, 5)
    mean = model.context.weight[contexts[0]].mean(0)
    torch.testing.assert_close(y[0, 0], model.center.weight[asked[0]] @ mean)
    alone = model.context.weight[contexts[1, 0]]
    torch.testing.assert_close(y[1, 0], model.center.weight[asked[1]] @ alone)
    elsewhere = contexts.where(mask.bool(), (contexts + 1) % 20)
    assert torch.equal(model(elsewhere, mask.bool(), asked), y)
    assert not torch.equal(model(elsewhere, torch.ones_like(mask), asked), y)


def test_cbow_of_no_context_is_zero() -> None:
    assert CBOW(20, 4)(ids(1, 3), torch.zeros(1, 3), ids(1, 5)).tolist() == [[[0.0] * 5]]


def test_negative_sampling_loss_by_hand() -> None:
    logits = torch.tensor([[1.1, -2.2, 3.3, -4.4]] * 2)
    labels = torch.tensor([[1.0, 0, 0, 0], [0, 1, 0, 0]])
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]])

    def sigmoid(x: float) -> float:
        return -math.log(1 / (1 + math.exp(-x)))

    first = (sigmoid(1.1) + sigmoid(2.2) + sigmoid(-3.3) + sigmoid(4.4)) / 4
    second = (sigmoid(-1.1) + sigmoid(-2.2)) / 2
    found = negative_sampling_loss(logits, labels, mask)
    torch.testing.assert_close(found, torch.tensor([first, second]))
    assert [round(one, 4) for one in found.tolist()] == [0.9352, 1.8462]  # as the book prints
    assert torch.equal(negative_sampling_loss(logits.unsqueeze(1), labels.bool(), mask), found)


def test_padding_alone_costs_nothing() -> None:
    zeros = torch.zeros(1, 4)
    assert negative_sampling_loss(torch.ones(1, 4), zeros, zeros).tolist() == [0]
    assert hierarchical_softmax_loss(torch.ones(1, 4), zeros).tolist() == [0]


# hierarchical softmax

TREES = st.lists(st.integers(0, 50), min_size=2, max_size=40).map(huffman)


@given(TREES, st.integers(0, 1000))
def test_probabilities_sum_to_one(tree: zoo.language.HuffmanTree, seed: int) -> None:
    torch.manual_seed(seed)
    layer = HierarchicalSoftmax(tree.paths, tree.codes, 3)
    v = torch.randn(2, 3)
    every = layer.all_words(v)
    assert every.shape == (2, len(tree.paths))
    torch.testing.assert_close(every.exp().sum(1), torch.ones(2))
    words = torch.randint(len(tree.paths), (2, 5))
    torch.testing.assert_close(layer(v, words), every.gather(1, words))


def test_a_word_s_probability_is_that_of_its_walk() -> None:
    tree = huffman([5, 1, 1, 2])
    layer = HierarchicalSoftmax(tree.paths, tree.codes, 3)
    v = torch.randn(1, 3)
    for word, (path, code) in enumerate(zip(tree.paths, tree.codes, strict=True)):
        product = 1.0
        for node, bit in zip(path, code, strict=True):
            left = torch.sigmoid(layer.inner.weight[node] @ v[0]).item()
            product *= left if bit else 1 - left
        found = layer(v, torch.tensor([[word]])).item()
        assert math.exp(found) == pytest.approx(product, rel=1e-5)


@pytest.mark.parametrize("words", [2, 3, 8, 13])
def test_a_balanced_tree(words: int) -> None:
    paths, codes = balanced(words)
    depths = {len(code) for code in codes}
    assert depths <= {math.floor(math.log2(words)), math.ceil(math.log2(words))}
    assert len({tuple(code) for code in codes}) == words
    torch.testing.assert_close(
        HierarchicalSoftmax(paths, codes, 2).all_words(torch.randn(4, 2)).exp().sum(1),
        torch.ones(4),
    )


def test_hierarchical_loss_by_hand() -> None:
    found = hierarchical_softmax_loss(
        torch.tensor([[-1.0, -3.0], [-2.0, -9.0]]), torch.tensor([[1, 1], [1, 0]])
    )
    assert found.tolist() == [2, 2]


@pytest.mark.parametrize(
    ("paths", "codes", "message"),
    [
        ([[0]], [[1]], "two or more words, got 1 paths and 1 codes"),
        ([[0], [0]], [[1]], "got 2 paths and 1 codes"),
        ([[0], [0, 0]], [[1], [0]], "word 1 has a path of 2 nodes and a code of 1 steps"),
        ([[0], [0]], [[1], [1]], "word 1 leaves node 0 by 1, where another goes elsewhere"),
        ([[0], [0], [1]], [[1], [0], [0]], "3 words want one root and 2 inner nodes, 0 to 1"),
        ([[0], [5]], [[1], [0]], "2 words want one root and 1 inner nodes, 0 to 0"),
        ([[0], [0, 1], [0, 1]], [[1], [0, 2], [0, 0]], "each left both ways by 0 and 1"),
    ],
)
def test_what_is_no_tree_is_refused(paths: Any, codes: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SkipGramHierarchical(paths, codes, 3)


def test_a_tree_of_another_number_of_words_is_refused() -> None:
    tree = huffman([1, 2, 3])
    assert skip_gram_hierarchical(3, 4, tree.paths, tree.codes).center.num_embeddings == 3
    with pytest.raises(ValueError, match="5 words want a path and a code each, got 3 paths"):
        skip_gram_hierarchical(5, 4, tree.paths, tree.codes)
    with pytest.raises(ValueError, match="got 3 paths and None codes"):
        skip_gram_hierarchical(3, 4, tree.paths)


# GloVe


def test_glove_predicts_products_and_biases() -> None:
    model = GloVe(20, 4)
    i, j = ids(6), ids(6)
    wanted = (model.center.weight[i] * model.context.weight[j]).sum(1)
    wanted += model.center_bias.weight[i, 0] + model.context_bias.weight[j, 0]
    torch.testing.assert_close(model(i, j), wanted)
    assert torch.equal(model.vectors(), model.center.weight + model.context.weight)


def test_glove_s_two_vectors_change_places() -> None:
    model, other = glove(20, 4), glove(20, 4)
    state = model.state_dict()
    names = {"center": "context", "context": "center"}
    for kind in ("", "_bias"):
        for name, swapped in names.items():
            other.get_parameter(f"{swapped}{kind}.weight").data = state[f"{name}{kind}.weight"]
    i, j = ids(6), ids(6)
    torch.testing.assert_close(other(j, i), model(i, j))
    torch.testing.assert_close(other.vectors(), model.vectors())


def test_glove_loss_by_hand() -> None:
    predicted, counts = torch.tensor([1.0, 2.0]), torch.tensor([16.0, 400.0])
    wanted = [0.16**0.75 * (1 - math.log(16)) ** 2, (2 - math.log(400)) ** 2]
    torch.testing.assert_close(glove_loss(predicted, counts), torch.tensor(wanted))
    other = [0.64 * (1 - math.log(16)) ** 2, (2 - math.log(400)) ** 2]
    torch.testing.assert_close(glove_loss(predicted, counts, 25, 1), torch.tensor(other))


# fastText


def test_a_word_is_the_sum_of_its_parts() -> None:
    model = FastText(2, 100, 4)
    bags = torch.tensor(subword_ids(["cat", "unseen"], {"cat": 0, "dog": 1}, 100))
    beside = ids(2, 3, words=2)
    y = model(bags, beside)
    for b in range(2):
        parts = [one for one in bags[b].tolist() if one != model.padding]
        assert parts
        v = model.center.weight[parts].sum(0)
        torch.testing.assert_close(y[b, 0], model.context.weight[beside[b]] @ v)


def test_padding_is_zero_and_stays_so() -> None:
    model = fasttext(20, 10, 4)
    bags = torch.full((2, 3), model.padding)
    bags[0, 0] = 5
    model(bags, ids(2, 3)).square().sum().backward()
    weight = model.center.weight
    assert weight.grad is not None
    assert weight[model.padding].tolist() == [0] * 4
    assert weight.grad[model.padding].tolist() == [0] * 4
    assert weight.grad[5].abs().sum() > 0
