"""Cards of the vision and generative chapters: segmentation, detection, image generation."""

from __future__ import annotations

from zoo.catalog.card import ModelCard

BOOK = "https://d2l.ai"
ARXIV = "https://arxiv.org/abs/"

GAN = "Goodfellow et al., Generative Adversarial Nets"
DCGAN = (
    "Radford, Metz and Chintala, Unsupervised Representation Learning with Deep Convolutional "
    "Generative Adversarial Networks"
)

CARDS = (
    ModelCard(
        "fcn",
        "zoo.models.fcn:fcn",
        "FCN-32s on ResNet-18: a class for every pixel.",
        "1,3,320,480",
        tags=("cnn", "book", "segmentation"),
        paper="Long, Shelhamer and Darrell, Fully Convolutional Networks for Semantic Segmentation",
        year=2014,
        link=f"{ARXIV}1411.4038",
        table="section 3",
        book="14.11",
    ),
    ModelCard(
        "transposed_conv_scratch",
        "zoo.models.transposed_conv_scratch:transposed_conv_scratch",
        "Transposed convolution from products and sums: kernel 4, stride 2, doubles an image.",
        "1,3,16,16",
        tags=("cnn", "book", "teaching", "segmentation"),
        paper="Dumoulin and Visin, A Guide to Convolution Arithmetic for Deep Learning",
        year=2016,
        link=f"{ARXIV}1603.07285",
        table="chapter 4",
        book="14.10",
    ),
    ModelCard(
        "tiny_ssd",
        "zoo.models.tiny_ssd:tiny_ssd",
        "TinySSD: classes and offsets of 5,444 anchor boxes, at five scales.",
        "1,3,256,256",
        tags=("cnn", "book", "detection"),
        paper="Liu, Anguelov, Erhan, Szegedy, Reed, Fu and Berg, SSD: Single Shot MultiBox "
        "Detector",
        year=2015,
        link=f"{ARXIV}1512.02325",
        table="section 2.1",
        book="14.7",
    ),
    ModelCard(
        "style_transfer",
        "zoo.models.style_transfer:style_transfer",
        "Style transfer: content and style of an image, read from VGG-19.",
        "1,3,300,450",
        tags=("cnn", "book", "style"),
        paper="Gatys, Ecker and Bethge, Image Style Transfer Using Convolutional Neural Networks",
        year=2016,
        link=f"{BOOK}/chapter_computer-vision/neural-style.html",
        table="section 2",
        book="14.12",
    ),
    ModelCard(
        "gan_generator",
        "zoo.models.gan:gan_generator",
        "Generator of points of a Gaussian: one linear layer.",
        "8,2",
        tags=("mlp", "book", "teaching", "gan"),
        paper=GAN,
        year=2014,
        link=f"{ARXIV}1406.2661",
        table="algorithm 1",
        book="20.1",
    ),
    ModelCard(
        "gan_discriminator",
        "zoo.models.gan:gan_discriminator",
        "Discriminator of points: three linear layers, tanh.",
        "8,2",
        tags=("mlp", "book", "teaching", "gan"),
        paper=GAN,
        year=2014,
        link=f"{ARXIV}1406.2661",
        table="algorithm 1",
        book="20.1",
    ),
    ModelCard(
        "dcgan_generator",
        "zoo.models.dcgan:dcgan_generator",
        "DCGAN's generator: 64x64 images from 100 numbers of noise.",
        "1,100,1,1",
        tags=("cnn", "book", "gan"),
        paper=DCGAN,
        year=2015,
        link=f"{ARXIV}1511.06434",
        table="figure 1",
        book="20.2",
    ),
    ModelCard(
        "dcgan_discriminator",
        "zoo.models.dcgan:dcgan_discriminator",
        "DCGAN's discriminator: a score for a 64x64 image.",
        "1,3,64,64",
        tags=("cnn", "book", "gan"),
        paper=DCGAN,
        year=2015,
        link=f"{ARXIV}1511.06434",
        table="section 3",
        book="20.2",
    ),
)
