"""Decode heads of segmentation models, as MMSegmentation 0.11's configs set them.

Written from the papers that are named at each and from `configs/_base_/models`. Every convolution
is followed by a norm and a ReLU in place, unless its config says otherwise.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as fn

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Maps = list[Tensor]
"""Feature maps of a backbone, finest first."""


def unit(
    channels: int, out: int, kernel: int = 1, *, inplace: bool = True, **more: Any
) -> nn.Module:
    """Convolution, norm, ReLU: (N, channels, H, W) -> (N, out, H, W)."""
    padding = more.get("dilation", 1) * (kernel // 2)
    conv = nn.Conv2d(channels, out, kernel, padding=padding, bias=False, **more)
    return nn.Sequential(conv, nn.BatchNorm2d(out), nn.ReLU(inplace=inplace))


def separable(channels: int, out: int, **more: Any) -> nn.Module:
    """A depthwise 3x3 unit and a pointwise one."""
    return nn.Sequential(unit(channels, channels, 3, groups=channels, **more), unit(channels, out))


def resize(x: Tensor, size: Sequence[int]) -> Tensor:
    """Bilinear, to a height and a width."""
    return fn.interpolate(x, size=tuple(size), mode="bilinear", align_corners=False)


class Head(nn.Module):
    """Features to scores of classes; a subclass says what lies before the last convolution."""

    def __init__(self, channels: int, classes: int, *, dropout: float = 0.1) -> None:
        super().__init__()
        self.dropout = nn.Dropout2d(dropout) if dropout else None
        self.score = nn.Conv2d(channels, classes, 1)

    def features(self, maps: Maps) -> Tensor:
        """What is classified."""
        raise NotImplementedError

    def forward(self, maps: Maps) -> Tensor:
        """(N, classes, H, W), H and W those of the features."""
        x = self.features(maps)
        scores: Tensor = self.score(x if self.dropout is None else self.dropout(x))
        return scores


class Fcn(Head):
    """Convolutions 3x3, whose result is joined with what they were given (arXiv:1411.4038)."""

    def __init__(
        self,
        inputs: int,
        channels: int,
        classes: int,
        *,
        depth: int = 2,
        concat: bool = True,
        index: int = -1,
        middle: nn.Module | None = None,
    ) -> None:
        super().__init__(channels, classes)
        self.index, self.middle = index, middle
        self.first = unit(inputs, channels, 3)
        self.rest = nn.Sequential(*(unit(channels, channels, 3) for _ in range(depth - 1)))
        self.join = unit(inputs + channels, channels, 3) if concat else None

    def features(self, maps: Maps) -> Tensor:
        """(N, channels, H, W)."""
        given = maps[self.index]
        x = self.first(given)
        if self.middle is not None:
            x = self.middle(x)
        x = self.rest(x)
        if self.join is not None:
            x = self.join(torch.cat([given, x], dim=1))
        return x


class Pyramid(nn.Module):
    """Pooled to several sizes, reduced, and resized back: a list of maps (arXiv:1612.01105)."""

    def __init__(self, inputs: int, channels: int) -> None:
        super().__init__()
        self.scales = nn.ModuleList(
            nn.Sequential(nn.AdaptiveAvgPool2d(size), unit(inputs, channels))
            for size in (1, 2, 3, 6)
        )

    def forward(self, x: Tensor) -> Maps:
        """The given map, and one for each scale."""
        return [x, *(resize(scale(x), x.shape[2:]) for scale in self.scales)]


class Psp(Head):
    """PSPNet."""

    def __init__(self, inputs: int, channels: int, classes: int, *, index: int = -1) -> None:
        super().__init__(channels, classes)
        self.index = index
        self.pyramid = Pyramid(inputs, channels)
        self.join = unit(inputs + 4 * channels, channels, 3)

    def features(self, maps: Maps) -> Tensor:
        """(N, channels, H, W)."""
        x: Tensor = self.join(torch.cat(self.pyramid(maps[self.index]), dim=1))
        return x


class Aspp(nn.Module):
    """Parallel convolutions of several dilations and a global average, joined."""

    def __init__(
        self, inputs: int, channels: int, dilated: Callable[..., nn.Module] | None = None
    ) -> None:
        super().__init__()
        dilated = dilated or partial(unit, kernel=3)
        self.image = nn.Sequential(nn.AdaptiveAvgPool2d(1), unit(inputs, channels))
        self.point = unit(inputs, channels)
        self.wide = nn.ModuleList(
            dilated(inputs, channels, dilation=dilation) for dilation in (12, 24, 36)
        )
        self.join = unit(5 * channels, channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, channels, H, W)."""
        parts = [resize(self.image(x), x.shape[2:]), self.point(x), *(one(x) for one in self.wide)]
        joined: Tensor = self.join(torch.cat(parts, dim=1))
        return joined


class DeepLab(Head):
    """DeepLabV3 (arXiv:1706.05587)."""

    def __init__(self, inputs: int, channels: int, classes: int, *, index: int = -1) -> None:
        super().__init__(channels, classes)
        self.index = index
        self.aspp = Aspp(inputs, channels)

    def features(self, maps: Maps) -> Tensor:
        """(N, channels, H, W)."""
        x: Tensor = self.aspp(maps[self.index])
        return x


class DeepLabPlus(Head):
    """DeepLabV3+: depthwise dilated convolutions, joined with a fine map (arXiv:1802.02611)."""

    def __init__(
        self, inputs: int, channels: int, classes: int, *, fine: int = 256, fine_to: int = 48
    ) -> None:
        super().__init__(channels, classes)
        self.aspp = Aspp(inputs, channels, separable)
        self.fine = unit(fine, fine_to)
        self.join = nn.Sequential(
            separable(channels + fine_to, channels), separable(channels, channels)
        )

    def features(self, maps: Maps) -> Tensor:
        """(N, channels, H, W) of the finest map."""
        x, fine = self.aspp(maps[-1]), self.fine(maps[0])
        joined: Tensor = self.join(torch.cat([resize(x, fine.shape[2:]), fine], dim=1))
        return joined


class Uper(Head):
    """UPerNet: a pyramid on the coarsest map, then top-down (arXiv:1807.10221)."""

    def __init__(self, inputs: Sequence[int], channels: int, classes: int) -> None:
        super().__init__(channels, classes)
        self.pyramid = Pyramid(inputs[-1], channels)
        self.coarse = unit(inputs[-1] + 4 * channels, channels, 3)
        plain = partial(unit, inplace=False)
        self.lateral = nn.ModuleList(plain(one, channels) for one in inputs[:-1])
        self.out = nn.ModuleList(plain(channels, channels, 3) for _ in inputs[:-1])
        self.join = unit(len(inputs) * channels, channels, 3)

    def features(self, maps: Maps) -> Tensor:
        """(N, channels, H, W) of the finest map."""
        levels = [one(x) for one, x in zip(self.lateral, maps, strict=False)]
        levels.append(self.coarse(torch.cat(self.pyramid(maps[-1]), dim=1)))
        for index in range(len(levels) - 1, 0, -1):
            below = levels[index - 1]
            levels[index - 1] = below + resize(levels[index], below.shape[2:])
        outs = [one(x) for one, x in zip(self.out, levels, strict=False)] + levels[-1:]
        outs = [outs[0], *(resize(x, outs[0].shape[2:]) for x in outs[1:])]
        joined: Tensor = self.join(torch.cat(outs, dim=1))
        return joined


class SemanticFpn(Head):
    """A feature pyramid whose levels are brought to the finest and added (arXiv:1901.02446)."""

    def __init__(self, inputs: Sequence[int], channels: int, classes: int) -> None:
        super().__init__(channels, classes)
        self.lateral = nn.ModuleList(nn.Conv2d(one, 256, 1) for one in inputs)
        self.out = nn.ModuleList(nn.Conv2d(256, 256, 3, padding=1) for _ in inputs)
        self.scale = nn.ModuleList(self._scale(level, channels) for level in range(len(inputs)))

    @staticmethod
    def _scale(level: int, channels: int) -> nn.Module:
        steps: list[nn.Module] = [unit(256, channels, 3)]
        for _ in range(1, level):
            steps += [nn.Upsample(scale_factor=2, mode="bilinear"), unit(channels, channels, 3)]
        if level:
            steps.append(nn.Upsample(scale_factor=2, mode="bilinear"))
        return nn.Sequential(*steps)

    def features(self, maps: Maps) -> Tensor:
        """(N, channels, H, W) of the finest map."""
        levels = [one(x) for one, x in zip(self.lateral, maps, strict=True)]
        for index in range(len(levels) - 1, 0, -1):
            below = levels[index - 1]
            levels[index - 1] = below + fn.interpolate(levels[index], size=below.shape[2:])
        outs = [one(x) for one, x in zip(self.out, levels, strict=True)]
        total: Tensor = self.scale[0](outs[0])
        for scale, x in zip(self.scale[1:], outs[1:], strict=True):
            total = total + resize(scale(x), total.shape[2:])
        return total


class NonLocal(nn.Module):
    """Attention of every position to every other, at half the channels (arXiv:1711.07971)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.value, self.query, self.key = (nn.Conv2d(channels, half, 1) for _ in range(3))
        self.softmax = nn.Softmax(dim=-1)
        self.out = nn.Sequential(nn.Conv2d(half, channels, 1, bias=False), nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) of the same shape."""
        value = self.value(x).flatten(2).transpose(1, 2)
        query = self.query(x).flatten(2).transpose(1, 2)
        weights = query @ self.key(x).flatten(2)
        weights /= query.shape[-1] ** 0.5
        y = (self.softmax(weights) @ value).transpose(1, 2).reshape(len(x), -1, *x.shape[2:])
        out: Tensor = x + self.out(y)
        return out


class Context(nn.Module):
    """One attention for all positions, whose pooled value is added (arXiv:1904.11492)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        few = channels // 4
        self.mask = nn.Sequential(nn.Conv2d(channels, 1, 1), nn.Flatten(2), nn.Softmax(dim=2))
        self.add = nn.Sequential(
            nn.Conv2d(channels, few, 1),
            nn.LayerNorm([few, 1, 1]),
            nn.ReLU(inplace=True),
            nn.Conv2d(few, channels, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) of the same shape."""
        mask = self.mask(x).unsqueeze(-1)  # (N, 1, H*W, 1)
        pooled = (x.flatten(2).unsqueeze(1) @ mask).transpose(1, 2)  # (N, C, 1, 1)
        out: Tensor = x + self.add(pooled)
        return out


class Dual(Head):
    """DANet: attention of positions and of channels, three scores (arXiv:1809.02983)."""

    def __init__(self, inputs: int, channels: int, classes: int) -> None:
        super().__init__(channels, classes)
        self.position_in, self.channel_in = unit(inputs, channels, 3), unit(inputs, channels, 3)
        self.query = nn.Conv2d(channels, 64, 1)
        self.key = nn.Conv2d(channels, 64, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.gammas = nn.Parameter(torch.zeros(2))
        self.softmax = nn.ModuleList(nn.Softmax(dim=-1) for _ in range(2))
        self.position_out, self.channel_out = (
            unit(channels, channels, 3),
            unit(channels, channels, 3),
        )
        self.scores = nn.ModuleList(nn.Conv2d(channels, classes, 1) for _ in range(2))

    def _position(self, x: Tensor) -> Tensor:
        query = self.query(x).flatten(2).transpose(1, 2)
        weights = self.softmax[0](query @ self.key(x).flatten(2))
        value = self.value(x).flatten(2).transpose(1, 2)
        y = (weights @ value).transpose(1, 2).reshape(x.shape)
        return y * self.gammas[0] + x

    def _channel(self, x: Tensor) -> Tensor:
        flat = x.flatten(2)
        energy = flat @ flat.transpose(1, 2)
        energy = energy.max(-1, keepdim=True)[0].expand_as(energy) - energy
        y = (self.softmax[1](energy) @ flat).reshape(x.shape)
        return y * self.gammas[1] + x

    def forward(self, maps: Maps) -> Any:
        """Three maps of scores: of the sum, of positions, of channels."""
        position = self.position_out(self._position(self.position_in(maps[-1])))
        channel = self.channel_out(self._channel(self.channel_in(maps[-1])))
        parts = (position + channel, position, channel)
        layers = (self.score, *self.scores)
        return [layer(fn.dropout2d(x, 0.1)) for layer, x in zip(layers, parts, strict=True)]


class Concat(Head):
    """HRNet's head: all maps at the finest size, one convolution 1x1 (arXiv:1908.07919)."""

    def __init__(self, inputs: Sequence[int], classes: int) -> None:
        super().__init__(sum(inputs), classes, dropout=0)
        self.join = unit(sum(inputs), sum(inputs))

    def features(self, maps: Maps) -> Tensor:
        """(N, sum of channels, H, W) of the finest map."""
        x: Tensor = self.join(torch.cat([resize(one, maps[0].shape[2:]) for one in maps], dim=1))
        return x


class Lraspp(Head):
    """A gate from a large average pool, and two skips from finer maps (arXiv:1905.02244)."""

    def __init__(self, inputs: Sequence[int], channels: int, classes: int) -> None:
        super().__init__(channels, classes)
        fine, finer, top = inputs[1], inputs[0], inputs[-1]
        self.skips = nn.ModuleList(
            nn.Conv2d(one, skip, 1, bias=False) for one, skip in ((finer, 32), (fine, 64))
        )
        self.joins = nn.ModuleList(unit(channels + skip, channels) for skip in (32, 64))
        self.top = unit(top, channels)
        self.pool = nn.AvgPool2d(49, stride=(16, 20))
        self.gate = nn.Sequential(nn.Conv2d(top, channels, 1, bias=False), nn.Sigmoid())

    def features(self, maps: Maps) -> Tensor:
        """(N, channels, H, W) of the finest map."""
        top = maps[-1]
        x = self.top(top) * resize(self.gate(self.pool(top)), top.shape[2:])
        for index in (1, 0):
            fine = maps[index]
            x = self.joins[index](
                torch.cat([resize(x, fine.shape[2:]), self.skips[index](fine)], dim=1)
            )
        return x
