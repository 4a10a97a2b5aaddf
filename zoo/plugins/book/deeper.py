"""Cards of deeper convolutional networks: later Inceptions, RegNet, pre-activation ResNets.

Inputs have the papers' image sizes with three channels, but for the book's RegNetX-32 and the
layers written from scratch, which get one channel as in the book.
"""

from __future__ import annotations

from zoo.catalog.card import ModelCard

ARXIV = "https://arxiv.org/abs/"
BOOK = "https://d2l.ai/chapter_convolutional-"
TINY, LARGE, HUGE = "1,3,32,32", "1,3,224,224", "1,3,299,299"

BATCH_NORM = (
    "Ioffe and Szegedy, Batch Normalization: Accelerating Deep Network Training by Reducing "
    "Internal Covariate Shift"
)
INCEPTION4 = (
    "Szegedy, Ioffe, Vanhoucke and Alemi, Inception-v4, Inception-ResNet and the Impact of "
    "Residual Connections on Learning"
)
DESIGN = "Radosavovic, Kosaraju, Girshick, He and Dollar, Designing Network Design Spaces"
RESNET = "He, Zhang, Ren and Sun, Deep Residual Learning for Image Recognition"
IDENTITY = "He, Zhang, Ren and Sun, Identity Mappings in Deep Residual Networks"
DENSENET = "Huang, Liu, van der Maaten and Weinberger, Densely Connected Convolutional Networks"

INCEPTIONS = (
    ModelCard(
        "inception_bn",
        "zoo.models.inception_bn:inception_bn",
        "BN-Inception, or Inception v2: GoogLeNet with batch norm, 5x5s as two 3x3s.",
        LARGE,
        tags=("cnn", "book", "inception", "batchnorm"),
        paper=BATCH_NORM,
        year=2015,
        link=f"{ARXIV}1502.03167",
        table="figure 5",
        book="8.4",
    ),
    ModelCard(
        "inception_v3",
        "zoo.models.inception_v3:inception_v3",
        "Inception v3: 7x7 convolutions as 1x7 and 7x1; by choice with an auxiliary head.",
        HUGE,
        tags=("cnn", "book", "inception", "batchnorm"),
        paper="Szegedy, Vanhoucke, Ioffe, Shlens and Wojna, Rethinking the Inception Architecture "
        "for Computer Vision",
        year=2015,
        link=f"{ARXIV}1512.00567",
        table="table 1",
        book="8.4",
    ),
    ModelCard(
        "inception_v4",
        "zoo.models.inception_v4:inception_v4",
        "Inception v4: fourteen Inception blocks, no shortcuts.",
        HUGE,
        tags=("cnn", "book", "inception", "batchnorm"),
        paper=INCEPTION4,
        year=2016,
        link=f"{ARXIV}1602.07261",
        table="figures 3 to 9",
        book="8.4",
    ),
    ModelCard(
        "inception_resnet_v1",
        "zoo.models.inception_resnet:inception_resnet_v1",
        "Inception-ResNet-v1: Inception blocks that add to their input.",
        HUGE,
        tags=("cnn", "book", "inception", "residual", "batchnorm"),
        paper=INCEPTION4,
        year=2016,
        link=f"{ARXIV}1602.07261",
        table="figures 10 to 15",
        book="8.4",
    ),
    ModelCard(
        "inception_resnet_v2",
        "zoo.models.inception_resnet:inception_resnet_v2",
        "Inception-ResNet-v2: forty wider Inception blocks that add to their input.",
        HUGE,
        tags=("cnn", "book", "inception", "residual", "batchnorm"),
        paper=INCEPTION4,
        year=2016,
        link=f"{ARXIV}1602.07261",
        table="figures 16 to 19",
        book="8.4",
    ),
)

REGNETS = (
    ModelCard(
        "anynet",
        "zoo.models.anynet:anynet",
        "AnyNet: a stem, stages of ResNeXt blocks to one's own settings, and a head.",
        LARGE,
        tags=("cnn", "book", "residual", "regnet"),
        paper=DESIGN,
        year=2020,
        link=f"{ARXIV}2003.13678",
        table="section 3.1",
        book="8.8",
    ),
    ModelCard(
        "regnetx32",
        "zoo.models.anynet:regnetx32",
        "RegNetX-32 of the book: two stages of ResNeXt blocks.",
        "1,1,96,96",
        tags=("cnn", "book", "residual", "regnet"),
        paper=DESIGN,
        year=2020,
        link=f"{BOOK}modern/cnn-design.html",
        book="8.8",
    ),
    ModelCard(
        "regnet",
        "zoo.models.regnet:regnet",
        "RegNet: depths and widths of its stages follow from four numbers.",
        LARGE,
        tags=("cnn", "book", "residual", "regnet"),
        paper=DESIGN,
        year=2020,
        link=f"{ARXIV}2003.13678",
        table="equations 2 to 4",
        book="8.8",
    ),
    ModelCard(
        "regnetx",
        "zoo.models.regnet:regnetx",
        "RegNetX of the paper, of 200mf to 32gf MACs.",
        LARGE,
        arguments={"size": "400mf"},
        tags=("cnn", "book", "residual", "regnet"),
        paper=DESIGN,
        year=2020,
        link=f"{ARXIV}2003.13678",
        table="figure 15",
        book="8.8",
    ),
    ModelCard(
        "regnety",
        "zoo.models.regnet:regnety",
        "RegNetY of the paper, of 200mf to 32gf MACs: with squeeze and excitation.",
        LARGE,
        arguments={"size": "400mf"},
        tags=("cnn", "book", "residual", "regnet"),
        paper=DESIGN,
        year=2020,
        link=f"{ARXIV}2003.13678",
        table="figure 16",
        book="8.8",
    ),
)

CIFAR = (
    *(
        ModelCard(
            f"resnet{depth}_cifar",
            "zoo.models.resnet_cifar:resnet_cifar",
            f"ResNet for small images: {depth} layers, shortcuts without parameters.",
            TINY,
            arguments={"depth": depth},
            tags=("cnn", "book", "residual", "cifar"),
            paper=RESNET,
            year=2015,
            link=f"{ARXIV}1512.03385",
            table="table 6",
            book="8.6",
        )
        for depth in (20, 32, 44, 56, 110, 1202)
    ),
    *(
        ModelCard(
            f"preresnet{depth}",
            "zoo.models.preresnet:preresnet",
            f"Pre-activation ResNet for small images: {depth} layers, {blocks}.",
            TINY,
            arguments={"depth": depth, "bottleneck": blocks == "bottlenecks"},
            tags=("cnn", "book", "residual", "preactivation", "cifar"),
            paper=IDENTITY,
            year=2016,
            link=f"{ARXIV}1603.05027",
            table="table 4",
            book="8.6",
        )
        for depth, blocks in (
            (20, "pairs of 3x3 convolutions"),
            (56, "pairs of 3x3 convolutions"),
            (110, "pairs of 3x3 convolutions"),
            (164, "bottlenecks"),
            (1001, "bottlenecks"),
        )
    ),
    *(
        ModelCard(
            name,
            "zoo.models.densenet_cifar:densenet_cifar",
            f"{kind} for small images: 40 to 250 layers, three dense blocks.",
            TINY,
            arguments=arguments,
            tags=("cnn", "book", "dense", "cifar"),
            paper=DENSENET,
            year=2016,
            link=f"{ARXIV}1608.06993",
            table="table 2",
            book="8.7",
        )
        for name, kind, arguments in (
            ("densenet_cifar", "DenseNet", {}),
            (
                "densenet_bc_cifar",
                "DenseNet-BC",
                {"depth": 100, "bottleneck": True, "compression": 0.5},
            ),
        )
    ),
)

SCRATCH = (
    ModelCard(
        "conv_scratch",
        "zoo.models.conv_scratch:conv_scratch",
        "Convolution, padding, stride, channels and pooling from scratch, in a small network.",
        "1,1,28,28",
        tags=("cnn", "book", "teaching", "scratch"),
        paper="LeCun, Boser, Denker, Henderson, Howard, Hubbard and Jackel, Backpropagation "
        "Applied to Handwritten Zip Code Recognition",
        year=1989,
        link=f"{BOOK}neural-networks/channels.html",
        book="7.2",
    ),
    ModelCard(
        "batchnorm_scratch",
        "zoo.models.batchnorm_scratch:batchnorm_scratch",
        "Batch norm from scratch, whose moving averages hide a copy between devices.",
        "2,1,28,28",
        tags=("cnn", "book", "teaching", "scratch", "batchnorm"),
        paper=BATCH_NORM,
        year=2015,
        link=f"{BOOK}modern/batch-norm.html",
        table="algorithms 1 and 2",
        book="8.5",
    ),
)

CARDS: tuple[ModelCard, ...] = (*INCEPTIONS, *REGNETS, *CIFAR, *SCRATCH)
