"""BERT-large, DenseNet for CIFAR, a Llama of zoo's own: rows that need no framework of theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor, nn
from torch.nn import functional as fn

if TYPE_CHECKING:
    from pathlib import Path


def _written_out(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    **settings: Any,
) -> tuple[Tensor, None]:
    """Attention of separate operators: (N, heads, T, D) -> (N, T, heads, D)."""
    scores = query @ key.transpose(2, 3) / query.shape[-1] ** 0.5
    weights = module.softmax(scores if mask is None else scores + mask)
    weights = fn.dropout(weights, settings.get("dropout", 0.0), training=module.training)
    return (weights @ value).transpose(1, 2).contiguous(), None


def bert() -> nn.Module:
    """bert-large-uncased with a classifier of two classes; attention as it was written then."""
    from transformers import AttentionInterface, BertConfig, BertForSequenceClassification

    AttentionInterface.register("written_out", _written_out)
    config = BertConfig(
        hidden_size=1024, num_hidden_layers=24, num_attention_heads=16, intermediate_size=4096
    )
    model: nn.Module = BertForSequenceClassification(config)
    for layer in model.bert.encoder.layer:
        layer.attention.self.softmax = nn.Softmax(dim=-1)
    model.config._attn_implementation = "written_out"
    return model


class Classified(nn.Module):
    """A classifier with its loss."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model, self.log_softmax = model, nn.LogSoftmax(dim=1)

    def forward(self, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """(N, 3, H, W) and (N,) -> the loss."""
        return {"loss": fn.nll_loss(self.log_softmax(self.model(images)), labels)}


def densenet(depth: int, growth: int, *, efficient: bool = False) -> nn.Module:
    """DenseNet-BC of three blocks for images of 32 x 32; `efficient` runs concatenations again."""
    from torchvision.models import DenseNet

    layers = (depth - 4) // 6
    model = DenseNet(
        growth_rate=growth,
        block_config=(layers, layers, layers),
        num_init_features=2 * growth,
        num_classes=10,
        memory_efficient=efficient,
    )
    features = model.features
    features.conv0 = nn.Conv2d(3, 2 * growth, 3, padding=1, bias=False)
    for name in ("norm0", "relu0", "pool0"):
        delattr(features, name)
    return Classified(model)


class WideLoss(nn.Module):
    """A decoder whose scores are made float32, and are still held in the backward pass."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, tokens: Tensor, targets: Tensor) -> dict[str, Any]:
        """(N, T) and (N, T) -> the scores and their loss."""
        scores = self.model(tokens).float()
        loss = fn.cross_entropy(scores.reshape(-1, scores.shape[-1]), targets.reshape(-1))
        return {"loss": loss, "scores": scores}


def llama(config: Path) -> nn.Module:
    """zoo's Llama in bfloat16."""
    from zoo.models.llama import llama as make

    return WideLoss(make(config, torch_dtype="bfloat16"))
