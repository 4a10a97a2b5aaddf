"""Each rule of `shapes.py` says what torch's own meta kernel says, or leaves the operator to it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from zoo.analysis.tracer.shapes import BINARY, COMPARE, FILLS, RULES, UNARY

DTYPES = (torch.float32, torch.bfloat16, torch.float64, torch.int64, torch.bool)
SHAPES = ((), (3,), (2, 3), (1, 3), (2, 1, 3), (4, 2, 3), (2, 3, 4, 5))


def blank(shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    return torch.empty(shape, dtype=dtype, device="meta")


def described(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return tuple(value.shape), value.dtype, value.device.type
    return [described(item) for item in value]


def kernel(name: str) -> Any:
    packet, _, overload = name.partition(".")
    return getattr(getattr(torch.ops.aten, packet), overload)


def agrees(name: str, *args: Any) -> bool:
    """Whether the rule answered; its answer is torch's."""
    mine = RULES[name](*args)
    if mine is NotImplemented:
        return False
    assert described(mine) == described(kernel(name)(*args))
    return True


@given(
    st.sampled_from([f"{n}.{k}" for n in (*BINARY, "div", *COMPARE) for k in ("Tensor", "Scalar")]),
    st.sampled_from(SHAPES),
    st.sampled_from(DTYPES),
    st.sampled_from(SHAPES),
    st.sampled_from(DTYPES),
    st.sampled_from([2, 2.5, True]),
)
def test_binary_rules(
    name: str, shape: Any, dtype: torch.dtype, other: Any, kind: torch.dtype, number: Any
) -> None:
    second = blank(other, kind) if name.endswith("Tensor") else number
    agrees(name, blank(shape, dtype), second)


@pytest.mark.parametrize("name", [f"{n}.default" for n in UNARY if n != "clamp_min"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_unary_rules_answer(name: str, dtype: torch.dtype) -> None:
    assert agrees(name, blank((2, 3), dtype))


@pytest.mark.parametrize("name", [f for f in FILLS if f.endswith("default") and "trunc" not in f])
def test_fills_give_their_target_back(name: str) -> None:
    target = blank((2, 3), torch.float32)
    assert RULES[name](target) is target
    assert kernel(name)(target) is target


@given(st.sampled_from(SHAPES), st.integers(-5, 5), st.sampled_from(DTYPES))
def test_softmax_and_roll(shape: Any, dim: int, dtype: torch.dtype) -> None:
    tensor = blank(shape, dtype)
    agrees("roll.default", tensor, [1], [dim])
    if dtype.is_floating_point:
        agrees("_softmax.default", tensor, dim, False)


@given(st.sampled_from(SHAPES), st.lists(st.integers(-4, 3), max_size=3), st.booleans())
def test_mean(shape: Any, dims: list[int], keep: bool) -> None:
    tensor = blank(shape, torch.float32)
    rank = max(len(shape), 1)
    if len({dim % rank for dim in dims}) == len(dims):
        agrees("mean.dim", tensor, dims, keep)


@given(st.lists(st.sampled_from(SHAPES), min_size=1, max_size=3), st.integers(-4, 3))
def test_cat_and_stack(shapes: list[Any], dim: int) -> None:
    tensors = [blank(shape, torch.float32) for shape in shapes]
    agrees("cat.default", tensors, dim)
    agrees("stack.default", tensors, dim)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_batch_norm(training: bool, dtype: torch.dtype) -> None:
    """Against the CPU's own kernel: the meta kernel gives statistics in evaluation mode, which the
    CPU does not."""
    name = "native_batch_norm.default"
    x, c = torch.zeros((2, 3, 4), dtype=dtype), torch.zeros((3,), dtype=dtype)
    real = kernel(name)(x, c, c, c, c, training, 0.1, 1e-5)
    mine = RULES[name](x.to("meta"), *[c.to("meta")] * 4, training, 0.1, 1e-5)
    assert [tuple(t.shape) for t in mine] == [tuple(t.shape) for t in real]
    assert mine[0].dtype == dtype


@pytest.mark.parametrize("shape", [[4], [3, 4], [5]])
def test_layer_norm(shape: list[int]) -> None:
    x, w = blank((2, 3, 4), torch.float32), blank(tuple(shape), torch.float32)
    assert agrees("native_layer_norm.default", x, shape, w, w, 1e-5) == (shape[-1] == 4)


@pytest.mark.parametrize(
    ("bias", "left", "right", "answers"),
    [
        ((5,), (2, 3), (3, 5), True),
        ((2, 5), (2, 3), (3, 5), True),
        ((4,), (2, 3), (3, 5), False),
        ((5,), (2, 3), (4, 5), False),
    ],
)
def test_addmm(bias: Any, left: Any, right: Any, answers: bool) -> None:
    tensors = [blank(shape, torch.float32) for shape in (bias, left, right)]
    assert agrees("addmm.default", *tensors) == answers


def test_embedding_and_masked_fill() -> None:
    ids = blank((2, 7), torch.int64)
    assert agrees("embedding.default", blank((10, 4), torch.float32), ids)
    assert not agrees(
        "embedding.default", blank((10, 4), torch.float32), blank((2,), torch.float32)
    )
    x = blank((2, 3), torch.float32)
    assert agrees("masked_fill.Scalar", x, blank((1, 3), torch.bool), 0.0)
    assert not agrees("masked_fill.Scalar", x, blank((4, 2, 3), torch.bool), 0.0)


@given(
    st.integers(1, 3),
    st.integers(1, 3),
    st.tuples(st.integers(1, 3), st.integers(0, 2), st.integers(1, 2), st.integers(1, 4)),
    st.booleans(),
)
def test_convolution(space: int, groups: int, setting: Any, transposed: bool) -> None:
    stride, pad, dilation, size = setting[0], setting[1], setting[2], 6 + setting[3]
    channels = (2 * groups, 3) if transposed else (4 * groups, 2)
    x = torch.zeros(2, 2 * groups, *[size] * space)
    w = torch.zeros(*channels, *range(1, space + 1))
    options = ([stride] * space, [pad] * space, [dilation] * space, transposed, [0] * space, groups)
    name = "convolution.default"
    try:
        real = kernel(name)(x, w, None, *options)
    except RuntimeError:
        with pytest.raises(RuntimeError):
            RULES[name](x.to("meta"), w.to("meta"), None, *options)
        return
    assert RULES[name](x.to("meta"), w.to("meta"), None, *options).shape == real.shape


@pytest.mark.parametrize("name", ["mm", "bmm"])
def test_matrix_products(name: str) -> None:
    batch = (2,) if name == "bmm" else ()
    a, b = blank((*batch, 3, 4), torch.float32), blank((*batch, 4, 5), torch.float32)
    assert agrees(f"{name}.default", a, b)
    assert not agrees(f"{name}.default", b, b)
    with pytest.raises(RuntimeError, match=r"one dtype, but got torch\.float32 and torch\.float64"):
        RULES[f"{name}.default"](a, b.double())


@given(
    st.tuples(st.integers(3, 9), st.integers(3, 9)),
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(0, 2),
    st.integers(1, 2),
    st.booleans(),
)
def test_pooling(size: Any, reach: int, step: int, pad: int, gap: int, ceil: bool) -> None:
    x = torch.zeros(2, 3, *size)
    calls = [
        ("max_pool2d_with_indices.default", ([reach], [step], [pad], [gap], ceil)),
        ("avg_pool2d.default", ([reach], [step], [pad], ceil)),
        ("_adaptive_avg_pool2d.default", ([reach, step],)),
    ]
    for name, options in calls:
        mine = RULES[name](x.to("meta"), *options)
        if mine is NotImplemented:
            continue  # torch is asked, which raises or knows better
        real = kernel(name)(x, *options)
        first = mine[0] if isinstance(mine, tuple) else mine
        assert first.shape == (real[0] if isinstance(real, tuple) else real).shape


def test_pooling_is_mostly_answered() -> None:
    x = blank((2, 3, 8, 8), torch.float32)
    assert agrees("max_pool2d_with_indices.default", x, [3], [2], [1], [1], True)
    assert agrees("avg_pool2d.default", x, [2], [2])
    assert agrees("_adaptive_avg_pool2d.default", x, [1, 1])
