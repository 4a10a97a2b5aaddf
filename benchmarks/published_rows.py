"""Which published row is which job: what is built, how it is run, what it is compared with.

A row becomes a `Job` where its model, batch, input, precision, optimizer and number of GPUs are in
the row or in its source's documented defaults; else it becomes the reason why not. Rules are for
sources, never for a row.

They were not all made blind. What a source's runs have in common (float32 scores, gradients kept
over micro-batches, ReLUs not in place, what old torch saved) was found by looking at the errors of
a whole source. The scores' dtype, the micro-batches, old torch's softmax and the MiB were then read
in source code or issues; the ReLUs and mmcv's hard-swish are recalled. Three choices rest on the
figures alone: 93 boxes an image (7 was tried first), the device's counter for efficient-densenet,
which names none, and GiB for Detectron2.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

GB, GIB, MIB = 10**9, 2**30, 2**20
V100 = "V100-SXM2-32GB"
A100 = "A100-SXM4-40GB"

Row = dict[str, str]


@dataclass(frozen=True, slots=True)
class Job:
    """A model and a way to run it."""

    module: str
    """Of this folder."""
    factory: str
    arguments: Mapping[str, Any]
    inputs: tuple[str, ...] = ()
    """Words of `--input`; for a detector they are made by its module."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Of `zoo.memory`; None in place of an optimizer: inference."""
    device: str = V100
    batch: int = 1
    replicas: bool = False
    """Whether DistributedDataParallel's buckets hold the gradients a second time."""
    old: bool = False
    """Whether the source's torch was older than 1.10."""

    @property
    def key(self) -> str:
        """Equal for jobs that are the same."""
        return repr(self)


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """A row that can be predicted."""

    job: Job
    counter: str
    """Which of zoo's figures: `allocated_bytes`, `reserved_bytes` or `device_bytes`."""
    unit: int
    """Bytes of a printed unit."""
    settings: str
    """What the row leaves open, and where it was taken from."""
    tests: tuple[tuple[str, Job], ...] = ()
    """Named mechanisms, each with the job that shows what it makes of the figure."""
    context: int | None = None
    """Bytes outside of torch's allocator, where the source shows them."""


Made = Rebuilt | str
"""Or the reason why not."""
OLD_STEP = {"train": True, "optimizer": "sgd-momentum", "set_to_none": False}
"""Gradients were set to zero, not freed, before torch 2.0."""

# MMSegmentation ----------------------------------------------------------------------------------

CLASSES = {"Cityscapes": 19, "ADE20K": 150, "ADE20k": 150, "Pascal Context": 60}
CLASSES |= {"Pascal VOC 2012 + Aug": 21}
MMSEG = (
    "heads and losses as in configs/_base_; SyncBN as batch norm; two heads' scores and accuracy; "
    "GB is MiB / 1024 (mmsegmentation#1215); cudnn.benchmark off; DDP; torch 1.5 to 1.7"
)
BUILT_HEADS = (
    *("FCN", "PSPNet", "DeepLabV3", "DeepLabV3+", "UPerNet", "FPN"),
    *("NonLocal", "GCNet", "DANet", "LRASPP"),
)


def _mmseg(row: Row) -> Made:
    _, section, *_ = row["detail"].split(" | ")
    batch, size = int(row["batch_per_gpu"]), row["seq_or_image"].replace("x", ",")
    folder, name = row["model"].split(" ", 1)
    backbone = name.rpartition(" ")[2] if "scratch" not in name else name.split(" ")[1]
    method = name.split(" ")[0]
    options: dict[str, Any] = dict(OLD_STEP)
    settings = MMSEG
    if row["precision"] != "fp32":
        options["autocast"] = "float16"
        settings += "; mmcv's fp16 as autocast"
    if folder == "unet":
        found = re.search(r"Head=([\w+]+)", row["detail"])
        arguments: dict[str, Any] = {"head": found[1] if found else ""}
        return _segmented("unet", arguments, batch, size, options, settings)
    if method not in BUILT_HEADS:
        return f"architecture not rebuilt here: decode head of {method}"
    arguments = {"method": method, "backbone": backbone, "classes": CLASSES[section]}
    made = _segmented("segmentor", arguments, batch, size, options, settings)
    if method != "LRASPP":
        return made
    other = _segmented("segmentor", arguments, 4, size, options, settings)
    return Rebuilt(
        made.job, made.counter, made.unit, settings, (("its config's batch, 4", other.job),)
    )


def _segmented(
    factory: str, arguments: dict[str, Any], batch: int, size: str, options: Any, settings: str
) -> Rebuilt:
    inputs = (f"{batch},3,{size}", f"labels={batch},{size}:int64")
    job = Job(
        "published_segmentation",
        factory,
        arguments,
        inputs,
        options,
        V100,
        batch,
        replicas=True,
        old=True,
    )
    return Rebuilt(job, "allocated_bytes", GIB, settings)


# Detectors ---------------------------------------------------------------------------------------

KINDS = {"faster_rcnn": "faster", "mask_rcnn": "mask", "keypoint_rcnn": "keypoint"}
KINDS |= {"retinanet": "retina", "rpn": "rpn"}
DETECTION = (
    "torchvision's detector on the same backbone, frozen up to its first stage; images of {size}, "
    "93 boxes each, 512 regions of which 128 are objects; GB is MiB / 1024; DDP; torch 1.3 to 1.7"
)
D2 = re.compile(
    r"^(?P<folder>COCO-\w+|LVISv0.5-InstanceSegmentation)/(?P<kind>faster_rcnn|mask_rcnn|"
    r"keypoint_rcnn|retinanet|rpn)_(?P<body>R_50|R_101|X_101_32x8d)_FPN_(1x|3x)\.yaml$"
)
MMDET = re.compile(
    r"/(?P<kind>faster_rcnn|mask_rcnn|retinanet|rpn)_(?P<body>r50|r101|x101_32x4d|x101_64x4d)"
    r"(?P<caffe>_caffe)?_fpn(?P<rest>[\w+\-.]*)\.py$"
)
PLAIN = re.compile(
    r"^(_albu|_instaboost|_fp16|_mstrain|-poly|_mstrain-poly|_sample1e-3|_1x|_2x|_3x|_4x|_coco|"
    r"_cityscapes|_voc0712|_lvis_v1)*$"
)


def _detected(
    kind: str,
    body: str,
    norm: str,
    row: Row,
    *,
    caffe: bool = False,
    classes: int = 80,
    size: tuple[int, int] = (800, 1333),
) -> Rebuilt:
    options: dict[str, Any] = dict(OLD_STEP)
    settings = DETECTION.format(size=f"{size[0]} x {size[1]}")
    if row["precision"] != "fp32":
        options["autocast"] = "float16"
        settings += "; mmcv's fp16 as autocast"
    arguments = {
        "kind": kind,
        "name": body,
        "norm": norm,
        "caffe": caffe,
        "classes": classes,
        "size": size,
    }
    batch = int(row["batch_per_gpu"])
    job = Job(
        "published_detection",
        "detector",
        arguments,
        (),
        options,
        V100,
        batch,
        replicas=True,
        old=True,
    )
    return Rebuilt(job, "allocated_bytes", GIB, settings)


def _detectron2(row: Row) -> Made:
    config = row["detail"].split(";")[0].removeprefix("configs/")
    found = D2.match(config)
    if not found:
        return "architecture not rebuilt here: C4, DC5, GN, SyncBN, deformable, cascade, panoptic"
    body = found["body"].lower().replace("r_", "r").replace("x_101", "x101")
    classes = 1230 if found["folder"].startswith("LVIS") else 80
    return _detected(KINDS[found["kind"]], body, "frozen", row, classes=classes)


def _mmdet(row: Row) -> Made:
    if not row["batch_per_gpu"]:
        return "settings missing: batch and image size, where the table names no readable config"
    config = row["detail"].split(" | ")[-1]
    found = MMDET.search(config)
    folder = config.split("/")[1] if "/" in config else ""
    if not found or not PLAIN.match(found["rest"]):
        return f"architecture not rebuilt here: configs/{folder}"
    classes = {"lvis": 1203, "cityscapes": 8, "pascal_voc": 20}.get(folder, 80)
    sizes = [int(one) for one in re.findall(r"\d+", row["seq_or_image"])]
    return _detected(
        KINDS[found["kind"]],
        found["body"],
        "evaluated",
        row,
        caffe=bool(found["caffe"]),
        classes=classes,
        size=(min(sizes), max(sizes)),
    )


# LitGPT ------------------------------------------------------------------------------------------

RESOURCE = {
    "phi-1.5 1.3 B": ("phi-1.5", 1044),
    "StableLM Alpha 3 B": ("stablelm-alpha-3b", 1034),
    "Llama 2 7 B": ("llama-2-7b", 1304),
    "Llama 2 13 B": ("llama-2-13b", 1304),
    "Falcon 40 B": ("falcon-40b", 1079),
}
"""Model and longest sample, as the source's page gives them."""
HUB = {
    "falcon-7b": "falcon-7b",
    "gemma-2b": "gemma-2b",
    "llama-2-7b": "llama-2-7b",
    "llama-3-8b": "llama-3-8b",
    "llama-3.1-8b": "llama-3-8b",
    "llama-3.2-1b": "llama-3.2-1b",
    "llama-3.2-3b": "llama-3.2-3b",
    "mistral-7b": "mistral-7b",
    "mistral-7b-v0.2": "mistral-7b",
    "phi-2": "phi-2",
    "phi-3": "phi-3-mini",
    "stablelm-base-alpha-3b": "stablelm-alpha-3b",
    "tiny-llama": "tiny-llama",
}
EVERYWHERE = {
    "gemma-2b": (8, 0.1),
    "phi-2": (8, 0.05),
    "phi-3": (8, 0.05),
    "tiny-llama": (32, 0.05),
}
"""Rank and dropout where the config adapts all linear layers; elsewhere rank 32 on q and v."""
ROUNDS = {"tiny-llama": 8, "llama-3.2-1b": 16, "llama-3.2-3b": 16, "phi-3": 2}
"""Micro-batches to a step of the full configs: global_batch_size / micro_batch_size."""
LITGPT = "scores made float32 by Fabric; AdamW; max_memory_allocated / 1e9 (litgpt/finetune/*.py)"


def _decoder(
    name: str, batch: int, length: int, device: str, *, lora: Any = None, step: Any = None
) -> Job:
    arguments = {"name": name, "lora": lora}
    options = {"train": True, "optimizer": "adamw"} if step is None else dict(step)
    words: tuple[str, ...] = (f"{batch},{length}:int64",)
    if options:
        words = (*words, f"targets={batch},{length}:int64")
    return Job("published_decoders", "decoder", arguments, words, options, device, batch)


def _resource(row: Row) -> Made:
    if "nf4" in row["precision"]:
        return "quantised weights (bitsandbytes NF4)"
    if row["n_gpus"] != "1":
        return "sharded over GPUs (FSDP)"
    if row["method"].startswith("Adapter"):
        return "architecture not rebuilt here: LLaMA-Adapter"
    name, longest = RESOURCE[row["model"]]
    batch = int(row["batch_per_gpu"])
    if row["task"] == "inference":
        settings = "default prompt and 50 new tokens as one pass of 60; " + LITGPT
        return Rebuilt(_decoder(name, batch, 60, A100, step={}), "allocated_bytes", GB, settings)
    settings = f"rank 8 on q and v; longest sample {longest} (the page's list); " + LITGPT
    lora = {"rank": 8}
    return Rebuilt(_decoder(name, batch, longest, A100, lora=lora), "allocated_bytes", GB, settings)


def _hub(row: Row) -> Made:
    config = row["detail"].split(";")[0]
    folder, batch = config.split("/")[0], int(row["batch_per_gpu"])
    if row["method"] == "QLoRA":
        return "quantised weights (bitsandbytes NF4)"
    if folder.startswith("gemma2"):
        return "architecture not rebuilt here: Gemma 2 (capped attention)"
    name = HUB[folder]
    if row["method"] == "LoRA":
        rank, dropout = EVERYWHERE.get(folder, (32, 0.05))
        lora: dict[str, Any] = {"rank": rank, "dropout": dropout}
        if folder in EVERYWHERE:
            lora["parts"] = "qkvpmh"
        job = _decoder(name, batch, 512, "A10G", lora=lora)
        said = f"{config}: rank {rank} on {lora.get('parts', 'qv')}, one GPU (devices: 1); {LITGPT}"
        return Rebuilt(job, "allocated_bytes", GB, said)
    if folder not in ROUNDS:
        return "sharded over GPUs (FSDP) and checkpointed"
    rounds = ROUNDS[folder]
    step = {"train": True, "optimizer": "adamw", "accumulate": rounds}
    job = _decoder(name, batch, 512, "A10G", step=step)
    bare = _decoder(name, batch, 512, "A10G", step={**step, "optimizer": "sgd"})
    said = f"{config}: {rounds} micro-batches to a step, one GPU (devices: 1); {LITGPT}"
    tests = (("without AdamW's state", bare),)
    return Rebuilt(job, "allocated_bytes", GB, said, tests)


# The others --------------------------------------------------------------------------------------


def _tune(row: Row) -> Made:
    if row["method"] != "full finetune":
        return "LoRA or QLoRA whose sequence, ranks or kernels are not known"
    if row["detail"] != "cumulative: + packed dataset":
        if row["detail"] == "cumulative: baseline":
            return "settings missing: sequence length (not packed)"
        return "torch.compile, and what is fused with it (chunked loss, optimizer in the backward)"
    job = Job(
        "published_others",
        "llama",
        {"config": "llama-3.2-3b.json"},
        ("2,4096:int64", "targets=2,4096:int64"),
        {"train": True, "optimizer": "adamw"},
        "A100-SXM4-80GB",
        2,
    )
    said = "zoo's llama-3.2-3b in bfloat16, float32 scores, AdamW; a causal mask for the packed one"
    return Rebuilt(job, "allocated_bytes", GIB, said)


def _anatomy(row: Row) -> Made:
    batch = int(row["batch_per_gpu"])
    step = {"train": True, "optimizer": "adamw-loop", "set_to_none": False}
    rounds = 4 if "accumulation 4" in row["detail"] else 1
    words = (f"input_ids={batch},512:int64", f"labels={batch}:int64")
    options = {**step, "accumulate": rounds}
    job = Job("published_others", "bert", {}, words, options, "V100-SXM2-16GB", batch)
    said = "transformers' BertForSequenceClassification, attention written out, AdamW one by one"
    tests = (("and softmax's input saved, as before torch 1.11", replace(job, old=True)),)
    return Rebuilt(job, "device_bytes", MIB, said, tests, context=1343 * MIB)


def _efficient(row: Row) -> Made:
    if row["n_gpus"] != "1":
        return "settings missing: the number of GPUs"
    arguments = {"depth": 100, "growth": 12, "efficient": "efficient" in row["checkpointing"]}
    job = Job(
        "published_others",
        "densenet",
        arguments,
        ("64,3,32,32", "labels=64:int64"),
        OLD_STEP,
        "GeForce GTX 1080 Ti",
        64,
        old=True,
    )
    said = "torchvision's DenseNet with the CIFAR stem; counter not named, taken as the device's; "
    return Rebuilt(job, "device_bytes", GB, said + "a GTX 1080 Ti, of the same generation")


def _always(reason: str) -> Callable[[Row], Made]:
    return lambda _: reason


SOURCES: Mapping[str, Callable[[Row], Made]] = {
    "mmseg-0.11": _mmseg,
    "mmdet-2.11": _mmdet,
    "detectron2-zoo": _detectron2,
    "litgpt-resource": _resource,
    "litgpt-config-hub": _hub,
    "litgpt-lora": _always("settings missing: sequence length"),
    "torchtune-readme": _tune,
    "torchtune-lora": _always("settings missing: sequence length"),
    "torchtune-qlora": _always("settings missing: sequence length, or no step was run"),
    "torchtune-llama3": _always("settings missing: batch and sequence length"),
    "torchtune-e2e": _always("settings missing: sequence length, or no step was run"),
    "torchtitan-2024-12": _always("sharded over GPUs (FSDP2, TP, PP, CP)"),
    "torchtitan-h200": _always("sharded over GPUs (FSDP2, TP, PP, CP)"),
    "torchtitan-nvfp4": _always("sharded over GPUs (FSDP2, TP, PP, CP)"),
    "hf-anatomy": _anatomy,
    "efficient-densenet": _efficient,
    "densenet-torch7": _always("another framework (Torch7)"),
}


def made(row: Row) -> Made:
    """The row's job, or the reason why it has none."""
    return SOURCES[row["source_id"]](row)
