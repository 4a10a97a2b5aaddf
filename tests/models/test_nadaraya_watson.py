"""Attention pooling: its kernels by the formula, and what it makes of noisy and of real data."""

from __future__ import annotations

import math

import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor

from zoo.models.nadaraya_watson import KERNELS, nadaraya_watson

NAMES = ("gaussian", *KERNELS)


def truth(x: Tensor) -> Tensor:
    """The smooth function of the book's example."""
    return 2 * x.sin() + x


def noisy() -> tuple[Tensor, Tensor]:
    """40 places in 0 to 5 and what is measured there, with noise of variance 1."""
    generator = torch.Generator().manual_seed(0)
    keys = 5 * torch.rand(1, 40, 1, generator=generator)
    return keys, truth(keys) + torch.randn(1, 40, 1, generator=generator)


QUERIES = torch.arange(0, 5, 0.1)[None, :, None]


def error(model: torch.nn.Module) -> float:
    """Mean squared distance from the smooth function."""
    with torch.no_grad():
        return float((model(QUERIES, *noisy()) - truth(QUERIES)).square().mean())


def by_hand(kernel: str, u: float) -> float:
    return {
        "gaussian": math.exp(-(u**2) / 2),
        "boxcar": float(u < 1),
        "constant": 1.0,
        "epanechnikov": max(1 - u, 0.0),
    }[kernel]


@pytest.mark.parametrize("kernel", NAMES)
@pytest.mark.parametrize("width", [1.0, 0.5])
def test_by_hand(kernel: str, width: float) -> None:
    keys, values = noisy()
    found = nadaraya_watson(kernel, width)(QUERIES, keys, values)[0, :, 0]
    for query, y in zip(QUERIES.flatten().tolist(), found.tolist(), strict=True):
        shares = [by_hand(kernel, abs(query - key) / width) for key in keys.flatten().tolist()]
        weighed = zip(shares, values.flatten().tolist(), strict=True)
        assert y == pytest.approx(sum(a * b for a, b in weighed) / sum(shares), abs=1e-4)


@pytest.mark.parametrize("kernel", NAMES)
def test_shares_sum_to_one(kernel: str) -> None:
    torch.manual_seed(0)
    shares = nadaraya_watson(kernel).weights(torch.randn(2, 5, 3), torch.randn(2, 7, 3))
    assert bool((shares >= 0).all())
    torch.testing.assert_close(shares.sum(dim=-1), torch.ones(2, 5))


@pytest.mark.parametrize("kernel", ["gaussian", "boxcar", "epanechnikov"])
def test_near_keys_tell_more_than_the_mean(kernel: str) -> None:
    assert error(nadaraya_watson(kernel)) < 0.6 * error(nadaraya_watson("constant"))


def test_the_constant_kernel_is_the_mean() -> None:
    keys, values = noisy()
    y = nadaraya_watson("constant")(QUERIES, keys, values)
    torch.testing.assert_close(y, values.mean().expand(1, 50, 1))


@pytest.mark.parametrize("kernel", ["boxcar", "epanechnikov"])
def test_a_query_far_from_all_keys_gets_the_mean(kernel: str) -> None:
    keys, values = noisy()
    y = nadaraya_watson(kernel)(torch.tensor([[[9.0]]]), keys, values)
    torch.testing.assert_close(y, values.mean().reshape(1, 1, 1))


def test_a_query_far_from_all_keys_gets_the_nearest_value() -> None:
    """A Gaussian reaches everywhere, also where it is too small for float32."""
    keys, values = noisy()
    y = nadaraya_watson(width=0.01)(torch.tensor([[[9.0]]]), keys, values)
    assert float(y) == pytest.approx(float(values.flatten()[keys.flatten().argmax()]), abs=1e-4)


def test_the_width_is_learned() -> None:
    """What is measured at a place is foretold from all others (leave one out)."""
    keys, values = noisy()
    model = nadaraya_watson(learn_width=True)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    itself = torch.eye(40, dtype=torch.bool)
    before = error(model)
    for _ in range(40):
        others = model.weights(keys, keys).masked_fill(itself, 0)  # (1, 40, 40)
        guess = others / others.sum(dim=-1, keepdim=True) @ values
        loss = (guess - values).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert error(model) < 0.5 * before
    assert 0.1 < float(model.log_width.detach().exp()) < 0.9


def test_digits_by_their_neighbours() -> None:
    """Values are the labels of known digits; a new one gets the label with most weight."""
    digits = load_digits()
    images = torch.tensor(digits.data, dtype=torch.float32)[None] / 16  # (1, 1797, 64)
    labels = torch.tensor(digits.target)
    known, new = slice(0, 1000), slice(1000, 1200)
    values = torch.nn.functional.one_hot(labels[known]).float()[None]  # (1, 1000, 10)
    accuracy = {}
    for name in ("gaussian", "constant"):
        pooling = nadaraya_watson(name, width=0.5)
        guess = pooling(images[:, new], images[:, known], values)[0].argmax(dim=-1)
        accuracy[name] = float((guess == labels[new]).float().mean())
    assert accuracy["constant"] < 0.2
    assert accuracy["gaussian"] > 0.9


def test_what_is_no_kernel_is_refused() -> None:
    with pytest.raises(ValueError, match="'cosine' is none of gaussian, boxcar, constant, epan"):
        nadaraya_watson("cosine")
    with pytest.raises(ValueError, match="cannot be -1 wide: the width is above 0"):
        nadaraya_watson(width=-1)
