"""Cards of chapters 9 and 10: recurrent networks and language models.

Layers take (steps, sequences, inputs), with the sizes of the book's check in 9.5. Language models
take (sequences, steps) of the book's 28 characters.
"""

from __future__ import annotations

from zoo.catalog.card import ModelCard

BOOK = "https://d2l.ai"
STEPS, TOKENS = "100,2,16", "tokens=2,100@ints:28"

ELMAN = "Elman, Finding Structure in Time"
CHO = (
    "Cho, van Merrienboer, Gulcehre, Bahdanau, Bougares, Schwenk and Bengio, Learning Phrase "
    "Representations using RNN Encoder-Decoder for Statistical Machine Translation"
)
HOCHREITER = "Hochreiter and Schmidhuber, Long Short-Term Memory"
GRAVES = "Graves, Mohamed and Hinton, Speech Recognition with Deep Recurrent Neural Networks"
SCHUSTER = "Schuster and Paliwal, Bidirectional Recurrent Neural Networks"
MIKOLOV = (
    "Mikolov, Karafiat, Burget, Cernocky and Khudanpur, Recurrent Neural Network Based Language "
    "Model"
)

RNN = f"{BOOK}/chapter_recurrent-neural-networks"
MODERN = f"{BOOK}/chapter_recurrent-modern"

CARDS = (
    *(
        ModelCard(
            f"autoregressive{suffix}",
            f"zoo.models.autoregressive:autoregressive{suffix}",
            summary,
            "1,4",
            tags=("mlp", "book", "teaching", "markov"),
            paper="Yule, On a Method of Investigating Periodicities in Disturbed Series",
            year=1927,
            link=f"{RNN}/sequence.html",
            book="9.1",
        )
        for suffix, summary in (
            ("", "Linear regression of a series on its last four values."),
            ("_mlp", "Regression of a series on its last four values, with a hidden layer."),
        )
    ),
    ModelCard(
        "rnn_scratch",
        "zoo.models.rnn:rnn_scratch",
        "Recurrent layer as a loop over steps, by the book's equations.",
        STEPS,
        tags=("rnn", "book", "teaching"),
        paper=ELMAN,
        year=1990,
        link=f"{RNN}/rnn-scratch.html",
        book="9.5",
    ),
    ModelCard(
        "rnn",
        "zoo.models.rnn:rnn",
        "Recurrent layer, torch's.",
        STEPS,
        tags=("rnn", "book"),
        paper=ELMAN,
        year=1990,
        link=f"{RNN}/rnn-concise.html",
        book="9.6",
    ),
    ModelCard(
        "lstm_scratch",
        "zoo.models.lstm:lstm_scratch",
        "Long short-term memory as a loop over steps, by the book's equations.",
        STEPS,
        tags=("rnn", "book", "teaching", "gated"),
        paper=HOCHREITER,
        year=1997,
        link=f"{MODERN}/lstm.html",
        book="10.1",
    ),
    ModelCard(
        "lstm",
        "zoo.models.lstm:lstm",
        "Long short-term memory, torch's.",
        STEPS,
        tags=("rnn", "book", "gated"),
        paper=HOCHREITER,
        year=1997,
        link=f"{MODERN}/lstm.html",
        book="10.1",
    ),
    ModelCard(
        "gru_scratch",
        "zoo.models.gru:gru_scratch",
        "Gated recurrent units as a loop over steps, by the book's equations.",
        STEPS,
        tags=("rnn", "book", "teaching", "gated"),
        paper=CHO,
        year=2014,
        link="https://arxiv.org/abs/1406.1078",
        table="section 2.3",
        book="10.2",
    ),
    ModelCard(
        "gru",
        "zoo.models.gru:gru",
        "Gated recurrent units, torch's.",
        STEPS,
        tags=("rnn", "book", "gated"),
        paper=CHO,
        year=2014,
        link="https://arxiv.org/abs/1406.1078",
        table="section 2.3",
        book="10.2",
    ),
    *(
        ModelCard(
            f"deep_{cell}{suffix}",
            f"zoo.models.deep_rnn:deep_{cell}{suffix}",
            f"Two {cell.upper()} layers, {how}.",
            STEPS,
            tags=("rnn", "book", "deep", *more),
            paper=GRAVES,
            year=2013,
            link="https://arxiv.org/abs/1303.5778",
            table="section 2",
            book="10.3",
        )
        for cell in ("rnn", "gru", "lstm")
        for suffix, how, more in (
            ("_scratch", "each a loop over steps", ("teaching",)),
            ("", "torch's", ()),
        )
    ),
    *(
        ModelCard(
            f"bidirectional_{cell}{suffix}",
            f"zoo.models.bidirectional_rnn:bidirectional_{cell}{suffix}",
            f"{cell.upper()} layers that read from the start and from the end, {how}.",
            STEPS,
            tags=("rnn", "book", "bidirectional", *more),
            paper=SCHUSTER,
            year=1997,
            link=f"{MODERN}/bi-rnn.html",
            book="10.4",
        )
        for cell in ("rnn", "gru", "lstm")
        for suffix, how, more in (
            ("_scratch", "each a loop over steps", ("teaching",)),
            ("", "torch's", ()),
        )
    ),
    ModelCard(
        "rnn_lm_scratch",
        "zoo.models.rnn_lm:rnn_lm_scratch",
        "Language model of characters: one-hot, a loop over steps, scores of the next character.",
        TOKENS,
        tags=("rnn", "book", "teaching", "language"),
        paper=MIKOLOV,
        year=2010,
        link=f"{RNN}/rnn-scratch.html",
        book="9.5",
    ),
    *(
        ModelCard(
            f"{cell}_lm",
            "zoo.models.rnn_lm:rnn_lm",
            f"Language model of characters: one-hot, torch's {cell.upper()}, scores of the next "
            "character.",
            TOKENS,
            {"cell": cell},
            tags=("rnn", "book", "language"),
            paper=MIKOLOV,
            year=2010,
            link=f"{link}.html",
            book=section,
        )
        for cell, link, section in (
            ("rnn", f"{RNN}/rnn-concise", "9.6"),
            ("lstm", f"{MODERN}/lstm", "10.1"),
            ("gru", f"{MODERN}/gru", "10.2"),
        )
    ),
)
