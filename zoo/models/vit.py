"""Vision Transformer: an image is a sequence of patches.

Dosovitskiy, Beyer, Kolesnikov, Weissenborn, Zhai, Unterthiner, Dehghani, Minderer, Heigold, Gelly,
Uszkoreit and Houlsby, "An image is worth 16x16 words", 2020, section 3.1 and table 1. Dive into
Deep Learning, 11.8.

             blocks   width     MLP   heads   image   patch         biases of attention
    book          2     512   2,048       8      96   16            no
    base         12     768   3,072      12     224   16 or 32      yes
    large        24   1,024   4,096      16     224   16 or 32      yes
    huge         32   1,280   5,120      16     224   14            yes

Each patch becomes a token by a linear map. A learned token stands before them, learned positions
are added, and the classes are read off that first token after the last block. The norm comes before
each layer, not after it as in the Transformer of 2017:

    y = x + attention(norm(x)); y + mlp(norm(y))

B images of C channels, P patches, width N.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from zoo.models._init import XavierConv2d, XavierLinear
from zoo.models._sizes import at_least_one
from zoo.models.blocks.attention import MultiHeadAttention

EPS = 1e-6
"""Added to the variance in each norm, as in the authors' code."""


@dataclass(frozen=True, slots=True)
class ViTSizes:
    """A row of the table."""

    num_blks: int
    """Blocks."""
    num_hiddens: int
    """Width N of a token."""
    mlp_num_hiddens: int
    """Width inside the MLP."""
    num_heads: int
    """Heads; `num_hiddens` is a multiple."""
    use_bias: bool = True
    """Whether attention's linear maps have biases."""


BOOK = ViTSizes(2, 512, 2048, 8, use_bias=False)
BASE = ViTSizes(12, 768, 3072, 12)
LARGE = ViTSizes(24, 1024, 4096, 16)
HUGE = ViTSizes(32, 1280, 5120, 16)


class PatchEmbedding(nn.Module):
    """Cuts an image into patches, and maps each to a token.

    Args:
        img_size: Height and width of the image, in pixels.
        patch_size: Height and width of a patch, in pixels; `img_size` is a multiple.
        num_hiddens: Width N of a token.

    Raises:
        ValueError: `img_size` is no multiple of `patch_size`, or one of them is below 1.
    """

    def __init__(self, img_size: int = 96, patch_size: int = 16, num_hiddens: int = 512) -> None:
        super().__init__()
        at_least_one(img_size=img_size, patch_size=patch_size, num_hiddens=num_hiddens)
        if img_size % patch_size:
            raise ValueError(f"an image of {img_size} pixels does not split into {patch_size}s")
        self.img_size = img_size
        self.num_patches = (img_size // patch_size) ** 2
        self.conv = XavierConv2d(num_hiddens, kernel_size=patch_size, stride=patch_size)

    def forward(self, x: Tensor) -> Tensor:  # (B, C, H, W)
        """Map each patch to a token.

        Args:
            x: Images, (B, C, H, W).

        Returns:
            Tokens row by row, (B, P, N).

        Raises:
            ValueError: The images have another size than the model was built for.
        """
        height, width = x.shape[2:]
        if height != self.img_size or width != self.img_size:
            built = f"{self.img_size}x{self.img_size}"
            raise ValueError(f"the images are {height}x{width}, the model was built for {built}")
        patches: Tensor = self.conv(x)  # (B, N, H / patch, W / patch)
        return patches.flatten(2).transpose(1, 2)  # (B, P, N)


class ViTMLP(nn.Module):
    """Two linear maps with GELU between them, the same at each token.

    Args:
        mlp_num_hiddens: Width F between the two.
        mlp_num_outputs: Width N of the output.
        dropout: Probability with which an element is left out in training, after each map.
    """

    def __init__(self, mlp_num_hiddens: int, mlp_num_outputs: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.dense1 = XavierLinear(mlp_num_hiddens)
        self.gelu = nn.GELU()
        self.dropout1 = nn.Dropout(dropout)
        self.dense2 = XavierLinear(mlp_num_outputs)
        self.dropout2 = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:  # (B, T, N)
        """(B, T, N) -> (B, T, N)."""
        y = self.dropout1(self.gelu(self.dense1(x)))  # (B, T, F)
        out: Tensor = self.dropout2(self.dense2(y))  # (B, T, N)
        return out


class ViTBlock(nn.Module):
    """Self-attention and an MLP, each given its input normalised and added to it.

    Args:
        num_hiddens: Width N of a token.
        mlp_num_hiddens: Width inside the MLP.
        num_heads: Heads; `num_hiddens` is a multiple.
        dropout: Of attention shares and of what is added.
        use_bias: Whether attention's linear maps have biases.
    """

    def __init__(
        self,
        num_hiddens: int,
        mlp_num_hiddens: int,
        num_heads: int,
        dropout: float = 0.0,
        *,
        use_bias: bool = False,
    ) -> None:
        super().__init__()
        self.ln1 = nn.LayerNorm(num_hiddens, eps=EPS)
        self.attention = MultiHeadAttention(num_hiddens, num_heads, dropout, bias=use_bias)
        self.ln2 = nn.LayerNorm(num_hiddens, eps=EPS)
        self.mlp = ViTMLP(mlp_num_hiddens, num_hiddens, dropout)

    def forward(self, x: Tensor, valid_lens: Tensor | None = None) -> Tensor:
        """(B, T, N), lengths (B,) or (B, T) -> (B, T, N)."""
        normed: Tensor = self.ln1(x)  # (B, T, N)
        y: Tensor = x + self.attention(normed, normed, normed, valid_lens)  # (B, T, N)
        out: Tensor = y + self.mlp(self.ln2(y))  # (B, T, N)
        return out


class ViT(nn.Module):
    """Patches, a token of the class, positions, blocks and one linear layer.

    Args:
        sizes: Blocks, widths and heads.
        img_size: Height and width of the image, in pixels.
        patch_size: Height and width of a patch, in pixels; `img_size` is a multiple.
        num_classes: Width of the output.
        dropout: Of tokens, attention shares and what is added.
    """

    def __init__(
        self,
        sizes: ViTSizes = BOOK,
        img_size: int = 96,
        patch_size: int = 16,
        num_classes: int = 10,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        at_least_one(num_classes=num_classes)
        width = sizes.num_hiddens
        self.patch_embedding = PatchEmbedding(img_size, patch_size, width)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        tokens = self.patch_embedding.num_patches + 1
        self.pos_embedding = nn.Parameter(torch.empty(1, tokens, width).normal_(std=0.02))
        self.dropout = nn.Dropout(dropout)
        self.blks = nn.Sequential(
            *(
                ViTBlock(
                    width, sizes.mlp_num_hiddens, sizes.num_heads, dropout, use_bias=sizes.use_bias
                )
                for _ in range(sizes.num_blks)
            )
        )
        self.ln = nn.LayerNorm(width, eps=EPS)
        self.head = XavierLinear(num_classes)

    def forward(self, x: Tensor) -> Tensor:  # (B, C, H, W)
        """(B, C, H, W) -> (B, classes)."""
        patches = self.patch_embedding(x)  # (B, P, N)
        first = self.cls_token.expand(patches.shape[0], -1, -1)  # (B, 1, N)
        tokens = torch.cat((first, patches), dim=1)  # (B, P + 1, N)
        tokens = self.dropout(tokens + self.pos_embedding)  # (B, P + 1, N)
        tokens = self.blks(tokens)  # (B, P + 1, N)
        out: Tensor = self.head(self.ln(tokens[:, 0]))  # (B, classes)
        return out


def vit(num_classes: int = 10, img_size: int = 96, dropout: float = 0.1) -> ViT:
    """ViT of the book."""
    return ViT(BOOK, img_size, 16, num_classes, dropout)


def vit_base_16(num_classes: int = 1000, img_size: int = 224, dropout: float = 0.0) -> ViT:
    """ViT-B/16."""
    return ViT(BASE, img_size, 16, num_classes, dropout)


def vit_base_32(num_classes: int = 1000, img_size: int = 224, dropout: float = 0.0) -> ViT:
    """ViT-B/32."""
    return ViT(BASE, img_size, 32, num_classes, dropout)


def vit_large_16(num_classes: int = 1000, img_size: int = 224, dropout: float = 0.0) -> ViT:
    """ViT-L/16."""
    return ViT(LARGE, img_size, 16, num_classes, dropout)


def vit_large_32(num_classes: int = 1000, img_size: int = 224, dropout: float = 0.0) -> ViT:
    """ViT-L/32."""
    return ViT(LARGE, img_size, 32, num_classes, dropout)


def vit_huge_14(num_classes: int = 1000, img_size: int = 224, dropout: float = 0.0) -> ViT:
    """ViT-H/14."""
    return ViT(HUGE, img_size, 14, num_classes, dropout)
