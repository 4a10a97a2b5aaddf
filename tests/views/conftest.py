"""Small reports, written by hand, as the analyses make them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from zoo.analysis.records import Column, Failure, InputSpec, ModelInfo, Note, Report, TensorSpec

COLUMNS = (
    Column("output_shape", "", "Shape of what the call returned."),
    Column("output_dtype", "", "Its element type."),
    Column("parameters", "1", "Elements of parameters, each once."),
    Column("trainable_parameters", "1", "Those that gradients reach."),
    Column("macs", "MAC", "Multiply-accumulates of contractions."),
    Column("flops", "FLOP", "2 x MACs."),
    Column("pointwise_flops", "FLOP", "Work of elementwise operators and reductions."),
    Column("activation_bytes", "B", "Bytes of what the call returned."),
)


def row(
    path: str,
    type_: str,
    call: int | None,
    shape: list[Any] | None,
    *figures: int | None,
    **more: Any,
) -> dict[str, Any]:
    """A row of a summary; figures are parameters, MACs, pointwise FLOPs and activation bytes."""
    parameters, macs, pointwise, activation = figures
    return {
        "path": path,
        "type": type_,
        "depth": path.count(".") + 1 if path else 0,
        "call": call,
        "name": path.rpartition(".")[2],
        "output_shape": shape,
        "output_dtype": None if shape is None else "float32",
        "parameters": parameters,
        "trainable_parameters": parameters,
        "macs": macs,
        "flops": None if macs is None else 2 * macs,
        "pointwise_flops": pointwise,
        "activation_bytes": activation,
        "marks": [],
        "uncounted": [],
        **more,
    }


LENET_ROWS = (
    row("", "LeNet", 0, [1, 10], 61706, 416520, 12696, 64504),
    row("features", "Sequential", 1, [1, 16, 5, 5], 2572, 357600, 12492, 62400),
    row("features.conv1", "Conv2d", 2, [1, 6, 28, 28], 156, 117600, 0, 18816),
    row("features.act1", "Sigmoid", 3, [1, 6, 28, 28], 0, 0, 4704, 18816),
    row("features.pool1", "AvgPool2d", 4, [1, 6, 14, 14], 0, 0, 4704, 4704),
    row("features.conv2", "Conv2d", 5, [1, 16, 10, 10], 2416, 240000, 0, 6400),
    row("features.act2", "Sigmoid", 6, [1, 16, 10, 10], 0, 0, 1600, 6400),
    row("features.pool2", "AvgPool2d", 7, [1, 16, 5, 5], 0, 0, 1600, 1600),
    row("flatten", "Flatten", 8, [1, 400], 0, 0, 0, 0),
    row("fc1", "Linear", 9, [1, 120], 48120, 48000, 0, 480),
    row("act3", "Sigmoid", 10, [1, 120], 0, 0, 120, 480),
    row("fc2", "Linear", 11, [1, 84], 10164, 10080, 0, 336),
    row("act4", "Sigmoid", 12, [1, 84], 0, 0, 84, 336),
    row("fc3", "Linear", 13, [1, 10], 850, 840, 0, 40),
)


@pytest.fixture
def lenet() -> Report:
    return Report(
        report="summary",
        model=ModelInfo("lenet", "book", "zoo.models.lenet:lenet", {"num_classes": 10}),
        inputs=(InputSpec("x", TensorSpec((1, 1, 28, 28))),),
        columns=COLUMNS,
        rows=LENET_ROWS,
        totals={
            "parameters": 61706,
            "trainable_parameters": 61706,
            "buffers": 0,
            "parameter_bytes": 246824,
            "macs": 416520,
            "flops": 833040,
            "pointwise_flops": 12696,
            "coverage": 1.0,
            "coverage_bytes": 1.0,
            "uncounted": [],
        },
    )


@pytest.fixture
def broken(lenet: Report) -> Report:
    """LeNet given 20 x 20: fc1 gets 64 features."""
    failed = row("fc1", "Linear", 9, None, 48120, None, None, None, marks=["failed"])
    root = row("", "LeNet", 0, None, 61706, 357600, 12492, 62400, marks=["failed"])
    rest = [
        row(part["path"], part["type"], None, None, part["parameters"], None, None, None)
        for part in LENET_ROWS[10:]
    ]
    for part in rest:
        part["marks"] = ["not called"]
    return replace(
        lenet,
        rows=(root, *LENET_ROWS[1:9], failed, *rest),
        failure=Failure(
            call=9,
            op="aten.addmm.default",
            message="fc1 wants 400 features, got 64 (flatten of (1, 16, 2, 2) from features.pool2)",
            inputs=(TensorSpec((120,)), TensorSpec((1, 64)), TensorSpec((400, 120))),
            source="/home/someone/projects/classics/networks/lenet.py:31",
            hint="give --input 1,1,28,28, which lenet was built for",
            error="RuntimeError: mat1 and mat2 shapes cannot be multiplied (1x64 and 400x120)",
        ),
    )


@pytest.fixture
def marked() -> Report:
    """A frozen and recursive model with an operator that no formula covers, on a GPU."""
    unknown = ["mylib.scale.default"]
    return Report(
        report="summary",
        model=ModelInfo("Twice"),
        inputs=(
            InputSpec("tokens", TensorSpec((2, 16), "int64", "cuda")),
            InputSpec("memory", TensorSpec((2, 16, 64), "bfloat16", "cuda")),
        ),
        columns=COLUMNS,
        rows=(
            row(
                "",
                "Twice",
                0,
                [[2, 16, 1000], [2]],
                1_234_567_890,
                1_510_324_000,
                5_980_000,
                64_000_000,
                marks=["partly frozen"],
                uncounted=unknown,
            ),
            row("embed", "Embedding", 1, [2, 16, 64], 64000, 0, 0, 8192, marks=["frozen", "tied"]),
            row("body", "Block", 2, [2, 16, 64], 12416, 397312, 999_999, 8192, uncounted=unknown),
            row("body.lin", "Linear", 3, [2, 16, 64], 4160, 131072, 0, 8192),
            row("body", "Block", 4, [2, 16, 64], 12416, 397312, 2048, 8192, marks=["recursive"]),
            row("body.lin", "Linear", 5, [2, 16, 64], 4160, 131072, 0, 8192, marks=["recursive"]),
            row("head", "Linear", None, None, 65000, None, None, None, marks=["not called"]),
        ),
        totals={
            "parameters": 1_234_567_890,
            "macs": 1_510_324_000,
            "pointwise_flops": 5_980_000,
            "coverage": 0.9996,
            "coverage_bytes": 0.871,
            "uncounted": unknown,
        },
        notes=(
            Note("info", "data-dependent", "nonzero was given its upper bound", "net.py:12"),
            Note("warning", "unused-parameter", "head.weight is read by no operator", "head"),
            Note("warning", "unused-parameter", "head.bias is read by no operator", "head.bias"),
            Note("warning", "uncounted-op", "mylib.scale.default has no formula", "body"),
        ),
    )


@pytest.fixture
def models() -> Report:
    return Report(
        report="list",
        model=ModelInfo(""),
        inputs=(),
        columns=(
            Column("name", "", "What to call it."),
            Column("plugin", "", "Who brings it."),
            Column("summary", "", "One line."),
            Column("tags", "", "Words to filter by."),
            Column("default_input", "", "Input where none is given."),
            Column("year", "", "Year of the paper."),
        ),
        rows=(
            {
                "name": "lenet",
                "plugin": "book",
                "summary": "LeNet-5, two convolutions and three linear layers | the first",
                "tags": ["cnn", "classification"],
                "default_input": "1,1,28,28",
                "year": 1998,
            },
            {
                "name": "fasterrcnn_mobilenet_v3_large_320_fpn",
                "plugin": "torchvision",
                "summary": "Detector “Faster R-CNN” with a naïve_backbone",
                "tags": [],
                "default_input": None,
                "year": None,
            },
        ),
        totals={"models": 2},
    )


@pytest.fixture
def copies() -> Report:
    """A flat table with prose."""
    return Report(
        report="transfer",
        model=ModelInfo("net.Net"),
        inputs=(InputSpec("x", TensorSpec((8, 3))),),
        columns=(
            Column("kind", "", "What."),
            Column("bytes", "B", "Bytes moved."),
            Column("blocking", "", "Whether the host waits."),
            Column("module", "", "Where."),
            Column("source", "", "Line."),
            Column("fix", "", "What to do."),
        ),
        rows=(
            {
                "kind": "item",
                "bytes": 4,
                "blocking": True,
                "module": "loss",
                "source": "net.py:12",
                "fix": "keep the loss on the device and read it once an epoch",
            },
            {
                "kind": "copy",
                "bytes": 12_345_678,
                "blocking": False,
                "module": "",
                "source": "net.py:40",
                "fix": "make the mask where it is used: torch.ones(n, device=x.device)",
            },
        ),
        totals={"bytes": 12_345_682, "formula": "4 + B*3", "fits": True},
    )
