"""What fits: the largest batch is traced, the next is not within the limit, changes are single."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
import torch
import torchvision
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

import zoo
from zoo.analysis.changes import changes, segments
from zoo.analysis.fits import COLUMNS, MOST, Job, best, crossing, rows
from zoo.analysis.freezing import Model
from zoo.errors import BadBudget, InputError, NothingToTrain, UnknownDevice
from zoo.models.llama import llama
from zoo.subjects import Subject

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zoo.analysis.records import Note, Row, Trace

TRACES = 8
"""Traces that a change may take."""
MIB = 1 << 20


class Cells(nn.Module):
    """A language model of the recurrent kind, with the batch in the first dim."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(100, 16)
        self.cells = nn.LSTM(16, 32, num_layers=2, batch_first=True)
        self.head = nn.Linear(32, 100)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.head(self.cells(self.embed(x))[0])
        return found


class Mlp(nn.Sequential):
    """Three layers, the first two of which are blocks of one kind."""

    def __init__(self, width: int = 64, norm: bool = False) -> None:
        def block() -> nn.Module:
            middle = [nn.BatchNorm1d(width)] if norm else []
            return nn.Sequential(nn.Linear(width, width), *middle, nn.Tanh())

        super().__init__(block(), block(), nn.Linear(width, 10))


def vit() -> nn.Module:
    return torchvision.models.VisionTransformer(
        image_size=32, patch_size=8, num_layers=3, num_heads=2, hidden_dim=32, mlp_dim=64
    )


KINDS: dict[str, tuple[nn.Module, str]] = {
    "cnn": (torchvision.models.resnet18(num_classes=10), "2,3,32,32"),
    "vit": (vit(), "2,3,32,32"),
    "lstm": (Cells(), "2,12@ints:100"),
    "decoder": (llama(), "2,16@ints:256"),
}


def held(trace: Trace) -> int:
    """Most bytes that live at once, by looking at every block in every operator."""
    return max(
        sum(
            one.nbytes
            for one in trace.storages
            if one.born <= op and (one.died is None or one.died >= op)
        )
        for op in range(-1, len(trace.ops))
    )


# the largest batch


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("train", [False, True], ids=["inference", "training"])
def test_the_largest_batch_fits_and_the_next_does_not(kind: str, train: bool) -> None:
    model, word = KINDS[kind]
    how: dict[str, Any] = {"train": True, "optimizer": "adamw"} if train else {}
    limit = 4_000_077 + held(zoo.trace(model, word, **how))
    report = zoo.memory(model, word, fits=limit, **how)
    most = report.totals["largest_batch"]
    assert held(zoo.trace(model, word, batch=most, **how)) <= limit
    assert held(zoo.trace(model, word, batch=most + 1, **how)) > limit
    assert most > 2
    assert report.totals["fits"] is True


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("train", [False, True], ids=["inference", "training"])
def test_and_so_on_a_device(kind: str, train: bool) -> None:
    model, word = KINDS[kind]
    how: dict[str, Any] = {"train": True, "optimizer": "adamw"} if train else {}
    limit = 1_300_000_000
    report = zoo.memory(model, word, on="rtx4090", fits=limit, **how)
    most = report.totals["largest_batch"]

    def shown(batch: int) -> int:
        found = zoo.memory(model, word, on="rtx4090", batch=batch, **how)
        return int(found.totals["device_bytes"])

    assert shown(most) <= limit < shown(most + 1)
    assert report.rows[0]["bytes"] == report.totals["device_bytes"]


CHANGED = {
    "autocast to bfloat16": {"autocast": "bfloat16"},
    "weights, gradients and state in bfloat16": {"dtype": "bfloat16"},
    "optimizer sgd": {"optimizer": "sgd"},
    "checkpoint 3 EncoderBlock": {"checkpoint": "encoder.layers.*"},
}


def test_each_row_is_verified_with_its_own_change() -> None:
    """What a row says is what a user gets who makes the change."""
    model, word = KINDS["vit"]
    how: dict[str, Any] = {"train": True, "optimizer": "adamw"}
    limit = 3_000_000
    report = zoo.memory(model, word, fits=limit, **how)
    found = {row["change"]: row for row in report.rows}
    assert set(CHANGED) < set(found)
    for name, setting in CHANGED.items():
        row, changed = found[name], {**how, **setting}
        assert row["bytes"] == row["peak_bytes"] == held(zoo.trace(model, word, **changed))
        assert row["saves"] == report.rows[0]["bytes"] - row["bytes"]
        most = row["largest_batch"]
        assert held(zoo.trace(model, word, batch=most, **changed)) <= limit
        assert held(zoo.trace(model, word, batch=most + 1, **changed)) > limit


def test_half_the_batch_twice_is_two_micro_batches() -> None:
    model, word = Mlp(), "9,64"
    limit = 1_400_000
    report = zoo.memory(model, word, train=True, optimizer="adamw", fits=limit)
    row = next(row for row in report.rows if row["change"] == "half the batch, twice")

    def micro(batch: int) -> int:
        how: dict[str, Any] = {"train": True, "optimizer": "adamw", "accumulate": 2}
        return held(zoo.trace(model, word, batch=batch, **how))

    assert row["bytes"] == micro(5)
    assert row["largest_batch"] % 2 == 0
    assert micro(row["largest_batch"] // 2) <= limit < micro(row["largest_batch"] // 2 + 1)
    assert row["macs_ratio"] == pytest.approx(10 / 9)


def test_a_batch_that_is_too_large_comes_down_to_the_same() -> None:
    """The answer does not depend on the batch that the search begins at."""
    model = Mlp()
    limit = 1 << 20
    answers = {
        batch: zoo.memory(model, "1,64", batch=batch, train=True, fits=limit).totals
        for batch in (1, 7, 5_000, 100_000)
    }
    assert len({totals["largest_batch"] for totals in answers.values()}) == 1
    assert [totals["fits"] for totals in answers.values()] == [True, True, False, False]


def test_nothing_fits() -> None:
    report = zoo.memory(Mlp(2_000), (4, 2_000), train=True, fits=20 * MIB)
    assert (report.totals["fits"], report.totals["largest_batch"]) == (False, 0)
    assert held(zoo.trace(Mlp(2_000), (1, 2_000), train=True)) > 20 * MIB


def test_everything_fits_up_to_the_cap() -> None:
    report = zoo.memory(nn.Linear(1, 1), (1, 1), fits="80GB")
    assert report.totals["largest_batch"] == MOST
    assert [note.code for note in report.notes].count("batch-cap") == len(report.rows)


def test_more_memory_never_fits_less() -> None:
    model = Mlp()
    found = [
        zoo.memory(model, (4, 64), train=True, fits=size).totals["largest_batch"]
        for size in range(1 << 20, 3 << 20, 200_001)
    ]
    assert found == sorted(found)
    assert found[0] < found[-1]


# batches that do not run


def test_a_norm_that_refuses_a_batch_of_one() -> None:
    """The search goes below the job's own batch, and steps over the one that does not run."""
    model = Mlp(norm=True)
    assert zoo.trace(model, (1, 64), train=True).failure is not None
    wide = Mlp(400, norm=True)
    small = held(zoo.trace(wide, (2, 400), train=True))
    assert zoo.memory(wide, (64, 400), train=True, fits=small).totals["largest_batch"] == 2
    assert zoo.memory(wide, (64, 400), train=True, fits=small - 1).totals["largest_batch"] == 0


class Four(nn.Module):
    """Has its batch written into it."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.fc(x).view(4, 8)
        return found


def test_a_batch_that_is_bounded_by_the_model_says_so() -> None:
    report = zoo.memory(Four(), (4, 8), fits="1GB")
    assert report.totals["largest_batch"] == 4
    (note,) = [
        note for note in report.notes if note.code == "batch-breaks" and "as it" in note.text
    ]
    assert "the batch after 4 does not run" in note.text


class Masked(nn.Module):
    """Takes a table beside its batch, whose first dim is another one."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(8, 8)

    def forward(self, x: Tensor, table: Tensor) -> Tensor:
        found: Tensor = self.fc(x) @ table
        return found


def test_inputs_whose_first_dim_is_no_batch_stay_as_they_are() -> None:
    report = zoo.memory(Masked(), (2, 8), (8, 3), fits=MIB)
    most = report.totals["largest_batch"]
    assert held(zoo.trace(Masked(), (most, 8), (8, 3))) <= MIB
    assert held(zoo.trace(Masked(), (most + 1, 8), (8, 3))) > MIB


class Blank(nn.Module):
    """Takes nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(8))

    def forward(self) -> Tensor:
        return self.weight * 2


def test_a_model_without_inputs_has_no_other_batch() -> None:
    report = zoo.memory(Blank(), fits="1GB")
    assert (report.totals["fits"], report.totals["largest_batch"]) == (True, 1)
    assert any("no input has a first dim" in note.text for note in report.notes)


# how much it takes


@dataclass
class Counting:
    """Traces a model, and keeps what it was asked for."""

    subject: Subject
    options: dict[str, Any]
    asked: list[tuple[str, int]] = field(default_factory=list)

    def __call__(self, *, batch: int, **settings: Any) -> Trace:
        self.asked.append((str(sorted(settings.items(), key=str)), batch))
        return self.subject.trace(batch=batch, **{**self.options, **settings})


def found_by(
    kind: str, limit: int, device: str | None = None
) -> tuple[Counting, Sequence[Row], Sequence[Note]]:
    model, word = KINDS[kind]
    place = zoo.device(device) if device else None
    options = {"train": True, "optimizer": "adamw", "device": "cuda" if place else "cpu"}
    run = Counting(Subject(model, (word,)), options)
    first = run.subject.trace(batch=2, **options)
    look = run.subject.trace(batch=2)
    return run, *rows(Job(run, limit, place, 2), changes(look, first, options), first)


@pytest.mark.parametrize("device", [None, "rtx4090"])
@pytest.mark.parametrize("kind", KINDS)
def test_few_traces_are_needed(kind: str, device: str | None) -> None:
    """And none is made twice."""
    run, found, _ = found_by(kind, 1_500_000_000, device)
    settings = Counter(how for how, _ in run.asked)
    assert len(settings) == len(found) > 3
    assert max(settings.values()) <= TRACES, settings
    assert max(Counter(run.asked).values()) == 1


@given(
    st.lists(st.integers(0, 50), min_size=2, max_size=300),
    st.integers(0, 300),
    st.integers(-5, 15_000),
)
def test_a_crossing_is_one(steps: list[int], start: int, limit: int) -> None:
    """Of whatever grows, the last that is within the limit."""
    sums = [start + sum(steps[: end + 1]) for end in range(len(steps))]
    asked = []

    def held_at(at: int) -> int:
        asked.append(at)
        return sums[at]

    within = [at for at, now in enumerate(sums) if now <= limit]
    assert crossing(held_at, limit, len(sums) - 1) == (within[-1] if within else 0)
    assert len(asked) <= 30


# changes


def test_changes_are_single() -> None:
    """Each sets one argument, or one and the size of its micro-batches."""
    model, word = KINDS["cnn"]
    subject = Subject(model, (word,))
    first = subject.trace(train=True, optimizer="adamw")
    found = changes(subject.trace(), first, {"train": True, "optimizer": "adamw"})
    assert found[0].settings == {}
    assert all(len(one.settings) == 1 for one in found[1:])
    assert len({one.name for one in found}) == len(found)
    assert {key for one in found for key in one.settings} == {
        *("autocast", "dtype", "optimizer", "accumulate", "checkpoint", "freeze")
    }


def test_what_the_job_does_already_is_no_change() -> None:
    model, word = KINDS["vit"]
    how: dict[str, Any] = {
        "train": True,
        "optimizer": "sgd",
        "autocast": "bfloat16",
        "checkpoint": "encoder.layers.*",
    }
    names = [row["change"] for row in zoo.memory(model, word, fits="1GB", **how).rows]
    assert names[:2] == ["as it is", "half the batch, twice"]
    assert all(name.startswith("freeze ") for name in names[2:])
    half = zoo.memory(model, word, fits="1GB", dtype="bfloat16")
    assert [row["change"] for row in half.rows] == ["as it is"]


def test_an_optimizer_without_state_saves_its_state() -> None:
    """AdamW keeps two numbers for each parameter, and a count for each tensor."""
    model = Mlp(512)
    count = sum(one.numel() for one in model.parameters())
    tensors = len(list(model.parameters()))
    report = zoo.memory(model, (1, 512), train=True, optimizer="adamw", fits="1GB")
    (row,) = [row for row in report.rows if row["change"] == "optimizer sgd"]
    alone = held(zoo.trace(model, (1, 512), train=True, optimizer="sgd"))
    assert row["peak_bytes"] == alone
    state = report.totals["optimizer_bytes"]
    assert state == 4 * (2 * count + tensors)
    # in the optimizer's step itself adamw holds two more temporaries of its largest parameter
    assert state <= row["saves"] <= state + 2 * 4 * 512 * 512


def test_freezing_buys_what_training_less_saves() -> None:
    model, word = KINDS["cnn"]
    report = zoo.memory(model, word, train=True, optimizer="adamw", fits="1GB")
    plans = {f"freeze {plan.name}": plan for plan in Model(zoo.trace(model, word)).depths()}
    found = [row for row in report.rows if row["change"] in plans]
    assert len(found) == 2
    for row in found:
        trace = zoo.trace(model, word, train=True, optimizer="adamw", freeze=plans[row["change"]])
        assert row["peak_bytes"] == held(trace)
        assert 0 < row["macs_ratio"] < 1


def test_a_model_of_one_layer_has_nothing_to_freeze_or_checkpoint() -> None:
    report = zoo.memory(nn.Linear(8, 8), (4, 8), train=True, optimizer="adamw", fits="1GB")
    assert [row["change"] for row in report.rows] == [
        "as it is",
        "autocast to bfloat16",
        "weights, gradients and state in bfloat16",
        "optimizer sgd",
        "half the batch, twice",
    ]


def test_a_model_that_its_user_froze() -> None:
    model = Mlp()
    for parameter in model[0].parameters():
        parameter.requires_grad = False
    report = zoo.memory(model, (4, 64), train=True, optimizer="adamw", fits="1GB")
    assert report.rows[0]["bytes"] == held(zoo.trace(model, (4, 64), train=True, optimizer="adamw"))
    assert "freeze through 0" not in [row["change"] for row in report.rows]
    assert [one.requires_grad for one in model[0].parameters()] == [False, False]
    for parameter in model.parameters():
        parameter.requires_grad = False
    with pytest.raises(NothingToTrain, match="no trainable parameter"):
        zoo.memory(model, (4, 64), train=True, fits="1GB")


class Picky(nn.Module):
    """Does not run in half precision."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        if x.dtype != torch.float32:
            raise TypeError("single precision only")
        found: Tensor = self.fc(x)
        return found


def test_a_change_that_breaks_the_run_has_no_figures_and_is_not_the_end() -> None:
    report = zoo.memory(Picky(), (4, 8), train=True, optimizer="adamw", fits="1GB")
    found = {row["change"]: row for row in report.rows}
    broken = found["weights, gradients and state in bfloat16"]
    assert all(broken[one.name] is None for one in COLUMNS if one.name != "change")
    assert found["optimizer sgd"]["largest_batch"] > 4
    (note,) = [note for note in report.notes if note.code == "change-broke"]
    assert "single precision only" in note.text
    assert report.failure is None


def test_a_job_that_breaks_says_so() -> None:
    report = zoo.memory(Picky(), "4,8:float64", train=True, fits="1GB")
    assert report.failure is not None
    totals = report.totals
    assert (totals["fits"], totals["largest_batch"], totals["limit_bytes"]) == (None, None, 10**9)


def test_half_precision_is_what_the_card_has() -> None:
    names = {
        card: zoo.memory(Mlp(), (4, 64), fits=card).rows[1]["change"] for card in ("t4", "a100")
    }
    assert names == {
        "t4": "weights and inputs in float16",
        "a100": "weights and inputs in bfloat16",
    }


def row_of(change: str, largest_batch: int | None, saves: int | None) -> dict[str, Any]:
    return {"change": change, "largest_batch": largest_batch, "saves": saves}


def test_the_best_is_named() -> None:
    base = row_of("as it is", 4, 0)
    broken = row_of("x", None, None)
    some, more = row_of("optimizer sgd", 5, 100), row_of("autocast to bfloat16", 9, 50)
    worse, frozen = row_of("half", 3, -5), row_of("freeze through layer3", 20, 10)
    assert best([base]) is best([base, broken, worse]) is None
    found = best([base, broken, some, more, worse])
    assert found is not None
    assert found.text == (
        "of single changes, autocast to bfloat16 buys most: 50 B less, and a batch of 9 in place "
        "of 4."
    )
    both = best([base, some, frozen, more])
    assert both is not None
    assert "freeze through layer3 buys most: 10 B less, and a batch of 20 " in both.text
    assert "; of those that freeze nothing, autocast to bfloat16: 50 B less" in both.text
    alone = best([base, frozen])
    assert alone is not None
    assert "freeze nothing" not in alone.text


# what is checkpointed


def ways(model: nn.Module, word: str) -> dict[str, tuple[str, ...]]:
    look = zoo.trace(model, word)
    return dict(segments(look, Model(look).stages()))


def test_pieces_are_blocks_and_stages() -> None:
    model, word = KINDS["cnn"]
    found = ways(model, word)
    assert len(found["8 BasicBlock"]) == 8
    (stages,) = [paths for name, paths in found.items() if "stages" in name]
    assert stages[0] == "layer1"
    model, word = KINDS["vit"]
    assert ways(model, word) == {
        "3 EncoderBlock": tuple(f"encoder.layers.encoder_layer_{i}" for i in range(3))
    }
    model, word = KINDS["decoder"]
    assert list(ways(model, word).values()) == [("model.layers.0", "model.layers.1")]
    model, word = KINDS["lstm"]
    assert ways(model, word) == {}


@pytest.mark.parametrize("name", ["resnet50", "swin_t", "densenet121", "efficientnet_b0"])
def test_each_way_runs_and_saves(name: str) -> None:
    """Also where layers pass a growing list on, or where a head works in place."""
    word = "8,3,64,64"
    model = getattr(torchvision.models, name)()
    base = held(zoo.trace(model, word, train=True))
    found = ways(model, word)
    assert found
    for way, paths in found.items():
        trace = zoo.trace(model, word, train=True, checkpoint=paths)
        assert trace.failure is None, way
        assert held(trace) < base, way


# sizes and errors


@pytest.mark.parametrize(
    ("word", "nbytes"),
    [("24GB", 24 * 10**9), ("24GiB", 24 << 30), (24 * 10**9, 24 * 10**9), ("2e9", 2 * 10**9)],
)
def test_sizes(word: str | int, nbytes: int) -> None:
    report = zoo.memory(nn.Linear(1000, 1), (4, 1000), fits=word)
    assert report.totals["limit_bytes"] == nbytes
    assert "device" not in report.totals


def test_a_device_brings_its_memory_kernels_and_allocator() -> None:
    report = zoo.memory(nn.Linear(8, 8), (4, 8), fits="NVIDIA GeForce RTX 4090")
    totals = report.totals
    assert totals["limit_bytes"] == zoo.device("rtx4090").room
    assert totals["device"] == "GeForce RTX 4090"
    assert report.inputs[0].spec.device == "cuda:0"
    assert report.rows[0]["bytes"] == totals["device_bytes"] > totals["peak_bytes"]


def test_what_is_compared_is_said() -> None:
    model = nn.Linear(8, 8)
    plain = [note.text for note in zoo.memory(model, (4, 8), fits="1GB").notes]
    assert any("bytes of tensors alone, run with the kernels of cpu" in text for text in plain)
    card = [note.text for note in zoo.memory(model, (4, 8), fits="1GB", device="cuda").notes]
    assert any("bytes of tensors alone, run with the kernels of cuda" in text for text in card)


@pytest.mark.parametrize(
    ("fits", "error", "match"),
    [
        ("24XB", BadBudget, "neither a size nor a device"),
        ("rtx4091", BadBudget, "Did you mean"),
        ("100", BadBudget, "that is 100 bytes"),
        ("Apple M2", BadBudget, "how much memory Apple M2 has is not known"),
    ],
)
def test_bad_budgets(fits: str, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        zoo.memory(nn.Linear(8, 8), (4, 8), fits=fits)


def test_errors() -> None:
    model = nn.Linear(8, 8)
    with pytest.raises(UnknownDevice, match="h101"):
        zoo.memory(model, (4, 8), on="h101", fits="24GB")
    with pytest.raises(InputError, match="it has to fit into A100"):
        zoo.memory(model, (4, 8), on="rtx4090", fits="a100")
