"""How much of a translation is in its references? BLEU, in two forms.

Papineni, Roukos, Ward and Zhu, "BLEU: a method for automatic evaluation of machine translation",
2002. The precision of n-grams is the share of a translation's n-grams that occur in a reference;
one counts as often as it occurs in that reference where it occurs most. Where c tokens were written
and the reference of the nearest length has r, of two the shorter:

    corpus_bleu   exp(min(0, 1 - r / c)) * (p1 * ... * pN) ** (1 / N), counts added up over a corpus
    bleu          exp(min(0, 1 - r / c)) * p1 ** (1 / 2) * ... * pN ** (1 / 2 ** N), of one sequence
                  (Dive into Deep Learning, 10.7.6; longer n-grams are harder, and count for more)

Both are between 0 and 1; papers print 100 times as much. A p that is 0 makes a product of 0. Where
few sentences are compared, `smoothing` gives these n-grams something (Chen and Cherry 2014 compare
such rules; the words are sacrebleu's):

    none     nothing
    floor    a tenth of a match
    add-k    one match more and one n-gram more, for n > 1, whether or not there are matches
    exp      1/2 of a match for the first n without one, 1/4 for the second, ...
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from math import exp, log

from zoo.errors import LanguageError, did_you_mean

Tokens = str | Sequence[Hashable]
"""Words or ids; a text is split where there is white space."""
SMOOTHINGS = ("none", "floor", "add-k", "exp")
"""What n-grams without a match are given."""


def bleu(predicted: Tokens, *labels: Tokens, n: int = 4) -> float:
    """The book's BLEU of one sequence: of n-grams up to its own length, longer ones count for more.

    Args:
        predicted: What was written.
        *labels: What would be right.
        n: Longest n-grams.

    Returns:
        From 0, no token in common, to 1, equal.

    Raises:
        LanguageError: No label, or no n-grams.

    Example:
        >>> bleu("il est riche", "il est riche"), round(bleu("il a perdu", "j'ai perdu", n=2), 3)
        (1.0, 0.0)
    """
    _check(n, len(labels), "the sequence")
    tokens, right = _split(predicted), [_split(label) for label in labels]
    if not tokens:
        return 0.0
    score = _brevity(len(tokens), _nearest(len(tokens), right))
    for order in range(1, min(n, len(tokens)) + 1):
        matches, total = _matches(tokens, right, order)
        score *= (matches / total) ** 0.5**order
    return score


def corpus_bleu(
    predicted: Sequence[Tokens],
    labels: Sequence[Sequence[Tokens]],
    n: int = 4,
    smoothing: str = "exp",
    *,
    effective_order: bool = False,
) -> float:
    """BLEU of a corpus, as papers print it.

    Args:
        predicted: What was written for each source.
        labels: For each source one or more that would be right.
        n: Longest n-grams.
        smoothing: `none`, as in the paper of 2002, `floor`, `add-k`, or `exp`, as sacrebleu does
            unless told otherwise.
        effective_order: Whether n-grams that are longer than all that was written are left out; of
            a single short sentence BLEU is else 0.

    Returns:
        From 0 to 1.

    Raises:
        LanguageError: Not as many lists of labels as sequences, a list without a label, no
            n-grams, or no such smoothing.

    Example:
        >>> round(corpus_bleu(["the cat sat on the mat"], [["the cat sat on a mat"]]), 4)
        0.5373
    """
    if smoothing not in SMOOTHINGS:
        hint = did_you_mean(smoothing, SMOOTHINGS, f"Take one of {', '.join(SMOOTHINGS)}.")
        raise LanguageError("corpus_bleu", f"there is no smoothing {smoothing!r}", hint)
    if isinstance(predicted, str) or len(predicted) != len(labels) or not predicted:
        raise LanguageError(
            "corpus_bleu",
            f"{len(predicted)} sequences and {len(labels)} lists of labels",
            "Give lists of one length, at least 1.",
        )
    matches, totals = [0] * n, [0] * n
    written, wanted = 0, 0
    for number, (one, its) in enumerate(zip(predicted, labels, strict=True)):
        _check(n, 0 if isinstance(its, str) else len(its), f"sequence {number}")
        tokens, right = _split(one), [_split(label) for label in its]
        written, wanted = written + len(tokens), wanted + _nearest(len(tokens), right)
        for order in range(n):
            found = _matches(tokens, right, order + 1)
            matches[order], totals[order] = matches[order] + found[0], totals[order] + found[1]
    if not any(matches):
        return 0.0
    precisions = _smoothed(matches, totals, smoothing)
    if not effective_order:
        precisions += [0.0] * (n - len(precisions))
    if 0.0 in precisions:
        return 0.0
    mean = sum(map(log, precisions)) / len(precisions)
    return _brevity(written, wanted) * exp(mean)


def _smoothed(matches: Sequence[int], totals: Sequence[int], smoothing: str) -> list[float]:
    """Precisions of the n-grams that were written, n = 1 first."""
    precisions: list[float] = []
    share = 1.0
    for order, (match, total) in enumerate(zip(matches, totals, strict=True)):
        more = smoothing == "add-k" and order > 0
        hits: float = match + more
        if not total + more:
            break
        if not hits and smoothing == "floor":
            hits = 0.1
        elif not hits and smoothing == "exp":
            share /= 2
            hits = share
        precisions.append(hits / (total + more))
    return precisions


def _check(n: int, labels: int, what: str) -> None:
    if n < 1:
        raise LanguageError(f"n {n}", "there are no such n-grams", "Give 1 or more.")
    if not labels:
        raise LanguageError(what, "it has no list of labels", "Give what would be right: [label].")


def _split(tokens: Tokens) -> Sequence[Hashable]:
    return tokens.split() if isinstance(tokens, str) else tokens


def _ngrams(tokens: Sequence[Hashable], n: int) -> Counter[tuple[Hashable, ...]]:
    """How often each n-gram occurs."""
    return Counter(tuple(tokens[at : at + n]) for at in range(len(tokens) - n + 1))


def _matches(
    tokens: Sequence[Hashable], labels: Sequence[Sequence[Hashable]], n: int
) -> tuple[int, int]:
    """N-grams that are in a label, each as often as in the label that has most; all of them."""
    most: Counter[tuple[Hashable, ...]] = Counter()
    for label in labels:
        most |= _ngrams(label, n)
    written = _ngrams(tokens, n)
    return (written & most).total(), written.total()


def _nearest(length: int, labels: Sequence[Sequence[Hashable]]) -> int:
    """Of the labels' lengths the nearest, of two the shorter."""
    return min(map(len, labels), key=lambda other: (abs(other - length), other))


def _brevity(written: int, wanted: int) -> float:
    """What is taken off for a text that is too short."""
    return exp(min(0.0, 1 - wanted / written))
