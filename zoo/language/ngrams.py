"""How likely is a token after the last few, by counting?

Dive into Deep Learning, 9.3.1 and 9.3.2. c is a context, x a token, n(c x) how often x follows c in
the corpus, n(c) how often anything does, V the number of ids. Three ways to smooth:

    AddK       (n(c x) + k) / (n(c) + k V)
    Laplace    (n(c x) + e p(x)) / (n(c) + e)     the book's equations: p(x) is that of no context,
               (n(x) + e / V) / (n + e), and each length of a context has an e of its own
    KneserNey  max(n(c x) - d, 0) / n(c) + g p(x | a context that is shorter by one token)

Kneser and Ney, "Improved backing-off for m-gram language modeling", 1995; Chen and Goodman, "An
empirical study of smoothing techniques for language modeling", 1998, section 3: g makes the sum 1;
below the longest context, n counts the different tokens before and not occurrences; d depends on
whether n is 1, 2 or more, and is found from how many there are of 1 to 4.

Where a context never occurred, `AddK` knows nothing, `Laplace` falls back to no context, and
`KneserNey` to the next shorter one. Tokens before the first do not exist: their context is shorter.
"""

from __future__ import annotations

import math
import random
from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

from zoo.errors import LanguageError
from zoo.language.likelihood import perplexity

if TYPE_CHECKING:
    from collections.abc import Sequence

Context = tuple[int, ...]
Counts = dict[Context, Counter[int]]
"""By context, what follows it and how often."""


@dataclass(frozen=True, slots=True)
class AddK:
    """Adds a constant to every count."""

    k: float = 1.0
    """What is added; above 0."""


@dataclass(frozen=True, slots=True)
class Laplace:
    """The book's smoothing: mixes in the probability without a context."""

    epsilons: tuple[float, ...] = (1.0, 1.0, 1.0)
    """By length of the context, from none on: how many occurrences that probability weighs; above
    0. The last holds for longer contexts too."""


@dataclass(frozen=True, slots=True)
class KneserNey:
    """Takes a discount off every count, and shares it out by shorter contexts."""

    discount: float | None = None
    """Between 0 and 1; None for three of each length of context, found from the corpus."""


Smoothing = AddK | Laplace | KneserNey


class NGramModel:
    """A language model that counts.

    Args:
        n: Tokens of an n-gram: 1 looks at no context, 2 at one token, 3 at two.
        smoothing: What is done about n-grams that did not occur.

    Raises:
        LanguageError: n below 1, or a smoothing whose numbers are out of range.

    Example:
        >>> model = NGramModel(2, Laplace((1, 1))).fit([1, 2, 1, 2, 1], size=3)
        >>> round(model.probability(2, context=[1]), 3)
        0.796
        >>> round(sum(model.distribution([1])), 9)
        1.0
    """

    def __init__(self, n: int, smoothing: Smoothing | None = None) -> None:
        if n < 1:
            raise LanguageError(f"n = {n}", "an n-gram has one token or more", "Take 1 or more.")
        self.n = n
        self.smoothing = KneserNey() if smoothing is None else smoothing
        _check(self.smoothing)
        self.size = 0
        self._counts: list[Counts] = []  # by length of the context, as all below
        self._totals: list[dict[Context, int]] = []
        self._discounts: list[tuple[float, float, float]] = []  # of counts of 1, 2, more
        self._shared: list[dict[Context, float]] = []  # what discounts take off all counts

    def fit(self, ids: Sequence[int], size: int) -> NGramModel:
        """Count a corpus.

        Args:
            ids: Its token ids.
            size: Number of ids V that there are; all probabilities are over 0 to V - 1.

        Returns:
            This model.

        Raises:
            LanguageError: An id that is not below `size`, or a corpus of no tokens.
        """
        corpus = [int(one) for one in ids]
        if not corpus:
            raise LanguageError("corpus", "it has no tokens", "Give one or more.")
        if min(corpus) < 0 or max(corpus) >= size:
            reason = f"ids from {min(corpus)} to {max(corpus)} are not among {size}"
            raise LanguageError("corpus", reason, "Give size=len(vocabulary).")
        self.size, self._discounts, self._shared = size, [], []
        self._counts = [_follows(corpus, length) for length in range(self.n)]
        if isinstance(self.smoothing, KneserNey):
            self._discount(self.smoothing.discount)
        self._totals = [
            {context: found.total() for context, found in counts.items()} for counts in self._counts
        ]
        return self

    def probability(self, token: int, context: Sequence[int] = ()) -> float:
        """How likely a token is after a context, of which the last n - 1 tokens count.

        Args:
            token: Its id.
            context: Ids of the tokens before it, in order; none at the start of a text.

        Returns:
            Between 0 and 1.

        Raises:
            LanguageError: The model was not fitted, or has no such id.
        """
        self._fitted()
        if not 0 <= token < self.size:
            raise LanguageError(f"id {token}", f"there are {self.size}", "Take one of these.")
        seen = tuple(int(one) for one in context[max(0, len(context) - self.n + 1) :])
        if isinstance(self.smoothing, KneserNey):
            return self._kneser_ney(token, seen)
        if isinstance(self.smoothing, Laplace):
            return self._laplace(token, seen, self.smoothing.epsilons)
        found, total = self._count(token, seen)
        return (found + self.smoothing.k) / (total + self.smoothing.k * self.size)

    def distribution(self, context: Sequence[int] = ()) -> list[float]:
        """How likely every token is after a context; V numbers, of sum 1."""
        self._fitted()
        return [self.probability(token, context) for token in range(self.size)]

    def log_probabilities(self, ids: Sequence[int]) -> list[float]:
        """Natural logarithms of each token's probability after those before it.

        Args:
            ids: A text. That of the whole text is the sum.

        Returns:
            As many numbers.
        """
        text = [int(one) for one in ids]
        reach = self.n - 1
        return [
            math.log(self.probability(token, text[max(0, at - reach) : at]))
            for at, token in enumerate(text)
        ]

    def perplexity(self, ids: Sequence[int]) -> float:
        """Exp of the mean negative log-likelihood of a text's tokens."""
        return perplexity(self.log_probabilities(ids))

    def sample(self, length: int, prefix: Sequence[int] = (), seed: int = 0) -> list[int]:
        """Draw a text.

        Args:
            length: How many tokens to add.
            prefix: Ids that it begins with.
            seed: Of the draws; the same seed draws the same text.

        Returns:
            Ids of the prefix and of the tokens that were added.
        """
        self._fitted()
        draw, ids = random.Random(seed), list(prefix)
        for _ in range(length):
            upto = list(accumulate(self.distribution(ids)))
            ids.append(draw.choices(range(self.size), cum_weights=upto)[0])
        return ids

    def _fitted(self) -> None:
        if not self._counts:
            raise LanguageError("n-gram model", "it has counted nothing", "Call fit() first.")

    def _count(self, token: int, context: Context) -> tuple[int, int]:
        """How often a token followed a context, and how often anything did."""
        found = self._counts[len(context)].get(context)
        return (0, 0) if found is None else (found[token], self._totals[len(context)][context])

    def _laplace(self, token: int, context: Context, epsilons: tuple[float, ...]) -> float:
        before = self._laplace(token, (), epsilons) if context else 1 / self.size
        found, total = self._count(token, context)
        epsilon = epsilons[min(len(context), len(epsilons) - 1)]
        return (found + epsilon * before) / (total + epsilon)

    def _kneser_ney(self, token: int, context: Context) -> float:
        before = self._kneser_ney(token, context[1:]) if context else 1 / self.size
        follows = self._counts[len(context)].get(context)
        if follows is None:
            return before
        found = follows[token]
        own = found - self._discounts[len(context)][min(found, 3) - 1] if found else 0.0
        shared = self._shared[len(context)][context]
        return (own + shared * before) / self._totals[len(context)][context]

    def _discount(self, discount: float | None) -> None:
        """Counts of different tokens below the longest context, and discounts of all."""
        self._counts = [*map(_continuations, self._counts[1:]), self._counts[-1]]
        for counts in self._counts:
            amounts = _discounts(counts) if discount is None else (discount,) * 3
            self._discounts.append(amounts)
            self._shared.append(
                {
                    context: sum(amounts[min(one, 3) - 1] for one in found.values())
                    for context, found in counts.items()
                }
            )


def _follows(corpus: Sequence[int], length: int) -> Counts:
    """What follows each context of a length."""
    found: Counts = defaultdict(Counter)
    for at in range(length, len(corpus)):
        found[tuple(corpus[at - length : at])][corpus[at]] += 1
    return dict(found)


def _continuations(longer: Counts) -> Counts:
    """By context, in front of how many different tokens it and what follows it were seen."""
    found: Counts = defaultdict(Counter)
    for context, follows in longer.items():
        found[context[1:]].update(follows.keys())
    return dict(found)


def _discounts(counts: Counts) -> tuple[float, float, float]:
    """Chen and Goodman's discounts of counts of 1, of 2, and of 3 or more (equation 26).

    0.75 of each where some number does not occur, as among few ids.
    """
    kinds = Counter(one for found in counts.values() for one in found.values())
    one, two, three, four = (kinds[number] for number in (1, 2, 3, 4))
    if not (one and two and three and four):
        return (0.75,) * 3
    common = one / (one + 2 * two)
    first = 1 - 2 * common * two / one
    second = 2 - 3 * common * three / two
    more = 3 - 4 * common * four / three
    return first, max(second, 0.1), max(more, 0.1)


def _check(smoothing: Smoothing) -> None:
    """Refuse numbers with which something would be impossible, or likelier than it can be."""
    if isinstance(smoothing, AddK) and smoothing.k <= 0:
        raise LanguageError("smoothing", f"k = {smoothing.k}", "Take a number above 0.")
    if isinstance(smoothing, Laplace) and not (smoothing.epsilons and min(smoothing.epsilons) > 0):
        reason = f"epsilons = {smoothing.epsilons}"
        raise LanguageError("smoothing", reason, "Take one or more numbers above 0.")
    if (
        isinstance(smoothing, KneserNey)
        and smoothing.discount is not None
        and not 0 < smoothing.discount < 1
    ):
        reason = f"discount = {smoothing.discount}"
        raise LanguageError("smoothing", reason, "Take a number between 0 and 1, or None.")
