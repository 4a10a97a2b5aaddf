"""How surprised is a language model, in tokens?

Dive into Deep Learning, 9.3.3. The perplexity is exp of the mean negative log-likelihood of a
token: 1 where the model is always sure and right, V where it chooses among V tokens by chance, and
infinite where it holds impossible what then comes. From a mean cross-entropy it is `exp(loss)`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from zoo.errors import LanguageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor


def perplexity(log_probabilities: Iterable[float]) -> float:
    """Perplexity of the log-probabilities that a model gave to the tokens that came.

    Args:
        log_probabilities: Natural logarithms, one a token; -inf for what was held impossible.

    Returns:
        1 or more.

    Raises:
        LanguageError: No tokens.

    Example:
        >>> round(perplexity([math.log(0.5), math.log(0.125)]), 6)
        4.0
    """
    logs = [float(one) for one in log_probabilities]
    if not logs:
        raise LanguageError("perplexity", "there are no tokens", "Give one or more.")
    return _exp(-math.fsum(logs) / len(logs))


def perplexity_of_scores(scores: Tensor, targets: Tensor, ignored: int = -100) -> float:
    """Perplexity of the scores (logits) that a network gave.

    Args:
        scores: (..., V), before the softmax.
        targets: (...,), the ids of the tokens that came.
        ignored: The id of targets that do not count, such as padding.

    Returns:
        1 or more.

    Raises:
        LanguageError: No tokens that count, or shapes that do not go together.
    """
    from torch.nn.functional import cross_entropy

    if scores.shape[:-1] != targets.shape:
        reason = f"scores {tuple(scores.shape)} are not of targets {tuple(targets.shape)}"
        raise LanguageError("perplexity", reason, "Give a score of each token for each target.")
    if bool((targets == ignored).all()):
        raise LanguageError("perplexity", "there are no tokens", "Give one or more that count.")
    loss = cross_entropy(scores.flatten(0, -2), targets.flatten(), ignore_index=ignored)
    return _exp(loss.item())


def _exp(loss: float) -> float:
    """exp, infinite where a float cannot say it."""
    return math.exp(loss) if loss < 709 else math.inf
