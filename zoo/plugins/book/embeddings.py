"""Cards of chapter 15: word embeddings and what is built on them.

Inputs are the book's batch (15.3): 512 centres, at most 10 contexts and 5 noise words for each.
"""

from __future__ import annotations

from zoo.catalog.card import ModelCard

BOOK = "https://d2l.ai/chapter_natural-language-processing-pretraining/"
WORD2VEC = (
    "Mikolov, Chen, Corrado and Dean, Efficient Estimation of Word Representations in Vector Space"
)
PHRASES = (
    "Mikolov, Sutskever, Chen, Corrado and Dean, Distributed Representations of Words and Phrases "
    "and their Compositionality"
)
BESIDE = "contexts_and_negatives=512,60@ints:6719"

CARDS: tuple[ModelCard, ...] = (
    ModelCard(
        "skip_gram",
        "zoo.models.word2vec:skip_gram",
        "word2vec: contexts from their centre, by negative sampling.",
        ("center=512,1@ints:6719", BESIDE),
        tags=("embedding", "book", "language"),
        paper=PHRASES,
        year=2013,
        link="https://arxiv.org/abs/1310.4546",
        table="section 2.2",
        book="15.4",
    ),
    ModelCard(
        "cbow",
        "zoo.models.word2vec:cbow",
        "word2vec: a centre from the mean of its contexts, by negative sampling.",
        (
            "contexts=512,10@ints:6719",
            "mask=512,10",
            "centers_and_negatives=512,6@ints:6719",
        ),
        tags=("embedding", "book", "language"),
        paper=WORD2VEC,
        year=2013,
        link="https://arxiv.org/abs/1301.3781",
        table="figure 1",
        book="15.1",
    ),
    ModelCard(
        "skip_gram_hierarchical",
        "zoo.models.hierarchical_softmax:skip_gram_hierarchical",
        "word2vec: contexts from their centre, by a walk down a tree of words.",
        ("center=512,1@ints:6719", "contexts=512,10@ints:6719"),
        tags=("embedding", "book", "language"),
        paper=PHRASES,
        year=2013,
        link="https://arxiv.org/abs/1310.4546",
        table="section 2.1",
        book="15.2",
    ),
    ModelCard(
        "glove",
        "zoo.models.glove:glove",
        "Log counts of pairs of words as products of their vectors.",
        ("center=512@ints:6719", "context=512@ints:6719"),
        tags=("embedding", "book", "language"),
        paper="Pennington, Socher and Manning, GloVe: Global Vectors for Word Representation",
        year=2014,
        link=f"{BOOK}glove.html",
        table="section 3",
        book="15.5",
    ),
    ModelCard(
        "fasttext",
        "zoo.models.fasttext:fasttext",
        "Skip-gram whose words are sums of hashed character n-grams.",
        ("center_subwords=512,32@ints:206719", BESIDE),
        tags=("embedding", "book", "language"),
        paper="Bojanowski, Grave, Joulin and Mikolov, Enriching Word Vectors with Subword "
        "Information",
        year=2017,
        link="https://arxiv.org/abs/1607.04606",
        table="section 3.2",
        book="15.6",
    ),
)
