"""Hierarchical softmax: a word's probability is that of a walk down a binary tree.

Morin and Bengio, "Hierarchical probabilistic neural network language model", 2005; with a Huffman
tree in Mikolov, Sutskever, Chen, Corrado and Dean, "Distributed representations of words and
phrases and their compositionality", 2013, equation 3. Dive into Deep Learning, 15.2.2. The V words
are leaves; each of the V - 1 inner nodes has a vector u, and sends a walk left with probability
sigmoid(u . v) and right with the rest. So the words' probabilities sum to one, and one of them
takes as many products as the word is deep:

    tree                 products for a word
    none (softmax)       V
    balanced             log2 V, rounded up or down
    Huffman, of counts   on average less than the entropy of the counts (bits) + 1

A tree is given as two lists for each word: the inner nodes from the root down, and which way the
walk leaves each (1 left, 0 right). Without one, all words are alike and the tree is balanced.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from zoo.models._init import xavier_embedding

Walks = Sequence[Sequence[int]]
"""For each word, a number for each step from the root to it."""


class HierarchicalSoftmax(nn.Module):
    """Log-probabilities of words, given a vector.

    Args:
        paths: For each of the V words, the inner nodes from the root down: 0 to V - 2.
        codes: For each word, which way the walk leaves each of them: 1 left, 0 right.
        embedding_dim: Numbers N of a vector.

    Raises:
        ValueError: The two do not describe one tree.
    """

    paths: Tensor
    signs: Tensor

    def __init__(self, paths: Walks, codes: Walks, embedding_dim: int) -> None:
        super().__init__()
        check_tree(paths, codes)
        depth = max(map(len, paths))
        nodes = [[*path, *[0] * (depth - len(path))] for path in paths]
        signs = [[*(2.0 * bit - 1 for bit in code), *[0.0] * (depth - len(code))] for code in codes]
        self.inner = xavier_embedding(len(paths) - 1, embedding_dim)
        self.register_buffer("paths", torch.tensor(nodes), persistent=False)  # (V, D)
        self.register_buffer("signs", torch.tensor(signs), persistent=False)  # 1, -1; 0 is padding

    def forward(self, v: Tensor, words: Tensor) -> Tensor:  # (B, N), (B, M)
        """Vectors (B, N) and words (B, M) -> log-probability of each word, (B, M)."""
        u = self.inner(nn.functional.embedding(words, self.paths))  # (B, M, D, N)
        sign = nn.functional.embedding(words, self.signs)  # (B, M, D)
        score = torch.bmm(u.flatten(1, 2), v.unsqueeze(2))  # (B, M D, 1)
        return walk(score.reshape(sign.shape), sign)  # (B, M)

    def all_words(self, v: Tensor) -> Tensor:  # (B, N)
        """Vectors (B, N) -> log-probabilities of all words, (B, V); their exponentials sum to 1."""
        score = v @ self.inner.weight.T  # (B, V - 1)
        return walk(score[:, self.paths], self.signs)  # (B, V, D) -> (B, V)


def walk(score: Tensor, sign: Tensor) -> Tensor:
    """Sum of log sigmoid(sign * score) over the last dim, where the sign is not 0."""
    step = nn.functional.logsigmoid(sign * score) * sign.abs()
    return step.sum(dim=-1)


class SkipGramHierarchical(nn.Module):
    """Skip-gram whose contexts are predicted through a tree.

    Args:
        paths: See `HierarchicalSoftmax`.
        codes: See `HierarchicalSoftmax`.
        embedding_dim: Numbers N of a vector.
    """

    def __init__(self, paths: Walks, codes: Walks, embedding_dim: int) -> None:
        super().__init__()
        self.center = xavier_embedding(len(paths), embedding_dim)
        self.context = HierarchicalSoftmax(paths, codes, embedding_dim)

    def forward(self, center: Tensor, contexts: Tensor) -> Tensor:  # (B, 1), (B, M)
        """Ids of centres (B, 1) and contexts (B, M) -> log P(context | centre), (B, M)."""
        v = self.center(center).squeeze(1)  # (B, N)
        found: Tensor = self.context(v, contexts)  # (B, M)
        return found


def hierarchical_softmax_loss(log_probabilities: Tensor, mask: Tensor) -> Tensor:
    """Negative log-probability of each example, the mean over what is no padding.

    Args:
        log_probabilities: Of true words, (B, M).
        mask: 1 for words, 0 for padding, (B, M).

    Returns:
        (B,), in nats; 0 for an example that is padding alone.
    """
    weight = mask.to(log_probabilities.dtype)  # (B, M)
    return -(log_probabilities * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1)  # (B,)


def check_tree(paths: Walks, codes: Walks) -> None:
    """See that walks are those of one binary tree, with a word at each end.

    Args:
        paths: Inner nodes, for each word.
        codes: Which way each is left, for each word.

    Raises:
        ValueError: They are not.
    """
    if len(paths) != len(codes) or len(paths) < 2:
        raise ValueError(
            f"a tree has a path and a code for each of two or more words, got {len(paths)} paths "
            f"and {len(codes)} codes"
        )
    leads: dict[tuple[int, int], int] = {}
    for word, (path, code) in enumerate(zip(paths, codes, strict=True)):
        if len(path) != len(code) or not path:
            raise ValueError(
                f"word {word} has a path of {len(path)} nodes and a code of {len(code)} steps"
            )
        ends = [*path[1:], -1 - word]  # a word is told from a node by its sign
        for step in zip(path, code, ends, strict=True):
            if leads.setdefault(step[:2], step[2]) != step[2]:
                raise ValueError(
                    f"word {word} leaves node {step[0]} by {step[1]}, where another goes elsewhere"
                )
    wanted = {(node, bit) for node in range(len(paths) - 1) for bit in (0, 1)}
    if set(leads) != wanted or len({path[0] for path in paths}) > 1:
        raise ValueError(
            f"{len(paths)} words want one root and {len(paths) - 1} inner nodes, 0 to "
            f"{len(paths) - 2}, each left both ways by 0 and 1"
        )


def balanced(words: int) -> tuple[Walks, Walks]:
    """Paths and codes of a tree in which no word is more than a step deeper than another.

    Nodes are numbered as in a heap: those below i are 2 i + 1 and 2 i + 2; the last are the words.

    Args:
        words: How many, V.

    Returns:
        Inner nodes from the root down and which way each is left, for each word.
    """
    paths, codes = [], []
    for word in range(words):
        node, path, code = words - 1 + word, [], []
        while node:
            path.append((node - 1) // 2)
            code.append(node % 2)  # the first of two has an odd number
            node = path[-1]
        paths.append(path[::-1])
        codes.append(code[::-1])
    return paths, codes


def skip_gram_hierarchical(
    vocab_size: int = 6719,
    embedding_dim: int = 100,
    paths: Sequence[Sequence[int]] | None = None,
    codes: Sequence[Sequence[int]] | None = None,
) -> SkipGramHierarchical:
    """Skip-gram through a tree: one of counts (`zoo.language.huffman`), or a balanced one."""
    if paths is None and codes is None:
        paths, codes = balanced(vocab_size)
    if paths is None or codes is None or len(paths) != vocab_size:
        given = [None if walks is None else len(walks) for walks in (paths, codes)]
        raise ValueError(
            f"{vocab_size} words want a path and a code each, got {given[0]} paths and {given[1]} "
            "codes"
        )
    return SkipGramHierarchical(paths, codes, embedding_dim)
