"""Scratch memory of kernels, beside what torch's own profiler sees them allocate."""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as fn
from torch.profiler import ProfilerActivity, profile

import zoo
from zoo.analysis.tracer.workspaces import FORMULAS, Setting, Workspaces, lstm_workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ATEN = torch.ops.aten


@contextmanager
def onednn_is(on: bool) -> Iterator[None]:
    before = torch._C._get_mkldnn_enabled()
    torch._C._set_mkldnn_enabled(on)
    try:
        yield
    finally:
        torch._C._set_mkldnn_enabled(before)


def scratch(call: Callable[[], Any]) -> int:
    """The most that a call holds at once, less what is left when it is done."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as found:
            kept = call()
    events = found.profiler.kineto_results.events()
    changes = [(one.start_ns(), n, one.nbytes()) for n, one in enumerate(events)]
    sizes = [size for (_, n, size) in sorted(changes) if events[n].name() == "[memory]"]
    live = most = 0
    for size in sizes:
        live += size
        most = max(most, live)
    del kept
    return most - live


def said(name: str, *args: Any, onednn: bool = True, device: str = "cpu") -> int:
    """What zoo says of one call of an operator; its results are those of the real one."""
    kernel = kernel_of(name)
    with onednn_is(onednn):
        out = kernel(*args)
        return Workspaces(device).of(kernel, args, out if isinstance(out, tuple) else (out,))


def kernel_of(name: str) -> Any:
    packet, _, overload = name.partition(".")
    return getattr(getattr(ATEN, packet), overload or "default")


def check(name: str, *args: Any) -> None:
    kernel = kernel_of(name)
    kernel(*args)  # what is made once, such as a kernel's code, is there
    assert said(name, *args) == scratch(lambda: kernel(*args))


# without oneDNN, to the byte

CONV = st.fixed_dictionaries(
    {
        "batch": st.integers(1, 4),
        "channels": st.integers(1, 6),
        "out": st.integers(1, 6),
        "kernel": st.integers(1, 3),
        "stride": st.integers(1, 2),
        "padding": st.integers(0, 1),
        "dilation": st.integers(1, 2),
        "size": st.integers(8, 12),
    }
)


@given(CONV)
def test_a_convolution_lays_out_columns(setting: dict[str, int]) -> None:
    """Without oneDNN: one sample's columns for each sample, if it is no plain product."""
    s = setting
    x = torch.rand(s["batch"], s["channels"], s["size"], s["size"])
    w = torch.rand(s["out"], s["channels"], s["kernel"], s["kernel"])
    options = [[s[key]] * 2 for key in ("stride", "padding", "dilation")]
    args = (x, w, None, *options, False, [0, 0], 1)
    with onednn_is(False):
        found = scratch(lambda: ATEN.convolution.default(*args))
    assert said("convolution", *args, onednn=False) == found


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("batch", [1, 20])
@pytest.mark.parametrize(("kernel", "transposed"), [(1, False), (3, False), (3, True)])
def test_volumes(batch: int, kernel: int, groups: int, transposed: bool) -> None:
    """In three dimensions torch's own kernels take all groups at once, or samples one by one."""
    x = torch.rand(batch, 8, 5, 6, 7)
    pair = (8, 6 // groups) if transposed else (6, 8 // groups)
    w = torch.rand(*pair, *[kernel] * 3)
    options = [[1] * 3, [0] * 3, [1] * 3, transposed, [0] * 3, groups]
    with onednn_is(False):
        grad = torch.rand_like(ATEN.convolution.default(x, w, None, *options))
        args = (grad, x, w, [6], *options, [True] * 3)
        back = scratch(lambda: ATEN.convolution_backward.default(*args))
    bias = torch.rand(6)
    with onednn_is(False):
        found = scratch(lambda: ATEN.convolution.default(x, w, bias, *options))
    assert said("convolution", x, w, bias, *options, onednn=False) == found
    assert said("convolution_backward", *args, onednn=False) == back


@pytest.mark.parametrize("mode", [0, 1, 2])
@pytest.mark.parametrize(("bags", "length", "width"), [(64, 5, 8), (300, 3, 32), (512, 17, 64)])
def test_bags_of_rows(bags: int, length: int, width: int, mode: int) -> None:
    weight, indices = torch.rand(100, width), torch.randint(0, 100, (bags * length,))
    starts = torch.arange(0, bags * length, length)
    forward = (weight, indices, starts, False, mode, False, None, False, -1)
    check("_embedding_bag", *forward)
    grad, *kept = ATEN._embedding_bag.default(*forward)
    rest = (100, False, mode, False, None, -1)
    check("_embedding_bag_backward", grad, indices, starts, *kept, *rest)


@pytest.mark.parametrize(("n", "a", "b", "out"), [(64, 5, 9, 11), (300, 20, 3, 4), (1, 4, 7, 3)])
def test_products_of_three(n: int, a: int, b: int, out: int) -> None:
    x, y, w, g = torch.rand(n, a), torch.rand(n, b), torch.rand(out, a, b), torch.rand(n, out)
    check("_trilinear", x, w, y, [1, 3], [0], [1, 2], [2, 3])
    check("_trilinear", g, w, y, [2, 3], [0], [1, 2], [1, 3])
    check("_trilinear", x, g, y, [1, 3], [2, 3], [1, 2], [0])
    check("_trilinear", x, w, g, [1, 3], [0], [2, 3], [1, 2])


@pytest.mark.parametrize("turned", [False, True])
def test_products_copy_what_blas_cannot_read(turned: bool) -> None:
    a, b = torch.rand(64, 32), torch.rand(32, 48)
    gaps = torch.rand(64, 64)[:, ::2]
    one = torch.rand(1).expand(64, 32)
    check("mm", a.t().contiguous().t() if turned else a, b)
    check("mm", gaps, b)
    check("mm", one, b)
    check("addmm", torch.rand(48), gaps, b)
    check("bmm", torch.rand(3, 64, 32), torch.rand(3, 48, 32).transpose(1, 2))


def test_gradients_that_are_copied_first() -> None:
    x = torch.rand(2, 3, 8, 8)
    one = torch.rand(1).expand(2, 3, 4, 4)
    y, where = ATEN.max_pool2d_with_indices.default(x, [2], [2])
    check("max_pool2d_with_indices_backward", one, x, [2], [2], [0], [1], False, where)
    check("max_pool2d_with_indices_backward", y, x, [2], [2], [0], [1], False, where)
    check("avg_pool2d_backward", one, x, [2], [2], [0], False, True, None)
    soft = torch.rand(16, 64).softmax(-1)
    check("_softmax_backward_data", torch.rand(1).expand(16, 64), soft, -1, torch.float32)
    check("_softmax_backward_data", soft, soft, -1, torch.float32)


@pytest.mark.parametrize("dims", [[1], [1, 2]])
def test_a_roll_over_several_dims(dims: list[int]) -> None:
    check("roll", torch.rand(4, 8, 8), [1] * len(dims), dims)


def test_norms() -> None:
    x, c = torch.rand(8, 16, 6, 6), torch.rand(16)
    check("native_batch_norm", x, c, c, c.clone(), c.clone(), True, 0.1, 1e-5)
    check("native_batch_norm_backward", x, x, c, c, c, c, c, True, 1e-5, [True] * 3)


@pytest.mark.skipif(torch.get_num_threads() != Setting().threads, reason="counted for two threads")
@pytest.mark.parametrize("rows", [8, 64, 200])
def test_what_each_thread_takes(rows: int) -> None:
    x, w = torch.rand(rows, 32), torch.rand(32)
    _, mean, rstd = ATEN.native_layer_norm.default(x, [32], w, w, 1e-5)
    check("native_layer_norm_backward", x, x, [32], mean, rstd, w, w, [True] * 3)
    query = torch.rand(2, 4, rows, 16)
    check("_scaled_dot_product_flash_attention_for_cpu", query, query, query)


# what follows from the definitions


def test_nothing_is_known_of_other_devices() -> None:
    x = torch.rand(64, 64)[:, ::2]
    assert said("mm", x, x.t(), device="cpu") > 0
    assert said("mm", x, x.t(), device="cuda:0") == 0
    assert said("mm", x, x.t(), device="mps") == 0


def test_operators_without_scratch_memory() -> None:
    x = torch.rand(8, 8)
    assert said("mm", x, x) == said("add.Tensor", x, x) == said("relu", x) == 0


@pytest.mark.parametrize("name", FORMULAS)
def test_every_operator_of_the_table_is_torchs(name: str) -> None:
    assert hasattr(ATEN, name)


@given(*[st.integers(1, 300)] * 4)
def test_an_lstm_keeps_more_the_larger_it_is(
    steps: int, batch: int, width: int, hidden: int
) -> None:
    kept = lstm_workspace(steps, batch, width, hidden)
    assert kept >= 4 * steps * batch * (4 * hidden + hidden)  # gates and cells
    assert lstm_workspace(steps + 1, batch, width, hidden) >= kept
    assert lstm_workspace(steps, batch + 1, width, hidden) >= kept
    assert kept % 4096 == 0


def test_an_lstm_keeps_what_onednn_says() -> None:
    """On a processor with AVX-512, for which the figures are."""
    capability = torch.backends.cpu.get_cpu_capability()
    if capability != "AVX512" or not torch.backends.mkldnn.is_available():
        pytest.skip(f"this processor has {capability}")
    for steps, batch, width, hidden in [(5, 2, 8, 6), (7, 3, 100, 64), (2, 8, 20, 256)]:
        x = torch.rand(steps, batch, width)
        weights = [torch.rand(4 * hidden, n) for n in (width, hidden)]
        more = [torch.rand(4 * hidden)] * 2 + [torch.rand(batch, hidden)] * 2
        out = ATEN.mkldnn_rnn_layer(
            x, *weights, *more, False, [], 2, hidden, 1, True, False, False, True
        )
        assert lstm_workspace(steps, batch, width, hidden) == out[3].numel()


class Mixed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return fn.relu(self.conv(x)).roll([1, 1], [2, 3])


def test_scratch_memory_is_a_block_of_its_own_in_a_trace() -> None:
    trace = zoo.trace(Mixed(), (2, 3, 16, 16))
    (roll,) = (op for op in trace.ops if op.op == "aten.roll.default")
    blocks = [one for one in trace.storages if one.born == roll.index]
    assert [one.nbytes for one in blocks] == [roll.new_bytes] * 2
    assert {one.role: one.died == roll.index for one in blocks}["temporary"]
    assert sorted(one.role for one in blocks) == ["output", "temporary"]
    assert {one.call for one in blocks} == {0}
    elsewhere = zoo.trace(Mixed(), (2, 3, 16, 16), device="mps")
    assert len(elsewhere.storages) < len(trace.storages)
