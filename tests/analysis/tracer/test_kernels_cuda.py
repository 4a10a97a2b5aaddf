"""CUDA's kernels stand where torch would run them, and have backward passes.

No GPU is asked: the choices are those of torch 2.14's sources, one case for each rule. Shapes are
those of torch's own meta kernels.
"""

from __future__ import annotations

from math import prod
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as fn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.utils.rnn import pack_padded_sequence

from zoo.analysis.tracer.devices import DeviceMode
from zoo.analysis.tracer.hints import Hints
from zoo.analysis.tracer.modes import BlankMode
from zoo.analysis.tracer.shapes_cuda import RULES

ATEN = torch.ops.aten
F16, BF16, F32, F64 = torch.float16, torch.bfloat16, torch.float32, torch.float64


class Observer:
    """Keeps the operators, with the sizes in bytes of their results."""

    def __init__(self) -> None:
        self.ran: dict[str, list[int]] = {}

    def saw(self, func: Any, given: Any, args: Any, kwargs: Any, out: Any) -> None:
        results = out if isinstance(out, list | tuple) else [out]
        sizes = [t.numel() * t.element_size() for t in results if isinstance(t, Tensor)]
        self.ran[func._schema.name.removeprefix("aten::")] = sizes

    def failed(self, func: Any, given: Any, error: BaseException) -> None:
        pass

    def ran_on_zeros(self, func: Any) -> None:
        pass

    def moved(self, move: Any, *, by_operator: bool) -> None:
        pass

    def refused(self, what: str, hint: str) -> None:
        pass


def blank(*shape: int, dtype: torch.dtype = F32, grad: bool = True) -> Tensor:
    return torch.empty(shape, dtype=dtype, device="meta", requires_grad=grad)


def stepped(forward: Any, device: str = "cuda:0", backward: bool = True) -> dict[str, list[int]]:
    """Operators of a forward and a backward pass."""
    observer = Observer()
    mode = BlankMode(Hints(), observer, device)
    with mode, DeviceMode(mode):
        out = forward()
        if backward:
            out.sum().backward()
    return observer.ran


FLASH, EFFICIENT = "flash", "efficient"
MASK = {"attn_mask": (10, 12)}
ATTENTION: list[tuple[str | None, torch.dtype, dict[str, Any]]] = [
    (FLASH, F16, {}),
    (FLASH, BF16, {"dropout_p": 0.5}),
    (FLASH, F16, {"k": (2, 4, 10, 16), "is_causal": True}),
    (EFFICIENT, F16, {"is_causal": True}),  # flash's mask has another corner
    (FLASH, F16, {"q": (2, 4, 10, 20), "k": (2, 4, 12, 20)}),  # padded to 24
    (FLASH, F16, {"k": (2, 2, 12, 16), "enable_gqa": True}),
    (FLASH, F16, {"k": (2, 1, 12, 16)}),
    (FLASH, F16, {"q": (2, 4, 10, 256), "k": (2, 4, 12, 256)}),
    (EFFICIENT, F16, {"q": (2, 4, 10, 264), "k": (2, 4, 12, 264)}),
    (EFFICIENT, F16, {"v": (2, 4, 12, 8)}),
    (EFFICIENT, F16, MASK),
    (EFFICIENT, F16, {"attn_mask": (2, 1, 10, 12), "bool": True}),
    (EFFICIENT, F32, {}),
    (EFFICIENT, F32, {"dropout_p": 0.5, "is_causal": True}),
    (EFFICIENT, F32, {"k": (2, 2, 12, 16), "enable_gqa": True}),
    (None, F32, {"q": (2, 4, 10, 18), "k": (2, 4, 12, 18)}),  # rows of no whole 16 bytes
    (None, F16, {"q": (4, 10, 16), "k": (4, 12, 16)}),  # of three dims
    (None, F16, {"q": (2, 3, 10, 16), "k": (1, 3, 12, 16)}),
    (None, F64, {}),
]


@pytest.mark.parametrize(("kind", "dtype", "options"), ATTENTION)
def test_attention(kind: str | None, dtype: torch.dtype, options: dict[str, Any]) -> None:
    rest = dict(options)
    q, k = rest.pop("q", (2, 4, 10, 16)), rest.pop("k", (2, 4, 12, 16))
    v, mask, whole = rest.pop("v", k), rest.pop("attn_mask", None), rest.pop("bool", False)
    if mask is not None:
        rest["attn_mask"] = blank(*mask, dtype=torch.bool if whole else dtype, grad=False)
    operands = [blank(*shape, dtype=dtype) for shape in (q, k, v)]
    ran = stepped(lambda: fn.scaled_dot_product_attention(*operands, **rest))
    chosen = {name for name in ran if "scaled_dot_product" in name}
    name = f"_scaled_dot_product_{kind}_attention"
    assert chosen == (set() if kind is None else {name, f"{name}_backward"})
    assert [t.grad.shape for t in operands if t.grad is not None] == [t.shape for t in operands]
    largest = max(max(sizes, default=0) for sizes in ran.values())
    assert kind or largest >= prod(q[:-1]) * 12 * dtype.itemsize  # the scores, written out


def test_the_models_choice_of_kernels() -> None:
    def chosen(*kinds: SDPBackend) -> set[str]:
        q = blank(2, 4, 10, 16, dtype=F16)
        with sdpa_kernel(list(kinds)):
            ran = stepped(lambda: fn.scaled_dot_product_attention(q, q, q))
        return {name for name in ran if "scaled" in name and "backward" not in name}

    kinds = SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.CUDNN_ATTENTION
    assert chosen(*kinds) == {"_scaled_dot_product_flash_attention"}
    assert chosen(*kinds[1:]) == {"_scaled_dot_product_efficient_attention"}
    assert chosen(*kinds[2:]) == {"_scaled_dot_product_cudnn_attention"}
    assert chosen(SDPBackend.MATH) == set()


def test_what_is_kept_for_the_backward_pass_is_made_for_it_only() -> None:
    q = blank(2, 4, 10, 16)
    name = "_scaled_dot_product_efficient_attention"
    with torch.no_grad():
        ran = stepped(lambda: fn.scaled_dot_product_attention(q, q, q), backward=False)
    assert ran[name][1] == 0
    assert stepped(lambda: fn.scaled_dot_product_attention(q, q, q))[name][1] == 2 * 4 * 32 * 4


def test_a_mask_is_padded_and_spread() -> None:
    """Ten rows of 12 halves: the next multiple of 8 is 16."""
    q, k = blank(2, 4, 10, 16, dtype=F16), blank(2, 4, 12, 16, dtype=F16)
    mask = blank(10, 12, dtype=F16, grad=False)
    ran = stepped(lambda: fn.scaled_dot_product_attention(q, k, k, attn_mask=mask))
    assert ran["constant_pad_nd"] == [10 * 16 * 2]


@pytest.mark.parametrize("make", [fn.dropout, torch.dropout, lambda x, *_: nn.Dropout(0.5)(x)])
def test_dropout_keeps_a_byte_an_element(make: Any) -> None:
    ran = stepped(lambda: make(blank(30, 4), 0.5, True))
    assert ran["native_dropout"] == [480, 120]
    assert ran["native_dropout_backward"] == [480]
    assert "bernoulli_" not in ran


def test_dropout_that_is_not_fused() -> None:
    off = (lambda: fn.dropout(blank(3, 4), 0.5, False)), (lambda: fn.dropout(blank(3, 4), 0.0))
    for forward in (*off, lambda: fn.dropout(blank(3, 4) * 1, 0.5, inplace=True)):
        assert "native_dropout" not in stepped(forward)
    assert "native_dropout" not in stepped(lambda: fn.dropout(blank(3, 4), 0.5), "cpu")


@pytest.mark.parametrize("dtype", [F16, BF16])
def test_a_softmax_in_float32_reads_halves(dtype: torch.dtype) -> None:
    x = blank(4, 8, dtype=dtype)
    ran = stepped(lambda: fn.softmax(x, -1, dtype=F32), backward=False)
    assert ran["_softmax"] == [128]
    assert ("_to_copy" in ran) == (dtype == BF16)


NORMS: list[tuple[bool, Any, Tensor]] = [
    (True, nn.BatchNorm2d(4, device="meta"), blank(2, 4, 8, 8)),
    (True, nn.BatchNorm2d(4, device="meta"), blank(2, 4, 8, 8, dtype=F16)),
    (True, nn.BatchNorm3d(4, device="meta"), blank(2, 4, 3, 8, 8)),
    (True, nn.BatchNorm1d(4, device="meta"), blank(2, 4, 8)),
    (True, nn.BatchNorm2d(4, track_running_stats=False, device="meta"), blank(2, 4, 8, 8)),
    (True, nn.BatchNorm2d(4, device="meta"), blank(2, 8, 8, 4).permute(0, 3, 1, 2)),
    (False, nn.BatchNorm1d(4, device="meta"), blank(2, 4)),
    (False, nn.BatchNorm2d(4, affine=False, device="meta"), blank(2, 4, 8, 8)),
    (False, nn.BatchNorm2d(4, device="meta", dtype=BF16), blank(2, 4, 8, 8, dtype=BF16)),
]


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize(("cudnn", "norm", "x"), NORMS)
def test_batch_norm(cudnn: bool, norm: nn.Module, x: Tensor, train: bool) -> None:
    norm.train(train)
    ran = stepped(lambda: norm(x))
    assert ("cudnn_batch_norm" in ran) == cudnn
    batch = train or norm.running_mean is None
    assert ("cudnn_batch_norm_backward" in ran) == (cudnn and batch)
    if cudnn:
        saved = 4 * 4 if batch else 0
        assert ran["cudnn_batch_norm"] == [x.numel() * x.element_size(), saved, saved, 0]


RECURRENT: list[tuple[Any, dict[str, Any], int]] = [
    (nn.LSTM, {}, 5 * 16),
    (nn.LSTM, {"num_layers": 2, "bidirectional": True, "batch_first": True, "dropout": 0.5}, 352),
    (nn.LSTM, {"proj_size": 3, "bias": False}, 5 * 16),
    (nn.GRU, {}, 4 * 16),
    (nn.RNN, {"nonlinearity": "relu", "num_layers": 2}, 16),
    (nn.RNN, {"dtype": F64}, 0),
]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(("kind", "options", "kept"), RECURRENT)
def test_recurrent_layers_are_one_operator(
    kind: Any, options: dict[str, Any], kept: int, packed: bool
) -> None:
    dtype = options.get("dtype", F32)
    model = kind(8, 16, device="meta", **options)
    first = bool(options.get("batch_first"))
    x = blank(*((3, 5, 8) if first else (5, 3, 8)), dtype=dtype, grad=not packed)

    def forward() -> Tensor:
        if not packed:
            return model(x)[0]
        return model(pack_padded_sequence(x, torch.tensor([5, 4, 2]), batch_first=first))[0].data

    ran = stepped(forward)
    rows = 11 if packed else 15
    output, *_, reserve, _ = ran["_cudnn_rnn"]
    directions = 2 if options.get("bidirectional") else 1
    assert output == rows * directions * options.get("proj_size", 16) * dtype.itemsize
    assert reserve == rows * kept * dtype.itemsize
    assert "_cudnn_rnn_backward" in ran
    for parameter in model.parameters():
        assert parameter.grad is not None
        assert parameter.grad.shape == parameter.shape
    model.eval()
    assert stepped(forward, backward=False)["_cudnn_rnn"][-2] == 0


def test_a_wrong_recurrent_layer_fails_as_torch_fails() -> None:
    model = nn.GRU(8, 16, device="meta")
    with pytest.raises(RuntimeError, match=r"input\.size"):
        stepped(lambda: model(blank(5, 3, 7))[0])


@pytest.mark.parametrize("device", ["mps:0", "xpu:0"])
def test_other_accelerators_have_the_cpus(device: str) -> None:
    q = blank(2, 4, 10, 16)
    ran = stepped(lambda: fn.scaled_dot_product_attention(q, q, q), device)
    assert "_scaled_dot_product_flash_attention_for_cpu" in ran


def test_a_tensor_on_the_cpu_has_the_cpus() -> None:
    def both() -> Tensor:
        q = blank(2, 4, 10, 16)
        fn.scaled_dot_product_attention(*[q.cpu()] * 3)
        return fn.scaled_dot_product_attention(q, q, q)

    ran = stepped(both)
    assert "_scaled_dot_product_flash_attention_for_cpu" in ran
    assert "_scaled_dot_product_efficient_attention" in ran


def described(out: Any) -> list[Any]:
    results = out if isinstance(out, list | tuple) else [out]
    return [(t.shape, t.dtype, t.stride()) for t in results if isinstance(t, Tensor)]


X, C = blank(2, 4, 8, 8, grad=False), blank(4, grad=False)
LAST = X.contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("cudnn_batch_norm", (X, C, C, C, C, True, 0.1, 1e-5)),
        ("cudnn_batch_norm", (X, C, C, C, C, False, 0.1, 1e-5)),
        ("cudnn_batch_norm", (LAST, C, C, None, None, True, 0.1, 1e-5)),
        ("cudnn_batch_norm_backward", (X, X, C, C, C, C, C, 1e-5, blank(0, grad=False))),
        ("native_dropout", (X, 0.5, True)),
        ("native_dropout", (LAST, 0.5, True)),
    ],
)
def test_shapes_are_torchs(name: str, args: Any) -> None:
    op = getattr(ATEN, name).default
    assert described(RULES[f"{name}.default"](*args)) == described(op(*args))


def test_recurrent_shapes_are_torchs_but_for_the_reserve() -> None:
    state = blank(2, 3, 16, grad=False)
    weights = [blank(*s, grad=False) for s in ((64, 8), (64, 16), (64,), (64,)) * 2]
    x, flat = blank(5, 3, 8, grad=False), blank(64, grad=False)
    rest = (2, 16, 0, 1, False, 0.0, True, True, [], None)
    args = (x, weights, 4, flat, state, state, *rest)
    mine = RULES["_cudnn_rnn.default"](*args)
    real = ATEN._cudnn_rnn.default(*args)
    assert described(mine[:3]) == described(real[:3])
    assert real[3].numel() == 0
