"""fastText: a word's vector is the sum of the vectors of its parts, also of a word never seen.

Bojanowski, Grave, Joulin and Mikolov, "Enriching word vectors with subword information", 2017,
section 3.2. Dive into Deep Learning, 15.6.1. Skip-gram, in which a centre is a bag: the word itself
and its character n-grams, of 3 to 6 with the marks < and > around the word. N-grams are hashed into
K buckets. Contexts are whole words: (V + K + 1) N + V N parameters, one row of them for padding.

    ids of a bag        what they are
    0 to V - 1          words
    V to V + K - 1      buckets of n-grams
    V + K               padding, which is a vector of zeros that is not trained

The paper has K = 2,000,000 and N = 300. Here V and N are the book's of `word2vec`, and K is
200,000, which suits its 6,719 words. `zoo.language.subword_ids` makes the bags.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo.models._init import xavier_embedding
from zoo.models._sizes import at_least_one


class FastText(nn.Module):
    """Scores words as contexts of a centre that is given by its parts.

    Args:
        vocab_size: Words V.
        buckets: Rows K that n-grams are hashed into.
        embedding_dim: Numbers N of a vector.
    """

    def __init__(self, vocab_size: int, buckets: int, embedding_dim: int) -> None:
        super().__init__()
        at_least_one(vocab_size=vocab_size, buckets=buckets, embedding_dim=embedding_dim)
        self.padding = vocab_size + buckets
        self.center = nn.EmbeddingBag(
            self.padding + 1, embedding_dim, mode="sum", padding_idx=self.padding
        )
        bound = 1 / embedding_dim  # as in the authors' code
        nn.init.uniform_(self.center.weight, -bound, bound)
        nn.init.zeros_(self.center.weight[self.padding])
        self.context = xavier_embedding(vocab_size, embedding_dim)

    def forward(self, center_subwords: Tensor, contexts_and_negatives: Tensor) -> Tensor:
        """Bags of centres' parts (B, S) and ids of words (B, M) -> logits (B, 1, M)."""
        v = self.center(center_subwords).unsqueeze(1)  # (B, 1, N)
        u = self.context(contexts_and_negatives)  # (B, M, N)
        return torch.bmm(v, u.transpose(1, 2))  # (B, 1, M)


def fasttext(vocab_size: int = 6719, buckets: int = 200_000, embedding_dim: int = 100) -> FastText:
    """Skip-gram with subwords, as fastText has it."""
    return FastText(vocab_size, buckets, embedding_dim)
