"""Cards of the applications of language models: sentiment and inference.

Inputs are texts of the book's lengths, cut or filled up: 500 tokens of a review, 50 of a sentence.
"""

from __future__ import annotations

from zoo.catalog.card import ModelCard

ARXIV = "https://arxiv.org/abs/"

REVIEWS = "tokens=2,500@ints:49346"

CARDS = (
    ModelCard(
        "birnn",
        "zoo.models.birnn:birnn",
        "Sentiment of a text from a bidirectional LSTM's first and last step.",
        REVIEWS,
        tags=("rnn", "book", "sentiment"),
        paper="Graves and Schmidhuber, Framewise Phoneme Classification with Bidirectional LSTM "
        "and Other Neural Network Architectures",
        year=2005,
        link="https://d2l.ai/chapter_natural-language-processing-applications/"
        "sentiment-analysis-rnn.html",
        book="16.2",
    ),
    ModelCard(
        "textcnn",
        "zoo.models.textcnn:textcnn",
        "Sentiment of a text from kernels of 3, 4 and 5 tokens and the largest value over time.",
        REVIEWS,
        tags=("cnn", "book", "sentiment"),
        paper="Kim, Convolutional Neural Networks for Sentence Classification",
        year=2014,
        link=f"{ARXIV}1408.5882",
        table="section 2",
        book="16.3",
    ),
    ModelCard(
        "decomposable_attention",
        "zoo.models.decomposable_attention:decomposable_attention",
        "Whether one sentence follows from another: attend, compare, aggregate.",
        ("premises=2,50@ints:18678", "hypotheses=2,50@ints:18678"),
        tags=("attention", "book", "inference"),
        paper="Parikh, Taeckstroem, Das and Uszkoreit, A Decomposable Attention Model for Natural "
        "Language Inference",
        year=2016,
        link=f"{ARXIV}1606.01933",
        table="section 3",
        book="16.5",
    ),
)
