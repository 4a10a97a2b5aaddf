"""Segmentation models as MMSegmentation 0.11 trains them: backbone, heads, loss.

Backbones are timm's, heads those of `published_heads.py`. A model returns its loss: the scores of
both heads are resized to the labels, and each head counts how many pixels it got right, as the
training log shows them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from published_heads import (
    Concat,
    Context,
    DeepLab,
    DeepLabPlus,
    Dual,
    Fcn,
    Lraspp,
    Maps,
    NonLocal,
    Psp,
    SemanticFpn,
    Uper,
    resize,
    unit,
)
from timm import create_model
from timm.models.hrnet import HighResolutionNetFeatures, cfg_cls
from timm.models.resnet import BasicBlock, Bottleneck, ResNet
from torch import Tensor, nn
from torch.nn import functional as fn

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class UNet(nn.Module):
    """MMSegmentation's UNet-S5-D16: five levels of two convolutions (arXiv:1505.04597)."""

    def __init__(self, base: int = 64) -> None:
        super().__init__()
        widths = [base << level for level in range(5)]
        self.down = nn.ModuleList()
        before = 3
        for level, width in enumerate(widths):
            steps = [nn.MaxPool2d(2)] if level else []
            self.down.append(nn.Sequential(*steps, unit(before, width, 3), unit(width, width, 3)))
            before = width
        self.reduce = nn.ModuleList(unit(2 * width, width) for width in widths[:-1])
        self.up = nn.ModuleList(
            nn.Sequential(unit(2 * width, width, 3), unit(width, width, 3)) for width in widths[:-1]
        )

    def forward(self, x: Tensor) -> Maps:
        """Maps of the decoder, finest first."""
        skips = []
        for step in self.down:
            x = step(x)
            skips.append(x)
        maps = [x]
        for level in range(3, -1, -1):
            wide = fn.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            x = self.up[level](torch.cat([skips[level], self.reduce[level](wide)], dim=1))
            maps.insert(0, x)
        return maps


class Picked(nn.Module):
    """A timm model's maps, with its classifier left out."""

    def __init__(self, name: str, indices: Sequence[int], **settings: Any) -> None:
        super().__init__()
        self.body = create_model(name, features_only=True, out_indices=tuple(indices), **settings)

    def forward(self, x: Tensor) -> Maps:
        """Finest first."""
        return list(self.body(x))


class Residual(nn.Module):
    """ResNet's four maps; `deep` is the stem of three convolutions 3x3 (ResNetV1c)."""

    def __init__(self, depth: int, stride: int, *, deep: bool) -> None:
        super().__init__()
        block, layers = {
            18: (BasicBlock, (2, 2, 2, 2)),
            50: (Bottleneck, (3, 4, 6, 3)),
            101: (Bottleneck, (3, 4, 23, 3)),
        }[depth]
        stem = {"stem_type": "deep", "stem_width": 32} if deep else {}
        self.body = ResNet(block, layers, num_classes=0, output_stride=stride, **stem)

    def forward(self, x: Tensor) -> Maps:
        """Finest first."""
        body = self.body
        x = body.maxpool(body.act1(body.bn1(body.conv1(x))))
        maps = []
        for layer in (body.layer1, body.layer2, body.layer3, body.layer4):
            x = layer(x)
            maps.append(x)
        return maps


class HighResolution(nn.Module):
    """HRNet's four parallel maps."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.body = HighResolutionNetFeatures(cfg_cls[name], feature_location="")

    def forward(self, x: Tensor) -> Maps:
        """Finest first."""
        body = self.body
        x = body.act2(body.bn2(body.conv2(body.act1(body.bn1(body.conv1(x))))))
        return list(body.stages(x))


class Segmentor(nn.Module):
    """Images and labels to a loss."""

    def __init__(self, backbone: nn.Module, head: nn.Module, auxiliary: nn.Module | None) -> None:
        super().__init__()
        self.backbone, self.head, self.auxiliary = backbone, head, auxiliary
        self.log_softmax = nn.LogSoftmax(dim=1)

    def forward(self, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """(N, 3, H, W) and (N, H, W) -> the sum of both heads' losses."""
        maps = self.backbone(images)
        loss = self._loss(self.head, maps, labels)
        if self.auxiliary is not None:
            loss = loss + 0.4 * self._loss(self.auxiliary, maps, labels)
        return {"loss": loss}

    def _loss(self, head: nn.Module, maps: Maps, labels: Tensor) -> Tensor:
        found = head(maps)
        losses = []
        for scores in found if isinstance(found, list) else [found]:
            full = resize(scores, labels.shape[1:])
            each = fn.nll_loss(self.log_softmax(full), labels, reduction="none", ignore_index=255)
            losses.append(each.mean())
            with torch.no_grad():
                best = full.topk(1, dim=1)[1].transpose(0, 1)
                best.eq(labels.unsqueeze(0)).reshape(-1).float().sum(0, keepdim=True)
        return torch.stack(losses).sum()


WIDTHS = {18: (64, 128, 256, 512), 50: (256, 512, 1024, 2048), 101: (256, 512, 1024, 2048)}
HRNETS = {
    "HRNetV2p-W18-Small": ("hrnet_w18_small_v2", 18),
    "HRNetV2p-W18": ("hrnet_w18", 18),
    "HRNetV2p-W48": ("hrnet_w48", 48),
}
MOBILES = {
    "M-V2-D8": ("mobilenetv2_100", (1, 2, 3, 4), (24, 32, 96, 320)),
    "M-V3-D8": ("mobilenetv3_large_100", (0, 1, 4), (16, 24, 960)),
    "M-V3s-D8": ("mobilenetv3_small_100", (0, 1, 4), (16, 16, 576)),
}


def _backbone(name: str) -> tuple[nn.Module, tuple[int, ...]]:
    """The module, and the channels of its maps."""
    if name in HRNETS:
        model, width = HRNETS[name]
        return HighResolution(model), tuple(width << level for level in range(4))
    if name in MOBILES:
        model, indices, channels = MOBILES[name]
        return Picked(model, indices, output_stride=8), channels
    if name == "S-101-D8":
        return Picked("resnest101e", (1, 2, 3, 4), output_stride=8), WIDTHS[101]
    kind, depth, *rest = name.split("-")
    plain = depth.endswith("b")
    number = int(depth.removesuffix("b"))
    stride = {"D8": 8, "D16": 16}[rest[0]] if rest else 32
    if kind != "R":
        raise ValueError(f"no backbone is called {name}")
    return Residual(number, stride, deep=not plain), WIDTHS[number]


def _head(method: str, channels: Sequence[int], classes: int) -> nn.Module:
    top = channels[-1]
    wide = 128 if top == WIDTHS[18][-1] else 512
    heads: dict[str, Callable[[], nn.Module]] = {
        "HRNet": lambda: Concat(channels, classes),
        "DeepLabV3+": lambda: DeepLabPlus(
            top, wide, classes, fine=channels[0], fine_to=12 if wide == 128 else 48
        ),
        "NonLocal": lambda: Fcn(top, wide, classes, middle=NonLocal(wide)),
        "GCNet": lambda: Fcn(top, wide, classes, middle=Context(wide)),
        "UPerNet": lambda: Uper(channels, wide, classes),
        "FPN": lambda: SemanticFpn(channels, 128, classes),
        "LRASPP": lambda: Lraspp(channels, 128, classes),
        "FCN": lambda: Fcn(top, wide, classes),
        "PSPNet": lambda: Psp(top, wide, classes),
        "DeepLabV3": lambda: DeepLab(top, wide, classes),
        "DANet": lambda: Dual(top, wide, classes),
    }
    return heads[method]()


def segmentor(method: str, backbone: str, classes: int) -> nn.Module:
    """A model of MMSegmentation's README, by the names in its table."""
    made, channels = _backbone(backbone)
    head = _head("HRNet" if backbone in HRNETS else method, channels, classes)
    auxiliary = None
    if method not in {"FPN", "LRASPP"} and backbone not in HRNETS:
        few = 64 if channels[-1] == 512 else 256
        auxiliary = Fcn(channels[2], few, classes, depth=1, concat=False, index=2)
    return Segmentor(made, head, auxiliary)


def unet(head: str) -> nn.Module:
    """UNet-S5-D16 for two classes, with the head that is named."""
    heads = {
        "FCN": lambda: Fcn(64, 64, 2, depth=1, concat=False, index=0),
        "PSPNet": lambda: Psp(64, 16, 2, index=0),
        "DeepLabV3": lambda: DeepLab(64, 16, 2, index=0),
    }
    return Segmentor(UNet(), heads[head](), Fcn(128, 64, 2, depth=1, concat=False, index=1))
