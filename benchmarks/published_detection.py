"""Detectors as Detectron2 and MMDetection train them, from torchvision's parts.

Faster, Mask and Keypoint R-CNN, RetinaNet and region proposal networks on a ResNet or ResNeXt with
a feature pyramid. Stem and first stage are frozen. Detectron2's batch norms are frozen
multiplications; MMDetection's are real ones in evaluation mode, whose scales are trained. Images
are the largest that either samples, and each has its most regions: 512, a quarter of them objects.
"""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models import detection, resnet
from torchvision.models.detection import backbone_utils, generalized_rcnn, retinanet, roi_heads
from torchvision.ops import FrozenBatchNorm2d
from torchvision.ops.feature_pyramid_network import LastLevelP6P7

LARGEST = (800, 1333)
"""Height and width of the largest image."""
OBJECTS = 93
"""Boxes of an image: the most that one of COCO's training images has, since a run's peak is its
largest image's. Each anchor is compared with each box."""
POSITIVE = 128
"""Regions of an image that are objects: a quarter of 512, the most that both sample."""


class EvaluatedBatchNorm(nn.BatchNorm2d):
    """Running statistics also in training, while scale and shift are learned."""

    def train(self, mode: bool = True) -> EvaluatedBatchNorm:  # noqa: ARG002, FBT001, FBT002 - nn.Module's
        """Stay in evaluation mode."""
        super().train(mode=False)
        return self


NORMS: dict[str, type[nn.Module]] = {"frozen": FrozenBatchNorm2d, "evaluated": EvaluatedBatchNorm}
RESNEXTS = {
    "x101_32x8d": {"groups": 32, "width_per_group": 8},
    "x101_32x4d": {"groups": 32, "width_per_group": 4},
    "x101_64x4d": {"groups": 64, "width_per_group": 4},
}


def body(name: str, norm: str, *, caffe: bool) -> nn.Module:
    """A classifier of torchvision's; `caffe` halves the size in a block's first convolution."""
    layers = [3, 4, 6, 3] if name == "r50" else [3, 4, 23, 3]
    more: dict[str, Any] = RESNEXTS.get(name, {})
    model = resnet.ResNet(resnet.Bottleneck, layers, norm_layer=NORMS[norm], **more)
    if caffe:
        for module in model.modules():
            if isinstance(module, resnet.Bottleneck):
                module.conv1.stride, module.conv2.stride = module.conv2.stride, module.conv1.stride
    return model


def backbone(name: str, norm: str, *, caffe: bool = False, retina: bool = False) -> nn.Module:
    """With its pyramid; stem and first stage are frozen."""
    made = body(name, norm, caffe=caffe)
    levels = [2, 3, 4] if retina else [1, 2, 3, 4]
    extra = LastLevelP6P7(256, 256) if retina else None
    with_pyramid: nn.Module = backbone_utils._resnet_fpn_extractor(
        made, 3, returned_layers=levels, extra_blocks=extra
    )
    return with_pyramid


class Proposals(generalized_rcnn.GeneralizedRCNN):
    """A region proposal network alone: its losses."""

    def __init__(self, made: nn.Module, scale: dict[str, int]) -> None:
        whole = detection.FasterRCNN(made, 2, **scale)
        super().__init__(made, whole.rpn, nn.Identity(), whole.transform)

    def forward(self, images: list[Tensor], targets: Any = None) -> Any:
        """Images and their boxes -> losses."""
        batch, targets = self.transform(images, targets)
        _, losses = self.rpn(batch, self.backbone(batch.tensors), targets)
        return losses


def detector(
    kind: str,
    name: str,
    norm: str,
    *,
    caffe: bool = False,
    classes: int = 80,
    size: tuple[int, int] = LARGEST,
) -> nn.Module:
    """`faster`, `mask`, `keypoint`, `retina` or `rpn`; Detectron2's heads have no ReLU in place."""
    scale = {"min_size": size[0], "max_size": size[1]}
    made = backbone(name, norm, caffe=caffe, retina=kind == "retina")
    model = _detector(kind, made, classes, scale)
    if norm == "frozen":
        for path, module in model.named_modules():
            if isinstance(module, nn.ReLU) and not path.startswith("backbone.body."):
                module.inplace = False
    return model


def _detector(kind: str, made: nn.Module, classes: int, scale: dict[str, int]) -> nn.Module:
    if kind == "retina":
        return detection.RetinaNet(made, classes, **scale)
    if kind == "rpn":
        return Proposals(made, scale)
    if kind == "mask":
        return detection.MaskRCNN(made, classes + 1, **scale)
    if kind == "keypoint":
        return detection.KeypointRCNN(made, 2, num_keypoints=17, **scale)
    return detection.FasterRCNN(made, classes + 1, **scale)


def inputs(kind: str, batch: int, size: tuple[int, int] = LARGEST) -> tuple[Any, Any]:
    """Images without data, and targets with some: box coordinates decide what is asked of them."""
    height, width = size
    generator = torch.Generator().manual_seed(0)
    targets = []
    for _ in range(batch):
        corners = torch.rand((OBJECTS, 2), generator=generator) * 300
        sizes = torch.rand((OBJECTS, 2), generator=generator) * 300 + 20
        target: dict[str, Any] = {
            "boxes": torch.cat([corners, corners + sizes], dim=1),
            "labels": torch.ones(OBJECTS, dtype=torch.int64),
        }
        if kind == "mask":
            target["masks"] = torch.ones((OBJECTS, height, width), dtype=torch.uint8)
        if kind == "keypoint":
            target["keypoints"] = torch.ones((OBJECTS, 17, 3))
        targets.append(target)
    return [f"f32[3,{height},{width}]"] * batch, targets


def hints() -> dict[str, float]:
    """Answers to what torchvision asks of values: no empty boxes, and how many are objects."""
    asked = (
        (generalized_rcnn, "if degenerate_boxes.any():", 0),
        (retinanet, "if degenerate_boxes.any():", 0),
        (roi_heads, "torch.where(labels[img_id] > 0)", POSITIVE),
    )
    return {
        f"{module.__name__.rpartition('.')[2]}.py:{number}": answer
        for module, text, answer in asked
        for number, line in enumerate(inspect.getsource(module).splitlines(), 1)
        if text in line
    }


__all__ = ["detector", "hints", "inputs"]
