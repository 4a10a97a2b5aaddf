"""Going on from a prefix, with models whose next token is known."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from zoo.errors import LanguageError
from zoo.language import detach, generate
from zoo.models.rnn_lm import rnn_lm


class Sums(nn.Module):
    """Says the sum of all tokens so far, modulo 10, and is sure of it; keeps what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Dropout()
        self.given: list[tuple[int, ...]] = []
        self.modes: list[bool] = []

    def forward(self, tokens: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        self.given.append(tuple(tokens[0].tolist()))
        self.modes.append(self.inner.training)
        total = tokens.cumsum(1) + (0 if state is None else state)
        return one_hot(total % 10, 10) * 5.0, total[:, -1:]


def test_the_prefix_is_read_once_and_each_token_after_it_once() -> None:
    model = Sums()
    assert generate(model, [1, 2, 4], 4) == [1, 2, 4, 7, 4, 8, 6]
    assert model.given == [(1, 2, 4), (7,), (4,), (8,)]


def test_modes_are_given_back() -> None:
    model = Sums()
    model.inner.eval()
    generate(model, [1], 2)
    assert model.modes == [False, False]
    assert (model.training, model.inner.training) == (True, False)


def test_a_prefix_is_all_that_comes_of_no_tokens() -> None:
    assert generate(Sums(), [3, 4], 0) == [3, 4]


def test_draws_are_nearer_to_the_highest_score_the_lower_the_temperature() -> None:
    def right(temperature: float) -> int:
        generator = torch.Generator().manual_seed(0)
        draw = [
            generate(Sums(), [4], 1, temperature=temperature, generator=generator)[1]
            for _ in range(200)
        ]
        return draw.count(4)

    assert right(0.1) == 200
    assert 160 < right(1.0) < 200  # e^5 / (e^5 + 9) is 0.94
    assert right(100.0) < 60


def test_a_network_goes_on_as_one_run_says() -> None:
    torch.manual_seed(0)
    model = rnn_lm(cell="gru", dropout=0.5)
    text = generate(model, [5, 6], 10)
    scores, _ = model.eval()(torch.tensor([text]))
    assert text[2:] == scores[0, 1:-1].argmax(-1).tolist()
    assert all(one.grad_fn is None for one in model.parameters())


def test_states_of_every_form_are_detached() -> None:
    h = torch.ones(2, requires_grad=True) * 2
    found: Any = detach(((h, h), [h, None]))
    assert type(found[1]) is list
    assert found[1][1] is None
    assert not any(one.requires_grad for one in (*found[0], found[1][0]))
    assert torch.equal(found[0][0], h)
    assert detach(None) is None


def test_what_is_refused() -> None:
    with pytest.raises(LanguageError, match=r"there is no prefix\. Give one token"):
        generate(Sums(), [], 1)
    with pytest.raises(LanguageError, match="-1 tokens cannot be added"):
        generate(Sums(), [1], -1)
    with pytest.raises(LanguageError, match=r"a temperature of 0 .* Take None for the highest"):
        generate(Sums(), [1], 1, temperature=0)
