"""Each rule of `shapes_backward.py` says what torch's own kernels say, or leaves it to them."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from zoo.analysis.tracer import shapes
from zoo.analysis.tracer.shapes_backward import IN_PLACE, LIKE_GRADIENT, LISTS, RULES, SOFTMAX

POINTWISE = (*LIKE_GRADIENT, *SOFTMAX)

DTYPES = (torch.float32, torch.bfloat16, torch.float64)
SHAPES = ((), (3,), (2, 3), (1, 3), (2, 1, 3), (4, 2, 3), (2, 3, 4, 5), (0, 3))
ASKED: set[str] = set()
"""Rules that a test of this file asked."""


def kernel(name: str) -> Any:
    packet, _, overload = name.partition(".")
    return getattr(getattr(torch.ops.aten, packet), overload)


def described(value: Any, *, strides: bool = True) -> Any:
    """Shape, dtype and layout of each result."""
    if value is None:
        return None
    if isinstance(value, Tensor):
        layout = value.stride() if strides and value.numel() else None
        return tuple(value.shape), value.dtype, layout
    return [described(item, strides=strides) for item in value]


def blanks(value: Any) -> Any:
    """The same arguments on the meta device, with the same strides."""
    if isinstance(value, Tensor):
        return torch.empty_strided(value.size(), value.stride(), dtype=value.dtype, device="meta")
    if isinstance(value, list):
        return [blanks(item) for item in value]
    return value


def answer(name: str, *args: Any, **options: Any) -> Any:
    ASKED.add(name)
    return RULES[name](*map(blanks, args), **{key: blanks(one) for key, one in options.items()})


def agrees(name: str, *args: Any, strides: bool = True, **options: Any) -> bool:
    """Whether the rule answered; its answer is that of the CPU's kernel."""
    mine = answer(name, *args, **options)
    if mine is NotImplemented:
        return False
    real = kernel(name)(*args, **options)
    assert described(mine, strides=strides) == described(real, strides=strides)
    return True


def some(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.ones(shape, dtype=dtype)


# elementwise

EXTRA: dict[str, tuple[Any, ...]] = {
    "threshold_backward": (0,),
    "hardtanh_backward": (-1, 1),
    "leaky_relu_backward": (0.1, False),
    "softplus_backward": (1.0, 20.0),
    "_softmax_backward_data": (-1, torch.float32),
    "_log_softmax_backward_data": (-1, torch.float32),
    "native_dropout_backward": (2.0,),
}


def operands(name: str, shape: tuple[int, ...], dtype: torch.dtype) -> tuple[Any, ...]:
    """Gradient and output (of dropout, the mask), and what else the operator takes."""
    gradient = some(*shape, dtype=dtype)
    other = some(*shape, dtype=torch.bool if name == "native_dropout_backward" else dtype)
    if name == "elu_backward":
        return gradient, 1.0, 1.0, 1.0, False, other
    extra = EXTRA.get(name, ())
    return gradient, other, *(dtype if isinstance(one, torch.dtype) else one for one in extra)


def replaced(args: tuple[Any, ...], gradient: Tensor, other: Tensor) -> list[Any]:
    """The same call on two other tensors."""
    tensors = iter((gradient, other))
    return [next(tensors) if isinstance(one, Tensor) else one for one in args]


@given(st.sampled_from(POINTWISE), st.sampled_from(SHAPES), st.sampled_from(DTYPES))
def test_gradients_of_elementwise_operators(
    name: str, shape: tuple[int, ...], dtype: torch.dtype
) -> None:
    assert agrees(f"{name}.default", *operands(name, shape, dtype))


@pytest.mark.parametrize("name", POINTWISE)
def test_every_elementwise_rule_answers(name: str) -> None:
    args = operands(name, (2, 3), torch.float32)
    assert agrees(f"{name}.default", *args)
    narrow = (some(2, 1), *args[1:])  # torch stretches it, or raises
    assert answer(f"{name}.default", *narrow) is NotImplemented


LAYOUTS = {
    "contiguous": lambda: torch.ones(2, 3, 4),
    "turned": lambda: torch.ones(4, 3, 2).permute(2, 1, 0),
    "two dims turned": lambda: torch.ones(3, 2, 4).transpose(0, 1),
    "one number": lambda: torch.ones(1).expand(2, 3, 4),
    "one number a row": lambda: torch.ones(2, 1, 1).expand(2, 3, 4),
    "with gaps": lambda: torch.ones(2, 3, 8)[:, :, ::2],
}


@pytest.mark.parametrize("name", POINTWISE)
def test_results_lie_as_torchs_lie(name: str) -> None:
    """A gradient may be expanded (that of a sum is), turned (an attention's) or have gaps."""
    args = operands(name, (2, 3, 4), torch.float32)
    mask = name == "native_dropout_backward"
    answered = 0
    for gradient, other in product(LAYOUTS.values(), repeat=2):
        second = other().bool() if mask and other().is_contiguous() else other()
        if mask and second.dtype != torch.bool:
            second = torch.empty_strided(second.size(), second.stride(), dtype=torch.bool).fill_(
                True
            )
        answered += agrees(f"{name}.default", *replaced(args, gradient(), second))
    assert answered >= 8


@pytest.mark.parametrize(("first", "second"), list(product(LAYOUTS, repeat=2)))
def test_log_sigmoid_lies_as_its_gradient(first: str, second: str) -> None:
    gradient, x = LAYOUTS[first](), LAYOUTS[second]()
    _, kept = torch.ops.aten.log_sigmoid_forward(x)
    assert agrees("log_sigmoid_backward.default", gradient, x, kept)
    assert answer("log_sigmoid_backward.default", some(2, 1, 1), x, kept) is NotImplemented


def test_gelu_by_its_approximation() -> None:
    assert agrees("gelu_backward.default", some(2, 3), some(2, 3), approximate="tanh")


# pooling


@given(st.integers(4, 9), st.integers(2, 3), st.integers(1, 2), st.booleans())
def test_pooling(size: int, reach: int, step: int, ceil: bool) -> None:
    x = torch.rand(2, 3, size, size)
    y, where = torch.ops.aten.max_pool2d_with_indices(x, [reach], [step], [0], [1], ceil)
    assert agrees(
        "max_pool2d_with_indices_backward.default", y, x, [reach], [step], [0], [1], ceil, where
    )
    y = torch.ops.aten.avg_pool2d(x, [reach], [step], [0], ceil)
    assert agrees("avg_pool2d_backward.default", y, x, [reach], [step], [0], ceil, True, None)
    volume = torch.rand(2, 3, size, size, size)
    y = torch.ops.aten.avg_pool3d(volume, [reach], [step], [0], ceil)
    assert agrees("avg_pool3d_backward.default", y, volume, [reach], [step], [0], ceil, True, None)


def test_adaptive_pooling() -> None:
    assert agrees("_adaptive_avg_pool2d_backward.default", some(2, 3, 2, 1), some(2, 3, 6, 5))
    assert agrees("_adaptive_avg_pool3d_backward.default", some(2, 3, 1, 1, 1), some(2, 3, 4, 4, 4))
    for rank in (2, 3):
        tensor = torch.rand(2, 3, *(6, 5, 4)[:rank])
        pool = getattr(torch.ops.aten, f"adaptive_max_pool{rank}d")
        y, where = pool(tensor, [2] * rank)
        assert agrees(f"adaptive_max_pool{rank}d_backward.default", y, tensor, where)


# convolutions and norms

MASKS = st.tuples(st.booleans(), st.booleans(), st.booleans()).filter(any)
OF_WEIGHT = MASKS.filter(lambda mask: mask[1] or not mask[2])
"""oneDNN makes a weight's gradient with that of the bias, asked or not; nobody sees it."""


@given(
    st.integers(1, 3),
    st.integers(1, 3),
    st.tuples(st.integers(1, 2), st.integers(0, 1), st.integers(1, 2)),
    st.booleans(),
    OF_WEIGHT,
    st.booleans(),
)
def test_convolution(
    space: int, groups: int, setting: Any, transposed: bool, mask: Any, expanded: bool
) -> None:
    stride, pad, dilation = setting
    channels = (2 * groups, 3) if transposed else (4 * groups, 2)
    x, w = some(2, 2 * groups, *[7] * space), some(*channels, *range(1, space + 1))
    settings = ([stride] * space, [pad] * space, [dilation] * space)
    options = (*settings, transposed, [0] * space, groups)
    y = torch.ops.aten.convolution(x, w, None, *options)
    gradient = some(1).expand(y.shape) if expanded else y
    args = (gradient, x, w, [y.shape[1]] if mask[2] else None, *options, list(mask))
    assert agrees("convolution_backward.default", *args, strides=False)


@given(MASKS, st.sampled_from([(2, 3), (2, 3, 4), (2, 3, 4, 5)]), st.booleans())
def test_batch_norm(mask: Any, shape: tuple[int, ...], training: bool) -> None:
    x, c = torch.rand(shape), some(shape[1])
    args = (x, x, c, c, c, c, c, training, 1e-5, list(mask))
    assert agrees("native_batch_norm_backward.default", *args)


def test_a_batch_norm_without_a_weight_is_torchs() -> None:
    x, c = some(2, 3), some(3)
    args = (x, x, None, c, c, c, c, True, 1e-5, [True, False, False])
    assert not agrees("native_batch_norm_backward.default", *args)


@given(MASKS, st.sampled_from([[4], [3, 4]]), st.sampled_from(["affine", "weight", "neither"]))
def test_layer_norm(mask: Any, shape: list[int], form: str) -> None:
    x = torch.rand(2, 3, 4)
    weight = None if form == "neither" else some(*shape)
    bias = some(*shape) if form == "affine" else None
    _, mean, rstd = torch.ops.aten.native_layer_norm(x, shape, weight, bias, 1e-5)
    asked = [mask[0], mask[1] and weight is not None, mask[2] and bias is not None]
    args = (x, x, shape, mean, rstd, weight, bias, asked)
    assert agrees("native_layer_norm_backward.default", *args)


# embedding, views


@given(st.sampled_from([(5,), (2, 5), (1, 2, 3)]), st.sampled_from(DTYPES), st.integers(-1, 2))
def test_embedding(shape: tuple[int, ...], dtype: torch.dtype, pad: int) -> None:
    ids = torch.zeros(shape, dtype=torch.int64)
    gradient = some(*shape, 6, dtype=dtype)
    assert agrees("embedding_dense_backward.default", gradient, ids, 10, pad, False)


@given(st.integers(0, 2), st.integers(0, 1), st.integers(2, 3), st.integers(1, 2))
def test_slices(dim: int, start: int, end: int, step: int) -> None:
    sizes = [3, 4, 5]
    taken = torch.zeros(sizes).narrow(dim, start, end - start)[
        (slice(None),) * dim + (slice(None, None, step),)
    ]
    assert agrees("slice_backward.default", taken, sizes, dim, start, end, step)
    assert agrees(
        "select_backward.default", torch.zeros(sizes).select(dim, start), sizes, dim, start
    )


# optimizers


@pytest.mark.parametrize("name", IN_PLACE)
@pytest.mark.parametrize("shape", [(), (2, 3)])
def test_what_writes_into_its_first_operand_gives_it_back(
    name: str, shape: tuple[int, ...]
) -> None:
    more = {
        "add_.Tensor": [some(*shape)],
        "mul_.Tensor": [some()],
        "mul_.Scalar": [2.0],
        "sqrt_.default": [],
        "lerp_.Scalar": [some(*shape), 0.5],
        "lerp_.Tensor": [some(*shape), some()],
        "addcmul_.default": [some(*shape), some(*shape)],
        "addcdiv_.default": [some(*shape), some(*shape)],
        "copy_.default": [some(*shape)],
    }[name]
    ASKED.add(name)
    target = blanks(some(*shape))
    rule = shapes.RULES.get(name) or RULES[name]  # as `modes.py` looks them up
    assert rule(target, *map(blanks, more)) is target
    assert RULES[name](target, *map(blanks, more)) is target
    assert kernel(name)(some(*shape), *more).shape == target.shape
    if more and isinstance(more[0], Tensor):  # torch raises where the operands do not fit
        assert RULES[name](target, blanks(some(7)), *map(blanks, more[1:])) is NotImplemented
    whole = blanks(torch.ones(shape, dtype=torch.int64))
    assert RULES[name](whole, *map(blanks, more)) is NotImplemented


def list_calls(name: str) -> list[tuple[str, tuple[Any, ...]]]:
    """Calls of an operator on lists, by overload."""
    one, two = [some(2, 3), some(4)], [some(2, 3), some(4)]
    three = {"addcmul", "addcdiv"}
    if name in three:
        known = [("Scalar", (two, two)), ("ScalarList", (two, two, [1.0, 2.0]))]
        known.append(("Tensor", (two, two, torch.ones(2))))
    elif name == "lerp":
        known = [("List", (two, two)), ("Scalar", (two, 0.5)), ("ScalarList", (two, [0.5, 0.5]))]
    else:
        known = [
            ("default", ()),
            ("List", (two,)),
            ("Scalar", (2.0,)),
            ("ScalarList", ([1.0, 2.0],)),
            ("Tensor", (some(),)),
        ]
    packet = getattr(torch.ops.aten, f"_foreach_{name}", None)
    there = packet.overloads() if packet is not None else ()
    return [(kind, (one, *args)) for kind, args in known if kind in there]


FOREACH = [f"{name}{tail}" for name in LISTS for tail in ("", "_")]


@pytest.mark.parametrize("name", FOREACH)
def test_operators_on_lists(name: str) -> None:
    calls = list_calls(name.removesuffix("_"))
    asked = 0
    for kind, args in calls:
        full = f"_foreach_{name}.{kind}"
        if kind not in getattr(torch.ops.aten, f"_foreach_{name}").overloads():
            continue
        mine = answer(full, *args)
        copies = [
            [one.clone() for one in arg]
            if isinstance(arg, list) and isinstance(arg[0], Tensor)
            else arg
            for arg in args
        ]
        real = kernel(full)(*copies)
        assert mine is not NotImplemented
        assert described(mine) == described(real)
        asked += 1
    assert asked


@pytest.mark.parametrize("name", LISTS)
def test_lists_of_mixed_or_whole_numbers_are_torchs(name: str) -> None:
    for kind, args in list_calls(name):
        mixed = [[some(2, 3), some(4, dtype=torch.float64)], *args[1:]]
        assert answer(f"_foreach_{name}.{kind}", *mixed) is NotImplemented
        whole = [[torch.ones(2, 3, dtype=torch.int64), torch.ones(4, dtype=torch.int64)], *args[1:]]
        assert answer(f"_foreach_{name}.{kind}", *whole) is NotImplemented


# fused kernels


@given(
    st.integers(1, 2),
    st.integers(1, 2),
    st.integers(1, 5),
    st.integers(1, 5),
    st.booleans(),
    st.sampled_from(["plain", "turned", "mixed"]),
)
def test_attention(batch: int, heads: int, rows: int, keys: int, causal: bool, form: str) -> None:
    """Also where query, key and value are views of one product, or turned."""

    def operand(length: int) -> Tensor:
        if form == "plain":
            return torch.rand(batch, heads, length, 4)
        if form == "turned":
            return torch.rand(batch, length, heads, 4).transpose(1, 2)
        return torch.rand(batch, length, 3, heads, 4).permute(2, 0, 3, 1, 4)[1]

    query, key, value = operand(rows), operand(keys), operand(keys)
    forward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    out, lse = forward(query, key, value, 0.0, causal)
    args = (torch.rand(out.shape), query, key, value, out, lse, 0.0, causal)
    assert agrees("_scaled_dot_product_flash_attention_for_cpu_backward.default", *args)


@given(st.integers(1, 4), st.integers(1, 3), st.integers(1, 6), st.integers(1, 6), st.booleans())
def test_a_recurrent_layer(
    steps: int, batch: int, width: int, hidden: int, both_states: bool
) -> None:
    """Each of the two biases has a gradient of its own, as the CPU's kernel gives them."""
    x, h = torch.rand(steps, batch, width), torch.rand(batch, hidden)
    weights = [torch.rand(4 * hidden, n) for n in (width, hidden)]
    biases = [torch.rand(4 * hidden) for _ in range(2)]
    options = (hidden, 1, True)
    y, hy, cy, kept = torch.ops.aten.mkldnn_rnn_layer(
        x, *weights, *biases, h, h, False, [], 2, *options, False, False, True
    )
    gradients = (y, hy, cy) if both_states else (y, None, None)
    args = (
        x,
        *weights,
        *biases,
        h,
        h,
        y,
        hy,
        cy,
        *gradients,
        False,
        2,
        *options,
        True,
        False,
        [],
        False,
        kept,
    )
    name = "mkldnn_rnn_layer_backward.default"
    assert agrees(name, *args)
    mine = answer(name, *args)
    assert len({one.untyped_storage()._cdata for one in mine}) == 7


# losses


@pytest.mark.parametrize("reduction", [0, 1, 2])
@pytest.mark.parametrize("shape", [(5,), (3, 5)])
def test_cross_entropy(reduction: int, shape: tuple[int, ...]) -> None:
    x, target = some(*shape), torch.zeros(shape[:-1], dtype=torch.int64)
    forward = torch.ops.aten.nll_loss_forward
    loss, weights = forward(x, target, None, reduction, -100)
    args = (x, target, None, reduction, -100, weights)
    name = "nll_loss_backward.default"
    assert agrees(name, loss, *args)
    assert answer(name, loss, some(2, 3, 4), *args[1:]) is NotImplemented


@pytest.mark.parametrize("reduction", [0, 1, 2])
def test_squared_errors(reduction: int) -> None:
    x = some(2, 3)
    gradient = x if reduction == 0 else some()
    name = "mse_loss_backward.default"
    assert agrees(name, gradient, x, x, reduction)
    for one, two in product(LAYOUTS.values(), repeat=2):
        mean = gradient if gradient.dim() == 0 else two()
        assert agrees(name, mean, one(), two(), reduction)
    assert answer(name, gradient, x, some(3), reduction) is NotImplemented


# all of them


def known(name: str) -> bool:
    """Whether torch has the operator and the overload."""
    packet, _, overload = name.partition(".")
    found = getattr(torch.ops.aten, packet, None)
    return found is not None and overload in found.overloads()


def test_every_rule_was_asked() -> None:
    """Runs last in the file; rules of overloads that torch does not have are never looked up."""
    if len(ASKED) < 20:
        pytest.skip("the tests of this file did not run")
    assert {name for name in RULES if known(name)} == ASKED
    assert {name for name in RULES if not known(name) and "_foreach_" not in name} == set()
