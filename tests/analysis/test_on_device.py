"""The three figures of a run on a device: what each is made of, and when there are none."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torchvision
from torch import nn

import zoo
from zoo.analysis.allocator import trace_events
from zoo.analysis.devices import Device
from zoo.analysis.memory import peak
from zoo.analysis.on_device import FIGURES, check, usage
from zoo.errors import InputError
from zoo.models.llama import llama

BLOCK = 512
MIB = 1 << 20
WORKSPACE = 8_519_680
"""Bytes of a cuBLAS workspace before Hopper (`tests/oracles/cuda_allocator.json`)."""
HOPPER_WORKSPACE = 32 * MIB
STEP: dict[str, Any] = {"train": True, "optimizer": "adamw"}


def models() -> dict[str, tuple[nn.Module, str]]:
    return {
        "cnn": (torchvision.models.resnet18(num_classes=10), "4,3,64,64"),
        "depthwise": (torchvision.models.mobilenet_v3_small(), "4,3,64,64"),
        "attention": (nn.TransformerEncoderLayer(64, 4, batch_first=True), "4,32,64"),
        "decoder": (llama(), "4,32@ints:256"),
        "mlp": (nn.Linear(8, 8), "4,8"),
    }


@pytest.mark.parametrize("card", ["rtx4090", "h100", "v100-sxm2-16gb", "rtx3090"])
@pytest.mark.parametrize("name", models())
@pytest.mark.parametrize("how", [{}, STEP], ids=["inference", "training"])
def test_each_figure_holds_the_one_before(name: str, card: str, how: dict[str, Any]) -> None:
    model, word = models()[name]
    totals = zoo.memory(model, word, on=card, **how).totals
    figures = [totals[one] for one in FIGURES]
    assert figures == sorted(figures)
    assert totals["peak_bytes"] <= totals["allocated_bytes"]
    assert totals["device_bytes"] - totals["reserved_bytes"] >= 200 * MIB
    assert totals["allocated_bytes"] % BLOCK == totals["reserved_bytes"] % (2 * MIB) == 0


def blocks(*sizes: int) -> int:
    return sum(-(-size // BLOCK) * BLOCK for size in sizes)


@pytest.mark.parametrize(
    ("card", "workspace", "reserved"),
    [("rtx4090", WORKSPACE, 22 * MIB), ("h100", HOPPER_WORKSPACE, 54 * MIB)],
)
def test_a_linear_layer_by_hand(card: str, workspace: int, reserved: int) -> None:
    """The weight shares 20 MiB with a workspace, or not; all else fits into the small pool's 2."""
    found = zoo.memory(nn.Linear(1000, 300), (50, 1000), on=card).totals
    tensors = blocks(300 * 1000 * 4, 300 * 4, 50 * 1000 * 4, 50 * 300 * 4)
    assert found["allocated_bytes"] == tensors + workspace
    assert found["reserved_bytes"] == reserved


def test_a_training_step_has_two_workspaces() -> None:
    model = nn.Linear(64, 64)
    step = zoo.trace(model, (8, 64), train=True, device="cuda")
    asked = [
        one[2]
        for one in trace_events(step, device="cuda:0", workspace=WORKSPACE)
        if one[0] == "alloc"
    ]
    assert asked.count(WORKSPACE) == 2
    alone = zoo.trace(model, (8, 64), device="cuda")
    asked = [one[2] for one in trace_events(alone, workspace=WORKSPACE) if one[0] == "alloc"]
    assert asked.count(WORKSPACE) == 1


def test_the_run_takes_place_on_the_device() -> None:
    """With its kernels: attention there keeps no matrix of weights."""
    model = nn.TransformerEncoderLayer(64, 4, batch_first=True, dropout=0.0)
    report = zoo.memory(model, (2, 128, 64), on="rtx4090", train=True)
    assert report.inputs[0].spec.device == "cuda:0"
    trace = zoo.trace(model, (2, 128, 64), device="cuda", train=True)
    assert report.totals["peak_bytes"] == peak(trace).nbytes
    assert any("flash" in op.op or "efficient" in op.op for op in trace.ops)


def test_a_run_that_was_made_there_is_taken_as_it_is() -> None:
    trace = zoo.trace("lenet", device="cuda:1")
    totals = zoo.memory(trace, on="rtx4090").totals
    assert totals["device_bytes"] == zoo.memory("lenet", on="rtx4090").totals["device_bytes"]
    with pytest.raises(InputError, match=r"said to take place on cpu, and not on cuda"):
        zoo.memory(zoo.trace("lenet"), on="rtx4090")


def test_figures_are_labelled() -> None:
    report = zoo.memory("lenet", on="rtx4090")
    said = {note.code: note.text for note in report.notes}
    assert "torch.cuda.max_memory_allocated()" in said["allocated"]
    assert "cuDNN's workspaces are not known, and not counted" in said["allocated"]
    assert "torch.cuda.max_memory_reserved()" in said["reserved"]
    assert "nvidia-smi" in said["device"]
    context = report.totals["device_bytes"] - report.totals["reserved_bytes"]
    assert f"a CUDA context of {context:,} B (measured: RTX 6000 Ada" in said["device"]
    text = str(report)
    for words in ("device ", "allocated memory", "reserved memory", "device memory"):
        assert words in text
    assert all(one in text for one in said.values())


def test_a_context_says_where_it_is_from() -> None:
    mine = Device("mycard", memory_bytes=8 << 30, context_bytes=300 * MIB, source="my notes")
    report = zoo.memory("lenet", on=mine)
    totals = report.totals
    assert totals["device_bytes"] - totals["reserved_bytes"] == 300 * MIB
    (text,) = [note.text for note in report.notes if note.code == "device"]
    assert f"{300 * MIB:,} B (given: my notes)" in text
    (text,) = [one.text for one in zoo.memory("lenet", on="t4").notes if one.code == "device"]
    assert "400,000,000 B (rough: " in text


def test_what_a_name_left_open_is_said() -> None:
    report = zoo.memory("lenet", on="a100")
    (text,) = [note.text for note in report.notes if note.code == "assumption"]
    assert text.startswith("a100 is taken as A100-")
    assert not [note for note in zoo.memory("lenet", on="rtx4090").notes if note.code == text]


def test_other_makers_libraries_are_not_known() -> None:
    report = zoo.memory("lenet", on="mi300x")
    assert [note.code for note in report.notes if note.severity == "warning"] == ["other-libraries"]


def test_a_run_that_broke_has_no_figures() -> None:
    report = zoo.memory(nn.Linear(8, 8), (4, 9), on="rtx4090")
    assert report.failure is not None
    assert not set(FIGURES) & set(report.totals)


def test_memory_does_not_run_out() -> None:
    """The figures say what is needed, whatever the card has."""
    model = nn.Linear(100_000, 100_000, device="meta")
    assert zoo.memory(model, (1, 100_000), on="t4").totals["device_bytes"] > 40_000_000_000
    found = usage(
        zoo.trace(nn.Linear(100, 100), (1, 100), device="cuda"), Device("x", memory_bytes=1)
    )
    assert found.fits


@pytest.mark.parametrize("kind", ["cpu", "mps", "xpu", "hpu"])
def test_other_kinds_have_no_such_allocator(kind: str) -> None:
    with pytest.raises(InputError, match=rf"on 'chip': the allocator of {kind} devices"):
        check(Device("chip", kind=kind))


def test_places_that_contradict() -> None:
    card, other = zoo.device("rtx4090"), zoo.device("h100")
    check(card)
    check(card, "cuda:3", card)
    with pytest.raises(InputError, match=r"take place on cpu, and not on cuda\. Say device cuda"):
        check(card, "cpu")
    with pytest.raises(InputError, match=r"fit into H100\S+, which is another device"):
        check(card, None, other)
    with pytest.raises(InputError, match="take place on mps"):
        zoo.memory("lenet", on="rtx4090", device="mps")


def test_nothing_is_allocated_on_this_machine() -> None:
    """160 GB of weights, on paper."""
    report = zoo.memory(
        nn.Linear(200_000, 200_000, device="meta"), (1, 200_000), on="h100", dtype="float32"
    )
    assert report.totals["parameter_bytes"] == 4 * (200_000**2 + 200_000)
    assert not torch.cuda.is_initialized()
