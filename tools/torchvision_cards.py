"""Write zoo/plugins/torchvision_models.json from the torchvision that is installed.

    python tools/torchvision_cards.py

Every figure is read from torchvision's own metadata (`num_params`, `_ops`, `_metrics`, the
transform's crop). What is not in the metadata is said here: on which input torchvision measured
`_ops` (its test/test_extended_models.py), and which arguments give the architecture of the
published weights.
"""

from __future__ import annotations

import json
import re
from inspect import getdoc, signature
from math import isnan
from pathlib import Path
from typing import Any

import torchvision
from torch import nn
from torchvision.models import get_model_builder, get_model_weights, list_models

from zoo.analysis.skeleton import skeleton

TARGET = Path(__file__).parents[1] / "zoo" / "plugins" / "torchvision_models.json"
FAMILIES = ("detection", "segmentation", "video", "optical_flow", "quantization")
SIDES = {
    "fasterrcnn_mobilenet_v3_large_320_fpn": 320,
    "ssd300_vgg16": 300,
    "ssdlite320_mobilenet_v3_large": 320,
    "keypointrcnn_resnet50_fpn": 1333,
}
"""Image sides of detectors; the others were measured on 800."""
FROZEN = (
    "fasterrcnn_mobilenet_v3_large_320_fpn",
    "fasterrcnn_mobilenet_v3_large_fpn",
    "fasterrcnn_resnet50_fpn",
    "fcos_resnet50_fpn",
    "keypointrcnn_resnet50_fpn",
    "maskrcnn_resnet50_fpn",
    "retinanet_resnet50_fpn",
)
"""Detectors whose published weights have frozen batch norms, which no argument of the builder
gives."""
PAPERS = {
    "fasterrcnn_mobilenet": (
        "Faster R-CNN: Towards Real-Time Object Detection with Region Proposal Networks",
        "https://arxiv.org/abs/1506.01497",
    ),
    "squeezenet": (
        "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and <0.5MB model size",
        "https://arxiv.org/abs/1602.07360",
    ),
    "mvit_v2": (
        "MViTv2: Improved Multiscale Vision Transformers for Classification and Detection",
        "https://arxiv.org/abs/2112.01526",
    ),
}
"""Papers that the documentation does not name, or names second."""
LINK = re.compile(r"`([^`<]+?)\s*<(https?://[^>]+)>`__?", re.DOTALL)
ARXIV = re.compile(r"arxiv\.org/(?:abs|pdf)/(\d\d)\d\d\.\d+")


def family_of(builder: Any) -> str:
    """Kind of task, by the package that the builder is in."""
    package = builder.__module__.split(".")[2]
    return package if package in FAMILIES else "classification"


def arguments_of(name: str, builder: Any, weights: Any) -> dict[str, Any]:
    """What gives the architecture of published weights, and downloads nothing."""
    takes, found = signature(builder).parameters, {}
    if name in FROZEN:
        found["builder"] = name
    if "weights_backbone" in takes:
        found["weights_backbone"] = None
    if "aux_loss" in takes:
        found["aux_loss"] = True
    if "googlenet" in name or "inception" in name:
        heads = "inception" in name  # the published GoogLeNet has none
        found |= {"aux_logits": heads, "transform_input": True, "init_weights": False}
    if name.startswith("vit_"):  # positions are learnt for one size
        found["image_size"] = weights.meta["min_size"][0]
    return found


def input_of(name: str, family: str, weights: Any) -> str | list[str]:
    """What `_ops` was measured on, in the words of `--input`."""
    if family == "segmentation":
        return "1,3,520,520"
    if family == "detection":
        side = SIDES.get(name, 800)
        return f"1,3,{side},{side}"
    if family == "optical_flow":
        return ["1,3,512,512", "1,3,512,512"]
    crop = weights.transforms.keywords["crop_size"]
    if family == "video":
        return f"1,3,16,{crop[0]},{crop[1]}"
    return f"1,3,{crop},{crop}"


def accuracy_of(weights: Any) -> tuple[str | None, float | None]:
    """Data set and top-1 accuracy; None where the weights are not for classifying."""
    for dataset, metrics in weights.meta["_metrics"].items():
        acc1 = metrics.get("acc@1")
        if acc1 is not None and not isnan(acc1):
            return dataset, acc1
    return None, None


def weights_of(name: str, family: str, builder: Any, weights: Any) -> dict[str, Any]:
    """One published set of weights."""
    dataset, acc1 = accuracy_of(weights)
    return {
        "name": weights.name,
        "num_params": weights.meta["num_params"],
        "gmacs": weights.meta["_ops"],
        "acc1": acc1,
        "dataset": dataset,
        "input": input_of(name, family, weights),
        "arguments": arguments_of(name, builder, weights),
    }


def kinds_of(builder: Any, weights: dict[str, Any]) -> list[str]:
    """`cnn` where convolutions read overlapping windows, `attention` where a module attends."""
    arguments = {key: value for key, value in weights["arguments"].items() if key != "builder"}
    layers = list(skeleton(lambda: builder(**arguments)).modules())
    convolves = any(
        isinstance(layer, nn.Conv2d | nn.Conv3d)
        and any(side > step for side, step in zip(layer.kernel_size, layer.stride, strict=True))
        for layer in layers
    )
    attends = any("Attention" in type(layer).__name__ for layer in layers)
    return ["cnn"] * convolves + ["attention"] * attends


def paper_of(name: str, builder: Any) -> tuple[str, str]:
    """Title and link of the paper that the builder's documentation names first."""
    for prefix, paper in PAPERS.items():
        if name.startswith(prefix):
            return paper
    links = (found for found in LINK.finditer(getdoc(builder) or "") if ARXIV.search(found[2]))
    found = next(links)
    return " ".join(found[1].split()), found[2].replace("http://", "https://")


def model_of(name: str) -> dict[str, Any]:
    """One builder of torchvision."""
    builder = get_model_builder(name)
    family, weights = family_of(builder), get_model_weights(builder)
    package = ".".join(["torchvision", "models", *([family] if family in FAMILIES else [])])
    frozen = "zoo.models.torchvision_detectors:frozen_detector"
    paper, link = paper_of(name, builder)
    dated = ARXIV.search(link)
    published = [weights_of(name, family, builder, one) for one in weights]
    return {
        "name": name,
        "factory": frozen if name in FROZEN else f"{package}:{builder.__name__}",
        "family": family,
        "kinds": kinds_of(builder, published[0]),
        "paper": paper,
        "year": 2000 + int(dated[1]) if dated else None,
        "link": link,
        "default": weights.DEFAULT.name,
        "weights": published,
    }


def main() -> None:
    """Write the file, one model a line."""
    lines = [json.dumps(model_of(name), allow_nan=False) for name in list_models()]
    head = json.dumps({"source": f"torchvision {torchvision.__version__.partition('+')[0]}"})
    body = ",\n".join(lines)
    TARGET.write_text(f'{head[:-1]}, "models": [\n{body}\n]}}\n')
    print(f"{TARGET}: {len(lines)} models")


if __name__ == "__main__":
    main()
