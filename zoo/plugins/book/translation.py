"""Cards of chapters 10 and 11: encoders, decoders and sequence to sequence models.

Inputs are four pairs of nine tokens, with how many tokens of each source are no padding.
"""

from __future__ import annotations

from zoo.catalog.card import ModelCard

PAIRS = ("src=4,9@ints:10000", "tgt=4,9@ints:10000", "src_valid_len=4@ints:10")

CARDS = (
    ModelCard(
        "seq2seq",
        "zoo.models.seq2seq:seq2seq",
        "Encoder and decoder of two GRU layers; the encoder's last state is given at every step.",
        PAIRS,
        tags=("rnn", "book", "gru", "encoder-decoder", "translation"),
        paper="Cho, van Merrienboer, Gulcehre, Bahdanau, Bougares, Schwenk and Bengio, Learning "
        "Phrase Representations using RNN Encoder-Decoder for Statistical Machine Translation",
        year=2014,
        link="https://arxiv.org/abs/1406.1078",
        book="10.7",
    ),
    ModelCard(
        "seq2seq_attention",
        "zoo.models.seq2seq_attention:seq2seq_attention",
        "Encoder and decoder of two GRU layers with additive attention at every step.",
        PAIRS,
        tags=("rnn", "attention", "book", "gru", "encoder-decoder", "translation"),
        paper="Bahdanau, Cho and Bengio, Neural Machine Translation by Jointly Learning to Align "
        "and Translate",
        year=2014,
        link="https://arxiv.org/abs/1409.0473",
        book="11.4",
    ),
)
