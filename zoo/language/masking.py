"""What BERT is pretrained on: pairs of sentences, with words that are masked.

Devlin, Chang, Lee and Toutanova 2018, section 3.1 and appendix A.1; Dive into Deep Learning, 15.8
and 15.9. Of a pair, the second sentence follows the first in half of the cases and is any other in
the rest. 15% of the words are to be predicted; of these

    80%   are replaced by `<mask>`
    10%   are replaced by any word
    10%   stay

A batch is padded to one length; what pads a row of masked words has a weight of 0. Everything that
is drawn comes from a `random.Random` of the caller's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from zoo.errors import LanguageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from random import Random

    from torch import Tensor

CLS, SEP, MASK, PAD = "<cls>", "<sep>", "<mask>", "<pad>"

SPECIAL = (PAD, MASK, CLS, SEP)
"""Tokens that a vocabulary reserves for BERT; those that structure a text are never masked."""

SHARE = 0.15
"""Share of tokens that are to be predicted."""


@dataclass(frozen=True, slots=True)
class SentencePair:
    """Two sentences, or one, as BERT reads them."""

    tokens: tuple[str, ...]
    """With `<cls>` before them and `<sep>` behind each."""
    segments: tuple[int, ...]
    """0 for tokens of the first sentence, 1 for those of the second."""
    follows: bool
    """Whether the second follows the first in the text."""


@dataclass(frozen=True, slots=True)
class MaskedTokens:
    """Tokens of which some are to be predicted."""

    tokens: tuple[str, ...]
    """Those to be predicted are masked, replaced or left."""
    positions: tuple[int, ...]
    """Where they stand, in order."""
    words: tuple[str, ...]
    """What stood there."""


class PretrainingBatch(NamedTuple):
    """B pairs of T tokens, of which P at most are to be predicted."""

    tokens: Tensor
    """Ids, (B, T)."""
    segments: Tensor
    """0 or 1 for each token, (B, T)."""
    valid_lens: Tensor
    """How many tokens a pair has, (B,)."""
    pred_positions: Tensor
    """Which tokens are to be predicted, (B, P)."""
    mlm_weights: Tensor
    """1.0 for each of them, 0.0 for what pads the row, (B, P)."""
    mlm_labels: Tensor
    """Ids of what stood there, (B, P)."""
    nsp_labels: Tensor
    """1 where the second sentence follows the first, else 0, (B,)."""


def get_tokens_and_segments(
    tokens_a: Sequence[str], tokens_b: Sequence[str] | None = None
) -> tuple[list[str], list[int]]:
    """One or two sentences as BERT reads them.

    Args:
        tokens_a: The first.
        tokens_b: The second; None: there is none.

    Returns:
        Tokens with `<cls>` before them and `<sep>` behind each sentence, and of each token 0 or 1:
        which sentence it is of.

    Example:
        >>> get_tokens_and_segments(["it", "rains"], ["stay"])
        (['<cls>', 'it', 'rains', '<sep>', 'stay', '<sep>'], [0, 0, 0, 0, 1, 1])
    """
    tokens = [CLS, *tokens_a, SEP]
    segments = [0] * len(tokens)
    if tokens_b is not None:
        tokens += [*tokens_b, SEP]
        segments += [1] * (len(tokens_b) + 1)
    return tokens, segments


def sentence_pairs(
    paragraphs: Sequence[Sequence[Sequence[str]]], max_len: int, random: Random
) -> list[SentencePair]:
    """Pairs of sentences, of which half follow one another.

    Args:
        paragraphs: Each a list of sentences, each a list of tokens.
        max_len: Most tokens of a pair, `<cls>` and `<sep>` among them; longer ones are left out.
        random: What is drawn with.

    Returns:
        A pair for each two sentences of a paragraph that follow one another.

    Raises:
        LanguageError: Nothing else than what follows could be drawn.
    """
    sentences = [sentence for paragraph in paragraphs for sentence in paragraph]
    if len(sentences) < 3:
        raise LanguageError(
            f"{len(sentences)} sentences",
            "a second sentence is drawn that does not follow the first",
            "Give 3 sentences or more.",
        )
    pairs, place = [], 0
    for paragraph in paragraphs:
        for number, first in enumerate(paragraph[:-1]):
            follows = random.random() < 0.5
            second = place + number + 1
            if not follows:  # any sentence but the one that follows
                second = (second + random.randrange(1, len(sentences))) % len(sentences)
            tokens, segments = get_tokens_and_segments(first, sentences[second])
            if len(tokens) <= max_len:
                pairs.append(SentencePair(tuple(tokens), tuple(segments), follows))
        place += len(paragraph)
    return pairs


def mask_tokens(
    tokens: Sequence[str], words: Sequence[str], random: Random, share: float = SHARE
) -> MaskedTokens:
    """Choose tokens that are to be predicted, and hide most of them.

    Args:
        tokens: As BERT reads them; `<cls>`, `<sep>` and `<pad>` are never chosen.
        words: What a token is replaced by in one case of ten: a vocabulary's own words.
        random: What is drawn with.
        share: How many are chosen, of all tokens; at least one.

    Returns:
        The tokens, and which are to be predicted.

    Raises:
        LanguageError: There is no word to choose or to replace one by, or `share` is none.
    """
    if not 0 < share <= 1:
        raise LanguageError(
            f"share {share}", "of the tokens, some are predicted", "Give one above 0, at most 1."
        )
    if not words:
        raise LanguageError("words", "there is none to replace a token by", "Give some.")
    candidates = [at for at, token in enumerate(tokens) if token not in SPECIAL]
    if not candidates:
        raise LanguageError(
            f"{len(tokens)} tokens", "none of them can be masked", "Give some that are words."
        )
    count = min(len(candidates), max(1, round(len(tokens) * share)))
    positions = tuple(sorted(random.sample(candidates, count)))
    hidden = list(tokens)
    for at in positions:
        drawn = random.random()
        if drawn < 0.8:
            hidden[at] = MASK
        elif drawn < 0.9:
            hidden[at] = random.choice(words)
    return MaskedTokens(tuple(hidden), positions, tuple(tokens[at] for at in positions))


def pretraining_batch(
    pairs: Iterable[SentencePair],
    ids: Callable[[list[str]], list[int]],
    words: Sequence[str],
    max_len: int,
    random: Random,
) -> PretrainingBatch:
    """Mask pairs of sentences and pad them to one length, as tensors.

    Args:
        pairs: B of them.
        ids: Ids of tokens: `vocab.__getitem__` of a `Vocabulary` that reserves `<pad>`, `<mask>`,
            `<cls>` and `<sep>`.
        words: What a masked word is replaced by in one case of ten.
        max_len: T.
        random: What is drawn with.

    Returns:
        The batch, with P = 15% of T.

    Raises:
        LanguageError: There is no pair, or one is longer than T.
    """
    import torch

    rows = list(pairs)
    longest = max((len(pair.tokens) for pair in rows), default=0)
    if not rows or longest > max_len:
        reason = f"one has {longest} tokens, more than {max_len}" if rows else "there is none"
        raise LanguageError("pairs", reason, "Make them with sentence_pairs(..., max_len, random).")
    masked = [mask_tokens(pair.tokens, words, random) for pair in rows]
    most = max(1, round(max_len * SHARE))

    def padded(lists: Iterable[Sequence[int]], length: int, value: int = 0) -> Tensor:
        return torch.tensor([[*one, *[value] * (length - len(one))] for one in lists])

    (pad,) = ids([PAD])
    return PretrainingBatch(
        tokens=padded((ids(list(one.tokens)) for one in masked), max_len, pad),
        segments=padded((pair.segments for pair in rows), max_len),
        valid_lens=torch.tensor([len(pair.tokens) for pair in rows]),
        pred_positions=padded((one.positions for one in masked), most),
        mlm_weights=padded(([1] * len(one.positions) for one in masked), most).float(),
        mlm_labels=padded((ids(list(one.words)) for one in masked), most),
        nsp_labels=torch.tensor([int(pair.follows) for pair in rows]),
    )
