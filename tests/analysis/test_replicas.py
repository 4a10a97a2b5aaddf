"""When data parallelism pays: by hand, laws, and published speed-ups."""

from __future__ import annotations

import csv
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

import zoo
from tests.analysis.test_devicetime import image_step
from zoo.analysis.devicetime import LAUNCH, Clock
from zoo.analysis.links import network
from zoo.analysis.replicas import (
    BUCKET,
    FIRST,
    MARKS,
    Steps,
    Timed,
    counts,
    efficiency,
    exchange,
    gradient_bytes,
    link_of,
    replicas,
    speed_of,
    timed,
)
from zoo.errors import OptionError, StepError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zoo.analysis.records import Trace

ORACLES = Path(__file__).parents[1] / "oracles"
NETWORK = network(12.5e9)


def read(name: str) -> list[Mapping[str, str]]:
    with (ORACLES / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@lru_cache
def step(batch: int, *, train: bool = True, accumulate: int = 1) -> Trace:
    return zoo.trace(
        "torchvision/resnet18",
        (batch, 3, 64, 64),
        train=train,
        device="cuda",
        optimizer="sgd" if not train else "adamw",
        accumulate=accumulate,
    )


def clock(device: str = "a100") -> Clock:
    return Clock(zoo.device(device))


@given(nbytes=st.integers(1, 10**11), devices=st.integers(2, 512))
def test_a_ring_sends_twice_all_but_one_part(nbytes: int, devices: int) -> None:
    rate, latency = 0.96 * 12.5e9, 14e-6
    share = 2 * (devices - 1) / devices
    expected = share * nbytes / rate + 2 * (devices - 1) * latency
    assert exchange(nbytes, devices, NETWORK) == pytest.approx(expected)
    assert exchange(nbytes, devices + 1, NETWORK) > exchange(nbytes, devices, NETWORK)
    assert exchange(nbytes, 1, NETWORK) == 0.0


gradients = st.lists(st.tuples(st.floats(0, 1), st.integers(1, 10**9)), min_size=1, max_size=20)


@given(ready=gradients, devices=st.integers(2, 64))
def test_overlap_hides_what_it_can(ready: list[tuple[float, int]], devices: int) -> None:
    """No less is exposed than the last bucket takes, nor more than one exchange after another."""
    made = Timed(0.5, 1.0, 0.1, tuple(sorted(ready)))
    exposed = made.exposed(devices, NETWORK)
    total = sum(nbytes for _, nbytes in ready)
    slots = len(ready)
    bandwidth = exchange(total, devices, NETWORK) - 2 * (devices - 1) * 14e-6
    assert exposed <= bandwidth + slots * 2 * (devices - 1) * 14e-6 + 1e-9
    first = min(time for time, _ in ready)
    assert exposed >= first + exchange(total, devices, NETWORK) - made.backward - 1e-9
    assert 0 < efficiency(made, devices, NETWORK) <= 1


def test_buckets_by_hand() -> None:
    """The first bucket is small, the second is full, the third has what is left."""
    ready = ((0.1, FIRST), (0.2, BUCKET // 2), (0.3, BUCKET // 2), (0.9, 10))
    made = Timed(0.0, 1.0, 0.0, ready)
    slow = network(1e6)
    free = 0.1 + exchange(FIRST, 2, slow)
    free = max(free, 0.3) + exchange(BUCKET, 2, slow)
    free = max(free, 0.9) + exchange(10, 2, slow)
    assert made.exposed(2, slow) == pytest.approx(free - 1.0)
    assert made.exposed(2, network(1e15)) == 0.0


def test_a_step_is_what_its_operators_take_or_the_host() -> None:
    trace = step(64)
    found = timed(trace, clock())
    assert found is not None
    device = clock().seconds(trace.ops)
    asked = LAUNCH * sum(1 for op in trace.ops if clock().of(op))
    assert device is not None
    assert max(device, asked) <= found.seconds <= device + asked
    assert sum(nbytes for _, nbytes in found.ready) == gradient_bytes(trace)
    assert found.ready[0][0] < found.ready[-1][0] <= found.backward


def test_gradients_are_those_that_autograd_makes() -> None:
    class Partly(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.frozen, self.head = nn.Linear(4, 4).requires_grad_(False), nn.Linear(4, 2)
            self.idle = nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.frozen(x))

    model = Partly()
    model(torch.randn(3, 4)).sum().backward()
    real = sum(one.grad.nbytes for one in model.parameters() if one.grad is not None)
    assert gradient_bytes(zoo.trace(model, (3, 4), train=True)) == real


def test_a_batch_between_two_is_what_it_is_when_traced() -> None:
    steps = Steps({4: step(4), 32: step(32)}, clock())
    assert steps.scales
    for batch in (16, 64, 256):
        traced = timed(step(batch), clock())
        found = steps.at(batch)
        assert traced is not None
        assert found is not None
        assert found.seconds == pytest.approx(traced.seconds, rel=1e-3)


@pytest.mark.parametrize("mark", MARKS)
def test_it_pays_from_the_smallest_batch_on(mark: float) -> None:
    steps = Steps({4: step(4), 32: step(32)}, clock("v100"))
    slow = network(1.25e9)
    batch = steps.smallest(mark, 8, slow)
    assert batch is not None
    assert batch > 1

    def reached(size: int) -> float:
        found = steps.at(size)
        assert found is not None
        return efficiency(found, 8, slow)

    assert reached(batch - 1) < mark <= reached(batch)


def test_larger_batches_and_faster_links_are_more_efficient() -> None:
    found = zoo.transfers(
        "torchvision/resnet18", (8, 3, 64, 64), by="replica", on="v100", network="10Gbit"
    )
    rows = {(row["replicas"], row["batch"]): row for row in found.rows}
    assert set(rows) == {(n, batch) for n in (2, 4, 8) for batch in (8, 32, 128)}
    for (count, batch), row in rows.items():
        assert row["serial_efficiency"] <= row["efficiency"] <= 1
        assert row["speedup"] == pytest.approx(count * row["efficiency"])
        assert row["ratio"] == pytest.approx(row["compute_seconds"] / row["exchange_seconds"])
        if batch > 8:
            assert row["efficiency"] >= rows[count, batch // 4]["efficiency"]
    other = zoo.transfers("torchvision/resnet18", (8, 3, 64, 64), by="replica", on="v100")
    for slow, fast in zip(found.rows, other.rows, strict=True):
        assert slow["efficiency"] < fast["efficiency"]
    totals = found.totals
    assert totals["faster_from_batch"] <= totals["batch_for_50_percent"]
    assert totals["batch_for_50_percent"] <= totals["batch_for_80_percent"]
    assert totals["batch_for_80_percent"] <= totals["batch_for_90_percent"]
    assert totals["flops_per_gradient_byte"] == 2 * totals["macs"] / totals["gradient_bytes"]


def test_micro_batches_are_exchanged_once() -> None:
    one, four = (timed(step(8, accumulate=count), clock()) for count in (1, 4))
    assert one is not None
    assert four is not None
    assert four.micro == 4
    assert four.seconds > 3.5 * (one.forward + one.backward)
    slow = network(1e9)
    assert efficiency(four, 8, slow) > efficiency(one, 8, slow)


@pytest.mark.parametrize(
    "row", read("data_parallel.csv"), ids=lambda row: f"{row['device']}-{row['autocast']}"
)
def test_published_speedups(row: Mapping[str, str]) -> None:
    """Reading images and waiting for the slowest are not in ours, which is a bound from above."""
    trace = image_step(row["model"], row["input"], row["autocast"])
    place, count = zoo.device(row["device"]), int(row["replicas"])
    report = replicas({256: trace}, place, devices=count)
    ours = next(one["speedup"] for one in report.rows if one["replicas"] == count)
    assert 0.8 < float(row["speedup"]) / ours <= 1


def test_one_trace_has_one_batch() -> None:
    report = zoo.transfers(step(8), by="replica", on="a100", replicas=6)
    assert [row["replicas"] for row in report.rows] == [2, 4, 6]
    assert report.totals["batch_for_90_percent"] is None
    assert any(note.code == "one-batch" for note in report.notes)


def test_counts_are_powers_of_two_and_the_last() -> None:
    assert (counts(2), counts(3), counts(16)) == ([2], [2, 3], [2, 4, 8, 16])


@pytest.mark.parametrize(
    ("word", "speed"), [("100Gbit", 12.5e9), ("10 gbit/s", 1.25e9), ("25GB/s", 25e9), (3e9, 3e9)]
)
def test_networks_as_people_write_them(word: str | float, speed: float) -> None:
    assert speed_of(word) == pytest.approx(speed)


@pytest.mark.parametrize("word", ["fast", "-1Gbit", "100", "0GB/s", "100Gbyte", "12GB", ""])
def test_networks_that_are_none(word: str) -> None:
    with pytest.raises(OptionError, match="Write 100Gbit"):
        speed_of(word)


def test_what_cannot_be_exchanged_is_said() -> None:
    with pytest.raises(OptionError, match="--network"):
        link_of(zoo.device("Apple M2"), None)
    with pytest.raises(OptionError, match="no device was named"):
        zoo.transfers("lenet", by="replica")
    with pytest.raises(OptionError, match="no parallelism"):
        zoo.transfers("lenet", by="replica", on="a100", replicas=1)
    forward = zoo.trace("lenet", device="cuda")
    with pytest.raises(StepError, match="no training step"):
        zoo.transfers(forward, by="replica", on="a100")
    with pytest.raises(StepError, match="nothing is exchanged"):
        zoo.transfers("lenet", by="replica", on="a100", loss="none", train=True)
