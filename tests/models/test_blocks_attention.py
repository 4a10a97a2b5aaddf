"""Attention: the laws of its shares, and its outputs against torch's and against sums by hand."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from tests.models.measures import close, numel
from zoo.models.attention import additive_attention, dot_product_attention, multi_head_attention
from zoo.models.blocks.attention import (
    AdditiveAttention,
    DotProductAttention,
    MultiHeadAttention,
    masked_softmax,
    valid_mask,
)
from zoo.models.blocks.positional import PositionalEncoding, sinusoids

D2L_ITEMS = ("bmm", "additive-attention", "multi-head-attention")
ORACLE = Path(__file__).parents[1] / "oracles" / "d2l.json"
ITEMS: dict[str, dict[str, Any]] = {
    item["id"]: item for item in json.loads(ORACLE.read_text())["items"] if item["id"] in D2L_ITEMS
}


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def triple() -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values of the book's sizes, (2, 1, 2), (2, 10, 2), (2, 10, 4)."""
    return torch.randn(2, 1, 2), torch.randn(2, 10, 2), torch.randn(2, 10, 4)


# What the book prints or asserts


def test_batch_matrix_product_of_the_book() -> None:
    item = ITEMS["bmm"]
    q, k = (torch.ones(item["inputs"][name]) for name in "QK")
    assert list((q @ k).shape) == item["outputs"]["Y"]
    assert torch.equal(q @ k, torch.bmm(q, k))


def call(item: dict[str, Any], model: nn.Module) -> Tensor:
    """What a model of `d2l.json` gives for the item's inputs, which must have its shape."""
    inputs = item["inputs"]
    tensors = [torch.randn(inputs[name]) for name in ("queries", "keys", "values")]
    y: Tensor = model(*tensors, torch.tensor(inputs["valid_lens"]))
    assert list(y.shape) == item["outputs"]["Y"]
    assert numel(model) == item["derived_params"]
    return y


def test_additive_attention_of_the_book() -> None:
    item = ITEMS["additive-attention"]
    call(item, AdditiveAttention(**item["args"]))
    call(item, additive_attention())


def test_multi_head_attention_of_the_book() -> None:
    item = ITEMS["multi-head-attention"]
    call(item, MultiHeadAttention(**item["args"]))
    call(item, multi_head_attention())


def test_dot_product_attention_of_the_book() -> None:
    queries, keys, values = triple()
    model = dot_product_attention()
    assert model(queries, keys, values, torch.tensor([2, 6])).shape == (2, 1, 4)
    assert model.weights(queries, keys, torch.tensor([2, 6]))[0, 0, 2:].abs().max() == 0
    assert numel(model) == 0


def test_the_book_s_masks() -> None:
    """Lengths 2 and 3 of 4 keys; then a length for each of two queries."""
    shares = masked_softmax(torch.rand(2, 2, 4), torch.tensor([2, 3]))
    assert (shares > 0).sum(dim=-1).tolist() == [[2, 2], [3, 3]]
    shares = masked_softmax(torch.rand(2, 2, 4), torch.tensor([[1, 3], [2, 4]]))
    assert (shares > 0).sum(dim=-1).tolist() == [[1, 3], [2, 4]]


# Laws of the masked softmax


@st.composite
def masked(draw: st.DrawFn) -> tuple[Tensor, Tensor]:
    """Scores (B, Q, K) and lengths from 0 to K, for examples or for queries."""
    batch, queries, keys = (draw(st.integers(1, 4)) for _ in range(3))
    shape = (batch, queries) if draw(st.booleans()) else (batch,)
    generator = torch.Generator().manual_seed(draw(st.integers(0, 1000)))
    scores = torch.randn(batch, queries, keys, generator=generator) * draw(st.sampled_from([1, 50]))
    return scores, torch.randint(0, keys + 1, shape, generator=generator)


@given(masked())
def test_shares_sum_to_one(case: tuple[Tensor, Tensor]) -> None:
    shares = masked_softmax(*case)
    assert bool((shares >= 0).all())
    close(shares.sum(dim=-1), torch.ones(shares.shape[:2]))


@given(masked())
def test_shares_are_the_softmax_of_what_is_valid(case: tuple[Tensor, Tensor]) -> None:
    scores, lens = case
    shares = masked_softmax(scores, lens)
    for example, query in torch.cartesian_prod(*map(torch.arange, scores.shape[:2])).tolist():
        length = int(lens[example] if lens.dim() == 1 else lens[example, query])
        row = torch.zeros(scores.shape[2])
        if length:
            row[:length] = scores[example, query, :length].softmax(-1)
        else:  # nothing is valid: equal shares
            row[:] = 1 / len(row)
        close(shares[example, query], row)


@given(masked())
def test_the_mask_counts_valid_keys(case: tuple[Tensor, Tensor]) -> None:
    scores, lens = case
    counted = valid_mask(lens, scores.shape[2]).sum(dim=-1)
    assert torch.equal(counted, lens[:, None] if lens.dim() == 1 else lens)


def test_without_lengths_it_is_a_softmax() -> None:
    scores = torch.randn(2, 3, 4)
    assert torch.equal(masked_softmax(scores), scores.softmax(-1))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_masks_in_any_precision(dtype: torch.dtype) -> None:
    """-1e6, as the book has it, is no number of float16."""
    shares = masked_softmax(torch.zeros(2, 1, 4, dtype=dtype), torch.tensor([2, 0]))
    assert shares.tolist() == [[[0.5, 0.5, 0, 0]], [[0.25] * 4]]


def test_a_valid_score_wins_however_low_it_is() -> None:
    shares = masked_softmax(torch.tensor([[[-1e7, 0.0]]]), torch.tensor([1]))
    assert shares.tolist() == [[[1, 0]]]


# Laws of the three mechanisms


def mechanisms() -> list[nn.Module]:
    models = [DotProductAttention(), AdditiveAttention(8), MultiHeadAttention(4, 2)]
    for model in models:
        model(*triple())
    return [model.eval() for model in models]


@pytest.mark.parametrize("number", range(3))
def test_order_of_keys_and_values_does_not_matter(number: int) -> None:
    model = mechanisms()[number]
    queries, keys, values = triple()
    order = torch.randperm(10)
    close(model(queries, keys[:, order], values[:, order]), model(queries, keys, values))
    assert not torch.allclose(model(queries, keys[:, order], values), model(queries, keys, values))


@pytest.mark.parametrize("number", range(3))
def test_masked_keys_and_values_do_not_matter(number: int) -> None:
    model = mechanisms()[number]
    queries, keys, values = triple()
    lens = torch.tensor([2, 6])
    before = model(queries, keys, values, lens)
    for example, length in enumerate(lens.tolist()):
        keys[example, length:], values[example, length:] = 1e3, -1e3
    assert torch.equal(model(queries, keys, values, lens), before)
    assert not torch.allclose(model(queries, keys, values), before)


@pytest.mark.parametrize("number", range(3))
def test_a_length_is_that_many_keys(number: int) -> None:
    model = mechanisms()[number]
    queries, keys, values = triple()
    shorter = model(queries, keys[:, :6], values[:, :6])
    close(model(queries, keys, values, torch.tensor([6, 6])), shorter)


@pytest.mark.parametrize("number", range(2))
def test_all_masked_is_the_mean_of_the_values(number: int) -> None:
    model = mechanisms()[number]
    queries, keys, values = triple()
    y = model(queries, keys, values, torch.tensor([0, 10]))
    close(y[0], values[0].mean(dim=0, keepdim=True))
    assert not torch.allclose(y[1], values[1].mean(dim=0, keepdim=True))


@pytest.mark.parametrize("number", range(3))
def test_queries_do_not_see_each_other(number: int) -> None:
    model = mechanisms()[number]
    _, keys, values = triple()
    queries, lens = torch.randn(2, 5, 2), torch.randint(1, 11, (2, 5))
    together = model(queries, keys, values, lens)
    alone = [model(queries[:, [q]], keys, values, lens[:, q]) for q in range(5)]
    close(together, torch.cat(alone, dim=1))


def test_dropout_acts_in_training_only() -> None:
    model, given = DotProductAttention(0.5), triple()
    assert not torch.equal(model(*given), model(*given))
    model.eval()
    assert torch.equal(model(*given), model(*given))


# Against sums by hand, and against torch


def test_dot_product_is_torch_s() -> None:
    queries, keys, values = torch.randn(3, 5, 8), torch.randn(3, 7, 8), torch.randn(3, 7, 2)
    lens = torch.randint(1, 8, (3, 5))
    mask = torch.arange(7) < lens[:, :, None]
    theirs = nn.functional.scaled_dot_product_attention(queries, keys, values, attn_mask=mask)
    close(DotProductAttention()(queries, keys, values, lens), theirs)


def test_additive_scores_by_hand() -> None:
    model = AdditiveAttention(3).eval()
    queries, keys, values = torch.randn(1, 2, 4), torch.randn(1, 3, 5), torch.randn(1, 3, 2)
    y = model(queries, keys, values)
    w_q, w_k, w_v = (getattr(model, name).weight.detach() for name in ("W_q", "W_k", "w_v"))
    for q in range(2):
        scores = [
            sum(
                float(w_v[0, n]) * math.tanh(float(w_q[n] @ queries[0, q] + w_k[n] @ keys[0, k]))
                for n in range(3)
            )
            for k in range(3)
        ]
        total = sum(map(math.exp, scores))
        expected = sum(math.exp(scores[k]) / total * values[0, k] for k in range(3))
        close(y[0, q], torch.as_tensor(expected))


def torch_s(model: MultiHeadAttention, width: int, heads: int, bias: bool) -> nn.MultiheadAttention:
    """torch's module with the weights of ours."""
    theirs = nn.MultiheadAttention(width, heads, bias=bias, batch_first=True).eval()
    maps = [model.W_q, model.W_k, model.W_v]
    state = {"in_proj_weight": torch.cat([one.weight for one in maps])}
    state["out_proj.weight"] = model.W_o.weight
    if bias:
        state["in_proj_bias"] = torch.cat([one.bias for one in maps])
        state["out_proj.bias"] = model.W_o.bias
    theirs.load_state_dict({name: value.detach() for name, value in state.items()})
    return theirs


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("by_query", [True, False])
def test_multi_head_is_torch_s(bias: bool, by_query: bool) -> None:
    queries, keys, values = torch.randn(2, 4, 12), torch.randn(2, 6, 12), torch.randn(2, 6, 12)
    ours = MultiHeadAttention(12, 3, bias=bias).eval()
    ours(queries, keys, values)
    if bias:  # torch's start at 0
        nn.init.normal_(ours.W_q.bias)
    theirs = torch_s(ours, 12, 3, bias)
    lens = torch.randint(1, 7, (2, 4)) if by_query else torch.tensor([3, 2])
    hidden = ~valid_mask(lens, 6)
    if by_query:
        masks = {"attn_mask": hidden.repeat_interleave(3, dim=0)}
    else:
        masks = {"key_padding_mask": hidden.squeeze(1)}
    expected, shares = theirs(queries, keys, values, average_attn_weights=False, **masks)
    close(ours(queries, keys, values, lens), expected)
    close(ours.weights(queries, keys, lens), shares)


def test_splitting_into_heads_and_joining_are_inverse() -> None:
    model, x = MultiHeadAttention(12, 3), torch.randn(2, 5, 12)
    assert model.split(x).shape == (6, 5, 4)
    assert torch.equal(model.join(model.split(x)), x)


def test_heads_that_do_not_divide_are_refused() -> None:
    with pytest.raises(ValueError, match="100 hidden units cannot be shared by 3 heads"):
        MultiHeadAttention(100, 3)


# Positions


def test_positions_by_the_formula() -> None:
    table = sinusoids(60, 32)
    for position, column in ((0, 0), (1, 6), (17, 7), (59, 31)):
        angle = position / 10000 ** (column // 2 * 2 / 32)
        expected = math.cos(angle) if column % 2 else math.sin(angle)
        assert float(table[position, column]) == pytest.approx(expected, abs=1e-5)


def test_a_shift_is_a_rotation() -> None:
    """What a linear map can find: the position d further on, from the position (11.6.3)."""
    table = sinusoids(50, 8).double()
    frequency = 10000 ** (-torch.arange(0, 8, 2, dtype=torch.float64) / 8)
    sin, cos = (3 * frequency).sin(), (3 * frequency).cos()
    first, second = table[:-3, ::2], table[:-3, 1::2]
    close(table[3:, ::2], first * cos + second * sin)
    close(table[3:, 1::2], second * cos - first * sin)


def test_positions_go_on_where_others_end() -> None:
    x = torch.randn(2, 9, 10)
    encoding = PositionalEncoding(10)
    assert torch.equal(encoding(x), x + sinusoids(9, 10))
    assert torch.equal(encoding(x[:, 4:], 4), encoding(x)[:, 4:])


def test_a_sequence_without_positions_is_refused() -> None:
    encoding = PositionalEncoding(10, max_len=8)
    with pytest.raises(ValueError, match="9 tokens are more than the 8 that have a position"):
        encoding(torch.zeros(1, 9, 10))
