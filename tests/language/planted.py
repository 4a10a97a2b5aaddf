"""A corpus with relations planted in it, and what trains word vectors on it.

Each word of a table (row: a country; column: its capital, its language, ...) is met beside words
that belong to its row and words that belong to its column, and no sentence says which words are
related. Whoever learns what a word is met with has learnt row plus column, and can say what is to
one row as a word is to another.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import permutations
from random import Random
from typing import TYPE_CHECKING

import torch

from tests.models.learning import fit
from zoo.language import TokenEmbedding

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor, nn

ROWS = ("france", "japan", "brazil", "egypt", "norway", "kenya")
COLUMNS = ("country", "capital", "language", "food")
SIDE = 3
"""Words that belong to a row or column."""
NOISE = 0.2
"""Share of contexts that are any word."""


@dataclass(frozen=True)
class Planted:
    """A corpus of ids."""

    tokens: tuple[str, ...]
    sentences: tuple[tuple[int, ...], ...]

    @property
    def counts(self) -> list[int]:
        found = Counter(token for sentence in self.sentences for token in sentence)
        return [found[number] for number in range(len(self.tokens))]


def planted(sentences: int, seed: int) -> Planted:
    """Sentences of five words: a word of the table between words of its row and of its column.

    One of five contexts is any word, so that almost all pairs meet now and then.
    """
    random = Random(seed)
    words = {(r, c): f"{r}-{c}" for r in ROWS for c in COLUMNS}
    beside = {one: [f"{one}{number}" for number in range(SIDE)] for one in (*ROWS, *COLUMNS)}
    tokens = (*words.values(), *(token for some in beside.values() for token in some))
    ids = {token: number for number, token in enumerate(tokens)}
    lines = []
    for _ in range(sentences):
        row, column = random.choice(ROWS), random.choice(COLUMNS)
        around = [random.choice(beside[one]) for one in (row, row, column, column)]
        around = [random.choice(tokens) if random.random() < NOISE else one for one in around]
        random.shuffle(around)
        lines.append(tuple(ids[one] for one in (*around[:2], words[row, column], *around[2:])))
    return Planted(tokens, tuple(lines))


def analogies() -> list[tuple[str, str, str, str]]:
    """All that are planted: a is to b as c is to d."""
    return [
        (f"{r}-{c}", f"{r}-{d}", f"{s}-{c}", f"{s}-{d}")
        for r, s in permutations(ROWS, 2)
        for c, d in permutations(COLUMNS, 2)
    ]


def right(tokens: tuple[str, ...], vectors: Tensor) -> float:
    """Share of the planted analogies whose answer comes first among all words."""
    embedding = TokenEmbedding(tokens, vectors)
    asked = analogies()
    return sum(embedding.analogy(a, b, c)[0][0] == d for a, b, c, d in asked) / len(asked)


def train(
    model: nn.Module,
    examples: tuple[Tensor, ...],
    loss: Callable[[tuple[Tensor, ...]], Tensor],
    *,
    steps: int,
    batch: int = 512,
    rate: float = 0.01,
) -> list[float]:
    """Adam on random batches of examples; the loss of each step."""

    def drawn() -> Tensor:
        chosen = torch.randint(len(examples[0]), (batch,))
        return loss(tuple(one[chosen] for one in examples))

    return fit(model, drawn, steps=steps, rate=rate)
