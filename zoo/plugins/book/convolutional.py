"""Cards of chapters 5 to 8: perceptrons and convolutional networks, as the notes print them.

Inputs are the book's: one channel, and the image size that its layer summaries are printed for.
Batch norm in training wants more than one value per channel, so that `lenet_bn` is given two
images.
"""

from __future__ import annotations

from zoo.catalog.card import ModelCard

BOOK = "https://d2l.ai"
SMALL, LARGE, MIDDLE = "1,1,28,28", "1,1,224,224", "1,1,96,96"

VGG = "Simonyan and Zisserman, Very Deep Convolutional Networks for Large-Scale Image Recognition"
RESNET = "He, Zhang, Ren and Sun, Deep Residual Learning for Image Recognition"
RESNEXT = (
    "Xie, Girshick, Dollar, Tu and He, Aggregated Residual Transformations for Deep Neural Networks"
)
DENSENET = "Huang, Liu, van der Maaten and Weinberger, Densely Connected Convolutional Networks"
ARXIV = "https://arxiv.org/abs/"

CARDS = (
    ModelCard(
        "mlp",
        "zoo.models.mlp:mlp",
        "Multilayer perceptron: 256 hidden units, ReLU.",
        SMALL,
        tags=("mlp", "book", "teaching"),
        paper="Rumelhart, Hinton and Williams, Learning representations by back-propagating errors",
        year=1986,
        link=f"{BOOK}/chapter_multilayer-perceptrons/mlp-implementation.html",
        book="5.2",
    ),
    ModelCard(
        "lenet",
        "zoo.models.lenet:lenet",
        "LeNet-5: two convolutions, three linear layers, sigmoid.",
        SMALL,
        tags=("cnn", "book", "teaching"),
        paper="LeCun, Bottou, Bengio and Haffner, Gradient-Based Learning Applied to Document "
        "Recognition",
        year=1998,
        link=f"{BOOK}/chapter_convolutional-neural-networks/lenet.html",
        table="figure 2",
        book="7.6",
    ),
    ModelCard(
        "lenet_bn",
        "zoo.models.lenet_bn:lenet_bn",
        "LeNet with batch normalization before every sigmoid.",
        "2,1,28,28",
        tags=("cnn", "book", "teaching", "batchnorm"),
        paper="Ioffe and Szegedy, Batch Normalization: Accelerating Deep Network Training by "
        "Reducing Internal Covariate Shift",
        year=2015,
        link=f"{ARXIV}1502.03167",
        table="algorithm 1",
        book="8.5",
    ),
    ModelCard(
        "alexnet",
        "zoo.models.alexnet:alexnet",
        "AlexNet in one tower: five convolutions, three linear layers, dropout.",
        LARGE,
        tags=("cnn", "book"),
        paper="Krizhevsky, Sutskever and Hinton, ImageNet Classification with Deep Convolutional "
        "Neural Networks",
        year=2012,
        link=f"{BOOK}/chapter_convolutional-modern/alexnet.html",
        table="figure 2",
        book="8.1",
    ),
    *(
        ModelCard(
            f"vgg{layers}",
            f"zoo.models.vgg:vgg{layers}",
            f"VGG: {layers} layers with weights, 3x3 convolutions in blocks that halve the image.",
            LARGE,
            tags=("cnn", "book"),
            paper=VGG,
            year=2014,
            link=f"{ARXIV}1409.1556",
            table="table 1",
            book="8.2",
        )
        for layers in (11, 13, 16, 19)
    ),
    ModelCard(
        "nin",
        "zoo.models.nin:nin",
        "Network in network: 1x1 convolutions after each convolution, no linear layer.",
        LARGE,
        tags=("cnn", "book"),
        paper="Lin, Chen and Yan, Network In Network",
        year=2013,
        link=f"{ARXIV}1312.4400",
        book="8.3",
    ),
    ModelCard(
        "googlenet",
        "zoo.models.googlenet:googlenet",
        "GoogLeNet: nine Inception blocks of four branches each.",
        MIDDLE,
        tags=("cnn", "book"),
        paper="Szegedy, Liu, Jia, Sermanet, Reed, Anguelov, Erhan, Vanhoucke and Rabinovich, "
        "Going Deeper with Convolutions",
        year=2014,
        link=f"{ARXIV}1409.4842",
        table="table 1",
        book="8.4",
    ),
    *(
        ModelCard(
            f"resnet{layers}",
            f"zoo.models.resnet:resnet{layers}",
            f"ResNet: {layers} layers, {blocks} with shortcuts around them.",
            MIDDLE,
            tags=("cnn", "book", "residual"),
            paper=RESNET,
            year=2015,
            link=f"{ARXIV}1512.03385",
            table="table 1",
            book="8.6",
        )
        for layers, blocks in (
            (18, "pairs of 3x3 convolutions"),
            (34, "pairs of 3x3 convolutions"),
            (50, "bottlenecks"),
            (101, "bottlenecks"),
            (152, "bottlenecks"),
        )
    ),
    *(
        ModelCard(
            f"resnext{layers}_{groups}x{width}d",
            f"zoo.models.resnext:resnext{layers}_{groups}x{width}d",
            f"ResNeXt: {layers} layers, 3x3 convolutions in {groups} groups of {width} channels.",
            MIDDLE,
            tags=("cnn", "book", "residual"),
            paper=RESNEXT,
            year=2016,
            link=f"{ARXIV}1611.05431",
            table="table 1",
            book="8.6",
        )
        for layers, groups, width in ((50, 32, 4), (101, 32, 4), (101, 64, 4), (101, 32, 8))
    ),
    ModelCard(
        "densenet",
        "zoo.models.densenet:densenet",
        "DenseNet of the book: four dense blocks of four 3x3 convolutions.",
        MIDDLE,
        tags=("cnn", "book", "dense"),
        paper=DENSENET,
        year=2016,
        link=f"{BOOK}/chapter_convolutional-modern/densenet.html",
        book="8.7",
    ),
    *(
        ModelCard(
            f"densenet{layers}",
            f"zoo.models.densenet:densenet{layers}",
            f"DenseNet: {layers} layers, each reads the outputs of all before it in its block.",
            MIDDLE,
            tags=("cnn", "book", "dense"),
            paper=DENSENET,
            year=2016,
            link=f"{ARXIV}1608.06993",
            table="table 1",
            book="8.7",
        )
        for layers in (121, 161, 169, 201)
    ),
)
