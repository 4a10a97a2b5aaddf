"""Times of steps beside published throughput, of models they were fitted to and of others."""

from __future__ import annotations

import csv
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import zoo
from zoo.analysis.devicetime import KERNEL, PRODUCT, TRAFFIC, Clock
from zoo.analysis.records import Cost, OpCall, TensorSpec
from zoo.analysis.replicas import timed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zoo.analysis.devices import Device
    from zoo.analysis.records import Trace

ORACLES = Path(__file__).parents[1] / "oracles"


def read(name: str) -> list[Mapping[str, str]]:
    with (ORACLES / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def named(row: Mapping[str, str]) -> str:
    return "-".join(row.get(key, "") for key in ("name", "model", "autocast", "device"))


@lru_cache
def image_step(model: str, words: str, autocast: str) -> Trace:
    return zoo.trace(
        f"torchvision/{model}",
        words,
        train=True,
        optimizer="sgd-momentum",
        autocast=autocast or None,
        device="cuda",
    )


def seconds(trace: Trace, device: str) -> float:
    found = timed(trace, Clock(zoo.device(device)))
    assert found is not None
    return found.seconds


@pytest.mark.parametrize("row", read("training_throughput.csv"), ids=named)
def test_published_throughput_of_image_models(row: Mapping[str, str]) -> None:
    trace = image_step(row["model"], row["input"], row["autocast"])
    batch = int(row["input"].split(",")[0])
    ratio = batch / seconds(trace, row["device"]) / float(row["per_second"])
    low, high = (0.8, 1.25) if row["fitted"] == "yes" else (0.6, 1.7)
    assert low < ratio < high


class Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm, self.after = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.up = nn.Linear(width, 4 * width, bias=False)
        self.down = nn.Linear(4 * width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        b, t, c = x.shape
        parts = self.qkv(self.norm(x)).chunk(3, -1)
        q, k, v = (one.view(b, t, self.heads, -1).transpose(1, 2) for one in parts)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).reshape(b, t, c))
        return x + self.down(F.gelu(self.up(self.after(x))))


class Decoder(nn.Module):
    def __init__(self, width: int, heads: int, layers: int) -> None:
        super().__init__()
        self.tokens, self.places = nn.Embedding(50368, width), nn.Embedding(2048, width)
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(layers)))
        self.norm = nn.LayerNorm(width)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.tokens(ids) + self.places(torch.arange(ids.shape[1], device=ids.device))
        return F.linear(self.norm(self.blocks(x)), self.tokens.weight)


@pytest.mark.parametrize("row", read("decoder_throughput.csv"), ids=named)
def test_published_throughput_of_decoders(row: Mapping[str, str]) -> None:
    """Nothing was fitted to these."""
    with torch.device("meta"):
        model = Decoder(int(row["width"]), int(row["heads"]), int(row["layers"]))
    trace = zoo.trace(
        model,
        f"{row['batch']},2048:int64",
        train=True,
        optimizer="adamw",
        autocast="bfloat16",
        device="cuda",
    )
    tokens = 2048 * int(row["batch"]) / seconds(trace, row["device"])
    assert 0.8 < tokens / float(row["tokens_per_second"]) < 1.25


def op(name: str, *inputs: TensorSpec, cost: Cost | None) -> OpCall:
    return OpCall(0, name, 0, "forward", inputs, inputs[:1], cost, None)


def on(**said: object) -> Clock:
    from zoo.analysis.devices import Device

    peaks = {"float32": 1e12, "tf32": 4e12, "float16": 8e12}
    base: Device = Device("mine", bandwidth=1e11, peaks=peaks)
    from dataclasses import replace

    return Clock(replace(base, **said))  # type: ignore[arg-type]


FLOATS, HALVES = TensorSpec((8, 8)), TensorSpec((8, 8), "float16")


def test_the_longer_of_work_and_traffic_counts() -> None:
    work = op("aten.mm.default", FLOATS, FLOATS, cost=Cost(10**9, 0, 10, 10))
    assert on().of(work) == pytest.approx(2e9 / (1e12 * PRODUCT))
    traffic = op("aten.mm.default", FLOATS, FLOATS, cost=Cost(10, 0, 10**9, 10**9))
    assert on().of(traffic) == pytest.approx(2e9 / (1e11 * TRAFFIC))
    small = op("aten.add.Tensor", FLOATS, FLOATS, cost=Cost(0, 64, 512, 256))
    assert on().of(small) == KERNEL


def test_the_peak_is_that_of_the_operands() -> None:
    cost = Cost(10**10, 0, 10, 10)
    single, half = (op("aten.mm.default", one, one, cost=cost) for one in (FLOATS, HALVES))
    convolution = op("aten.convolution.default", FLOATS, FLOATS, cost=cost)
    assert on().of(single) == pytest.approx(8 * (on().of(half) or 0))
    assert on().rate(convolution) == pytest.approx(4e12 * 0.6)


def test_what_is_not_known_has_no_time() -> None:
    work = op("aten.mm.default", FLOATS, FLOATS, cost=Cost(10**9, 0, 10, 10))
    assert on(bandwidth=None).of(work) is None
    assert on(peaks={}).of(work) is None
    assert on(peaks={}).seconds([work]) is None
    unknown = op("mylib.thing.default", FLOATS, cost=None)
    assert on().of(unknown) == KERNEL
    view = op("aten.view.default", FLOATS, cost=Cost())
    assert on(bandwidth=None).of(view) == 0.0
