"""Cards of chapter 6, the builder's guide: networks that show how networks are made."""

from __future__ import annotations

from zoo.catalog.card import ModelCard

GUIDE = "https://d2l.ai/chapter_builders-guide"
BOOK = "Zhang, Lipton, Li and Smola, Dive into Deep Learning"
TAGS = ("mlp", "book", "teaching")

CARDS = (
    ModelCard(
        "mlp_sequential",
        "zoo.models.mlp_sequential:mlp_sequential",
        "Perceptron in a container of one's own, made with add_module and children.",
        "2,20",
        tags=TAGS,
        paper=BOOK,
        year=2023,
        link=f"{GUIDE}/model-construction.html",
        book="6.1.2",
    ),
    ModelCard(
        "mlp_tied",
        "zoo.models.mlp_tied:mlp_tied",
        "Perceptron in which one layer runs twice: tied parameters, counted once.",
        "2,4",
        tags=(*TAGS, "tied"),
        paper=BOOK,
        year=2023,
        link=f"{GUIDE}/parameters.html",
        book="6.2.2",
    ),
    ModelCard(
        "mlp_lazy",
        "zoo.models.mlp_lazy:mlp_lazy",
        "Perceptron that is not told the width of its input: lazy layers.",
        "2,20",
        tags=(*TAGS, "lazy"),
        paper=BOOK,
        year=2023,
        link=f"{GUIDE}/lazy-init.html",
        book="6.4",
    ),
    ModelCard(
        "centered",
        "zoo.models.centered:centered",
        "Linear layer and a layer without parameters that subtracts the mean.",
        "4,8",
        tags=TAGS,
        paper=BOOK,
        year=2023,
        link=f"{GUIDE}/custom-layer.html",
        book="6.5.1",
    ),
    ModelCard(
        "mlp_custom",
        "zoo.models.mlp_custom:mlp_custom",
        "Perceptron of linear layers of one's own, each with its ReLU and its Parameters.",
        "2,64",
        tags=TAGS,
        paper=BOOK,
        year=2023,
        link=f"{GUIDE}/custom-layer.html",
        book="6.5.2",
    ),
)
