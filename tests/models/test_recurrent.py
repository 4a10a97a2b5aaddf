"""Recurrent layers: the book's shapes, torch's layers with the same weights, gradients in time."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

import zoo
from tests.models.learning import one_thread
from tests.models.measures import numel
from zoo.models import bidirectional_rnn as both
from zoo.models import deep_rnn as deep
from zoo.models.autoregressive import Autoregressive, autoregressive, autoregressive_mlp
from zoo.models.gru import GRUScratch, gru, gru_scratch
from zoo.models.lstm import lstm, lstm_scratch
from zoo.models.rnn import RNNScratch, rnn, rnn_scratch
from zoo.models.rnn_lm import RNNLMScratch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

D2L_ITEMS = ("rnn-scratch", "rnn-lm-scratch")

ORACLE = Path(__file__).parents[1] / "oracles" / "d2l.json"
ITEMS = {item["id"]: item for item in json.loads(ORACLE.read_text())["items"]}

GATES: dict[str, tuple[str, ...]] = {"rnn": ("h",), "gru": ("r", "z", "h"), "lstm": tuple("ifco")}
"""torch's order of the gates, by the book's letters."""

T, B, WIDTH, H = 7, 3, 5, 6


def copy_layer(scratch: nn.Module, layer: nn.Module, suffix: str) -> None:
    """Give a layer from scratch the weights of one of torch's."""
    kind = type(scratch).__name__.removesuffix("Scratch").lower()
    into, hidden, b_in, b_hidden = (
        getattr(layer, f"{part}_{suffix}").detach().chunk(len(GATES[kind]))
        for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    with torch.no_grad():
        for n, gate in enumerate(GATES[kind]):
            getattr(scratch, f"W_x{gate}").copy_(into[n].T)
            getattr(scratch, f"W_h{gate}").copy_(hidden[n].T)
            inside = kind == "gru" and gate == "h"
            getattr(scratch, f"b_{gate}").copy_(b_in[n] if inside else b_in[n] + b_hidden[n])
            if inside:
                scratch.get_parameter("b_hh").copy_(b_hidden[n])


def states_of(state: Any) -> list[Tensor]:
    """All tensors of a state, a layer and direction after the other, in torch's order."""
    if isinstance(state, Tensor):
        return [state]
    return [one for part in state for one in states_of(part)]


def agrees(scratch: nn.Module, layer: nn.Module, kind: str) -> None:
    """Outputs and states are equal to 1e-5, from zeros, and again from the state that is left."""
    x = torch.randn(T, B, WIDTH)
    state = other = None
    for _ in range(2):
        y, state = scratch(x, state)
        wanted, other = layer(x, other)
        torch.testing.assert_close(y, wanted, atol=1e-5, rtol=0)
        parts = states_of(state)
        found = [torch.stack(parts[n :: 1 + (kind == "lstm")]) for n in range(1 + (kind == "lstm"))]
        expected = list(other) if kind == "lstm" else [other]
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
        x = y[..., :WIDTH]


@pytest.fixture(autouse=True)
def _seeded_on_one_thread() -> Iterator[None]:
    """Layers this small take longer on several."""
    torch.manual_seed(0)
    with one_thread():
        yield


# equal to torch's layers

SINGLE: dict[str, tuple[Callable[[], nn.Module], Callable[..., nn.Module]]] = {
    "rnn": (lambda: rnn_scratch(WIDTH, H), rnn),
    "gru": (lambda: gru_scratch(WIDTH, H, reset_after=True), gru),
    "lstm": (lambda: lstm_scratch(WIDTH, H), lstm),
}
DEEP: dict[str, tuple[Callable[[], nn.Module], Callable[..., nn.Module]]] = {
    "rnn": (lambda: deep.deep_rnn_scratch(WIDTH, H, 3), deep.deep_rnn),
    "gru": (lambda: deep.deep_gru_scratch(WIDTH, H, 3, reset_after=True), deep.deep_gru),
    "lstm": (lambda: deep.deep_lstm_scratch(WIDTH, H, 3), deep.deep_lstm),
}
BOTH: dict[str, tuple[Callable[[], nn.Module], Callable[..., nn.Module]]] = {
    "rnn": (lambda: both.bidirectional_rnn_scratch(WIDTH, H), both.bidirectional_rnn),
    "gru": (
        lambda: both.bidirectional_gru_scratch(WIDTH, H, reset_after=True),
        both.bidirectional_gru,
    ),
    "lstm": (lambda: both.bidirectional_lstm_scratch(WIDTH, H), both.bidirectional_lstm),
}


@pytest.mark.parametrize("kind", SINGLE)
def test_a_layer_is_torch_s(kind: str) -> None:
    scratch, layer = SINGLE[kind][0](), SINGLE[kind][1](WIDTH, H)
    copy_layer(scratch, layer, "l0")
    agrees(scratch, layer, kind)


@pytest.mark.parametrize("kind", DEEP)
def test_stacked_layers_are_torch_s(kind: str) -> None:
    scratch, layer = DEEP[kind][0](), DEEP[kind][1](WIDTH, H, 3)
    for number in range(3):
        copy_layer(scratch.get_submodule(f"layers.{number}"), layer, f"l{number}")
    agrees(scratch, layer, kind)


@pytest.mark.parametrize("kind", BOTH)
def test_both_directions_are_torch_s(kind: str) -> None:
    scratch, layer = BOTH[kind][0](), BOTH[kind][1](WIDTH, H)
    copy_layer(scratch.get_submodule("forwards"), layer, "l0")
    copy_layer(scratch.get_submodule("backwards"), layer, "l0_reverse")
    agrees(scratch, layer, kind)


def test_deep_and_in_both_directions() -> None:
    layer = both.bidirectional_lstm(WIDTH, H, 2)
    scratch = deep.Stacked(both.bidirectional_lstm_scratch(width, H) for width in (WIDTH, 2 * H))
    for number, one in enumerate(scratch.layers):
        copy_layer(one.get_submodule("forwards"), layer, f"l{number}")
        copy_layer(one.get_submodule("backwards"), layer, f"l{number}_reverse")
    agrees(scratch, layer, "lstm")


def test_the_gru_of_the_book_resets_before_the_product() -> None:
    """By the paper's equations in plain numbers; torch's layer of the same weights differs."""
    ours = GRUScratch(WIDTH, H, sigma=0.8)
    x = torch.randn(T, B, WIDTH)
    w = {name: weight.detach().double().numpy() for name, weight in ours.named_parameters()}
    h = torch.zeros(B, H).double().numpy()

    def sigmoid(a: Any) -> Any:
        return 1 / (1 + math.e ** (-a))

    for step in x.double().numpy():
        reset = sigmoid(step @ w["W_xr"] + h @ w["W_hr"] + w["b_r"])
        update = sigmoid(step @ w["W_xz"] + h @ w["W_hz"] + w["b_z"])
        a = step @ w["W_xh"] + (reset * h) @ w["W_hh"] + w["b_h"]
        new = (math.e**a - math.e ** (-a)) / (math.e**a + math.e ** (-a))
        h = update * h + (1 - update) * new
    state = ours(x)[1]
    torch.testing.assert_close(state.double(), torch.from_numpy(h), atol=1e-5, rtol=0)
    after = GRUScratch(WIDTH, H, reset_after=True)
    after.load_state_dict(ours.state_dict(), strict=False)
    assert (after(x)[1] - state).abs().max() > 1e-2


# the book's sizes


def test_the_loop_of_the_book() -> None:
    item = ITEMS["rnn-scratch"]
    model = RNNScratch(item["args"]["num_inputs"], item["args"]["num_hiddens"])
    outputs, state = model(torch.ones(item["inputs"]["X"]))
    wanted = item["outputs"]
    assert len(outputs) == wanted["outputs_len"]
    assert [list(outputs[0].shape), list(state.shape)] == [wanted["outputs[0]"], wanted["state"]]
    assert numel(model) == item["derived_params"]


def test_the_language_model_of_the_book() -> None:
    item = ITEMS["rnn-lm-scratch"]
    args = item["args"]
    layer = RNNScratch(args["num_inputs"], args["num_hiddens"])
    model = RNNLMScratch(layer, args["num_hiddens"], args["vocab_size"])
    scores, _ = model(torch.ones(item["inputs"]["tokens"], dtype=torch.int64))
    assert list(scores.shape) == item["outputs"]["Y"]
    assert numel(model) == item["derived_params"]


def test_the_loops_begin_as_the_book_s() -> None:
    model = lstm_scratch(40, 50)
    spread = {name: weight.std().item() for name, weight in model.named_parameters()}
    assert all(0.009 < spread[name] < 0.011 for name in spread if name.startswith("W_"))
    assert all(spread[name] == 0 for name in spread if name.startswith("b_"))


@pytest.mark.parametrize(
    ("name", "gates", "biases"), [("rnn", 1, 1), ("gru", 3, 1), ("lstm", 4, 1)]
)
@pytest.mark.parametrize("steps", [1, 9])
def test_closed_forms(name: str, gates: int, biases: int, steps: int) -> None:
    """(I + H) H multiply-accumulates and weights a gate; torch's layers have a second bias."""
    words, layer = f"{steps},2,16", (16 + 32) * 32 * gates
    deeper = layer + (32 + 32) * 32 * gates
    bias = 32 * gates
    wanted = {
        f"{name}_scratch": (layer, layer + bias, [steps, 2, 32]),
        name: (layer, layer + 2 * bias, [steps, 2, 32]),
        f"deep_{name}_scratch": (deeper, deeper + 2 * bias, [steps, 2, 32]),
        f"deep_{name}": (deeper, deeper + 4 * bias, [steps, 2, 32]),
        f"bidirectional_{name}_scratch": (2 * layer, 2 * (layer + bias), [steps, 2, 64]),
        f"bidirectional_{name}": (2 * layer, 2 * (layer + 2 * bias), [steps, 2, 64]),
    }
    for card, (macs, parameters, shape) in wanted.items():
        trace = zoo.trace(card, words)
        totals = zoo.summary(trace).totals
        assert (totals["macs"], totals["parameters"]) == (macs * steps * 2, parameters), card
        assert list(trace.outputs[0].shape) == shape, card
        assert totals["coverage"] == 1.0


@pytest.mark.parametrize("name", ["rnn", "gru", "lstm", "deep_gru_scratch", "rnn_scratch"])
def test_macs_are_linear_in_the_length(name: str) -> None:
    report = zoo.formula(name, "T,2,16")
    at_ten = zoo.summary(name, "10,2,16").totals["macs"]
    assert report.totals["macs"] == f"{at_ten // 10}*T"
    assert report.totals["growth"]["macs"] == "T"
    assert report.evaluate(T=40)["macs"] == 4 * at_ten


@pytest.mark.parametrize("name", ["rnn_lm_scratch", "lstm_lm"])
def test_a_language_model_is_linear_in_batch_and_length(name: str) -> None:
    report = zoo.formula(name, "tokens=B,T:int64")
    one = zoo.summary(name, "tokens=3,7@ints:28").totals["macs"] // 21
    assert report.totals["macs"] == f"{one}*B*T"


def test_a_deep_network_has_a_layer() -> None:
    with pytest.raises(ValueError, match="needs 1 layer or more, got num_layers=0"):
        deep.deep_rnn_scratch(num_layers=0)


# gradients in time


@pytest.mark.parametrize(
    ("scale", "low", "high"), [(0.5, 1e-8, 1e-5), (1.0, 0.3, 3), (1.5, 1e2, 1e5)]
)
def test_gradients_vanish_or_grow_with_the_length(scale: float, low: float, high: float) -> None:
    """Of the last of 21 states by the first input: the hidden weight to the power of 20 (9.7)."""
    model = rnn_scratch(H, H)
    with torch.no_grad():
        model.W_xh.copy_(torch.eye(H))
        model.W_hh.copy_(scale * torch.linalg.qr(torch.randn(H, H)).Q)
    x = torch.full((21, 1, H), 1e-7, requires_grad=True)  # tanh is the identity there
    model(x)[1][0, 0].backward()
    assert x.grad is not None
    assert low < x.grad[0].norm().item() < high


# autoregression


def test_windows_of_a_series() -> None:
    windows, after = autoregressive(3).windows(torch.arange(6.0))
    assert windows.tolist() == [[0, 1, 2], [1, 2, 3], [2, 3, 4]]
    assert after.tolist() == [[3], [4], [5]]


def test_going_on_looks_at_what_was_predicted() -> None:
    model = autoregressive(2)
    with torch.no_grad():  # the sum of the last two
        model.net[0].weight.fill_(1)
        model.net[0].bias.zero_()
    assert model.ahead(torch.tensor([[1.0, 1.0]]), 5).tolist() == [[2, 3, 5, 8, 13]]


@pytest.mark.parametrize("make", [autoregressive, autoregressive_mlp])
def test_the_next_pixel_of_a_digit(make: Callable[[int], Autoregressive]) -> None:
    """Scanned row by row: better than the mean, and than the same pixel of the row before."""
    series = torch.tensor(load_digits().images[:200] / 16, dtype=torch.float32).flatten()
    model = make(8)
    x, y = model.windows(series)
    cut = 10_000
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(150):
        optimizer.zero_grad()
        nn.functional.mse_loss(model(x[:cut]), y[:cut]).backward()
        optimizer.step()
    with torch.no_grad():
        loss = nn.functional.mse_loss(model(x[cut:]), y[cut:]).item()
    mean = nn.functional.mse_loss(y[:cut].mean().expand_as(y[cut:]), y[cut:]).item()
    above = nn.functional.mse_loss(x[cut:, :1], y[cut:]).item()
    assert loss < 0.75 * min(mean, above)


def test_an_empty_window_is_refused() -> None:
    with pytest.raises(ValueError, match="tau > 0, num_hiddens >= 0, got 0 and 0"):
        autoregressive(0)


# learning on real data


@pytest.mark.parametrize(
    "make",
    [lambda: lstm(8, 32), lambda: both.bidirectional_gru(8, 32), lambda: lstm_scratch(8, 32, 0.2)],
)
def test_digits_are_read_row_by_row(make: Callable[[], nn.Module]) -> None:
    """A digit is a sequence of eight rows; the states of its last step say which it is."""
    digits = load_digits()
    x = torch.tensor(digits.images / 16, dtype=torch.float32).transpose(0, 1)  # (8, N, 8)
    y = torch.tensor(digits.target)
    layer = make()
    head = nn.LazyLinear(10)
    head(layer(x[:, :2])[0].mean(0))
    optimizer = torch.optim.Adam([*layer.parameters(), *head.parameters()], lr=0.03)
    for _ in range(5):
        for rows in torch.randperm(1500).split(50):
            optimizer.zero_grad()
            scores = head(layer(x[:, rows])[0].mean(0))
            nn.functional.cross_entropy(scores, y[rows]).backward()
            optimizer.step()
    with torch.no_grad():
        found = head(layer(x[:, 1500:])[0].mean(0)).argmax(-1)
    accuracy = (found == y[1500:]).float().mean().item()
    majority = (y[1500:].bincount().max() / len(y[1500:])).item()
    assert majority < 0.2
    assert accuracy > 0.65
