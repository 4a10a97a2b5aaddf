"""TextCNN: a text as a one-dimensional image.

Kim, "Convolutional neural networks for sentence classification", 2014, section 2 and figure 1. Dive
into Deep Learning, 16.3. Kernels of several widths run along the text; of each channel the largest
value over time is kept. There are two embeddings side by side: one is trained, one stays as it was
given (CNN-multichannel of the paper).

    widths      3, 4, 5
    channels    100 each
    V           49,346 tokens of width 100, twice
    parameters  2 * 100 V + 100 * (3 + 4 + 5) * 200 + 300 + 300 * 2 + 2 = 10,110,102

The book's PyTorch code takes the mean over time where its text and the paper take the largest; this
file follows the paper. A text is at least as long as the widest kernel.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def corr1d(x: Tensor, kernel: Tensor) -> Tensor:
    """One-dimensional cross-correlation from scratch, summed over channels.

    Args:
        x: (C, T).
        kernel: (C, K).

    Returns:
        (T - K + 1,).

    Example:
        >>> corr1d(torch.arange(7)[None], torch.tensor([[1, 2]])).tolist()
        [2, 5, 8, 11, 14, 17]
    """
    windows = x.unfold(1, kernel.shape[1], 1)  # (C, T - K + 1, K)
    return (windows * kernel[:, None]).sum(dim=(0, 2))  # (T - K + 1,)


class TextCNN(nn.Module):
    """Two embeddings, convolutions of several widths, the largest over time, a linear layer.

    Args:
        vocab_size: Tokens V.
        embed_size: Width E of a token in each embedding.
        kernel_sizes: Tokens that a kernel sees; one entry for each width.
        num_channels: Output channels of each width.
        num_classes: Width of the output.
        dropout: Probability with which a feature is left out in training.

    Raises:
        ValueError: `kernel_sizes` and `num_channels` differ in length.
    """

    def __init__(
        self,
        vocab_size: int = 49346,
        embed_size: int = 100,
        kernel_sizes: tuple[int, ...] = (3, 4, 5),
        num_channels: tuple[int, ...] = (100, 100, 100),
        num_classes: int = 2,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        if len(kernel_sizes) != len(num_channels):
            raise ValueError(
                f"{len(kernel_sizes)} kernel sizes and {len(num_channels)} numbers of channels: "
                "give one of each for every width"
            )
        self.embedding = nn.Embedding(vocab_size, embed_size)
        self.constant_embedding = nn.Embedding(vocab_size, embed_size)
        self.constant_embedding.weight.requires_grad = False
        self.convs = nn.ModuleList(
            nn.Conv1d(2 * embed_size, channels, width)
            for width, channels in zip(kernel_sizes, num_channels, strict=True)
        )
        self.dropout = nn.Dropout(dropout)
        self.decoder = nn.Linear(sum(num_channels), num_classes)
        for layer in (*self.convs, self.decoder):
            nn.init.xavier_uniform_(layer.get_parameter("weight"))

    def forward(self, tokens: Tensor) -> Tensor:  # (B, T)
        """Token ids (B, T) -> scores (B, classes)."""
        both = (self.embedding(tokens), self.constant_embedding(tokens))  # (B, T, E) each
        x = torch.cat(both, dim=2).transpose(1, 2)  # (B, 2 E, T)
        largest = [conv(x).amax(dim=-1).relu() for conv in self.convs]  # (B, channels) each
        features = self.dropout(torch.cat(largest, dim=1))  # (B, sum of channels)
        scores: Tensor = self.decoder(features)  # (B, classes)
        return scores


def textcnn(
    vocab_size: int = 49346,
    embed_size: int = 100,
    kernel_sizes: tuple[int, ...] = (3, 4, 5),
    num_channels: tuple[int, ...] = (100, 100, 100),
    num_classes: int = 2,
    dropout: float = 0.5,
) -> TextCNN:
    """The book's, for the sentiment of film reviews."""
    return TextCNN(vocab_size, embed_size, kernel_sizes, num_channels, num_classes, dropout)
