"""Decomposable attention: does one sentence follow from another?

Parikh, Taeckstroem, Das and Uszkoreit, "A decomposable attention model for natural language
inference", 2016, sections 3.1 to 3.3. Dive into Deep Learning, 16.5. With width E = 100, N = 200:

    attend      scores f(a_i) . f(b_j); beta_i is the mean of the hypothesis' tokens with the shares
                that premise token i gives them, alpha_j that of the premise's for token j
    compare     g(a_i, beta_i) and g(b_j, alpha_j)
    aggregate   sums over both sentences, h, a linear layer

    f           E -> N -> N        100 * 200 + 200 + 200 * 200 + 200
    g           2 E -> N -> N      2 (200 * 200 + 200)
    h           2 N -> N -> N      400 * 200 + 200 + 200 * 200 + 200
    linear      N -> 3             200 * 3 + 3

No order of the tokens is looked at. `f` is used on each token alone, so that its cost is linear in
the sentences' lengths; the scores cost their product. 18,678 are the tokens of SNLI that occur at
least five times. Classes are entailment, contradiction and neutral.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import softmax


def feed_forward(num_inputs: int, num_hiddens: int, dropout: float) -> nn.Sequential:
    """Two linear layers with ReLU, dropout before each: (..., inputs) -> (..., hiddens)."""
    return nn.Sequential(
        nn.Dropout(dropout),
        nn.Linear(num_inputs, num_hiddens),  # (..., N)
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(num_hiddens, num_hiddens),  # (..., N)
        nn.ReLU(),
    )


class Attend(nn.Module):
    """Aligns the tokens of two sentences, softly.

    Args:
        num_inputs: Width E of a token.
        num_hiddens: Width N in which they are compared.
        dropout: Probability with which an element is left out in training.
    """

    def __init__(self, num_inputs: int, num_hiddens: int, dropout: float = 0.2) -> None:
        super().__init__()
        self.f = feed_forward(num_inputs, num_hiddens, dropout)

    def forward(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        """(B, P, E), (B, H, E) -> b for each token of a (B, P, E), a for each of b (B, H, E)."""
        scores = self.f(a) @ self.f(b).transpose(1, 2)  # (B, P, H)
        beta = softmax(scores, dim=-1) @ b  # (B, P, E)
        alpha = softmax(scores.transpose(1, 2), dim=-1) @ a  # (B, H, E)
        return beta, alpha


class Compare(nn.Module):
    """Compares each token with what it is aligned to.

    Args:
        num_inputs: Width 2 E of a token and its counterpart.
        num_hiddens: Width N of the result.
        dropout: Probability with which an element is left out in training.
    """

    def __init__(self, num_inputs: int, num_hiddens: int, dropout: float = 0.2) -> None:
        super().__init__()
        self.g = feed_forward(num_inputs, num_hiddens, dropout)

    def forward(self, a: Tensor, b: Tensor, beta: Tensor, alpha: Tensor) -> tuple[Tensor, Tensor]:
        """(B, P, E), (B, H, E), their counterparts -> (B, P, N), (B, H, N)."""
        of_a = self.g(torch.cat((a, beta), dim=2))  # (B, P, N)
        of_b = self.g(torch.cat((b, alpha), dim=2))  # (B, H, N)
        return of_a, of_b


class Aggregate(nn.Module):
    """Sums what was compared and says a class.

    Args:
        num_inputs: Width 2 N of both sums.
        num_hiddens: Width N between.
        num_outputs: Classes.
        dropout: Probability with which an element is left out in training.
    """

    def __init__(
        self, num_inputs: int, num_hiddens: int, num_outputs: int, dropout: float = 0.2
    ) -> None:
        super().__init__()
        self.h = feed_forward(num_inputs, num_hiddens, dropout)
        self.linear = nn.Linear(num_hiddens, num_outputs)

    def forward(self, of_a: Tensor, of_b: Tensor) -> Tensor:
        """(B, P, N), (B, H, N) -> scores (B, outputs)."""
        sums = torch.cat((of_a.sum(dim=1), of_b.sum(dim=1)), dim=1)  # (B, 2 N)
        scores: Tensor = self.linear(self.h(sums))  # (B, outputs)
        return scores


class DecomposableAttention(nn.Module):
    """Embedding, attend, compare, aggregate.

    Args:
        vocab_size: Tokens.
        embed_size: Width E of a token.
        num_hiddens: Width N of everything after.
        num_outputs: Classes.
        dropout: Probability with which an element is left out in training.
    """

    def __init__(
        self,
        vocab_size: int = 18678,
        embed_size: int = 100,
        num_hiddens: int = 200,
        num_outputs: int = 3,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, embed_size)
        self.attend = Attend(embed_size, num_hiddens, dropout)
        self.compare = Compare(2 * embed_size, num_hiddens, dropout)
        self.aggregate = Aggregate(2 * num_hiddens, num_hiddens, num_outputs, dropout)

    def forward(self, premises: Tensor, hypotheses: Tensor) -> Tensor:
        """Token ids (B, P), (B, H) -> scores (B, outputs)."""
        a = self.embedding(premises)  # (B, P, E)
        b = self.embedding(hypotheses)  # (B, H, E)
        beta, alpha = self.attend(a, b)  # (B, P, E), (B, H, E)
        of_a, of_b = self.compare(a, b, beta, alpha)  # (B, P, N), (B, H, N)
        scores: Tensor = self.aggregate(of_a, of_b)  # (B, outputs)
        return scores


def decomposable_attention(
    vocab_size: int = 18678,
    embed_size: int = 100,
    num_hiddens: int = 200,
    num_outputs: int = 3,
    dropout: float = 0.2,
) -> DecomposableAttention:
    """The book's, for pairs of sentences of SNLI."""
    return DecomposableAttention(vocab_size, embed_size, num_hiddens, num_outputs, dropout)
