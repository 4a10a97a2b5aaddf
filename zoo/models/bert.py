"""BERT: an encoder that learns from the words that are masked in a text.

Devlin, Chang, Lee and Toutanova, "BERT: pre-training of deep bidirectional transformers for
language understanding", 2018, section 3 and appendix A.2. Dive into Deep Learning, 15.8. A token is
the sum of the embeddings of its word, its position and its segment; blocks are those of the
Transformer's encoder, with the norm after each sum:

    x = norm(x + attention(x, x))
    x = norm(x + dense(act(dense(x))))

    settings        base    large    (section 3; the words are those of the uncased checkpoints)
    blocks            12       24
    width            768    1,024
    network        3,072    4,096
    heads             12       16
    words         30,522   30,522
    positions        512      512
    parameters     110 M    340 M    with pooler: 109,482,240 and 335,141,888

Heads: `mlm` says which word stands at masked positions, `nsp` whether the second segment follows
the first, `pooler` sums up the first token, and `classes` classifies it (16.7). The book's BERT
differs by settings alone: ReLU for GELU, no norm or dropout of the embeddings, norms with an eps of
1e-5, a head for words with a weight of its own, 1,000 positions.

B sequences of T tokens, P of them masked; width C, V words. Parameters have the names and shapes of
published checkpoints.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, gelu, scaled_dot_product_attention

from zoo.models._config import signature
from zoo.models._init import draw_normal
from zoo.models.bert_config import TINY, BertConfig, read
from zoo.models.blocks.attention import valid_mask

if TYPE_CHECKING:
    from zoo.models._config import Config


class BertOutput(NamedTuple):
    """What BERT says of a batch; None where it has no such head."""

    encoded: Tensor
    """(B, T, C)."""
    mlm: Tensor | None = None
    """Scores of each word at the masked positions, (B, P, V)."""
    nsp: Tensor | None = None
    """Scores of no and yes to whether the second segment follows the first, (B, 2)."""
    pooled: Tensor | None = None
    """The first token, summed up: (B, C)."""
    classes: Tensor | None = None
    """Scores of each class, (B, classes)."""


class Activation(nn.Module):
    """GELU, GELU by tanh, or ReLU.

    Args:
        kind: As a config says it.
    """

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def forward(self, x: Tensor) -> Tensor:
        """Any shape, which stays."""
        if self.kind == "relu":
            return x.relu()
        return gelu(x, approximate="none" if self.kind == "gelu" else "tanh")


class Embeddings(nn.Module):
    """Words, positions and segments, summed. (B, T), (B, T) -> (B, T, C).

    Args:
        config: Settings.
    """

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.word_embeddings = nn.Embedding(config.vocab_size, width)
        self.position_embeddings = nn.Embedding(config.max_position_embeddings, width)
        self.token_type_embeddings = nn.Embedding(config.type_vocab_size, width)
        self.LayerNorm: nn.LayerNorm | None = None
        if config.embedding_norm:
            self.LayerNorm = nn.LayerNorm(width, config.layer_norm_eps)
            self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, tokens: Tensor, segments: Tensor | None) -> Tensor:  # (B, T), (B, T)
        """(B, T), (B, T) or None where all are of the first segment -> (B, T, C)."""
        longest = self.position_embeddings.num_embeddings
        if tokens.shape[1] > longest:
            raise ValueError(f"{tokens.shape[1]} tokens, but max_position_embeddings is {longest}")
        if segments is None:
            segments = torch.zeros_like(tokens)  # (B, T)
        positions = torch.arange(tokens.shape[1], device=tokens.device)  # (T,)
        x = self.word_embeddings(tokens) + self.token_type_embeddings(segments)  # (B, T, C)
        x = x + self.position_embeddings(positions)  # (B, T, C)
        if self.LayerNorm is not None:
            x = self.dropout(self.LayerNorm(x))  # (B, T, C)
        summed: Tensor = x
        return summed


class SelfAttention(nn.Module):
    """Each token asks all others, in several heads. (B, T, C) -> (B, T, C).

    Args:
        config: Settings.
    """

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.heads = config.num_attention_heads
        self.dropout = config.attention_probs_dropout_prob
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)

    def split(self, x: Tensor) -> Tensor:  # (B, T, C)
        """A head each: (B, T, C) -> (B, H, T, C / H)."""
        heads: Tensor = x.unflatten(-1, (self.heads, -1))  # (B, T, H, C / H)
        return heads.transpose(1, 2)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:  # (B, T, C)
        """(B, T, C), true where a key counts (B, 1, 1 or T, T) or None -> (B, T, C)."""
        q, k, v = (self.split(to(x)) for to in (self.query, self.key, self.value))  # (B, H, T, C/H)
        share = self.dropout if self.training else 0.0
        y = scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=share)  # (B, H, T, C/H)
        return y.transpose(1, 2).flatten(2)  # (B, T, C)


class AddNorm(nn.Module):
    """A linear map of what a layer found, added to the layer's input and normalised.

    Args:
        inner: Width of what it found.
        config: Settings.
    """

    def __init__(self, inner: int, config: BertConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(inner, config.hidden_size)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)

    def forward(self, y: Tensor, x: Tensor) -> Tensor:
        """What it found (B, T, inner), its input (B, T, C) -> (B, T, C)."""
        out: Tensor = self.LayerNorm(x + self.dropout(self.dense(y)))  # (B, T, C)
        return out


class Attention(nn.Module):
    """Self-attention, added to its input. (B, T, C) -> (B, T, C).

    Args:
        config: Settings.
    """

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.self = SelfAttention(config)
        self.output = AddNorm(config.hidden_size, config)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:  # (B, T, C)
        """(B, T, C), true where a key counts (B, 1, 1 or T, T) or None -> (B, T, C)."""
        out: Tensor = self.output(self.self(x, mask), x)  # (B, T, C)
        return out


class Dense(nn.Module):
    """A linear map and an activation, and a norm where one is asked for. (..., I) -> (..., O).

    Args:
        inner: Width I.
        outer: Width O.
        config: Settings.
        norm: Whether there is one.
    """

    def __init__(self, inner: int, outer: int, config: BertConfig, *, norm: bool = False) -> None:
        super().__init__()
        self.dense = nn.Linear(inner, outer)
        self.act = Activation(config.hidden_act)
        self.LayerNorm = nn.LayerNorm(outer, config.layer_norm_eps) if norm else None

    def forward(self, x: Tensor) -> Tensor:  # (..., I)
        """(..., I) -> (..., O)."""
        y: Tensor = self.act(self.dense(x))  # (..., O)
        return y if self.LayerNorm is None else self.LayerNorm(y)  # (..., O)


class Layer(nn.Module):
    """One block: attention, then a network at each position. (B, T, C) -> (B, T, C).

    Args:
        config: Settings.
    """

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.attention = Attention(config)
        self.intermediate = Dense(config.hidden_size, config.intermediate_size, config)
        self.output = AddNorm(config.intermediate_size, config)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:  # (B, T, C)
        """(B, T, C), true where a key counts (B, 1, 1 or T, T) or None -> (B, T, C)."""
        y = self.attention(x, mask)  # (B, T, C)
        out: Tensor = self.output(self.intermediate(y), y)  # (B, T, C)
        return out


class Layers(nn.Module):
    """All blocks. (B, T, C) -> (B, T, C).

    Args:
        config: Settings.
    """

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.layer = nn.ModuleList(Layer(config) for _ in range(config.num_hidden_layers))

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:  # (B, T, C)
        """(B, T, C), true where a key counts (B, 1, 1 or T, T) or None -> (B, T, C)."""
        for layer in self.layer:
            x = layer(x, mask)  # (B, T, C)
        return x


class Pooler(nn.Module):
    """The first token, summed up. (B, T, C) -> (B, C).

    Args:
        config: Settings.
    """

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, encoded: Tensor) -> Tensor:  # (B, T, C)
        """(B, T, C) -> (B, C), within -1 and 1."""
        pooled: Tensor = self.dense(encoded[:, 0]).tanh()  # (B, C)
        return pooled


class Encoder(nn.Module):
    """Embeddings and blocks, with a pooler where a head wants one.

    Args:
        config: Settings.
    """

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.embeddings = Embeddings(config)
        self.encoder = Layers(config)
        self.pooler = Pooler(config) if config.pooled else None

    def forward(
        self, tokens: Tensor, segments: Tensor | None = None, valid_lens: Tensor | None = None
    ) -> Tensor:  # (B, T), (B, T), (B,)
        """(B, T), (B, T), lengths (B,) or (B, T) -> (B, T, C)."""
        mask = None if valid_lens is None else valid_mask(valid_lens, tokens.shape[1])[:, None]
        encoded: Tensor = self.encoder(self.embeddings(tokens, segments), mask)  # (B, T, C)
        return encoded


class Predictions(nn.Module):
    """Which word stands at a position. (B, P, C) -> (B, P, V).

    Args:
        config: Settings.
    """

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.transform = Dense(config.hidden_size, config.hidden_size, config, norm=True)
        self.decoder = nn.Linear(config.hidden_size, config.vocab_size)

    def forward(self, encoded: Tensor) -> Tensor:  # (B, P, C)
        """(B, P, C) -> (B, P, V)."""
        scores: Tensor = self.decoder(self.transform(encoded))  # (B, P, V)
        return scores


class Heads(nn.Module):
    """The heads of pretraining.

    Args:
        config: Settings.
    """

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.predictions = Predictions(config) if "mlm" in config.heads else None
        self.seq_relationship = nn.Linear(config.hidden_size, 2) if "nsp" in config.heads else None


class Bert(nn.Module):
    """An encoder and its heads.

    Args:
        config: Settings.
    """

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.config = config
        self.bert = Encoder(config)
        self.cls = Heads(config)
        self.classifier: nn.Linear | None = None
        if "classes" in config.heads:
            self.dropout = nn.Dropout(config.hidden_dropout_prob)
            self.classifier = nn.Linear(config.hidden_size, config.num_labels)
        self.apply(draw_normal)
        if self.cls.predictions is not None and config.tie_word_embeddings:
            self.cls.predictions.decoder.weight = self.bert.embeddings.word_embeddings.weight
        self.to(getattr(torch, config.torch_dtype or "float32"))

    def forward(
        self,
        tokens: Tensor,
        segments: Tensor | None = None,
        valid_lens: Tensor | None = None,
        pred_positions: Tensor | None = None,
    ) -> BertOutput:
        """Encode, and let each head read the encoding.

        Args:
            tokens: Ids of words, (B, T).
            segments: 0 or 1 for each, (B, T); None: all 0.
            valid_lens: How many of a sequence's tokens count, (B,); None: all.
            pred_positions: Which tokens are masked, (B, P); None: all are looked at.

        Returns:
            The encoding, and what the heads find.
        """
        encoded = self.bert(tokens, segments, valid_lens)  # (B, T, C)
        mlm = nsp = pooled = classes = None
        if self.cls.predictions is not None:
            masked = encoded if pred_positions is None else gather(encoded, pred_positions)
            mlm = self.cls.predictions(masked)  # (B, P, V)
        if self.bert.pooler is not None:
            pooled = self.bert.pooler(encoded)  # (B, C)
        if self.cls.seq_relationship is not None:
            nsp = self.cls.seq_relationship(pooled)  # (B, 2)
        if self.classifier is not None:
            classes = self.classifier(self.dropout(pooled))  # (B, classes)
        if "pooler" not in self.config.heads:
            pooled = None
        return BertOutput(encoded, mlm, nsp, pooled, classes)


def gather(encoded: Tensor, positions: Tensor) -> Tensor:
    """Tokens at some positions of each sequence.

    Args:
        encoded: (B, T, C).
        positions: (B, P), from 0.

    Returns:
        (B, P, C).
    """
    wide = positions[:, :, None].expand(-1, -1, encoded.shape[2])  # (B, P, C)
    return encoded.gather(1, wide)


def pretraining_loss(
    output: BertOutput, mlm_weights: Tensor, mlm_labels: Tensor, nsp_labels: Tensor
) -> Tensor:
    """Sum of both losses of pretraining (15.10).

    Args:
        output: Of a model with the heads `mlm` and `nsp`.
        mlm_weights: 1 for each masked word, 0 for what pads the row, (B, P).
        mlm_labels: The words that were masked, (B, P).
        nsp_labels: 1 where the second segment follows the first, else 0, (B,).

    Returns:
        Mean cross-entropy over masked words plus mean cross-entropy over pairs, in nats.

    Raises:
        ValueError: A head is missing.
    """
    if output.mlm is None or output.nsp is None:
        raise ValueError("the loss of pretraining wants the heads mlm and nsp")
    words = cross_entropy(output.mlm.flatten(0, 1), mlm_labels.flatten(), reduction="none")
    weights = mlm_weights.flatten()  # (B * P,)
    masked = (words * weights).sum() / weights.sum().clamp(min=1)
    return masked + cross_entropy(output.nsp, nsp_labels)


def bert(config: Config = TINY, **settings: Any) -> Bert:
    """BERT from a Hugging Face config.json.

    Args:
        config: The file, its folder, or what it holds; None: `settings` has it all.
        **settings: Fields of `BertConfig`, which win over `config`.

    Returns:
        The model, with weights drawn anew.
    """
    return Bert(read(config, settings))


bert.__signature__ = signature(BertConfig, TINY)  # type: ignore[attr-defined]  # each setting by its name


def bert_book(  # noqa: PLR0913, PLR0917 - the book's, and heads
    vocab_size: int = 10000,
    num_hiddens: int = 768,
    ffn_num_hiddens: int = 1024,
    num_heads: int = 4,
    num_blks: int = 2,
    dropout: float = 0.2,
    max_len: int = 1000,
    heads: tuple[str, ...] = ("mlm", "nsp"),
    num_labels: int = 3,
) -> Bert:
    """BERT of the book (15.8); with `heads=("classes",)` its classifier of pairs (16.7)."""
    config = BertConfig(
        vocab_size=vocab_size,
        hidden_size=num_hiddens,
        num_hidden_layers=num_blks,
        num_attention_heads=num_heads,
        intermediate_size=ffn_num_hiddens,
        max_position_embeddings=max_len,
        hidden_act="relu",
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
        layer_norm_eps=1e-5,
        embedding_norm=False,
        tie_word_embeddings=False,
        heads=list(heads),
        num_labels=num_labels,
    )
    return Bert(config)
