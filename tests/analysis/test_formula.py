"""A formula is the traced figure at every point of its range, and the range says where it ends."""

from __future__ import annotations

import json
import random
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn

import zoo
from tests import models_open as models
from zoo.analysis.formula import FIGURES, evaluate
from zoo.analysis.tracer.shapes_open import RULES
from zoo.errors import ExpressionError, InputError, OptionError

if TYPE_CHECKING:
    from collections.abc import Callable

POINTS = 4
"""Points at which each formula is compared; `benchmarks/formulas.py` takes 20."""

MODELS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "gpt": (models.GPT, ("B,T:int64",)),
    "gpt-fused": (lambda: models.GPT(fused=True), ("B,T:int64",)),
    "encoder": (models.encoder, ("B,T,32",)),
    "transformer": (
        lambda: nn.Transformer(32, 4, 1, 1, 64, batch_first=True),
        ("B,S,32", "B,T,32"),
    ),
    "branch": (models.Branch, ("B,T,8",)),
    "flat": (models.Flat, ("B,1,28,W",)),
    "named": (models.Named, ({"a": ("B", "T", 8), "b": ("B", "S", 8)},)),
    "up-down": (models.UpDown, ("B,3,H,W",)),
    "pools": (models.Pools, ("B,4,H,W",)),
    "bag": (models.Bag, ("B,T:int64",)),
    "one-hot": (models.OneHot, ("B,T:int64", "B:int64")),
    "lstm": (lambda: models.Recurrent(nn.LSTM, bidirectional=True, num_layers=2), ("B,T,8",)),
    "gru": (lambda: models.Recurrent(nn.GRU), ("B,T,8",)),
    "rnn": (lambda: models.Recurrent(nn.RNN), ("B,T,8",)),
    "steps": (models.Steps, ("B,T,8",)),
    "conv1d": (lambda: nn.Conv1d(16, 16, 3, padding=1), ("B,16,N",)),
}
HINTS = {"branch": {"T": 100}, "flat": {"W": 28}, "gru": {"T": 40}, "rnn": {"T": 40}}
HINTS["steps"] = {"T": 20}
NAMED = {
    "mlp": "B,1,H,W",
    "lenet": "B,1,H,W",
    "lenet_bn": "B,1,H,W",
    "alexnet": "B,1,H,W",
    "vgg11": "B,1,H,W",
    "nin": "B,1,H,W",
    "googlenet": "B,1,H,W",
    "resnet18": "B,1,H,W",
    "resnext50_32x4d": "B,1,H,W",
    "densenet": "B,1,H,W",
    "torchvision/resnet50": "B,3,H,W",
    "torchvision/vit_b_16": "B,3,H,W",
    "torchvision/swin_t": "B,3,H,W",
}


@lru_cache(maxsize=2)
def built(name: str) -> Any:
    """A model of `MODELS`."""
    return MODELS[name][0]()


def given(value: Any, dims: dict[str, int]) -> Any:
    """An input with numbers for its dims."""
    if isinstance(value, str):
        shape, colon, dtype = value.partition(":")
        return ",".join(str(dims.get(one, one)) for one in shape.split(",")) + colon + dtype
    if isinstance(value, dict):
        return {key: given(item, dims) for key, item in value.items()}
    return tuple(dims.get(one, one) for one in value)


def points(report: Any, count: int) -> list[tuple[dict[str, int], dict[str, int | None]]]:
    """Points of a report's range, and its figures there."""
    rng, found = random.Random(report.totals["macs"]), []
    hint = report.totals["hint"]
    for _ in range(3_000):
        dims = {
            name: rng.choice([1, 2, here, rng.randint(1, 2 * here), rng.randint(here, here + 9)])
            for name, here in hint.items()
        }
        try:
            figures = report.evaluate(**dims)
        except ExpressionError:
            continue
        if figures["peak_bytes"] is None and len(found) % 2:
            continue
        found.append((dims, figures))
        if len(found) == count:
            break
    return found


def compare(report: Any, model: Any, inputs: Any, count: int, **options: Any) -> None:
    """Hold a report's formulas against traces."""
    assert report.failure is None
    tried = points(report, count)
    assert len(tried) == count
    for dims, figures in tried:
        trace = zoo.trace(model, *given_all(inputs, dims), **options)
        assert trace.failure is None, dims
        wanted = {**zoo.flops(trace).totals, **zoo.summary(trace).totals}
        if options.get("train"):
            for name in ("macs", "flops"):
                wanted[name] = zoo.flops(trace).totals[name]
            for name in ("pointwise_flops", "activation_bytes"):
                del wanted[name]
        wanted["peak_bytes"] = zoo.memory(trace).totals["peak_bytes"]
        for name in FIGURES:
            if name in wanted and figures[name] is not None:
                assert figures[name] == wanted[name], (name, dims)


def given_all(inputs: Any, dims: dict[str, int]) -> list[Any]:
    """All inputs with numbers."""
    return [given(one, dims) for one in inputs]


@pytest.mark.parametrize("name", MODELS)
def test_a_formula_is_the_traced_figure(name: str) -> None:
    model, inputs = built(name), MODELS[name][1]
    report = zoo.formula(model, *inputs, hints=HINTS.get(name))
    compare(report, model, inputs, POINTS)


@pytest.mark.parametrize("name", NAMED)
def test_a_formula_of_a_known_architecture_is_the_traced_figure(name: str) -> None:
    report = zoo.formula(name, NAMED[name])
    compare(report, name, [NAMED[name]], 2)


@pytest.mark.parametrize(("name", "options"), [("resnet18", {"optimizer": "adamw"})])
def test_a_formula_of_a_training_step(name: str, options: dict[str, Any]) -> None:
    report = zoo.formula(name, "B,1,H,W", train=True, **options)
    assert report.totals["backward_macs"] != "0"
    compare(report, name, ["B,1,H,W"], 2, train=True, **options)


def test_rows_add_up_to_the_totals() -> None:
    found = zoo.formula("resnet18", "B,1,H,W")
    letters = {"B": 3, "H": 77, "W": 50}
    where = found.totals["where"]
    from zoo.analysis.expressions import evaluated

    letters |= {name: int(evaluated(text, letters)) for name, text in where.items()}
    figures = evaluate(found.totals, {"B": 3, "H": 77, "W": 50})
    for name in ("macs", "activation_bytes", "parameters"):
        assert evaluated(found.rows[0][name], letters) == figures[name]
        inner = [row for row in found.rows if row["depth"] == 1]
        assert len(inner) > 3
        own = sum(evaluated(row[name], letters) for row in inner)
        assert own <= int(figures[name] or 0)
        assert own == figures[name] or name == "activation_bytes"


@pytest.mark.parametrize(
    ("name", "holds"),
    [
        ("branch", ["B >= 1", "T >= 65"]),
        ("flat", ["B >= 1", "W = 28"]),
        ("gru", ["B >= 2", "T >= 5"]),
        ("one-hot", ["B >= 2", "T >= 2"]),
    ],
)
def test_the_range_says_where_the_model_goes_another_way(name: str, holds: list[str]) -> None:
    report = zoo.formula(built(name), *MODELS[name][1], hints=HINTS.get(name))
    assert report.totals["holds"] == holds


def test_a_dim_that_the_model_does_not_leave_open_is_said_with_its_line() -> None:
    report = zoo.formula("torchvision/vit_b_16", "B,3,H,W")
    notes = {note.text.split()[0]: note for note in report.notes if note.code == "closed-dim"}
    assert set(notes) == {"H", "W"}
    assert "vision_transformer.py" in str(notes["H"].where)
    with pytest.raises(ExpressionError, match="holds where H = 224"):
        report.evaluate(B=2, H=225, W=224)


def test_another_hint_gives_the_formula_of_another_range() -> None:
    short = zoo.formula(built("branch"), "B,T,8", hints={"T": 10})
    assert short.totals["holds"] == ["B >= 1", "1 <= T <= 64"]
    assert short.totals["macs"] == "64*B*T"


def test_sequence_models_grow_as_the_book_says() -> None:
    """Width d, kernel k, length n: k*n*d^2, n*d^2 and n^2*d multiply-accumulates."""
    width, kernel = 16, 3
    conv = zoo.formula(nn.Conv1d(width, width, kernel, padding=1), (1, width, "N"))
    assert conv.totals["macs"] == f"{kernel * width * width}*N"
    recurrent = zoo.formula(nn.RNN(width, width, batch_first=True), (1, "N", width))
    assert recurrent.totals["macs"] == f"{2 * width * width}*N"
    attention = nn.MultiheadAttention(width, 1, batch_first=True)
    three = [("1,N,16")] * 3
    found = zoo.formula(attention, *three)
    assert found.totals["macs"] == f"{2 * width}*N^2 + {4 * width * width}*N"
    assert [one.totals["growth"]["macs"] for one in (conv, recurrent, found)] == ["N", "N", "N^2"]


@pytest.mark.parametrize(
    ("under", "figure"), [({"peak": "2GB"}, "peak_bytes"), ({"macs": "5G"}, "macs")]
)
def test_the_largest_dim_is_the_last_that_keeps_the_budget(under: Any, figure: str) -> None:
    limit = {"peak_bytes": 2 * 10**9, "macs": 5 * 10**9}[figure]
    found = zoo.formula("resnet18", "B,1,H,H", at={"B": 4}, largest="H", under=under)
    largest = found.totals["largest_H"]
    for height, kept in ((largest, True), (largest + 1, False)):
        trace = zoo.trace("resnet18", (4, 1, height, height))
        totals = {**zoo.flops(trace).totals, **zoo.memory(trace).totals}
        assert (totals[figure] <= limit) is kept


def test_the_largest_dim_is_looked_for_in_the_next_range() -> None:
    found = zoo.formula(
        built("branch"), "1,T,8", largest="T", under={"macs": 128 * 500}, hints={"T": 10}
    )
    assert found.totals["largest_T"] == 500
    assert found.totals["hint"] == {"T": 10}


class _Ways(nn.Module):
    """A layer, twice in every other range of lengths, or more often the longer they are."""

    def __init__(self, *, more: bool = False) -> None:
        super().__init__()
        self.layer, self.more = nn.Linear(8, 8), more

    def forward(self, x: Any) -> Any:
        length = x.shape[1] // 16
        for _ in range(int(length) if self.more else 1):
            x = self.layer(x)
        return x if self.more or length % 2 else self.layer(x)


def test_the_largest_dim_is_looked_for_where_the_model_goes_another_way() -> None:
    model, budget = _Ways(), {"macs": 64 * 40}
    found = zoo.formula(model, "B,T,8", at={"B": 1}, largest="T", under=budget, hints={"T": 8})
    best = max(t for t in range(1, 100) if 64 * t * (1 if t // 16 % 2 else 2) <= 64 * 40)
    assert found.totals["largest_T"] == best == 31


def test_a_largest_dim_that_is_not_the_last_says_so() -> None:
    options: dict[str, Any] = {"at": {"B": 1}, "largest": "T", "hints": {"T": 20}}
    found = zoo.formula(_Ways(more=True), "B,T,8", under={"macs": "10M"}, **options)
    assert "goes another way too often to look beyond T=" in found.totals["under"]


def test_a_budget_that_nothing_keeps_or_all_does() -> None:
    found = zoo.formula("lenet", "B,1,28,28", largest="B", under={"parameters": 10})
    assert found.totals["largest_B"] == 0
    assert "at no B" in found.totals["under"]
    found = zoo.formula("lenet", "B,1,28,28", largest="B", under={"parameters": "1M"})
    assert found.totals["largest_B"] is None
    assert "without an end" in found.totals["under"]


def test_numbers_of_some_dims_leave_formulas_in_the_others() -> None:
    found = zoo.formula("lenet", "B,1,H,W", at={"H": 28, "W": 28})
    assert found.totals["macs"] == "416520*B"
    assert found.evaluate(B=2)["macs"] == 833040
    with pytest.raises(ExpressionError, match="dim H: no such dim is open"):
        found.evaluate(B=2, H=28)
    whole = zoo.formula("lenet", "B,1,28,28", at={"B": 2})
    assert whole.totals["figures"]["macs"] == 833040


def test_what_is_saved_as_json_evaluates_the_same() -> None:
    found = zoo.formula("googlenet", "B,1,H,W")
    again = json.loads(found.to_json())["totals"]
    assert evaluate(again, {"B": 3, "H": 100, "W": 97}) == found.evaluate(B=3, H=100, W=97)


def test_a_default_input_is_open_in_its_batch() -> None:
    assert zoo.formula("lenet").totals["macs"] == "416520*B"


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda r: r.evaluate(H=3, W=3), ExpressionError, "dim B: it has no number"),
        (lambda r: r.evaluate(B=1, H=28, W=28, Q=1), ExpressionError, "dim Q: no such dim"),
        (lambda r: r.evaluate(B=0, H=28, W=28), ExpressionError, "holds where B >= 1"),
        (lambda _: zoo.formula("lenet", "1,1,28,28"), OptionError, "no dim is open"),
        (lambda _: zoo.formula("lenet", "B,1,28,28", largest="B"), OptionError, "a budget"),
        (
            lambda _: zoo.formula("lenet", "B,1,H,28", largest="B", under={"macs": "1M"}),
            ExpressionError,
            "dim H: it has no number. Say --at H=28",
        ),
        (
            lambda _: zoo.formula("lenet", "B,1,28,28", largest="B", under={"mac": "1M"}),
            OptionError,
            "Did you mean macs",
        ),
        (lambda _: zoo.formula("lenet", "B,1,28,28", at={"T": 2}), ExpressionError, "Open: B"),
        (lambda _: zoo.formula("lenet", "B,1,28,28", at={"B": 1.5}), ExpressionError, "no length"),
        (lambda _: zoo.formula("lenet", "B,1,28,28", batch=2), OptionError, "batch"),
        (lambda _: zoo.summary("lenet", "B,1,28,28"), InputError, "`zoo formula` leaves dims"),
    ],
)
def test_what_cannot_be_answered_is_refused(call: Any, error: Any, text: str) -> None:
    with pytest.raises(error, match=text):
        call(_lenet())


@lru_cache
def _lenet() -> Any:
    return zoo.formula("lenet", "B,1,H,W")


def test_a_model_that_breaks_gives_a_report_that_says_where() -> None:
    report = zoo.formula(nn.Linear(4, 4), "B,5")
    assert report.failure is not None
    assert report.failure.op == "aten.addmm.default"


class _Sized(nn.Module):
    """A model that asks Python something about a length."""

    def __init__(self, asked: Callable[[Any, Any], Any]) -> None:
        super().__init__()
        self.asked = asked

    def forward(self, x: Any) -> Any:
        return self.asked(x, x.shape[1])


@pytest.mark.parametrize(
    "asked",
    [
        lambda x, t: x[:, : abs(4 - t)] + 1,
        lambda x, t: x[:, : t >> 2] + 1,
        lambda x, t: x.repeat(1, t << 1, 1),
        lambda x, t: x[:, : round(t * 0.5)] + 1,
        lambda x, t: x + (t & (t - 1)) + (t ^ 1) + (t | 2),
        lambda x, t: x + torch.sym_sum((t, t, 1)),
    ],
    ids=["abs", "right", "left", "round", "bits", "sum"],
)
def test_what_python_asks_of_a_length_has_an_answer(asked: Callable[[Any, Any], Any]) -> None:
    found = zoo.formula(_Sized(asked), "B,T,8", hints={"T": 17})
    assert found.failure is None
    for length in (17, 19):
        if f"T = {17}" in found.totals["holds"] and length != 17:
            continue
        figures, trace = found.evaluate(B=3, T=length), zoo.summary(_Sized(asked), (3, length, 8))
        assert figures["activation_bytes"] == trace.totals["activation_bytes"]


@pytest.mark.parametrize("factor", [0.3, 0.7, 2.3, 1 / 3, 2 / 3, 1.5])
def test_lengths_that_are_scaled_are_rounded_as_floats_are(factor: float) -> None:
    model = nn.Upsample(scale_factor=factor)
    found = zoo.formula(model, "B,1,H,8", hints={"H": 220})
    digits = found.totals["activation_bytes"] + str(found.totals["where"])
    assert len(digits) < 60
    seen = zoo.summary(model, (1, 1, 225, 8)).totals["activation_bytes"]
    assert found.evaluate(B=1, H=225)["activation_bytes"] == seen
    times = 0
    for height in range(160, 261, 10):
        try:
            figures = found.evaluate(B=1, H=height)
        except ExpressionError:
            continue
        times += 1
        assert figures["activation_bytes"] == 4 * int(height * factor) * int(8 * factor)
    assert times


def test_code_that_takes_no_open_dims_is_told_from_a_model_that_breaks() -> None:
    asked = _Sized(lambda x, t: x + {t: 1}[t])
    failure = zoo.formula(asked, "B,T,8", hints={"T": 16}).failure
    assert failure is not None
    assert (failure.hint or "").startswith("With B=2, T=16 the model runs")
    assert zoo.formula(asked, "B,16,8").totals["macs"] == "0"
    failure = zoo.formula(_Sized(lambda x, t: x @ x), "B,T,8").failure
    assert failure is not None
    assert "the model runs" not in (failure.hint or "")


@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.float16, torch.int32, torch.uint8, torch.bool]
)
@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("tril.default", ()),
        ("triu.default", (1,)),
        ("cumsum.default", (1,)),
        ("cumprod.default", (-1,)),
        ("any.dim", (0,)),
        ("all.dim", (-1, True)),
    ],
)
def test_a_rule_for_open_dims_gives_the_shape_that_torch_gives(
    name: str, args: tuple[Any, ...], dtype: torch.dtype
) -> None:
    tensor = torch.empty(4, 6, dtype=dtype, device="meta").t()
    mine = RULES[name](tensor, *args)
    operator, overload = name.split(".")
    its = getattr(getattr(torch.ops.aten, operator), overload)(tensor, *args)
    assert (mine.shape, mine.stride(), mine.dtype) == (its.shape, its.stride(), its.dtype)


def test_a_causal_mask_leaves_the_length_open() -> None:
    def attend(x: Any, t: Any) -> Any:
        mask = torch.tril(torch.ones(t, t)) == 0
        return (x @ x.transpose(1, 2)).masked_fill(mask, float("-inf")).softmax(-1) @ x

    found = zoo.formula(_Sized(attend), "B,T,8")
    assert found.totals["holds"] == ["B >= 2", "T >= 2"]
    for length in (2, 30, 300):
        seen = zoo.memory(_Sized(attend), (2, length, 8)).totals["peak_bytes"]
        assert found.evaluate(B=2, T=length)["peak_bytes"] == seen
    assert "fitted" not in found.totals


@pytest.mark.parametrize(
    "asked",
    [
        lambda x, t: torch.where(x > 0, x, 0.0),
        lambda x, t: (x > 0).any(1),
        lambda x, t: torch.triu(x.cumsum(1)),
        lambda x, t: torch.arange(t) < x.sum((1, 2))[:, None],
    ],
    ids=["where", "any", "cumsum", "lengths"],
)
def test_these_leave_dims_open(asked: Callable[[Any, Any], Any]) -> None:
    found = zoo.formula(_Sized(asked), "B,T,8")
    assert found.totals["holds"] == ["B >= 1", "T >= 1"]
    for length in (1, 300):
        seen = zoo.summary(_Sized(asked), (3, length, 8)).totals["activation_bytes"]
        assert found.evaluate(B=3, T=length)["activation_bytes"] == seen


@pytest.mark.parametrize("hint", [5, 9, 17, 20])
def test_formulas_are_fitted_near_any_hint(hint: int) -> None:
    found = zoo.formula(nn.GRU(8, 8, batch_first=True), "2,T,8", hints={"T": hint})
    assert found.totals["macs"] == f"{2 * 6 * 64}*T"
    assert found.totals["hint"] == {"T": hint}


class _Pairs(nn.Module):
    """Two loops: one over each sequence, and a product of each pair of steps in the second."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        read = [step + 1 for step in x.unbind(1)[: int(x.shape[1])]]
        total = y.sum() + read[-1].sum()
        for step in y.unbind(1)[: int(y.shape[1])]:
            total = total + (x @ step[:, :, None]).sum()
        return total


def test_formulas_in_two_dims_that_a_model_counts_up_to() -> None:
    found = zoo.formula(_Pairs(), "B,S,8", "B,T,8", hints={"S": 6, "T": 11})
    assert found.totals["macs"] == "8*B*S*T"
    assert set(found.totals["fitted"]) == {"S", "T"}
    for lengths in ({"S": 5, "T": 30}, {"S": 30, "T": 5}):
        seen = zoo.summary(_Pairs(), (3, lengths["S"], 8), (3, lengths["T"], 8)).totals
        figures = found.evaluate(B=3, **lengths)
        for name in ("macs", "pointwise_flops", "activation_bytes"):
            assert figures[name] == seen[name]


def test_comparing_with_the_largest_int_says_nothing_of_a_range() -> None:
    found = zoo.formula(_Sized(lambda x, t: x + 1 if x.numel() < 2**63 - 1 else x), "B,T,8")
    assert found.totals["holds"] == ["B >= 1", "T >= 1"]


def test_no_dim_left_open_loads_no_symbolic_shapes() -> None:
    import subprocess
    import sys

    probe = (
        "import sys, zoo; zoo.summary('lenet'); "
        "sys.exit('zoo.analysis.tracer.symbolic' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", probe], check=False).returncode == 0
