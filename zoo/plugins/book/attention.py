"""Cards of chapter 11: attention pooling, Transformers and vision Transformers."""

from __future__ import annotations

from zoo.catalog.card import ModelCard

BOOK = "https://d2l.ai/chapter_attention-mechanisms-and-transformers"
ARXIV = "https://arxiv.org/abs/"

VASWANI = (
    "Vaswani, Shazeer, Parmar, Uszkoreit, Jones, Gomez, Kaiser and Polosukhin, Attention Is All "
    "You Need"
)
VIT = (
    "Dosovitskiy, Beyer, Kolesnikov, Weissenborn, Zhai, Unterthiner, Dehghani, Minderer, Heigold, "
    "Gelly, Uszkoreit and Houlsby, An Image is Worth 16x16 Words: Transformers for Image "
    "Recognition at Scale"
)

MECHANISMS = (
    ModelCard(
        "nadaraya_watson",
        "zoo.models.nadaraya_watson:nadaraya_watson",
        "Nadaraya-Watson regression: values weighted by how near their keys are.",
        ("queries=1,50,1", "keys=1,40,1", "values=1,40,1"),
        tags=("attention", "book", "teaching"),
        paper="Nadaraya, On Estimating Regression; Watson, Smooth Regression Analysis",
        year=1964,
        link=f"{BOOK}/attention-pooling.html",
        book="11.2",
    ),
    ModelCard(
        "dot_product_attention",
        "zoo.models.attention:dot_product_attention",
        "Scaled dot product attention with valid lengths.",
        ("queries=2,1,2", "keys=2,10,2", "values=2,10,4", "valid_lens=2@ints:11"),
        tags=("attention", "book", "teaching"),
        paper=VASWANI,
        year=2017,
        link=f"{BOOK}/attention-scoring-functions.html",
        table="section 3.2.1",
        book="11.3",
    ),
    ModelCard(
        "additive_attention",
        "zoo.models.attention:additive_attention",
        "Additive attention with valid lengths: queries and keys of unlike width.",
        ("queries=2,1,20", "keys=2,10,2", "values=2,10,4", "valid_lens=2@ints:11"),
        tags=("attention", "book", "teaching"),
        paper="Bahdanau, Cho and Bengio, Neural Machine Translation by Jointly Learning to Align "
        "and Translate",
        year=2014,
        link=f"{ARXIV}1409.0473",
        table="appendix A.1.2",
        book="11.3",
    ),
    ModelCard(
        "multi_head_attention",
        "zoo.models.attention:multi_head_attention",
        "Multi-head attention with valid lengths: five heads of 20 hidden units.",
        ("queries=2,4,100", "keys=2,6,100", "values=2,6,100", "valid_lens=2@ints:7"),
        tags=("attention", "book", "teaching"),
        paper=VASWANI,
        year=2017,
        link=f"{BOOK}/multihead-attention.html",
        table="section 3.2.2",
        book="11.5",
    ),
)

SEQUENCE_LAYERS = tuple(
    ModelCard(
        name,
        f"zoo.models.sequence_layers:{name}",
        summary,
        inputs,
        tags=(tag, "book", "teaching"),
        paper=VASWANI,
        year=2017,
        link=f"{BOOK}/self-attention-and-positional-encoding.html",
        table="table 1",
        book="11.6",
    )
    for name, summary, inputs, tag in (
        (
            "self_attention",
            "Self-attention over a sequence, with sinusoidal positions.",
            ("x=2,60,64", "valid_lens=2@ints:61"),
            "attention",
        ),
        (
            "sequence_cnn",
            "One convolution along a sequence, to hold beside self-attention.",
            "2,60,64",
            "cnn",
        ),
        (
            "sequence_rnn",
            "One recurrent layer over a sequence, to hold beside self-attention.",
            "2,60,64",
            "rnn",
        ),
    )
)

TRANSFORMERS = (
    ModelCard(
        "transformer",
        "zoo.models.transformer:transformer",
        "Transformer of the book: two blocks each of encoder and decoder.",
        ("src=2,9@ints:200", "tgt=2,9@ints:200", "src_valid_len=2@ints:10"),
        tags=("attention", "book", "transformer", "translation"),
        paper=VASWANI,
        year=2017,
        link=f"{BOOK}/transformer.html",
        book="11.7",
    ),
    *(
        ModelCard(
            f"transformer_{size}",
            f"zoo.models.transformer:transformer_{size}",
            f"Transformer {size}: six blocks each of encoder and decoder, {width} wide, one "
            "table of 37,000 tokens.",
            ("src=2,32@ints:37000", "tgt=2,32@ints:37000", "src_valid_len=2@ints:33"),
            tags=("attention", "book", "transformer", "translation"),
            paper=VASWANI,
            year=2017,
            link=f"{ARXIV}1706.03762",
            table="table 3",
            book="11.7",
        )
        for size, width in (("base", 512), ("big", 1024))
    ),
)

VISION = (
    ModelCard(
        "vit",
        "zoo.models.vit:vit",
        "Vision Transformer of the book: 36 patches of 16x16, two blocks.",
        "1,1,96,96",
        tags=("attention", "book", "transformer", "vision"),
        paper=VIT,
        year=2020,
        link=f"{BOOK}/vision-transformer.html",
        book="11.8",
    ),
    *(
        ModelCard(
            f"vit_{size}_{patch}",
            f"zoo.models.vit:vit_{size}_{patch}",
            f"Vision Transformer: {blocks} blocks, {width} wide, patches of {patch}x{patch}.",
            "1,3,224,224",
            tags=("attention", "book", "transformer", "vision"),
            paper=VIT,
            year=2020,
            link=f"{ARXIV}2010.11929",
            table="table 1",
            book="11.8",
        )
        for size, patch, blocks, width in (
            ("base", 16, 12, 768),
            ("base", 32, 12, 768),
            ("large", 16, 24, 1024),
            ("large", 32, 24, 1024),
            ("huge", 14, 32, 1280),
        )
    ),
)

CARDS: tuple[ModelCard, ...] = (*MECHANISMS, *SEQUENCE_LAYERS, *TRANSFORMERS, *VISION)
