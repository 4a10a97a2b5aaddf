"""What word vectors learn: relations that were planted in a corpus, and real English.

Each model answers all 360 planted analogies with the right word first among all 54.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from pydoc_data.topics import topics
from typing import TYPE_CHECKING

import torch

from tests.language.planted import COLUMNS, ROWS, Planted, analogies, planted, right, train
from zoo.language import (
    TokenEmbedding,
    centers_and_contexts,
    cooccurrences,
    huffman,
    negatives,
    noise_weights,
    skip_gram_batch,
    subword_ids,
)
from zoo.models.fasttext import fasttext
from zoo.models.glove import glove, glove_loss
from zoo.models.hierarchical_softmax import hierarchical_softmax_loss, skip_gram_hierarchical
from zoo.models.word2vec import cbow, negative_sampling_loss, skip_gram

if TYPE_CHECKING:
    from torch import Tensor

WIDTH, STEPS, WINDOW = 16, 400, 4


def pairs(corpus: Planted) -> tuple[Tensor, ...]:
    """Centres, contexts with noise, masks, labels."""
    centers, contexts = centers_and_contexts(corpus.sentences, WINDOW)
    weights = noise_weights(dict(enumerate(corpus.counts)))
    noise = negatives(contexts, weights)
    return skip_gram_batch(zip(centers, contexts, noise, strict=True))


def padded(contexts: list[list[int]]) -> tuple[Tensor, Tensor]:
    """Ids and masks."""
    longest = max(map(len, contexts))
    gaps = [longest - len(one) for one in contexts]
    rows = zip(contexts, gaps, strict=True)
    ids = torch.tensor([[*one, *[0] * gap] for one, gap in rows])
    return ids, torch.tensor([[1.0] * (longest - gap) + [0.0] * gap for gap in gaps])


def test_the_analogies_are_many_and_cannot_be_guessed() -> None:
    corpus = planted(200, 0)
    assert len(analogies()) == 360
    assert right(corpus.tokens, torch.randn(len(corpus.tokens), WIDTH)) < 0.1


def test_skip_gram() -> None:
    torch.manual_seed(0)
    corpus = planted(8000, 0)
    model = skip_gram(len(corpus.tokens), WIDTH)

    def loss(batch: tuple[Tensor, ...]) -> Tensor:
        center, beside, mask, labels = batch
        return negative_sampling_loss(model(center, beside), labels, mask).mean()

    train(model, pairs(corpus), loss, steps=STEPS)
    assert right(corpus.tokens, model.center.weight) == 1


def test_cbow() -> None:
    """Its context vectors are a word's, as the book says."""
    torch.manual_seed(0)
    corpus = planted(8000, 0)
    centers, contexts = centers_and_contexts(corpus.sentences, WINDOW)
    weights = noise_weights(dict(enumerate(corpus.counts)))
    noise = negatives([[one] for one in centers], weights)
    asked = torch.tensor([[one, *some] for one, some in zip(centers, noise, strict=True)])
    labels = torch.tensor([[1.0, 0, 0, 0, 0, 0]])
    model = cbow(len(corpus.tokens), WIDTH)

    def loss(batch: tuple[Tensor, ...]) -> Tensor:
        logits = model(*batch).squeeze(1)
        wanted = labels.expand_as(logits)
        return negative_sampling_loss(logits, wanted, torch.ones_like(wanted)).mean()

    train(model, (*padded(contexts), asked), loss, steps=STEPS)
    assert right(corpus.tokens, model.context.weight) == 1


def test_hierarchical_softmax() -> None:
    torch.manual_seed(0)
    corpus = planted(8000, 0)
    centers, contexts = centers_and_contexts(corpus.sentences, WINDOW)
    tree = huffman(corpus.counts)
    model = skip_gram_hierarchical(len(corpus.tokens), WIDTH, tree.paths, tree.codes)

    def loss(batch: tuple[Tensor, ...]) -> Tensor:
        center, words, mask = batch
        return hierarchical_softmax_loss(model(center, words), mask).mean()

    train(model, (torch.tensor(centers)[:, None], *padded(contexts)), loss, steps=STEPS)
    assert right(corpus.tokens, model.center.weight) == 1


def test_glove() -> None:
    torch.manual_seed(0)
    corpus = planted(8000, 0)
    counts = cooccurrences(corpus.sentences, WINDOW)
    where, count = torch.tensor(list(counts)), torch.tensor(list(counts.values()))
    model = glove(len(corpus.tokens), WIDTH)

    def loss(batch: tuple[Tensor, ...]) -> Tensor:
        return glove_loss(model(batch[0], batch[1]), batch[2]).mean()

    train(model, (where[:, 0], where[:, 1], count), loss, steps=STEPS)
    assert right(corpus.tokens, model.vectors()) == 1


def test_fasttext_knows_a_word_that_it_never_saw() -> None:
    """One word of the table is left out; its parts are in others, and say where it belongs."""
    torch.manual_seed(0)
    unseen, buckets = "kenya-food", 2000
    corpus = planted(4000, 0)
    gone = corpus.tokens.index(unseen)
    sentences = tuple(one for one in corpus.sentences if gone not in one)
    ids = {token: number for number, token in enumerate(corpus.tokens) if number != gone}
    assert gone < len(ids)
    order = sorted(ids, key=ids.__getitem__)
    known = {token: number for number, token in enumerate(order)}
    renamed = [tuple(known[corpus.tokens[one]] for one in line) for line in sentences]
    data = pairs(Planted(tuple(order), tuple(renamed)))
    bags = torch.tensor(subword_ids([*order, unseen], known, buckets))
    model = fasttext(len(known), buckets, WIDTH)

    def loss(batch: tuple[Tensor, ...]) -> Tensor:
        center, beside, mask, labels = batch
        return negative_sampling_loss(model(bags[center[:, 0]], beside), labels, mask).mean()

    train(model, data, loss, steps=250)
    embedding = TokenEmbedding([*order, unseen], model.center(bags))
    near = [word for word, _ in embedding.similar(unseen, k=len(order)) if "-" in word]
    relatives = [word for word in near if set(word.split("-")) & {"kenya", "food"}]
    assert (len(near), len(relatives)) == (len(ROWS) * len(COLUMNS) - 1, 8)
    assert near[:5] == relatives[:5]


def test_contexts_of_real_english_are_less_of_a_surprise_than_their_frequencies() -> None:
    """Nats a word in text held out, against what a model costs that knows frequencies alone."""
    torch.manual_seed(0)
    words = re.findall(r"[a-z]+", "\n".join(topics.values()).lower())
    listed = [word for word, _ in Counter(words).most_common(400)]
    ids = {word: number for number, word in enumerate(listed)}
    text = [ids[word] for word in words if word in ids]
    cut = len(text) * 9 // 10
    seen, held_out = text[:cut], text[cut:]
    tree = huffman([Counter(seen)[number] for number in range(400)])
    model = skip_gram_hierarchical(400, 32, tree.paths, tree.codes)

    def beside(ids: list[int]) -> tuple[Tensor, ...]:
        centers, contexts = centers_and_contexts([ids], 1)
        return torch.tensor(centers)[:, None], *padded(contexts)

    def loss(batch: tuple[Tensor, ...]) -> Tensor:
        return hierarchical_softmax_loss(model(*batch[:2]), batch[2]).mean()

    train(model, beside(seen), loss, steps=300)
    counts = Counter(seen)
    unigram = sum(-math.log((counts[one] + 1) / (len(seen) + 400)) for one in held_out)
    with torch.no_grad():
        found = loss(beside(held_out)).item()
    assert found < unigram / len(held_out) - 0.1
