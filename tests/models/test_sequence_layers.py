"""Attention, convolution and recurrence over a sequence: what each costs, by the closed form."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import zoo
from zoo.models.blocks.attention import MultiHeadAttention
from zoo.models.blocks.positional import sinusoids
from zoo.models.sequence_layers import self_attention, sequence_cnn, sequence_rnn

LAYERS = {"self_attention": self_attention, "sequence_cnn": sequence_cnn}
LAYERS["sequence_rnn"] = sequence_rnn


def macs(name: str, d: int, n: int, k: int = 3) -> int:
    """Multiply-accumulates for one sequence of n tokens of width d."""
    return {
        "self_attention": 2 * n * n * d + 4 * n * d * d,
        "sequence_cnn": k * n * d * d,
        "sequence_rnn": 2 * n * d * d,
    }[name]


def parameters(name: str, d: int, k: int = 3) -> int:
    return {
        "self_attention": 4 * d * d,
        "sequence_cnn": k * d * d + d,
        "sequence_rnn": 2 * d * d + 2 * d,
    }[name]


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize(("d", "n"), [(64, 60), (32, 7)])
def test_shape_parameters_and_macs(name: str, d: int, n: int) -> None:
    report = zoo.summary(name, (2, n, d), arguments={"num_hiddens": d})
    assert report.totals["parameters"] == parameters(name, d)
    assert report.totals["macs"] == 2 * macs(name, d, n)
    assert LAYERS[name](num_hiddens=d)(torch.zeros(2, n, d)).shape == (2, n, d)


@pytest.mark.parametrize(
    ("name", "formula", "growth"),
    [
        ("self_attention", "128*T^2 + 16384*T", "T^2"),
        ("sequence_cnn", "12288*T", "T"),
        ("sequence_rnn", "8192*T", "T"),
    ],
)
def test_growth_with_length(name: str, formula: str, growth: str) -> None:
    report = zoo.formula(name, (1, "T", 64))
    assert report.totals["macs"] == formula
    assert report.totals["growth"]["macs"] == growth
    for n in (16, 100, 1000):
        assert report.evaluate(T=n)["macs"] == macs(name, 64, n)


def test_growth_with_batch_and_lengths() -> None:
    report = zoo.formula("self_attention", "B,T,64", "B:int64")
    assert report.totals["macs"] == "128*B*T^2 + 16384*B*T"
    assert report.totals["holds"] == ["B >= 2", "2 <= T <= 1000"]


def test_a_kernel_of_another_size() -> None:
    report = zoo.formula("sequence_cnn", (1, "T", 64), arguments={"kernel_size": 7})
    assert report.evaluate(T=50)["macs"] == macs("sequence_cnn", 64, 50, 7)


def test_self_attention_is_its_two_parts() -> None:
    torch.manual_seed(0)
    model, x, lens = self_attention(8, 2), torch.randn(2, 5, 8), torch.tensor([3, 5])
    y = model(x, lens)
    placed = x + sinusoids(5, 8)
    mixed = MultiHeadAttention(8, 2)
    mixed.load_state_dict(model.attention.state_dict())
    torch.testing.assert_close(y, mixed(placed, placed, placed, lens))


def test_convolution_is_torch_s() -> None:
    model, x = sequence_cnn(8, 5), torch.randn(2, 9, 8)
    y = nn.functional.conv1d(x.mT, model.conv.weight, model.conv.bias, padding=2).mT
    torch.testing.assert_close(model(x), y)


def test_recurrence_by_hand() -> None:
    model, x = sequence_rnn(4), torch.randn(1, 3, 4)
    w_in, w_state, b_in, b_state = model.rnn.parameters()
    state = torch.zeros(4)
    for token in range(3):
        state = (w_in @ x[0, token] + b_in + w_state @ state + b_state).tanh()
        torch.testing.assert_close(model(x)[0, token], state)


def reach(model: nn.Module, n: int) -> set[int]:
    """Tokens whose output the first token's input has a part in."""
    torch.manual_seed(0)
    x = torch.randn(1, n, 8, requires_grad=True)
    y: Tensor = model(x)
    seen = set()
    for token in range(n):
        (gradient,) = torch.autograd.grad(y[0, token].sum(), x, retain_graph=True)
        if bool(gradient[0, 0].any()):
            seen.add(token)
    return seen


@pytest.mark.parametrize(
    ("model", "seen"),
    [
        (self_attention(8, 2), range(9)),
        (sequence_rnn(8), range(9)),
        (sequence_cnn(8, 5), range(3)),
        (nn.Sequential(sequence_cnn(8, 5), sequence_cnn(8, 5)), range(5)),
    ],
)
def test_how_far_the_first_token_reaches(model: nn.Module, seen: Any) -> None:
    assert reach(model, 9) == set(seen)


def test_a_kernel_without_a_middle_is_refused() -> None:
    with pytest.raises(ValueError, match="a kernel of 4 tokens has no middle: take an odd number"):
        sequence_cnn(8, 4)


def attend(x: Tensor) -> Tensor:
    y: Tensor = self_attention(8, 2)(x)
    return y


def test_sequences_longer_than_the_positions_are_refused() -> None:
    with pytest.raises(ValueError, match="1001 tokens are more than the 1000"):
        attend(torch.zeros(1, 1001, 8))
