"""word2vec: a word's vector is what predicts the words around it, or is predicted from them.

Mikolov, Chen, Corrado and Dean, "Efficient estimation of word representations in vector space",
2013, figure 1: skip-gram predicts each context word from its centre, CBOW the centre from the mean
of its contexts. Mikolov, Sutskever, Chen, Corrado and Dean, "Distributed representations of words
and phrases and their compositionality", 2013: negative sampling, equation 4. Dive into Deep
Learning, 15.1 to 15.4. A word has two vectors, one as centre and one as context; there are no
other parameters:

    model       parameters   predicts by negative sampling
    skip_gram   2 V N        is this word a context of that centre, or noise?
    cbow        2 V N        is this word the centre of those contexts, or noise?

V words of N numbers. The book's are V = 6,719 (Penn Treebank, words seen ten times) and N = 100, in
batches of 512 centres: windows of at most 5 words to each side and 5 noise words for each context
make 60 words beside each centre.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo.models._init import xavier_embedding


class SkipGram(nn.Module):
    """Scores words as contexts of a centre: the product of their two vectors.

    Args:
        vocab_size: Words V.
        embedding_dim: Numbers N of a vector.
    """

    def __init__(self, vocab_size: int, embedding_dim: int) -> None:
        super().__init__()
        self.center = xavier_embedding(vocab_size, embedding_dim)
        self.context = xavier_embedding(vocab_size, embedding_dim)

    def forward(self, center: Tensor, contexts_and_negatives: Tensor) -> Tensor:  # (B, 1), (B, M)
        """Ids of centres (B, 1) and of words beside them (B, M) -> logits (B, 1, M)."""
        v = self.center(center)  # (B, 1, N)
        u = self.context(contexts_and_negatives)  # (B, M, N)
        return torch.bmm(v, u.transpose(1, 2))  # (B, 1, M)


class CBOW(nn.Module):
    """Scores words as the centre of given contexts, of whose vectors the mean is taken.

    Args:
        vocab_size: Words V.
        embedding_dim: Numbers N of a vector.
    """

    def __init__(self, vocab_size: int, embedding_dim: int) -> None:
        super().__init__()
        self.context = xavier_embedding(vocab_size, embedding_dim)
        self.center = xavier_embedding(vocab_size, embedding_dim)

    def forward(self, contexts: Tensor, mask: Tensor, centers_and_negatives: Tensor) -> Tensor:
        """Score words as centres.

        Args:
            contexts: Ids, (B, C); windows with fewer words are padded with any id.
            mask: (B, C), 1 for a word and 0 for padding.
            centers_and_negatives: Ids, (B, M).

        Returns:
            Logits, (B, 1, M).
        """
        v = self.context(contexts)  # (B, C, N)
        share = mask.to(v.dtype) / mask.sum(dim=1, keepdim=True).clamp(min=1)  # (B, C)
        mean = torch.bmm(share.unsqueeze(1), v)  # (B, 1, N)
        u = self.center(centers_and_negatives)  # (B, M, N)
        return torch.bmm(mean, u.transpose(1, 2))  # (B, 1, M)


def negative_sampling_loss(logits: Tensor, labels: Tensor, mask: Tensor) -> Tensor:
    """Binary cross-entropy of each example, the mean over what is no padding.

    -log sigmoid(s) for a true pair of score s, -log sigmoid(-s) for one with a noise word.

    Args:
        logits: Scores, (B, M) or (B, 1, M).
        labels: 1 for true pairs, 0 for noise, (B, M).
        mask: 1 for pairs, 0 for padding, (B, M).

    Returns:
        (B,); 0 for an example that is padding alone.
    """
    weight = mask.to(logits.dtype)  # (B, M)
    each = nn.functional.binary_cross_entropy_with_logits(
        logits.reshape(mask.shape), labels.to(logits.dtype), weight=weight, reduction="none"
    )  # (B, M)
    return each.sum(dim=1) / weight.sum(dim=1).clamp(min=1)  # (B,)


def skip_gram(vocab_size: int = 6719, embedding_dim: int = 100) -> SkipGram:
    """Skip-gram of the book."""
    return SkipGram(vocab_size, embedding_dim)


def cbow(vocab_size: int = 6719, embedding_dim: int = 100) -> CBOW:
    """Continuous bag of words of the book."""
    return CBOW(vocab_size, embedding_dim)
