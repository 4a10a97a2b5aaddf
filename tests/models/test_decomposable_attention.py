"""Decomposable attention: the paper's equations token by token, and overlap of words learned."""

from __future__ import annotations

import re
from collections import Counter
from pydoc_data.topics import topics

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

import zoo
from tests.models.learning import fit
from zoo.models.decomposable_attention import DecomposableAttention, decomposable_attention

STEPS, KEPT, WORDS = 12, 5, 500


@pytest.mark.parametrize(("batch", "premise", "hypothesis"), [(2, 50, 50), (3, 7, 4), (1, 1, 1)])
def test_shapes(batch: int, premise: int, hypothesis: int) -> None:
    model = zoo.create("decomposable_attention").eval()
    pair = torch.randint(18678, (batch, premise)), torch.randint(18678, (batch, hypothesis))
    scores = model(*pair)
    assert scores.shape == (batch, 3)
    assert scores.isfinite().all()


def test_parameters_by_closed_form() -> None:
    v, e, n, c = 500, 20, 30, 2
    settings = {"vocab_size": v, "embed_size": e, "num_hiddens": n, "num_outputs": c}
    inner = n * n + n
    wanted = v * e + (e * n + n + inner) + (2 * e * n + n + inner) + (2 * n * n + n + inner)
    count = zoo.params("decomposable_attention", arguments=settings).totals["parameters"]
    assert count == wanted + n * c + c


def test_the_equations_of_the_paper() -> None:
    """Equations 1 to 5, a token at a time."""
    torch.manual_seed(0)
    model = decomposable_attention(30, 6, 8).eval()
    premises, hypotheses = torch.randint(30, (1, 4)), torch.randint(30, (1, 3))
    a, b = model.embedding(premises)[0], model.embedding(hypotheses)[0]
    f, g, h = model.attend.f, model.compare.g, model.aggregate.h
    e = [[f(x) @ f(y) for y in b] for x in a]
    v1, v2 = torch.zeros(8), torch.zeros(8)
    for i, x in enumerate(a):
        shares = torch.stack(e[i]).softmax(0)
        beta = sum(share * y for share, y in zip(shares, b, strict=True))
        v1 = v1 + g(torch.cat((x, beta)))
    for j, y in enumerate(b):
        shares = torch.stack([row[j] for row in e]).softmax(0)
        alpha = sum(share * x for share, x in zip(shares, a, strict=True))
        v2 = v2 + g(torch.cat((y, alpha)))
    wanted = model.aggregate.linear(h(torch.cat((v1, v2))))
    torch.testing.assert_close(model(premises, hypotheses)[0], wanted, atol=1e-5, rtol=1e-5)


def test_order_does_not_matter() -> None:
    torch.manual_seed(0)
    model = decomposable_attention(30).eval()
    a, b = torch.randint(30, (2, 9)), torch.randint(30, (2, 6))
    torch.testing.assert_close(model(a, b), model(a.flip(1), b.roll(2, 1)), atol=1e-5, rtol=1e-5)


def test_cost_is_the_product_of_the_lengths() -> None:
    inputs = ("premises=2,P:int64", "hypotheses=2,H:int64")
    totals = zoo.formula("decomposable_attention", *inputs).totals
    assert totals["growth"]["macs"] == "H*P"


# learning


def pairs() -> tuple[Tensor, Tensor, Tensor]:
    """Pieces of Python's documentation with five words of their own (0), or of another's (1)."""
    words = re.findall(r"[a-z]+", " ".join(topics.values()).lower())
    number = {word: n for n, (word, _) in enumerate(Counter(words).most_common(WORDS), 1)}
    ids = torch.tensor([number.get(word, 0) for word in words])
    pieces = ids[: len(ids) // STEPS * STEPS].reshape(-1, STEPS)
    pieces = pieces[(pieces > 0).sum(1) >= 8]
    random = torch.Generator().manual_seed(0)
    order = torch.rand(pieces.shape, generator=random).argsort(1)[:, :KEPT]
    own = pieces.gather(1, order)
    labels = torch.randint(2, (len(pieces),), generator=random)
    return pieces, torch.where(labels[:, None] == 0, own, own.roll(1, 0)), labels


def test_overlap_of_words_is_learned() -> None:
    premises, hypotheses, labels = pairs()
    cut = len(labels) * 4 // 5
    random = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    model = DecomposableAttention(WORDS + 1, 32, 32, num_outputs=2)

    def loss() -> Tensor:
        chosen = torch.randint(cut, (64,), generator=random)
        return cross_entropy(model(premises[chosen], hypotheses[chosen]), labels[chosen])

    fit(model, loss, steps=350, rate=5e-3)
    with torch.no_grad():
        said = model.eval()(premises[cut:], hypotheses[cut:]).argmax(1)
    majority = labels[cut:].bincount().max().item() / len(labels[cut:])
    assert (said == labels[cut:]).float().mean().item() > majority + 0.15
