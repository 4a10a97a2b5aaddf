"""Perplexity: 1 is perfect, V is chance, infinite is impossible."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from zoo.errors import LanguageError
from zoo.language import perplexity, perplexity_of_scores

LOGS = st.lists(st.floats(-30, 0), min_size=1, max_size=20)


def test_perfect_chance_and_impossible() -> None:
    assert perplexity([0.0, 0.0]) == 1
    assert math.isclose(perplexity([math.log(1 / 28)] * 9), 28)
    assert perplexity([0.0, -math.inf]) == math.inf
    assert perplexity([-800.0]) == math.inf


@given(LOGS)
def test_it_is_the_inverse_of_the_geometric_mean(logs: list[float]) -> None:
    mean = math.prod(math.exp(one) ** (1 / len(logs)) for one in logs)
    assert math.isclose(perplexity(logs), 1 / mean, rel_tol=1e-9)
    assert math.isclose(perplexity(logs * 3), perplexity(logs), rel_tol=1e-9)


def test_scores_and_log_probabilities_agree() -> None:
    torch.manual_seed(0)
    scores, targets = torch.randn(3, 5, 7), torch.randint(0, 7, (3, 5))
    logs = scores.log_softmax(-1).gather(-1, targets[..., None]).flatten()
    assert math.isclose(perplexity_of_scores(scores, targets), perplexity(logs), rel_tol=1e-5)
    assert math.isclose(perplexity_of_scores(torch.zeros(4, 9), targets[0, :4]), 9, rel_tol=1e-5)


def test_padding_does_not_count() -> None:
    scores, targets = torch.randn(2, 3, 7), torch.tensor([[1, 2, 0], [3, 0, 0]])
    kept = perplexity_of_scores(scores[[0, 0, 1], [0, 1, 0]], torch.tensor([1, 2, 3]))
    assert math.isclose(perplexity_of_scores(scores, targets, ignored=0), kept, rel_tol=1e-5)
    with pytest.raises(LanguageError, match="there are no tokens"):
        perplexity_of_scores(scores, torch.zeros(2, 3, dtype=torch.int64), ignored=0)


def test_what_is_refused() -> None:
    with pytest.raises(LanguageError, match=r"there are no tokens\. Give one or more"):
        perplexity([])
    with pytest.raises(LanguageError, match=r"scores \(2, 3, 7\) are not of targets \(2, 4\)"):
        perplexity_of_scores(torch.zeros(2, 3, 7), torch.zeros(2, 4, dtype=torch.int64))
