"""Each rule of `shapes.py` says what torch's own meta kernel says, or leaves the operator to it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from zoo.analysis.tracer.shapes import BINARY, COMPARE, FILLS, RULES, UNARY, dense, like

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


@pytest.mark.parametrize("layout", [(2, 3), (3, 2)])
def test_whole_numbers_and_a_fraction_make_fractions(layout: tuple[int, int]) -> None:
    whole = blank(layout, torch.int64)
    tensor = whole if layout == (2, 3) else whole.t()
    assert agrees("add.Tensor", tensor, 0.5)
    assert agrees("mul.Scalar", tensor, 0.5)
    assert agrees("div.Tensor", tensor, 2)
    assert agrees("div.Scalar", tensor, 0.5)


@pytest.mark.parametrize("name", COMPARE)
def test_comparisons_stretch_both_sides(name: str) -> None:
    assert agrees(f"{name}.Tensor", blank((4,), torch.int64), blank((2, 3, 1), torch.int64))


@pytest.mark.parametrize("name", [f"{n}.default" for n in UNARY if n != "clamp_min"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_unary_rules_answer(name: str, dtype: torch.dtype) -> None:
    assert agrees(name, blank((2, 3), dtype))


def test_log_sigmoid() -> None:
    assert agrees("log_sigmoid_forward.default", blank((2, 3), torch.float32))
    assert not agrees("log_sigmoid_forward.default", blank((2, 3), torch.int64))


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


@pytest.mark.parametrize("dims", [[0], [-1, 0], [1]])
def test_flip(dims: list[int]) -> None:
    tensor = blank((2, 3, 4), torch.float32)
    for one in (tensor, tensor.mT, tensor[:, :, ::2], tensor.to(torch.int64)):
        assert agrees("flip.default", one, dims)
        assert RULES["flip.default"](one, dims).stride() == one.flip(dims).stride()
    assert not agrees("flip.default", tensor, [0, 0])


@pytest.mark.parametrize(("dim", "index"), [(-1, (2, 3, 1)), (2, (2, 3, 9)), (0, (1, 2, 4))])
def test_a_number_scattered_in_place(dim: int, index: Any) -> None:
    target = blank((2, 3, 4), torch.int64)
    assert RULES["scatter_.value"](target, dim, blank(index, torch.int64), 1) is target
    assert kernel("scatter_.value")(target, dim, blank(index, torch.int64), 1) is target


def test_an_index_that_does_not_fit_is_left_to_torch() -> None:
    target = blank((2, 3, 4), torch.int64)
    assert not agrees("scatter_.value", target, -1, blank((2, 5, 1), torch.int64), 1)
    assert not agrees("scatter_.value", target, -1, blank((2, 1), torch.int64), 1)


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


# how results lie: held to the CPU's kernels


LAYOUTS = {
    "contiguous": lambda: torch.ones(2, 3, 4),
    "turned": lambda: torch.ones(4, 3, 2).permute(2, 1, 0),
    "two dims turned": lambda: torch.ones(3, 2, 4).transpose(0, 1),
    "one number": lambda: torch.ones(1).expand(2, 3, 4),
    "one number a row": lambda: torch.ones(2, 1, 1).expand(2, 3, 4),
    "turned and expanded": lambda: torch.ones(4, 1, 2).permute(2, 1, 0).expand(2, 3, 4),
    "with gaps": lambda: torch.ones(2, 3, 8)[:, :, ::2],
    "a column": lambda: torch.ones(2, 3, 8)[:, :, :4],
    "turned, with gaps": lambda: torch.ones(4, 3, 6).permute(2, 1, 0)[::3],
    "one of each": lambda: torch.ones(3, 1, 2).permute(2, 1, 0),
    "as if dense": lambda: torch.ones(9)[::4].unsqueeze(1).expand(3, 3),
    "empty": lambda: torch.ones(2, 0, 4),
}


def blanked(tensor: torch.Tensor) -> torch.Tensor:
    return torch.empty_strided(tensor.size(), tensor.stride(), dtype=tensor.dtype, device="meta")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_like_lies_as_empty_like_does(layout: str) -> None:
    real = LAYOUTS[layout]()
    assert like(blanked(real)).stride() == torch.empty_like(real).stride()


@given(st.permutations(range(4)), st.lists(st.integers(1, 3), min_size=4, max_size=4), st.data())
def test_dense_strides_of_any_layout(order: list[int], sizes: list[int], data: Any) -> None:
    """Turned, with gaps, and expanded in some dims."""
    real = torch.empty([2 * n for n in sizes]).permute(order)
    step = data.draw(st.sampled_from([1, 2]))
    real = real[tuple(slice(None, None, step) for _ in order)]
    wide = data.draw(st.sets(st.integers(0, 3)))
    real = real.as_strided(
        real.size(), [0 if dim in wide else n for dim, n in enumerate(real.stride())]
    )
    wanted = torch.empty_like(real).stride()
    assert real.is_contiguous() or dense(real.size(), real.stride()) == wanted


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("form", [None, torch.preserve_format, torch.contiguous_format])
def test_clone_lies_as_torchs_does(layout: str, form: Any) -> None:
    real = LAYOUTS[layout]()
    options = {} if form is None else {"memory_format": form}
    mine = RULES["clone.default"](blanked(real), **options)
    theirs = kernel("clone.default")(real, **options)
    assert (mine.shape, mine.stride()) == (theirs.shape, theirs.stride())


def test_a_clone_in_another_memory_format_is_torchs() -> None:
    image = blank((2, 3, 4, 5), torch.float32)
    rule = RULES["clone.default"]
    assert rule(image, memory_format=torch.channels_last) is NotImplemented


@given(
    st.lists(st.tuples(st.integers(1, 3), st.booleans(), st.booleans()), max_size=4),
    st.integers(0, 4),
    st.sampled_from([*(f"{name}.Tensor" for name in BINARY), "maximum.default", "minimum.default"]),
)
def test_operands_that_both_stretch(dims: list[Any], left_out: int, name: str) -> None:
    """Shape and strides, for operands that are contiguous."""
    left = torch.ones([1 if narrow else n for n, narrow, _ in dims])
    right = torch.ones([1 if narrow else n for n, _, narrow in dims][left_out:])
    mine = RULES[name](blanked(left), blanked(right))
    assert mine is not NotImplemented
    theirs = kernel(name)(left, right)
    assert (mine.shape, mine.stride()) == (theirs.shape, theirs.stride())


@pytest.mark.parametrize("pads", [[1, 2], [-1, -1, -1, -1], [0, 0, 2, -1], [-2, 3, 0, 1]])
def test_padding_adds_and_takes_away(pads: list[int]) -> None:
    real = torch.ones(2, 3, 4, 5)
    mine = RULES["constant_pad_nd.default"](blanked(real), pads)
    theirs = kernel("constant_pad_nd.default")(real, pads)
    assert (mine.shape, mine.stride()) == (theirs.shape, theirs.stride())


def test_a_mask_turned_round() -> None:
    for real in (torch.ones(3, 4, dtype=torch.bool), torch.ones(3, 4, dtype=torch.bool).T):
        mine, theirs = RULES["bitwise_not.default"](blanked(real)), ~real
        assert (mine.shape, mine.stride(), mine.dtype) == (
            theirs.shape,
            theirs.stride(),
            theirs.dtype,
        )


@pytest.mark.parametrize("rank", [2, 3])
def test_adaptive_max_pooling(rank: int) -> None:
    real = torch.ones(2, 3, *(4, 5, 6)[:rank])
    for size in ([1] * rank, [2, 3, 5][:rank]):
        mine = RULES[f"adaptive_max_pool{rank}d.default"](blanked(real), size)
        theirs = kernel(f"adaptive_max_pool{rank}d.default")(real, size)
        for one, other in zip(mine, theirs, strict=True):
            assert (one.shape, one.stride(), one.dtype) == (
                other.shape,
                other.stride(),
                other.dtype,
            )


@pytest.mark.parametrize("shapes", [((4, 1), (3,)), ((3,), ()), ((), (3,)), ((2, 3), (2, 3))])
@pytest.mark.parametrize("kinds", [(torch.int64, torch.float32), (torch.bfloat16, torch.float32)])
def test_operands_of_two_dtypes(shapes: Any, kinds: Any) -> None:
    """The kind wins; within a kind, a tensor of no dims gives way."""
    for first, second in (kinds, kinds[::-1]):
        left, right = torch.ones(shapes[0], dtype=first), torch.ones(shapes[1], dtype=second)
        mine = RULES["mul.Tensor"](blanked(left), blanked(right))
        theirs = left * right
        wanted = (theirs.shape, theirs.stride(), theirs.dtype)
        assert (mine.shape, mine.stride(), mine.dtype) == wanted


def test_operands_that_do_not_stretch_are_torchs() -> None:
    left, right = blank((2, 3), torch.float32), blank((4, 2, 1, 2), torch.float32)
    assert RULES["add.Tensor"](left, right) is NotImplemented


@pytest.mark.parametrize(
    ("name", "size"), [("_unsafe_view.default", [6, -1]), ("unsafe_split.Tensor", 2)]
)
def test_what_is_a_view_in_secret_shares_its_operands_block(name: str, size: Any) -> None:
    real = torch.ones(2, 3, 4)
    tensor = blanked(real)
    found, theirs = RULES[name](tensor, size), kernel(name)(real, size)
    mine = [found] if isinstance(found, torch.Tensor) else list(found)
    wanted = [theirs] if isinstance(theirs, torch.Tensor) else list(theirs)
    block = tensor.untyped_storage()._cdata
    assert [(t.shape, t.stride()) for t in mine] == [(t.shape, t.stride()) for t in wanted]
    assert all(one.untyped_storage()._cdata == block for one in mine)
    assert all(one.untyped_storage()._cdata == real.untyped_storage()._cdata for one in wanted)


def test_empty_strided_and_masks() -> None:
    x = blank((2, 3), torch.bfloat16)
    made = RULES["new_empty_strided.default"](x, [3, 2], [1, 3], dtype=torch.float64)
    assert (made.shape, made.stride(), made.dtype) == ((3, 2), (1, 3), torch.float64)
    mask = blank((2, 3), torch.bool)
    for name in ("bitwise_or.Tensor", "bitwise_and.Tensor"):
        assert agrees(name, mask, mask)
        assert not agrees(name, mask, blank((1, 3), torch.bool))
        assert not agrees(name, *[blank((2, 3), torch.int64)] * 2)
    assert agrees("any.default", mask)
    assert not agrees("any.default", x)


@given(
    st.sampled_from(SHAPES[1:]),
    st.lists(st.integers(-2, 2), min_size=1, max_size=2),
    st.booleans(),
    st.sampled_from([torch.int64, torch.int32, torch.bool, torch.float32, torch.bfloat16]),
)
def test_sums_over_dims(shape: Any, dims: list[int], keep: bool, dtype: torch.dtype) -> None:
    rank = len(shape)
    if len({dim % rank for dim in dims}) == len(dims):
        agrees("sum.dim_IntList", blank(shape, dtype), dims, keep)
        agrees("amax.default", blank(shape, dtype), dims, keep)


def test_sums_over_dims_are_answered() -> None:
    assert agrees("sum.dim_IntList", blank((2, 3), torch.int32), [-1])
    assert agrees("sum.dim_IntList", blank((2, 3), torch.float32), [-1])


@pytest.mark.parametrize("reduction", [0, 1, 2])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("weighted", [False, True])
def test_cross_entropy(reduction: int, dtype: torch.dtype, weighted: bool) -> None:
    """Against the CPU's own kernel; gradients too."""
    weight = torch.ones(5, dtype=dtype) if weighted else None
    for x, target in (
        (torch.zeros(3, 5, dtype=dtype), torch.zeros(3, dtype=torch.int64)),
        (torch.zeros(5, dtype=dtype), torch.tensor(0)),
    ):
        args = (x, target, weight, reduction, -100)
        loss, total = kernel("nll_loss_forward.default")(*args)
        bare = [one if not isinstance(one, torch.Tensor) else blanked(one) for one in args]
        mine = RULES["nll_loss_forward.default"](*bare)
        assert [(t.shape, t.dtype) for t in mine] == [(t.shape, t.dtype) for t in (loss, total)]
    loose = (blanked(torch.ones(3, 5)), blanked(torch.ones(4)), None, reduction, -100)
    assert RULES["nll_loss_forward.default"](*loose) is NotImplemented


@pytest.mark.parametrize("reduction", [0, 1, 2])
@pytest.mark.parametrize("shape", [(), (3,), (2, 3)])
def test_squared_errors(reduction: int, shape: Any) -> None:
    x = blank(shape, torch.float32)
    assert agrees("mse_loss.default", x, x, reduction)
    assert not agrees("mse_loss.default", x, blank((7, 2, 3), torch.float32), reduction)


@pytest.mark.parametrize("layout", [name for name in LAYOUTS if name != "as if dense"])
@pytest.mark.parametrize("other", ["contiguous", "turned", "one number"])
def test_squared_errors_lie_as_torchs(layout: str, other: str) -> None:
    x, y = LAYOUTS[layout](), LAYOUTS[other]()
    if x.shape == y.shape:
        mine = RULES["mse_loss.default"](blanked(x), blanked(y), 0)
        assert (mine is NotImplemented) == (not all(x.stride()))
        if mine is not NotImplemented:
            assert mine.stride() == kernel("mse_loss.default")(x, y, 0).stride()


@given(
    st.sampled_from(DTYPES),
    st.none() | st.integers(-3, 3) | st.floats(-3, 3) | st.booleans(),
    st.none() | st.integers(-3, 3) | st.floats(-3, 3),
)
def test_clamp(dtype: torch.dtype, low: Any, high: Any) -> None:
    if low is not None or high is not None:
        if dtype == torch.bool:
            assert RULES["clamp.default"](blank((2, 3), dtype), low, high) is NotImplemented
        else:
            agrees("clamp.default", blank((2, 3), dtype), low, high)


def test_clamp_of_whole_numbers_answers() -> None:
    assert agrees("clamp.default", blank((2, 3), torch.int64), None, 4)
    assert not agrees("clamp.default", blank((2, 3), torch.int64), 0.5)
