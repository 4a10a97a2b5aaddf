"""What moving takes: by hand, and with the code that measures run on the processor."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import zoo
from zoo.analysis.devices import Device, Link
from zoo.analysis.links import between, links, loads, network, reach, table
from zoo.analysis.measured import accelerator, copied, measured, processor, split
from zoo.errors import OptionError


def test_every_figure_has_a_source() -> None:
    for one in table():
        assert one.source, one.kind
        assert one.confidence in ("seen", "computed", "recall")
        assert all(share is None or 0 < share <= 1 for share in (*one.shares, one.ring))


def test_every_link_of_the_device_table_has_a_kind() -> None:
    named = {link.name for row in zoo.devices().rows for link in zoo.device(row["name"]).links}
    assert len(named) > 10
    assert {name for name in named if reach(Link(name, "host", 1e9)).kind == "other"} == set()


@pytest.mark.parametrize("pageable", [False, True])
@pytest.mark.parametrize("back", [False, True])
def test_time_is_latency_and_bytes(pageable: bool, back: bool) -> None:
    link = reach(Link("PCIe 4.0x16", "host", 31.5e9))
    rate = link.bandwidth(back=back, pageable=pageable)
    latency = link.wait if pageable else link.copy
    assert rate is not None
    assert latency is not None
    found = link.seconds(3 * 10**9, 7, back=back, pageable=pageable)
    assert found == pytest.approx(7 * latency + 3e9 / rate)
    assert rate < 31.5e9


def test_many_small_tensors_pay_the_latency_each() -> None:
    link = reach(Link("PCIe 5.0x16", "host", 63e9))
    one, many = link.seconds(10**6, 1), link.seconds(10**6, 1000)
    assert one is not None
    assert many is not None
    assert link.copy is not None
    assert many - one == pytest.approx(999 * link.copy)


def test_half_the_lanes_have_half_the_bandwidth() -> None:
    wide, narrow = (reach(Link(f"PCIe 4.0x{n}", "host", n * 1.96875e9)) for n in (16, 8))
    assert (wide.bandwidth() or 0) == pytest.approx(2 * (narrow.bandwidth() or 0))
    assert narrow.bandwidth(pageable=True) == min(narrow.bandwidth() or 0, 12.9e9)


def test_unified_memory_has_nothing_to_cross() -> None:
    link = reach(Link("unified", "host", None))
    assert link.unified
    assert link.seconds(10**12, 100) == 0.0
    report = zoo.transfers("lenet", (1, 1, 28, 28), by="link", on="Apple M2")
    assert {row["pinned_seconds"] for row in report.rows} == {0.0}
    assert any(note.code == "unified-memory" for note in report.notes)
    assert between(zoo.device("Apple M2")) is None  # it leads to no second device


def test_a_link_without_a_bandwidth_has_no_time() -> None:
    assert reach(Link("host", "host", None)).seconds(10, 1) is None
    assert between(Device("mine")) is None


def test_networks() -> None:
    assert network(1e9).ring_bandwidth == pytest.approx(0.96e9)


class Tied(nn.Module):
    """A weight under two names, one that is not read, a buffer, inputs in a mapping."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False)
        self.b.weight = self.a.weight
        self.idle = nn.Parameter(torch.zeros(3))
        self.register_buffer("scale", torch.ones(5))

    def forward(self, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        y = self.b(self.a(batch["x"])) * self.scale[:4]
        return y, y.sum()


def test_loads_are_distinct_tensors() -> None:
    trace = zoo.trace(Tied(), {"x": (2, 4), "y": (7,)}, train=True, optimizer="adam")
    found = {one.what: (one.nbytes, one.copies, one.back) for one in loads(trace)}
    assert found["parameters"] == ((16 + 3) * 4, 2, False)
    assert found["buffers"] == (5 * 4, 1, False)
    assert found["inputs"] == ((8 + 7) * 4, 2, False)
    assert found["outputs"] == ((8 + 1) * 4, 2, True)
    assert found["gradients"] == (16 * 4, 1, True)
    assert found["optimizer state"][0] >= 2 * 16 * 4


def test_a_forward_pass_moves_no_gradients() -> None:
    assert {one.what for one in loads(zoo.trace("lenet"))} == {
        *("parameters", "buffers", "inputs", "outputs"),
    }


def test_a_report_of_all_kinds_and_one_of_a_device() -> None:
    trace = zoo.trace("lenet", (64, 1, 28, 28), device="cuda")
    every, own = links(trace), links(trace, zoo.device("h100"))
    assert {row["link"] for row in every.rows} >= {"PCIe 3.0x16", "NVLink4", "unified"}
    assert {row["link"] for row in own.rows} == {"PCIe 5.0x16", "NVLink4"}
    assert own.totals["parameter_bytes"] == 246824
    host = [row for row in own.rows if row["link"] == "PCIe 5.0x16"]
    model = sum(row["pinned_seconds"] for row in host if row["what"] in ("parameters", "buffers"))
    assert own.totals["model_pinned_seconds"] == pytest.approx(model)
    assert all(row["pageable_seconds"] is None for row in own.rows if row["link"] == "NVLink4")
    for row in host:
        assert row["pageable_seconds"] >= row["pinned_seconds"]


def test_the_processor_takes_longer_for_more() -> None:
    """The code that measures an accelerator, on copies within the processor's own memory."""
    small, large = (copied([size] * 4, processor(), turns=5) for size in (2**10, 2**24))
    assert 0 < small < large
    assert copied([2**12], processor(), back=True, pageable=True, turns=3) > 0


def test_a_measured_report_has_both() -> None:
    report = links(zoo.trace("lenet"), zoo.device("rtx4090"))
    found = measured(report, processor(), turns=2)
    assert [column.name for column in found.columns[-2:]] == [
        "pinned_measured_seconds",
        "pageable_measured_seconds",
    ]
    for row in found.rows:
        assert row["pinned_measured_seconds"] is None  # nothing is pinned for the processor
        assert (row["pageable_measured_seconds"] > 0) == (row["copies"] > 0)
    assert found.totals["measured_on"] == "cpu"


@pytest.mark.parametrize(("nbytes", "copies"), [(10, 3), (3, 3), (7, 1), (0, 0), (2, 5)])
def test_sizes_add_up(nbytes: int, copies: int) -> None:
    sizes = split(nbytes, copies)
    assert (len(sizes), sum(sizes)) == (copies, nbytes)
    assert not sizes or max(sizes) - min(sizes) <= 1


@pytest.mark.skipif(
    torch.cuda.is_available() or torch.backends.mps.is_available(), reason="an accelerator is here"
)
def test_nothing_to_measure() -> None:
    with pytest.raises(OptionError, match="no accelerator is here"):
        accelerator()
    with pytest.raises(OptionError, match="no accelerator is here"):
        zoo.transfers("lenet", by="link", measure=True)
