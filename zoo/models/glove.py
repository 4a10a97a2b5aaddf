"""GloVe: the product of two words' vectors is the logarithm of how often they meet.

Pennington, Socher and Manning, "GloVe: Global vectors for word representation", 2014, equations 8
and 9. Dive into Deep Learning, 15.5. A word has a vector and a bias as centre and as context:
2 V (N + 1) parameters for V words of N numbers. Counts are symmetric, so that both vectors mean the
same and differ by their first weights alone; a word's vector is their sum.

The book's V and N are those of `word2vec`. The paper's settings are c = 100 and alpha = 0.75 in the
weight of a pair that meets x times, min(1, (x / c)^alpha), and N of 50 to 300 (section 4.2).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo.models._sizes import at_least_one


class GloVe(nn.Module):
    """Predicts the logarithm of the count of a pair.

    Args:
        vocab_size: Words V.
        embedding_dim: Numbers N of a vector.
    """

    def __init__(self, vocab_size: int, embedding_dim: int) -> None:
        super().__init__()
        at_least_one(vocab_size=vocab_size, embedding_dim=embedding_dim)
        self.center = nn.Embedding(vocab_size, embedding_dim)
        self.context = nn.Embedding(vocab_size, embedding_dim)
        self.center_bias = nn.Embedding(vocab_size, 1)
        self.context_bias = nn.Embedding(vocab_size, 1)
        for table in self.children():
            if isinstance(table, nn.Embedding):  # the authors' code: uniform, within 0.5 / N
                nn.init.uniform_(table.weight, -0.5 / embedding_dim, 0.5 / embedding_dim)

    def forward(self, center: Tensor, context: Tensor) -> Tensor:  # (B,), (B,)
        """Ids of centres and of contexts, (B,) and (B,) -> logarithms of counts, (B,)."""
        v, u = self.center(center), self.context(context)  # (B, N)
        b, c = self.center_bias(center), self.context_bias(context)  # (B, 1)
        product = torch.bmm(v.unsqueeze(1), u.unsqueeze(2)).squeeze(2)  # (B, 1)
        predicted: Tensor = (product + b + c).squeeze(1)  # (B,)
        return predicted

    def vectors(self) -> Tensor:
        """A vector for each word, the sum of its two: (V, N)."""
        return self.center.weight + self.context.weight


def glove_loss(
    predicted: Tensor, counts: Tensor, largest: float = 100.0, power: float = 0.75
) -> Tensor:
    """Squared error of each pair's log count, less for rare pairs.

    Args:
        predicted: Logarithms of counts, (B,).
        counts: How often each pair meets, above 0, (B,).
        largest: From which count on a pair has weight 1; c in the paper.
        power: alpha in the paper.

    Returns:
        min(1, (x / c)^alpha) (predicted - log x)^2, (B,).
    """
    weight = (counts / largest).pow(power).clamp(max=1)  # (B,)
    return weight * (predicted - counts.log()).square()  # (B,)


def glove(vocab_size: int = 6719, embedding_dim: int = 100) -> GloVe:
    """GloVe at the book's size of word2vec."""
    return GloVe(vocab_size, embedding_dim)
