"""Copies and waits: each way at its line, none invented, and what only the first step does."""

from __future__ import annotations

import inspect
import re
from collections import Counter
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from torch import Tensor, nn
from torch.nn import functional as F

import zoo
from tests.analysis import waiting
from tests.strategies import WIDTH, learners
from zoo.analysis import jsonform
from zoo.analysis.devices import Device, Link
from zoo.analysis.links import reach
from zoo.analysis.records import Trace, Transfer
from zoo.analysis.transfers import COLUMNS, FIXES, fix, seconds, transfers
from zoo.errors import OptionError

CLEAN = (
    "alexnet convnext_tiny densenet121 efficientnet_b0 efficientnet_v2_s googlenet inception_v3 "
    "maxvit_t mnasnet1_0 mobilenet_v2 mobilenet_v3_small regnet_y_400mf resnet18 resnet50 "
    "resnext50_32x4d shufflenet_v2_x1_0 squeezenet1_0 swin_t vgg11_bn vit_b_16 wide_resnet50_2"
).split()
DETECTOR = "torchvision/fasterrcnn_mobilenet_v3_large_320_fpn"
FLOAT, LONG = 4, 8
Found = Counter[tuple[str, int, str, bool]]


def on_cuda(model: Any, *inputs: Any, **options: Any) -> Trace:
    return zoo.trace(model, *inputs, device="cuda", **options)


def short(one: Transfer) -> tuple[str, int, str, bool]:
    way = f"{one.source_device}>{one.target_device}".replace("cuda:0", "cuda")
    return one.kind, one.nbytes, way, one.blocking


def moves(trace: Trace) -> list[Any]:
    """All that is known of each, but for the call and operator that it belongs to."""
    return [(*short(one), one.source, one.phase, one.when) for one in trace.transfers]


def codes(trace: Trace) -> set[str]:
    return {note.code for note in trace.notes}


# each way at its line


def expected(comment: str) -> Found:
    """What a comment of `waiting.py` says."""
    found: Found = Counter()
    kind, sizes, way, *rest = comment.split()
    times = next((int(word[1:]) for word in rest if word[0] == "x"), 1)
    for size in sizes.split("+"):
        found[kind, int(size), way, "later" not in rest] += times
    return found


def marked(way: type) -> dict[int, Found]:
    """Lines of a class that copy or wait."""
    lines, first = inspect.getsourcelines(way)
    marks = {first + at: re.search(r"# ! (.*)$", line) for at, line in enumerate(lines)}
    return {line: expected(mark[1]) for line, mark in marks.items() if mark}


@pytest.mark.parametrize("name", waiting.WAYS)
def test_each_way_is_found_at_its_line_and_nothing_else(name: str) -> None:
    trace = on_cuda(waiting.WAYS[name](), (4, 8))
    assert trace.failure is None
    found: dict[int, Found] = {}
    for one in trace.transfers:
        file, _, line = str(one.source).rpartition(":")
        assert Path(file).name == "waiting.py"
        found.setdefault(int(line), Counter())[short(one)] += 1
    assert found == marked(waiting.WAYS[name])


def test_there_are_many_ways() -> None:
    assert sum(len(marked(way)) for way in waiting.WAYS.values()) >= 100


@pytest.mark.parametrize("name", [name for name in waiting.WAYS if name not in ("Named", "Copies")])
def test_a_run_on_the_cpu_neither_copies_nor_waits(name: str) -> None:
    trace = zoo.trace(waiting.WAYS[name](), (4, 8))
    assert trace.failure is None
    assert trace.transfers == ()


@pytest.mark.parametrize(
    ("ask", "checks"),
    [
        (torch.linalg.eigh, 1),
        (torch.linalg.svd, 1),
        (lambda x: torch.linalg.lstsq(x, x), 1),
        (torch.linalg.lu_factor, 1),
        (torch.linalg.cholesky, 1),
        (lambda x: torch.normal(x, x.abs()), 2),
        (torch.linalg.qr, 0),
        (lambda x: torch.masked_fill(x, x > 0, 0.0), 0),
        (lambda x: torch.masked_fill(x, x > 0, torch.full((), 1.0, device=x.device)), 1),
        (lambda x: torch.where(x > 0, x, x), 0),
    ],
)
def test_code_that_devices_share_asks_as_often_in_torch_itself(ask: Any, checks: int) -> None:
    from torch.profiler import ProfilerActivity, profile

    class Asks(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            ask(x)
            return x

    with profile(activities=[ProfilerActivity.CPU]) as log:
        ask(torch.eye(4))
    really = sum(event.name == "aten::_local_scalar_dense" for event in log.events())
    assert really == checks
    assert len(on_cuda(Asks(), (4, 4)).transfers) == checks


# nothing is invented


@pytest.mark.parametrize("name", CLEAN)
def test_clean_models_neither_copy_nor_wait(name: str) -> None:
    trace = on_cuda(f"torchvision/{name}")
    assert trace.failure is None
    assert trace.transfers == ()
    assert "device-mismatch" not in codes(trace)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small", "swin_t", "vit_b_16"])
def test_nor_do_they_in_a_training_step(name: str, optimizer: str) -> None:
    trace = on_cuda(f"torchvision/{name}", train=True, optimizer=optimizer)
    assert trace.failure is None
    assert trace.transfers == ()
    assert "device-mismatch" not in codes(trace)


@settings(max_examples=15, deadline=None)
@given(learners)
def test_nor_do_random_models(model: nn.Module) -> None:
    assert on_cuda(model, (2, WIDTH), train=True, optimizer="adam").transfers == ()


# models as people write them


class BatchNorm(nn.Module):
    """As in the notes: moving averages are attributes, and moved where they are needed."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(1, width))
        self.beta = nn.Parameter(torch.zeros(1, width))
        self.moving_mean = torch.zeros(1, width)
        self.moving_var = torch.ones(1, width)

    def forward(self, x: Tensor) -> Tensor:
        if self.moving_mean.device != x.device:
            self.moving_mean = self.moving_mean.to(x.device)
            self.moving_var = self.moving_var.to(x.device)
        if not torch.is_grad_enabled():
            return self.gamma * (x - self.moving_mean) / torch.sqrt(self.moving_var + 1e-5)
        mean, var = x.mean(0), x.var(0)
        self.moving_mean = (0.9 * self.moving_mean + 0.1 * mean).detach()
        self.moving_var = (0.9 * self.moving_var + 0.1 * var).detach()
        return self.gamma * (x - mean) / torch.sqrt(var + 1e-5) + self.beta


@pytest.mark.parametrize("options", [{}, {"train": True, "optimizer": "adamw"}])
def test_the_notes_batch_norm_copies_at_the_first_step(options: dict[str, Any]) -> None:
    model = nn.Sequential(nn.Linear(8, 4), BatchNorm(4), nn.Linear(4, 6), BatchNorm(6))
    was = model[1].moving_mean
    trace = on_cuda(model, (16, 8), **options)
    assert trace.failure is None
    paths = [trace.calls[one.call].path for one in trace.transfers]
    assert paths == ["1", "1", "3", "3"]
    assert [one.nbytes for one in trace.transfers] == [4 * FLOAT] * 2 + [6 * FLOAT] * 2
    assert {short(one)[2:] for one in trace.transfers} == {("cpu>cuda", True)}
    assert {one.when for one in trace.transfers} == {"first step"}
    assert model[1].moving_mean is was
    report = transfers(trace)
    assert (report.totals["waits"], report.totals["first_step_only"]) == (0, 4)
    assert all("register_buffer" in row["fix"] for row in report.rows)


class Mixed(nn.Module):
    """Moves one tensor at the first step, and another at each."""

    def __init__(self) -> None:
        super().__init__()
        self.kept, self.host = torch.zeros(8), torch.zeros(8)

    def forward(self, x: Tensor) -> Tensor:
        self.kept = self.kept.to(x.device)
        return x + self.kept + self.host.to(x.device)


def test_the_first_step_and_each_step_are_told_apart() -> None:
    assert [one.when for one in on_cuda(Mixed(), (2, 8)).transfers] == ["first step", "each step"]


class OnceOnly(nn.Module):
    """Its second step breaks."""

    def __init__(self) -> None:
        super().__init__()
        self.ran = False

    def forward(self, x: Tensor) -> Tensor:
        if self.ran:
            raise RuntimeError("once is enough")
        self.ran = True
        return x * x.sum().item()


def test_without_a_second_step_it_is_not_known_when() -> None:
    model = OnceOnly()
    trace = on_cuda(model, (2, 8))
    assert [one.when for one in trace.transfers] == [None]
    assert not model.ran
    report = transfers(trace)
    assert report.totals["waits"] == 1
    assert "second-step" in {note.code for note in report.notes}


class There(nn.Module):
    """Computes a part on the host, so that gradients cross as well."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        y = self.a(x).cpu() * 2
        return self.b(y.to(x.device)).to("cuda:1")


def test_gradients_go_back_the_way_the_values_came() -> None:
    trace = on_cuda(There(), (2, 8), train=True)
    assert trace.failure is None
    ways = [(one.phase, *short(one)[2:]) for one in trace.transfers]
    assert ways == [
        ("forward", "cuda>cpu", True),
        ("forward", "cpu>cuda", True),
        ("forward", "cuda>cuda:1", False),
        ("backward", "cuda:1>cuda", False),
        ("backward", "cuda>cpu", True),
        ("backward", "cpu>cuda", True),
    ]
    assert {one.nbytes for one in trace.transfers} == {2 * 8 * FLOAT}


class Clipped(nn.Module):
    """A hook of the user's waits in the backward pass, and a mask is used again there."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        y = self.a(x)
        y.register_hook(lambda gradient: gradient * gradient.norm().item())
        return y[y > 0]


def test_waits_of_the_backward_pass() -> None:
    trace = on_cuda(Clipped(), (2, 8), train=True)
    found = [(one.phase, one.kind) for one in trace.transfers]
    assert found == [("forward", "mask"), ("backward", "mask"), ("backward", "item")]
    assert all(one.source and "test_transfers.py" in one.source for one in trace.transfers)


class Filled(nn.Module):
    """Fills by a mask, for which nobody waits in either pass."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        y = self.a(x)
        y[y < 0] = 0.0
        return y.masked_fill(y > 1, 1.0)


def test_the_gradient_of_a_filled_mask_does_not_wait() -> None:
    trace = on_cuda(Filled(), (2, 8), train=True)
    assert any(op.op.startswith("aten.index_put") for op in trace.ops if op.phase == "backward")
    assert trace.transfers == ()


class Decoder(nn.Module):
    """A GPT of one block that makes its mask and positions on the host."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens, self.places = nn.Embedding(50, 16), nn.Embedding(12, 16)
        self.attention = nn.MultiheadAttention(16, 2, batch_first=True)
        self.head = nn.Linear(16, 50, bias=False)
        self.head.weight = self.tokens.weight

    def forward(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        ids = batch["ids"]
        length = ids.shape[1]
        x = self.tokens(ids) + self.places(torch.arange(length).to(ids.device))
        mask = torch.ones(length, length, dtype=torch.bool).triu(1)
        x = x + self.attention(x, x, x, attn_mask=mask.to(ids.device), need_weights=False)[0]
        return {"logits": self.head(x)}


def test_a_decoder_whose_mask_is_made_on_the_host() -> None:
    trace = on_cuda(Decoder(), {"ids": "3,12:int64"})
    assert trace.failure is None
    assert [short(one) for one in trace.transfers] == [
        ("copy", 12 * LONG, "cpu>cuda", True),
        ("copy", 12 * 12, "cpu>cuda", True),
    ]
    assert {one.when for one in trace.transfers} == {"each step"}


class Lstm(nn.Module):
    """Gets lengths with the batch, as data loaders pack them."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(8, 4, batch_first=True)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths.cpu(), batch_first=True)
        return nn.utils.rnn.pad_packed_sequence(self.lstm(packed)[0], batch_first=True)[0]


def test_an_lstm_over_a_packed_sequence() -> None:
    trace = on_cuda(Lstm(), (3, 5, 8), torch.tensor([5, 4, 2]))
    assert trace.failure is None
    assert [short(one) for one in trace.transfers] == [("copy", 3 * LONG, "cuda>cpu", True)]
    assert "device-mismatch" not in codes(trace)


@lru_cache
def detected() -> Trace:
    return on_cuda(DETECTOR)


def test_a_detector_waits_in_its_boxes() -> None:
    trace = detected()
    assert trace.failure is None
    kinds = Counter(one.kind for one in trace.transfers)
    assert kinds["nms"] >= 2
    assert kinds["nonzero"] >= 4
    assert all(one.source and "torchvision/" in one.source for one in trace.transfers)
    once = {str(one.source) for one in trace.transfers if one.when == "first step"}
    assert [line.partition(":")[0] for line in once] == [
        "torchvision/models/detection/anchor_utils.py"
    ]
    assert "device-mismatch" not in codes(trace)


class Branches(nn.Module):
    """Asks where it is."""

    def forward(self, x: Tensor) -> Tensor:
        if x.is_cuda and x.device.type == "cuda" and torch.cuda.is_available():
            return x * x.max().item()
        return x


def test_branches_go_the_way_of_the_device_asked_for() -> None:
    assert len(on_cuda(Branches(), (2, 8)).transfers) == 1
    assert zoo.trace(Branches(), (2, 8)).transfers == ()


class Apart(nn.Module):
    """Adds a tensor of the host's to one of the device's, and goes through numpy."""

    def forward(self, x: Tensor) -> Tensor:
        x = x + torch.ones(8)
        return x + torch.from_numpy(x.detach().numpy()).to(x.device)


def test_what_a_device_refuses_is_said_and_the_run_goes_on() -> None:
    trace = on_cuda(Apart(), (2, 8))
    assert trace.failure is None
    said = [note for note in trace.notes if note.code == "device-mismatch"]
    assert [note.text.partition(":")[0] for note in said] == [
        "add gets tensors on cpu and cuda",
        "numpy() of a tensor on cuda",
    ]
    assert all(note.where and "test_transfers.py" in note.where for note in said)


class Breaks(nn.Module):
    """Waits, and raises."""

    def forward(self, x: Tensor) -> Tensor:
        torch.cuda.synchronize()
        raise ValueError("no")


def test_names_of_torch_are_given_back_also_when_the_model_raises() -> None:
    names = ("synchronize", "is_available", "Event", "Stream", "current_stream", "empty_cache")
    was = [getattr(torch.cuda, name) for name in names]
    trace = on_cuda(Breaks(), (2, 8))
    assert trace.failure is not None
    assert [one.kind for one in trace.transfers] == ["synchronize"]
    assert [getattr(torch.cuda, name) for name in names] == was


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw", "radam", "adagrad"])
def test_optimizers_keep_their_counts_on_the_host(name: str) -> None:
    trace = on_cuda(nn.Linear(8, 8), (2, 8), train=True, optimizer=name)
    assert trace.transfers == ()
    assert "device-mismatch" not in codes(trace)


def test_an_optimizer_that_waits() -> None:
    trace = on_cuda(nn.Linear(8, 8), (2, 8), train=True, optimizer="adafactor")
    assert {(one.kind, one.phase) for one in trace.transfers} == {("item", "optimizer")}


# laws


@pytest.mark.parametrize("name", ["Values", "Sizes", "Copies"])
def test_wrapping_changes_nothing_but_the_path(name: str) -> None:
    model = waiting.WAYS[name]()
    bare, wrapped = on_cuda(model, (4, 8)), on_cuda(nn.Sequential(model), (4, 8))
    assert moves(bare) == moves(wrapped)
    assert {trace.calls[one.call].path for trace in (wrapped,) for one in trace.transfers} == {"0"}


def test_a_module_called_twice_waits_twice() -> None:
    model = waiting.Text()
    once, twice = on_cuda(model, (4, 8)), on_cuda(nn.Sequential(model, model), (4, 8))
    assert moves(twice) == moves(once) * 2
    rows = [transfers(trace).rows for trace in (once, twice)]
    assert [row["count"] for row in rows[0]] * 2 == [row["count"] for row in rows[1]]


def test_a_larger_batch_waits_as_often_for_more() -> None:
    small, large = (on_cuda(There(), (batch, 8), train=True) for batch in (2, 6))
    assert [one.nbytes * 3 for one in small.transfers] == [one.nbytes for one in large.transfers]


def test_an_operator_is_named_where_there_is_one() -> None:
    trace = on_cuda(waiting.Copies(), (4, 8))
    named = {trace.ops[one.op].op for one in trace.transfers if one.op is not None}
    assert named == {
        "aten._to_copy.default",
        "aten.copy_.default",
        "aten.index.Tensor",
        "aten.where.self",
    }


def test_json_keeps_every_transfer() -> None:
    trace = detected()
    assert jsonform.loads(jsonform.dumps(trace), Trace).transfers == trace.transfers


# the report


def test_rows_add_up_to_the_totals() -> None:
    report = transfers(on_cuda(waiting.Copies(), (4, 8)))
    each = [row for row in report.rows if row["when"] == "each step"]
    totals = report.totals
    assert totals["waits"] == sum(row["count"] for row in each if row["blocking"])
    assert totals["copies"] == sum(row["count"] for row in each if row["kind"] == "copy")
    ways = ("to_device_bytes", "to_host_bytes", "between_devices_bytes")
    assert sum(totals[way] for way in ways) == sum(row["bytes"] for row in each)
    assert totals["between_devices_bytes"] == 4 * 8 * FLOAT
    assert totals["input_bytes"] == totals["output_bytes"] == 4 * 8 * FLOAT
    assert totals["parameter_bytes"] == totals["buffer_bytes"] == 0
    for row in report.rows:
        assert set(row) == {column.name for column in COLUMNS}
        assert row["fix"].endswith(".")


def test_rows_are_lines_in_the_order_in_which_they_first_run() -> None:
    model = nn.Sequential(Mixed(), nn.ReLU(), Mixed())
    rows = transfers(on_cuda(model, (2, 8))).rows
    assert [(row["module"], row["when"], row["count"]) for row in rows] == [
        ("0", "first step", 1),
        ("0", "each step", 1),
        ("2", "first step", 1),
        ("2", "each step", 1),
    ]


def test_seconds_are_those_of_the_link() -> None:
    pcie = Link("PCIe 4.0x16", "host", 31.5e9)
    card = Device("mine", links=(pcie, Link("bridge", "peer", None)))
    report = transfers(on_cuda(There(), (2, 8)), card)
    back, there = (reach(pcie).seconds(64, back=way, pageable=True) for way in (True, False))
    assert [row["seconds"] for row in report.rows] == [back, there, None]
    assert report.totals["seconds"] is None
    assert back is not None
    assert back > 14e-6  # nothing crosses in less than a copy's latency


def test_a_copy_for_which_nobody_waits_is_of_pinned_memory() -> None:
    card = Device("mine", links=(Link("PCIe 4.0x16", "host", 31.5e9),))
    pinned = Transfer("copy", 10**9, "cpu", "cuda:0", blocking=False, op=0, call=0, source=None)
    pageable = replace(pinned, blocking=True)
    assert seconds(pinned, card) == pytest.approx(6.7e-6 + 1e9 / (0.83 * 31.5e9))
    assert seconds(pageable, card) == pytest.approx(14e-6 + 1e9 / 12.9e9)
    assert seconds(replace(pinned, kind="synchronize", nbytes=0), card) == 0
    assert seconds(pinned, Device("one memory", links=(Link("unified", "host", None),))) is None


class Origins(nn.Module):
    """Copies at each step what it has, what it is told, and what it makes."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(8, 8)
        self.table = torch.ones(8)
        self.tables = {"one": torch.ones(8)}

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer(x) + self.table.to(x.device)
        x = x + self.tables["one"][None].to(x.device)
        x = x + torch.tensor([2.0] * 8, device=x.device)
        x = x + torch.arange(8).to(x.device)
        return x + (torch.ones(8) * 2).to(x.device)


def test_the_fix_of_a_copy_is_for_where_it_is_from() -> None:
    rows = transfers(on_cuda(Origins(), (2, 8))).rows
    assert [row["when"] for row in rows] == ["each step"] * 5
    assert [row["fix"].split("(")[0] for row in rows] == [
        *["register_buffer"] * 3,
        *["Make it there: torch.arange"] * 2,
    ]


def test_every_kind_that_is_found_has_its_own_fix() -> None:
    ways = [on_cuda(way(), (4, 8)) for way in waiting.WAYS.values()]
    found = {one.kind for trace in ways for one in trace.transfers}
    assert found - {"copy"} <= set(FIXES)
    assert fix("copy", "cpu", "cuda:0") != fix("copy", "cuda:0", "cpu")


def test_a_run_on_the_cpu_is_refused() -> None:
    with pytest.raises(OptionError, match="does not wait for itself"):
        transfers(zoo.trace("lenet"))


def test_the_loss_waits_outside_of_the_model() -> None:
    def loss(out: Tensor) -> Tensor:
        return F.mse_loss(out, torch.zeros(2, 8).to(out.device))

    trace = on_cuda(nn.Linear(8, 8), (2, 8), train=True, loss=loss)
    assert [(one.kind, one.call, one.phase) for one in trace.transfers] == [("copy", 0, "forward")]
