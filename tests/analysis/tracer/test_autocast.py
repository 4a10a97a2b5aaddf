"""Simulated autocast casts what torch's own casts.

The oracle is torch: on the CPU itself, and for CUDA the same C++ code run on fake tensors that say
they lie there, which needs no GPU.
"""

from __future__ import annotations

import copy
import logging
import warnings
from collections import Counter
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses import FakeTensorMode
from torch.nn import functional as fn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.checkpoint import checkpoint

from zoo.analysis.tracer.autocast import Casts, names, simulated
from zoo.analysis.tracer.blank import tensors_in
from zoo.analysis.tracer.devices import DeviceMode
from zoo.analysis.tracer.hints import Hints
from zoo.analysis.tracer.modes import BlankMode
from zoo.analysis.tracer.run import run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


BF16, F16, F32 = torch.bfloat16, torch.float16, torch.float32
Seen = tuple[str, tuple[torch.dtype, ...], torch.dtype | None]


def form(func: Any, args: Any, kwargs: Any) -> Seen:
    """Operator, dtypes of its operands, and the dtype that it is asked for."""
    return str(func), tuple(t.dtype for t in tensors_in((args, kwargs))), kwargs.get("dtype")


class Log(TorchDispatchMode):
    """Writes down what runs below autograd."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Seen] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if not str(func).startswith("prim"):
            self.seen.append(form(func, args, kwargs or {}))
        return func(*args, **(kwargs or {}))


class Observer:
    """Writes down what runs on blank tensors."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.bytes: list[int] = []

    def saw(self, func: Any, given: Any, args: Any, kwargs: Any, out: Any) -> None:
        self.seen.append(form(func, args, kwargs))

    def failed(self, func: Any, given: Any, error: BaseException) -> None:
        pass

    def ran_on_zeros(self, func: Any) -> None:
        pass

    def moved(self, move: Any, *, by_operator: bool) -> None:
        pass

    def refused(self, what: str, hint: str) -> None:
        pass


@contextmanager
def on_blanks(device: str = "cpu") -> Iterator[Observer]:
    observer = Observer()
    mode = BlankMode(Hints(), observer, device)
    with mode, DeviceMode(mode):
        yield observer


@contextmanager
def really(kind: str, lower: torch.dtype) -> Iterator[Log]:
    """torch's own autocast; on CUDA below tensors that only say where they lie."""
    log = Log()
    with ExitStack() as stack:
        if kind == "cuda":
            stack.enter_context(FakeTensorMode(allow_non_fake_inputs=True))
        stack.enter_context(simulated(kind, lower))
        stack.enter_context(log)
        yield log


def operands(schema: Any, dtype: torch.dtype, device: str, rank: int) -> tuple[Any, Any]:
    """Something for each argument; casts come before any check of shapes."""
    plain: dict[str, Any] = {"int": 1, "number": 1, "float": 1.0, "bool": False}
    args, kwargs = [], {}
    for one in schema.arguments:
        kind = str(one.type)
        if one.has_default_value() and "Tensor" not in kind:
            continue
        if kind == "Tensor":
            value: Any = torch.ones((4,) * rank, dtype=dtype, device=device)
        elif kind == "List[Tensor]":
            value = [torch.ones((4,) * rank, dtype=dtype, device=device) for _ in range(2)]
        elif kind == "List[Optional[Tensor]]":
            value = [torch.zeros(4, dtype=torch.int64, device=device)]
        elif kind == "str":
            value = "ij,jk->ik" if "einsum" in schema.name else "fro"
        else:
            value = [1] if kind.startswith("List[int]") else plain.get(kind)
        if one.kwarg_only:
            kwargs[one.name] = value
        else:
            args.append(value)
    return args, kwargs


def attempted(func: Any, args: Any, kwargs: Any) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            func(*args, **kwargs)
        except (RuntimeError, IndexError, TypeError, ValueError, AttributeError, AssertionError):
            return False
    return True


NEEDS_A_GPU = {"_cudnn_rnn"}
"""Asks the driver before it casts."""
ELSEWHERE = {"scaled_dot_product_attention", "quantile.scalar", "nanquantile.scalar"}
"""The first is a kernel of the device (below); the others make a tensor on the CPU inside."""


@pytest.mark.parametrize(("kind", "lower"), [("cpu", BF16), ("cuda", F16), ("cuda", BF16)])
def test_every_operator_is_cast_as_torch_casts_it(kind: str, lower: torch.dtype) -> None:
    logging.getLogger("torch._subclasses.fake_tensor").setLevel(logging.CRITICAL)
    wrong = []
    compared = 0
    for name in sorted(names(kind) - NEEDS_A_GPU - ELSEWHERE):
        packet, _, overload = name.partition(".")
        func = getattr(getattr(torch.ops.aten, packet), overload or "default")
        for dtype in (F32, lower):
            for rank in (1, 2, 3, 4):
                with really(kind, lower) as log:
                    args, kwargs = operands(func._schema, dtype, kind, rank)
                    log.seen.clear()
                    real = attempted(func, args, kwargs)
                with on_blanks(kind if kind == "cpu" else "cuda:0") as observer:
                    args, kwargs = operands(func._schema, dtype, "meta", rank)
                    observer.seen.clear()
                    with simulated(kind, lower):
                        ours = attempted(func, args, kwargs)
                compared += bool(casts(log.seen))
                differs = real and ours and log.seen != observer.seen
                if differs or casts(log.seen) != casts(observer.seen):
                    wrong.append((name, dtype, rank, log.seen, observer.seen))
    assert not wrong
    assert compared > 300


class Attends(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.MultiheadAttention(16, 4, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x, x, x, need_weights=False)[0]


class Classifies(nn.Module):
    def __init__(self, loss: Callable[..., Tensor]) -> None:
        super().__init__()
        self.head, self.loss = nn.Linear(16, 4), loss

    def forward(self, x: Tensor) -> Tensor:
        y = self.head(x)
        return self.loss(y, torch.zeros_like(y))


class Mixes(nn.Module):
    """Products and functions that torch puts together from others."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(16, 16))
        self.bilinear = nn.Bilinear(16, 16, 3)

    def forward(self, x: Tensor) -> Any:
        y = torch.einsum("bi,ij->bj", x, self.weight)
        z = x @ self.weight + self.weight.__rmatmul__(x) + torch.tensordot(x, self.weight, 1)
        same = fn.cosine_similarity(y, z) + torch.cdist(y, z).sum(-1) + y.norm(dim=1)
        parts = torch.cat([x, y]), torch.stack([x, z]), (y**2).exp().log1p(), y.softmax(-1)
        return same, parts, self.bilinear(x, x), torch.addmm(z, x, self.weight)


CROSS = nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.LayerNorm(32), nn.Linear(32, 4))
MODELS: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    "perceptron": (CROSS, (2, 16)),
    "convolutions": (
        nn.Sequential(
            nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 4, 1),
            nn.GroupNorm(2, 4), nn.ConvTranspose2d(4, 4, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
            nn.Linear(4, 2), nn.Softmax(-1),
        ),
        (2, 3, 8, 8),
    ),
    "attention": (Attends(), (2, 5, 16)),
    "encoder": (nn.TransformerEncoderLayer(16, 4, 32, 0.0, batch_first=True), (2, 5, 16)),
    "lstm": (nn.LSTM(16, 8, num_layers=2, bidirectional=True), (5, 2, 16)),
    "gru": (nn.GRU(16, 8), (3, 2, 16)),
    "cell": (nn.LSTMCell(16, 8), (2, 16)),
    "mse": (Classifies(fn.mse_loss), (2, 16)),
    "cross-entropy": (Classifies(fn.cross_entropy), (2, 16)),
    "logits": (Classifies(fn.binary_cross_entropy_with_logits), (2, 16)),
    "huber": (Classifies(fn.huber_loss), (2, 16)),
    "mixture": (Mixes(), (2, 16)),
}  # fmt: skip


class Within(nn.Module):
    """A model that turns autocast on itself."""

    def __init__(self, inner: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.inner, self.dtype = inner, dtype

    def forward(self, x: Tensor) -> Any:
        with torch.autocast("cpu", self.dtype):
            return self.inner(x)


def outputs_of(model: nn.Module, x: Tensor) -> tuple[list[tuple[str, list[str]]], list[Seen]]:
    """Dtypes of what each module returns and of what runs, on a real CPU."""
    found: list[tuple[str, list[str]]] = []

    def note(module: nn.Module, _: Any, out: Any) -> None:
        dtypes = [str(t.dtype).removeprefix("torch.") for t in tensors_in(out)]
        found.append((type(module).__name__, dtypes))

    hooks = [module.register_forward_hook(note) for module in model.modules()]
    try:
        with Log() as log:
            model(x)
    finally:
        for hook in hooks:
            hook.remove()
    return found, log.seen


PLUMBING = (
    "view", "expand", "transpose", "permute", "unsqueeze", "squeeze", "select", "detach", "t.",
    "clone", "unsafe_view", "add.", "empty",
)  # fmt: skip
PRODUCTS = {f"aten.{name}.default": "product" for name in ("mm", "addmm", "bmm", "baddbmm")}
TAKEN_APART_OTHERWISE = {"gru"}
"""The meta device has no big product for the inputs of all steps."""


def casts(seen: list[Seen]) -> list[Seen]:
    return [one for one in seen if one[0] == "aten._to_copy.default"]


def dtypes(seen: list[Seen]) -> set[Any]:
    """Dtypes that operators run in. Which product and which views depends on the device."""
    return {
        (PRODUCTS.get(one[0], one[0]), set(one[1]) == {BF16})
        for one in seen
        if not one[0].removeprefix("aten.").lstrip("_").startswith(PLUMBING)
    }


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize("name", MODELS)
def test_models_run_in_the_dtypes_of_a_real_cpu(
    name: str, train: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner, shape = MODELS[name]
    model = Within(inner, BF16).train(train)
    monkeypatch.setattr(torch.backends.mha, "_is_fastpath_enabled", False)  # as in a trace
    with torch.set_grad_enabled(train):
        wanted, ran = outputs_of(model, torch.randn(shape))
    trace = run(model, [shape], training=train)
    assert trace.failure is None, trace.failure
    assert not [note for note in trace.notes if note.code == "autocast"]
    closed = sorted(trace.calls, key=lambda call: call.index)
    ours = Counter((c.type, tuple(s.dtype for s in c.outputs or ())) for c in closed)
    assert ours == Counter((kind, tuple(dtypes)) for kind, dtypes in wanted)
    blank = copy.deepcopy(model).to("meta")
    x = torch.empty(shape, device="meta")
    with on_blanks() as observer, torch.set_grad_enabled(train):
        blank(x)
    if name not in TAKEN_APART_OTHERWISE:
        assert Counter(casts(observer.seen)) == Counter(casts(ran))
        assert dtypes(observer.seen) == dtypes(ran)


@pytest.mark.parametrize("lower", [F16, BF16])
@pytest.mark.parametrize("name", ["perceptron", "convolutions", "mixture", "huber"])
def test_models_run_in_the_dtypes_of_cuda(name: str, lower: torch.dtype) -> None:
    """torch's own casts, on tensors that say they lie on CUDA."""
    inner, shape = MODELS[name]
    model = copy.deepcopy(inner).eval()
    with really("cuda", lower) as log, torch.no_grad():
        state = {
            key: torch.empty(value.shape, dtype=value.dtype, device="cuda").requires_grad_(
                value.requires_grad
            )
            for key, value in model.state_dict(keep_vars=True).items()
        }
        x = torch.empty(shape, device="cuda")
        log.seen.clear()
        wanted = [t.dtype for t in tensors_in(torch.func.functional_call(model, state, (x,)))]
    blank, x = copy.deepcopy(model).to("meta"), torch.empty(shape, device="meta")
    with on_blanks("cuda:0") as observer, simulated("cuda", lower), torch.no_grad():
        ours = [t.dtype for t in tensors_in(blank(x))]
    assert ours == wanted
    assert Counter(casts(observer.seen)) == Counter(casts(log.seen))


def blank(*shape: int, dtype: torch.dtype = F32, grad: bool = True) -> Tensor:
    return torch.empty(shape, dtype=dtype, device="meta", requires_grad=grad)


def test_attention_and_recurrent_layers_of_cuda_run_low() -> None:
    lstm = nn.LSTM(8, 16, device="meta")
    with on_blanks("cuda:0") as observer, simulated("cuda", BF16):
        attended = fn.scaled_dot_product_attention(*(blank(1, 2, 8, 16) for _ in range(3)))
        recurrent, _ = lstm(blank(5, 3, 8))
        lowest = lstm.weight_ih_l0.dtype, attended.dtype, recurrent.dtype
    assert lowest == (F32, BF16, F16)  # torch runs cuDNN's cells in float16 in any case
    ran = [one[0] for one in observer.seen]
    assert "aten._scaled_dot_product_flash_attention.default" in ran
    assert "aten._cudnn_rnn.default" in ran


def test_gradients_of_weights_are_as_wide_as_these() -> None:
    layer = nn.Linear(8, 4, device="meta")
    with on_blanks() as observer:
        with simulated("cpu", BF16):
            y = layer(blank(2, 8))
        y.sum().backward()
    assert y.dtype == BF16
    assert layer.weight.grad is not None
    assert layer.weight.grad.dtype == F32
    products = [one for one in observer.seen if one[0] == "aten.mm.default"]
    assert products == [("aten.mm.default", (BF16, BF16), None)] * 2


def times_cast(use: Callable[[nn.Linear, Tensor], Any]) -> int:
    layer, x = nn.Linear(8, 8, bias=False, device="meta"), blank(2, 8, dtype=BF16, grad=False)
    with on_blanks() as observer:
        use(layer, x)
    return len(casts(observer.seen))


def test_a_weight_is_cast_once_in_a_region() -> None:
    def once(layer: nn.Linear, x: Tensor) -> None:
        with torch.autocast("cpu", BF16):
            with torch.autocast("cpu", enabled=False):
                x.sum()
            layer(layer(x))
            with torch.autocast("cpu", enabled=False):
                x.sum()
            layer(x)

    def twice(layer: nn.Linear, x: Tensor) -> None:
        for _ in range(2):
            with torch.autocast("cpu", BF16):
                layer(x)
            x.sum()

    def thrice(layer: nn.Linear, x: Tensor) -> None:
        for _ in range(3):
            with simulated("cpu", BF16):
                layer(x)

    def always(layer: nn.Linear, x: Tensor) -> None:
        with torch.autocast("cpu", BF16, cache_enabled=False):
            layer(layer(layer(layer(x))))

    assert [times_cast(use) for use in (once, twice, thrice, always)] == [1, 2, 3, 4]


def test_doubles_and_tensors_elsewhere_are_left() -> None:
    with on_blanks("cuda:0") as observer, simulated("cuda", BF16):
        wide = blank(2, 8, dtype=torch.float64, grad=False) @ blank(8, 2, dtype=torch.float64)
        outside = blank(2, 8, grad=False).cpu() @ blank(8, 2, grad=False).cpu()
        inside = blank(2, 8, grad=False) @ blank(8, 2, grad=False)
    assert (wide.dtype, outside.dtype, inside.dtype) == (torch.float64, F32, BF16)
    assert len([one for one in casts(observer.seen) if one[2] == BF16]) == 2


def test_what_torch_refuses_is_refused() -> None:
    half = blank(3, dtype=F16, grad=False)
    with on_blanks("cuda:0"), simulated("cuda", BF16):
        wide = half.float()
        with pytest.raises(RuntimeError, match="torch refuses binary_cross_entropy"):
            fn.binary_cross_entropy(wide, wide)
        with pytest.raises(RuntimeError, match=r"autocast to torch.bfloat16 met an operand of"):
            torch.dot(half, half)


@pytest.mark.parametrize("reentrant", [False, True])
@pytest.mark.parametrize(("device", "kind"), [("cpu", "cpu"), ("cuda:0", "cuda")])
def test_a_checkpointed_module_runs_again_as_it_ran(
    device: str, kind: str, reentrant: bool
) -> None:
    model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8)).to("meta")
    with on_blanks(device) as observer:
        with simulated(kind, BF16):
            y = checkpoint(model, blank(2, 8), use_reentrant=reentrant)
        with simulated(kind, BF16):
            y.sum().backward()
    products = [one[1] for one in observer.seen if one[0] == "aten.addmm.default"]
    assert products == [(BF16, BF16, BF16)] * (4 if reentrant else 3)


def broken_in_a_region() -> None:
    with simulated("cuda", BF16):
        assert (blank(2, 2) @ blank(2, 2)).dtype == BF16
        blank(2, 2) + blank(3, 3)


def test_nothing_is_left_of_it() -> None:
    before = torch.get_autocast_dtype("cuda")
    with on_blanks("cuda:0"), pytest.raises(RuntimeError, match="broadcast"):
        broken_in_a_region()
    assert not torch.is_autocast_enabled("cuda")
    assert torch.get_autocast_dtype("cuda") == before
    assert not torch._C._is_any_autocast_enabled()
    x = torch.randn(2, 2)
    assert (x @ x).dtype == F32
    with torch.autocast("cpu", BF16):
        assert (x @ x).dtype == BF16
        assert (blank(2, 2) @ blank(2, 2)).dtype == F32  # of no run: torch's own meta device


def test_casts_hold_no_tensors_of_a_run_that_is_over() -> None:
    mode = BlankMode(Hints(), Observer(), "cpu")
    with mode, (seen := DeviceMode(mode)):
        with torch.autocast("cpu", BF16):
            nn.Linear(2, 2, device="meta")(blank(2, 2))
        assert isinstance(seen.casts, Casts)
        assert not seen.casts.on()
        assert not seen.casts._kept


@pytest.mark.parametrize("kind", ["mps", "xpu", "mtia"])
def test_other_accelerators_have_their_own_lists(kind: str) -> None:
    """A region of these is not refused where there is none."""
    x = blank(2, 8, grad=False)
    with on_blanks(f"{kind}:0"), torch.autocast(kind, F16):
        low = fn.linear(x, x)
        assert (low.dtype, low.softmax(-1).dtype, low.relu().dtype) == (F16, F32, F16)
    assert "batch_norm" in names("mps")
    assert "batch_norm" not in names(kind) or kind == "mps"
