"""What does skip-gram train on? Centres, the words around them, and noise.

Mikolov, Sutskever, Chen, Corrado and Dean, "Distributed representations of words and phrases and
their compositionality", 2013, sections 2.2 and 2.3; Dive into Deep Learning, 15.3. In this order:

1. `subsample` leaves out frequent words by chance: they say little about their neighbours.
2. `centers_and_contexts` pairs each word with those within a window, of random size for each word.
3. `negatives` draws words that are no contexts, with weights count^0.75.
4. `skip_gram_batch` makes tensors of some of these, padded to one length.

Tokens may be words or ids. What is drawn depends on the seed alone.
"""

from __future__ import annotations

import math
from collections import Counter
from itertools import accumulate, chain
from random import Random
from typing import TYPE_CHECKING, TypeVar

from zoo.errors import LanguageError

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping, Sequence

    from torch import Tensor

Token = TypeVar("Token", bound="Hashable")


def keep_probabilities(counts: Mapping[Token, int], threshold: float = 1e-4) -> dict[Token, float]:
    """With which probability subsampling keeps a word: sqrt(t / f), at most 1.

    Args:
        counts: How often each word occurs; its share of their sum is its frequency f.
        threshold: The frequency t above which words are left out.

    Returns:
        A probability for each word.

    Raises:
        LanguageError: A count or the threshold is below 0.

    Example:
        >>> keep_probabilities({"the": 90, "cat": 10}, threshold=0.225)
        {'the': 0.5, 'cat': 1.0}
    """
    if threshold < 0 or any(count < 0 for count in counts.values()):
        raise LanguageError(
            "subsampling", "a count or the threshold is below 0", "Count the words of a text."
        )
    limit = threshold * sum(counts.values())
    return {
        token: min(1.0, math.sqrt(limit / count)) if count else 1.0
        for token, count in counts.items()
    }


def subsample(
    sentences: Iterable[Sequence[Token]], threshold: float = 1e-4, *, seed: int = 0
) -> list[list[Token]]:
    """Leave out frequent words by chance.

    Args:
        sentences: Lists of words.
        threshold: See `keep_probabilities`.
        seed: Of the random numbers.

    Returns:
        As many sentences, with what is kept of them.
    """
    lines = [list(sentence) for sentence in sentences]
    keep = keep_probabilities(Counter(chain.from_iterable(lines)), threshold)
    draw = Random(seed).random
    return [[token for token in line if draw() < keep[token]] for line in lines]


def centers_and_contexts(
    sentences: Iterable[Sequence[Token]], max_window_size: int, *, seed: int = 0
) -> tuple[list[Token], list[list[Token]]]:
    """Pair each word with those around it.

    A window reaches equally far to both sides, 1 to `max_window_size` words, drawn anew for each
    word; so near words are contexts more often than far ones. Sentences of one word have none.

    Args:
        sentences: Lists of words.
        max_window_size: How far a window may reach to each side.
        seed: Of the random numbers.

    Returns:
        Centres, and as many lists of contexts.

    Raises:
        LanguageError: Windows reach nowhere.

    Example:
        >>> centers_and_contexts([["a", "b", "c"]], max_window_size=1)
        (['a', 'b', 'c'], [['b'], ['a', 'c'], ['b']])
    """
    if max_window_size < 1:
        raise LanguageError(
            f"window of {max_window_size}", "a context is at least 1 word away", "Give 1 or more."
        )
    random = Random(seed)
    centers, contexts = [], []
    for sentence in sentences:
        if len(sentence) < 2:
            continue
        for place, center in enumerate(sentence):
            reach = random.randint(1, max_window_size)
            before = sentence[max(0, place - reach) : place]
            centers.append(center)
            contexts.append([*before, *sentence[place + 1 : place + 1 + reach]])
    return centers, contexts


def noise_weights(counts: Mapping[Token, int], power: float = 0.75) -> dict[Token, float]:
    """With which probability each word is drawn as noise: in proportion to count^power.

    Args:
        counts: How often each word occurs.
        power: 1 for the words' own frequencies, 0 for all words alike.

    Returns:
        A probability for each word that occurs; they sum to 1.

    Raises:
        LanguageError: No word occurs, or a count is below 0.

    Example:
        >>> noise_weights({"the": 16, "cat": 1})
        {'the': 0.8888888888888888, 'cat': 0.1111111111111111}
    """
    if not any(counts.values()) or min(counts.values()) < 0:
        raise LanguageError(
            "noise words", "there are no counts above 0, or one is below", "Count a text's words."
        )
    weights = {token: count**power for token, count in counts.items() if count}
    total = sum(weights.values())
    return {token: weight / total for token, weight in weights.items()}


def negatives(
    contexts: Iterable[Sequence[Token]],
    weights: Mapping[Token, float],
    per_context: int = 5,
    *,
    seed: int = 0,
) -> list[list[Token]]:
    """Draw noise words for each centre, none of which is one of its contexts.

    Args:
        contexts: Contexts of each centre.
        weights: In proportion to these words are drawn: see `noise_weights`.
        per_context: Noise words for each context.
        seed: Of the random numbers.

    Returns:
        `per_context` times as many words as there are contexts, for each centre.

    Raises:
        LanguageError: All words are contexts of one centre.
    """
    tokens = [token for token, weight in weights.items() if weight > 0]
    bounds = list(accumulate(weights[token] for token in tokens))
    random = Random(seed)
    drawn: list[list[Token]] = []
    for around in contexts:
        true = set(around)
        if true.issuperset(tokens):
            raise LanguageError(
                "noise words",
                f"all {len(tokens)} words are contexts of one centre",
                "Make windows smaller, or add text.",
            )
        noise: list[Token] = []
        wanted = per_context * len(around)
        while len(noise) < wanted:
            some = random.choices(tokens, cum_weights=bounds, k=wanted - len(noise))
            noise += [token for token in some if token not in true]
        drawn.append(noise)
    return drawn


def skip_gram_batch(
    examples: Iterable[tuple[int, Sequence[int], Sequence[int]]],
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Tensors of some examples, padded to the longest.

    Args:
        examples: Centre, contexts and noise words of each, as ids.

    Returns:
        Centres (B, 1); contexts and noise (B, M), padded with 0; masks (B, M), 1 for words and 0
        for padding; labels (B, M), 1 for contexts and 0 for the rest. Masks and labels are float32.

    Raises:
        LanguageError: There are no examples.

    Example:
        >>> _, words, masks, labels = skip_gram_batch([(1, [2, 2], [3, 3, 3]), (1, [2], [3])])
        >>> words.tolist(), labels.tolist()[0]
        ([[2, 2, 3, 3, 3], [2, 3, 0, 0, 0]], [1.0, 1.0, 0.0, 0.0, 0.0])
    """
    import torch

    rows = list(examples)
    if not rows:
        raise LanguageError("a batch", "it has no examples", "Give at least one.")
    longest = max(len(contexts) + len(noise) for _, contexts, noise in rows)
    words, masks, labels = [], [], []
    for _, contexts, noise in rows:
        beside = [*contexts, *noise]
        gap = longest - len(beside)
        words.append([*beside, *[0] * gap])
        masks.append([1.0] * len(beside) + [0.0] * gap)
        labels.append([1.0] * len(contexts) + [0.0] * (longest - len(contexts)))
    centers = torch.tensor([[center] for center, _, _ in rows])
    return centers, torch.tensor(words), torch.tensor(masks), torch.tensor(labels)
