"""Recurrent language models: ties, states, truncation, and English against counted trigrams."""

from __future__ import annotations

from pydoc_data.topics import topics
from typing import TYPE_CHECKING

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, one_hot

import zoo
from tests.models.learning import one_thread
from zoo.language import (
    AddK,
    KneserNey,
    Laplace,
    NGramModel,
    Vocabulary,
    clean,
    detach,
    perplexity_of_scores,
    sequential_batches,
    tokenize,
)
from zoo.models.rnn import RNNScratch
from zoo.models.rnn_lm import RNNLM, RNNLMScratch, rnn_lm

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _seeded_on_one_thread() -> Iterator[None]:
    """Layers this small take longer on several."""
    torch.manual_seed(0)
    with one_thread():
        yield


def ids(*shape: int, size: int = 28) -> torch.Tensor:
    return torch.randint(0, size, shape)


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
@pytest.mark.parametrize("embed_size", [None, 32])
def test_a_text_in_two_parts_is_the_text(cell: str, embed_size: int | None) -> None:
    model = rnn_lm(cell=cell, num_layers=2, embed_size=embed_size)
    tokens = ids(3, 11)
    whole, last = model(tokens)
    first, state = model(tokens[:, :4])
    second, state = model(tokens[:, 4:], state)
    assert whole.shape == (3, 11, 28)
    torch.testing.assert_close(torch.cat((first, second), 1), whole, atol=1e-5, rtol=0)
    torch.testing.assert_close(state, last, atol=1e-5, rtol=0)


def test_scores_say_nothing_of_what_comes() -> None:
    model, tokens = rnn_lm(cell="lstm"), ids(1, 9)
    other = tokens.clone()
    other[0, 5] = (tokens[0, 5] + 1) % 28
    same = (model(tokens)[0] == model(other)[0]).all(-1)[0].tolist()
    assert same == [True] * 5 + [False] * 4


def test_one_hot_is_an_embedding_without_its_weight() -> None:
    """From scratch and concise are the same model where their weights are."""
    scratch = RNNLMScratch(RNNScratch(9, 4, 0.5), 4, 9, 0.5)
    concise = RNNLM(9, 4)
    with torch.no_grad():
        concise.rnn.weight_ih_l0.copy_(scratch.get_parameter("rnn.W_xh").T)
        concise.rnn.weight_hh_l0.copy_(scratch.get_parameter("rnn.W_hh").T)
        for name in ("bias_ih_l0", "bias_hh_l0"):
            nn.init.zeros_(concise.rnn.get_parameter(name))
        concise.output.weight.copy_(scratch.W_hq.T)
        nn.init.zeros_(concise.output.bias)
    tokens = ids(2, 6, size=9)
    torch.testing.assert_close(scratch(tokens)[0], concise(tokens)[0], atol=1e-5, rtol=0)
    x = one_hot(tokens.T, 9).float()
    torch.testing.assert_close(scratch.rnn(x)[1], scratch(tokens)[1])


@pytest.mark.parametrize(("tied", "count"), [(False, 2), (True, 1)])
def test_tied_weights_count_once(tied: bool, count: int) -> None:
    settings = {"embed_size": 32, "tied": tied, "cell": "gru"}
    found = zoo.params("rnn_lm", arguments=settings).totals["parameters"]
    assert found == 28 * 32 * count + 28 + 3 * (32 * 64 + 64)
    model = rnn_lm(embed_size=32, tied=tied, cell="gru")
    assert model.embedding is not None
    assert (model.embedding.weight is model.output.weight) == tied


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match="no cell is called 'elman': take one of rnn, gru, lstm"):
        rnn_lm(cell="elman")
    with pytest.raises(ValueError, match="tied weights need embed_size = 32, got None"):
        rnn_lm(tied=True)


@pytest.mark.parametrize(("cut", "reaches"), [(False, True), (True, False)])
def test_gradients_end_where_the_state_is_detached(cut: bool, reaches: bool) -> None:
    model = rnn_lm(cell="lstm", embed_size=8)
    seen: list[torch.Tensor] = []
    first, second = ids(2, 5), ids(2, 5)
    assert model.embedding is not None

    def keep(_: nn.Module, __: object, out: torch.Tensor) -> None:
        out.retain_grad()
        seen.append(out)

    model.embedding.register_forward_hook(keep)
    _, state = model(first)
    scores, _ = model(second, detach(state) if cut else state)
    scores.sum().backward()
    before, now = (one.grad for one in seen)
    assert now is not None
    assert bool(now.abs().sum() > 0)
    assert (before is not None) == reaches


LENGTH = 100_000
"""Characters of English, of about 450,000."""


def english() -> tuple[list[int], list[int], int]:
    """Token ids to learn from, the tenth that is held out, and how many ids there are."""
    text = clean(" ".join(topics[name] for name in sorted(topics)))[:LENGTH]
    tokens = tokenize(text, by="characters")
    cut = len(tokens) * 9 // 10
    vocabulary = Vocabulary(tokens[:cut])
    return vocabulary[tokens[:cut]], vocabulary[tokens[cut:]], len(vocabulary)


def learned(corpus: list[int], size: int, seed: int) -> nn.Module:
    """An LSTM after four passes over a corpus."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    model = rnn_lm(size, 128, cell="lstm", embed_size=32)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.6)
    for _ in range(4):
        state = None
        for inputs, targets in sequential_batches(corpus, 32, 32, generator):
            scores, state = model(inputs, detach(state))
            optimizer.zero_grad()
            cross_entropy(scores.flatten(0, 1), targets.flatten()).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
        schedule.step()
    return model


def test_english_surprises_an_lstm_less_than_counted_trigrams() -> None:
    """The same characters and ids, and the best smoothing of several for what is held out."""
    corpus, held, size = english()
    ways = [KneserNey(), KneserNey(0.9), Laplace((1, 10, 10)), Laplace((1, 30, 30)), AddK(0.01)]
    trigram = min(NGramModel(3, way).fit(corpus, size).perplexity(held) for way in ways)
    bigram = NGramModel(2, ways[2]).fit(corpus, size).perplexity(held)
    model = learned(corpus, size, seed=0).eval()
    with torch.no_grad():
        _, state = model(torch.tensor([corpus[-100:-1]]))
        scores, _ = model(torch.tensor([corpus[-1:] + held[:-1]]), state)
    ours = perplexity_of_scores(scores, torch.tensor([held]))
    assert trigram < bigram < size
    assert ours < 0.8 * trigram
