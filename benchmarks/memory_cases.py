"""What a training step's memory is measured on: architectures of five kinds, small batches.

Each case builds a model with its weights, says what it runs on and which of its modules are
checkpointed. The sizes are chosen so that a step takes less than a second or two on two cores.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass(frozen=True, slots=True)
class Case:
    """A model, its input, and what of it can be run again instead of kept."""

    name: str
    kind: str
    """`cnn`, `depthwise`, `transformer`, `recurrent` or `book` (the notes' own)."""
    make: Callable[..., nn.Module]
    shape: tuple[int, ...]
    """Of the one input: float32, or token numbers below `vocabulary`."""
    checkpoint: tuple[str, ...]
    """Patterns of module paths, in the words of `zoo.memory(checkpoint=...)`."""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    vocabulary: int = 0
    """Of token numbers; 0 where the input is float32."""

    def build(self) -> nn.Module:
        """The model with its weights, in training mode."""
        torch.manual_seed(0)
        return self.make(**self.arguments).train()

    def inputs(self) -> Tensor:
        """Random numbers of the case's shape."""
        generator = torch.Generator().manual_seed(1)
        if self.vocabulary:
            return torch.randint(0, self.vocabulary, self.shape, generator=generator)
        return torch.randn(self.shape, generator=generator)


def chosen(paths: list[str], patterns: tuple[str, ...]) -> list[str]:
    """The outermost of the paths that a pattern matches."""
    found: list[str] = []
    for path in paths:
        inside = any(path.startswith(f"{outer}.") for outer in found)
        if path and not inside and any(fnmatchcase(path, pattern) for pattern in patterns):
            found.append(path)
    return found


class Recurrent(nn.Module):
    """A language model: tokens (N, T) to scores (N, T, vocabulary)."""

    def __init__(self, cell: str, vocabulary: int, width: int, **settings: Any) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.rnn = getattr(nn, cell)(width, batch_first=True, **settings)
        directions = 2 if settings.get("bidirectional") else 1
        self.head = nn.Linear(directions * settings["hidden_size"], vocabulary)

    def forward(self, tokens: Tensor) -> Tensor:
        """(N, T) -> (N, T, vocabulary)."""
        hidden: Tensor = self.rnn(self.embedding(tokens))[0]
        scores: Tensor = self.head(hidden)
        return scores


class Encoder(nn.Module):
    """torch's own transformer encoder over tokens (N, T), with dropout."""

    def __init__(self, vocabulary: int, width: int, heads: int, layers: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        layer = nn.TransformerEncoderLayer(width, heads, 4 * width, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.head = nn.Linear(width, vocabulary)

    def forward(self, tokens: Tensor) -> Tensor:
        """(N, T) -> (N, T, vocabulary)."""
        scores: Tensor = self.head(self.encoder(self.embedding(tokens)))
        return scores


class Block(nn.Module):
    """A decoder's layer: causal attention and a network of two layers, no dropout."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mix, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(N, T, width) -> (N, T, width)."""
        n, t, width = x.shape
        parts = self.mix(self.norm1(x)).view(n, t, 3, self.heads, width // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).reshape(n, t, width))
        y: Tensor = x + self.down(nn.functional.gelu(self.up(self.norm2(x))))
        return y


class Decoder(nn.Module):
    """A small GPT over tokens (N, T); the head is the embedding."""

    def __init__(self, vocabulary: int, width: int, heads: int, layers: int, length: int) -> None:
        super().__init__()
        self.tokens, self.places = nn.Embedding(vocabulary, width), nn.Embedding(length, width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocabulary, bias=False)
        self.head.weight = self.tokens.weight

    def forward(self, tokens: Tensor) -> Tensor:
        """(N, T) -> (N, T, vocabulary)."""
        x = self.tokens(tokens) + self.places(torch.arange(tokens.shape[1]))
        for block in self.blocks:
            x = block(x)
        scores: Tensor = self.head(self.norm(x))
        return scores


def _torchvision(name: str, **settings: Any) -> nn.Module:
    import torchvision

    if name == "VisionTransformer":
        return torchvision.models.VisionTransformer(**settings)  # type: ignore[no-any-return]
    model: nn.Module = getattr(torchvision.models, name)(weights=None, **settings)
    return model


def _book(name: str, **settings: Any) -> nn.Module:
    import zoo

    return zoo.create(f"book/{name}", **settings)


def _vision(
    name: str, kind: str, shape: tuple[int, ...], *checkpoint: str, **settings: Any
) -> Case:
    return Case(name, kind, _torchvision, shape, checkpoint, {"name": name, **settings})


def _notes(name: str, shape: tuple[int, ...], *checkpoint: str) -> Case:
    return Case(f"book/{name}", "book", _book, shape, checkpoint, {"name": name})


def _language(
    name: str, kind: str, shape: tuple[int, int], *checkpoint: str, **settings: Any
) -> Case:
    make = {"encoder": Encoder, "decoder": Decoder}.get(name, Recurrent)
    return Case(name, kind, make, shape, checkpoint, settings, settings["vocabulary"])


VIT = {
    "image_size": 128,
    "patch_size": 16,
    "num_layers": 6,
    "num_heads": 4,
    "hidden_dim": 256,
    "mlp_dim": 1024,
}
ENCODER = {"vocabulary": 2000, "width": 128, "heads": 4, "layers": 4}
DECODER = {"vocabulary": 4000, "width": 128, "heads": 4, "layers": 6, "length": 256}
LSTM = {"cell": "LSTM", "vocabulary": 1000, "width": 128, "hidden_size": 256}
DEEP = LSTM | {"hidden_size": 192, "num_layers": 3, "bidirectional": True}

CASES = {
    case.name: case
    for case in (
        _vision("alexnet", "cnn", (16, 3, 128, 128), "features"),
        _vision("squeezenet1_1", "cnn", (4, 3, 128, 128), "features.[34679]", "features.1?"),
        _vision("resnet18", "cnn", (8, 3, 128, 128), "layer?"),
        _vision("googlenet", "cnn", (4, 3, 128, 128), "inception*", init_weights=False),
        _vision("densenet121", "cnn", (2, 3, 128, 128), "features.denseblock*"),
        _vision("mobilenet_v2", "depthwise", (4, 3, 96, 96), "features.*"),
        _vision("mobilenet_v3_small", "depthwise", (8, 3, 96, 96), "features.*"),
        _vision("efficientnet_b0", "depthwise", (2, 3, 96, 96), "features.*"),
        _vision("shufflenet_v2_x1_0", "depthwise", (8, 3, 96, 96), "stage*"),
        _vision("convnext_tiny", "depthwise", (2, 3, 128, 128), "features.*"),
        _vision("swin_t", "transformer", (2, 3, 160, 160), "features.*"),
        Case(
            "vit",
            "transformer",
            _torchvision,
            (8, 3, 128, 128),
            ("encoder.layers.*",),
            {"name": "VisionTransformer", **VIT},
        ),
        _language("encoder", "transformer", (4, 64), "encoder.layers.*", **ENCODER),
        _language("decoder", "transformer", (4, 256), "blocks.*", **DECODER),
        _language("lstm", "recurrent", (8, 32), "rnn", **LSTM),
        _language("gru", "recurrent", (8, 32), "rnn", **(LSTM | {"cell": "GRU"})),
        _language("bilstm", "recurrent", (8, 32), "rnn", **DEEP),
        _notes("lenet", (64, 1, 28, 28), "conv?"),
        _notes("nin", (8, 1, 96, 96), "b?"),
        _notes("resnet18", (8, 1, 96, 96), "b?"),
        _notes("densenet", (8, 1, 96, 96), "dense?"),
        _notes("googlenet", (8, 1, 96, 96), "b?"),
    )
}
