"""What is measured: five models, with the MACs that somebody else says they have.

The figure of a torchvision model is `meta["_ops"]` of its weights (thousand millions of MACs, 3
decimals, on 1x3x224x224), read from the installed torchvision. The figure of an LSTM is the closed
form: 4 gates, each a product with the input and one with the hidden state, at every step.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn


@dataclass(frozen=True, slots=True)
class Published:
    """What a model's forward pass costs, according to another source."""

    macs: float
    """Multiply-accumulates."""
    decimals: int | None
    """Decimals of the figure in thousand millions (GMACs); None: every digit counts."""
    source: str

    def agrees(self, macs: float) -> bool:
        """Whether `macs` is this figure, to as many digits as were published."""
        if self.decimals is None:
            return macs == self.macs
        return round(macs / 1e9, self.decimals) == round(self.macs / 1e9, self.decimals)

    def error(self, macs: float) -> float:
        """How far `macs` is above this figure, as a share of it; 0 where it agrees."""
        return 0.0 if self.agrees(macs) else (macs - self.macs) / self.macs


@dataclass(frozen=True, slots=True)
class Case:
    """A model and an input."""

    name: str
    factory: str
    """`module:attribute`, called with `arguments`."""
    shape: tuple[int, ...]
    """Of the one input, float32."""
    weights: str | None = None
    """The torchvision weights whose metadata hold the figure; None: the closed form of an LSTM."""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    catalog_arguments: Mapping[str, Any] = field(default_factory=dict)
    """What zoo's catalog has to be told beside, where its default is another variant."""

    @property
    def zoo_name(self) -> str:
        """What `zoo.summary` calls it."""
        return self.factory if self.weights is None else f"torchvision/{self.name}"

    def build(self) -> nn.Module:
        """The model as a user builds it, in evaluation mode."""
        from importlib import import_module

        module, _, attribute = self.factory.partition(":")
        model: nn.Module = getattr(import_module(module), attribute)(**self.arguments)
        return model.eval()

    def published(self) -> Published:
        """The figure to compare with."""
        return self._lstm() if self.weights is None else self._torchvision(self.weights)

    def _torchvision(self, weights: str) -> Published:
        import torchvision

        found = torchvision.models.get_weight(weights)
        return Published(found.meta["_ops"] * 1e9, 3, f"torchvision {weights}.meta['_ops']")

    def _lstm(self) -> Published:
        batch, steps, features = self.shape
        hidden, layers = self.arguments["hidden_size"], self.arguments["num_layers"]
        a_step = 4 * hidden * (features + hidden) + (layers - 1) * 4 * hidden * 2 * hidden
        return Published(
            steps * batch * a_step,
            None,
            "closed form 4*hidden*(input+hidden) a layer, step and sequence",
        )


def _vision(name: str, weights: str, **catalog_arguments: int) -> Case:
    factory = f"torchvision.models:{name}"
    return Case(name, factory, (1, 3, 224, 224), weights, catalog_arguments=catalog_arguments)


def _lstm(name: str, shape: tuple[int, int, int], hidden: int, layers: int) -> Case:
    arguments = {
        "input_size": shape[-1],
        "hidden_size": hidden,
        "num_layers": layers,
        "batch_first": True,
    }
    return Case(name, "torch.nn:LSTM", shape, arguments=arguments)


CASES = {
    case.name: case
    for case in (
        _vision("resnet50", "ResNet50_Weights.IMAGENET1K_V1"),
        _vision("vit_b_16", "ViT_B_16_Weights.IMAGENET1K_V1"),
        _vision("vit_h_14", "ViT_H_14_Weights.IMAGENET1K_SWAG_LINEAR_V1", image_size=224),
        _vision("swin_t", "Swin_T_Weights.IMAGENET1K_V1"),
        _lstm("lstm_64_t10", (1, 10, 64), hidden=64, layers=1),
        _lstm("lstm_512x2_t100_b8", (8, 100, 512), hidden=512, layers=2),
    )
}
"""By name, in the order of the tables. LSTM inputs are (batch, steps, features)."""
