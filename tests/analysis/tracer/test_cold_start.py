"""What a training step loads: torch's Python kernels bring in `torch._dynamo` and sympy (1.5 s).
Steps of common models need neither."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CONFIG = Path(__file__).parents[2] / "oracles" / "hf_configs" / "llama-3.2-1b.json"

STEPS = """
import sys
import torch
import zoo
from torch import nn
from zoo.analysis.skeleton import skeleton

HEAVY = ("torch._dynamo", "sympy")

def step(what, model, *inputs, **options):
    trace = zoo.trace(model, *inputs, train=True, **options)
    assert trace.failure is None, (what, trace.failure.message)
    assert any(op.phase == "optimizer" for op in trace.ops)
    found = [name for name in HEAVY if name in sys.modules]
    assert not found, f"{what} with {options} loads {' and '.join(found)}"
"""

MODELS = """
layer = nn.TransformerEncoderLayer(64, 4, batch_first=True)
first = nn.TransformerEncoderLayer(64, 4, norm_first=True, activation="gelu", batch_first=True)
from zoo.models.llama import llama
models = {
    "encoder": (nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), "2,10,64"),
    "norm first": (nn.TransformerEncoder(first, 2, enable_nested_tensor=False), "2,10,64"),
    "LSTM": (nn.LSTM(16, 16, 2, batch_first=True), "2,5,16"),
    "two-way LSTM": (nn.LSTM(16, 16, bidirectional=True), "5,2,16"),
    "GRU": (nn.GRU(16, 16, 2, batch_first=True), "2,5,16"),
    "RNN": (nn.RNN(16, 16), "5,2,16"),
    "llama": (skeleton(lambda: llama(sys.argv[1])), "1,2048:int64"),
}
for name, (model, words) in models.items():
    for optimizer in ("sgd", "sgd-momentum", "adam", "adamw"):
        step(name, model, words, optimizer=optimizer)
    for loss in ("cross-entropy", "mse"):
        step(name, model, words, loss=loss)
"""

BOOK = """
names = [row["name"] for row in zoo.list_models(plugin="book").rows]
assert "lenet" in names
deep = ("vgg13", "vgg16", "vgg19", "resnet101", "resnet152", "densenet169", "densenet201")
deep += ("resnet110_cifar", "resnet1202_cifar", "preresnet110", "preresnet1001", "vit_huge_14")
own = ("fcn", "fasttext", "textcnn")  # torchvision, embedding bags, the gradient of amax
deep += ("resnext101_32x4d", "resnext101_64x4d", "resnext101_32x8d", "transformer_big")
for name in names:
    if name in (*deep, *own):  # deep ones are of the same blocks as their smaller sisters
        continue
    if zoo.params(f"book/{name}").totals["trainable_parameters"]:
        step(name, f"book/{name}", optimizer="adamw")
for optimizer in ("sgd", "adam"):
    step("lenet_bn", "lenet_bn", optimizer=optimizer)
"""

A_PYTHON_KERNEL = """
assert not any(name in sys.modules for name in HEAVY)
torch.ops.aten.empty_like(torch.empty(4, 6, device="meta")[:, ::2])
step("a kernel in Python", nn.Linear(2, 2), "1,2")
"""
"""Twin of the others: the question can be answered with yes."""


def probed(code: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-W", "ignore", "-c", STEPS + code, str(CONFIG)]
    return subprocess.run(words, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("code", [MODELS, BOOK], ids=["models", "book"])
def test_a_step_loads_neither_dynamo_nor_sympy(code: str) -> None:
    done = probed(code)
    assert done.returncode == 0, done.stderr[-2_000:]


def test_a_kernel_in_python_does() -> None:
    done = probed(A_PYTHON_KERNEL)
    assert done.returncode == 1
    assert "AssertionError: a kernel in Python with {} loads" in done.stderr
