"""What `torch.autocast` does to the operators of a run on blank tensors.

torch casts operands above autograd, in kernels of its own for each kind of device (`AutocastCUDA`).
Blank tensors lie on the meta device, which has no such kernels. So zoo registers the same casts for
a dispatch key that no device uses (`KEY`); a run turns that key on, for its thread and for one call
at a time, where autocast is on. Composite operators (`einsum`, `cross_entropy_loss`) meet the casts
at the operators inside them, as they do on the device. Nothing else in the process reaches the key.

Which operators are cast is asked of torch itself, by device; to what is written here (`_POLICIES`):

- to the lower precision: products, convolutions, attention, recurrent cells
- to float32: what loses too much below it
- `dtype=float32` asked for, where the operator takes a dtype and casts while it reads
- to the widest dtype among the operands

Casts of float32 weights that are trained are kept until the region ends, as torch keeps them.

Not simulated: a model's own `torch.autocast("cuda")` where no such device is, since torch itself
turns it off with a warning; TorchScript; and the casts of a backward pass that runs in the region.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from weakref import ReferenceType, ref

import torch
from torch import Tensor

from zoo.analysis.tracer.blank import packet_name, replace_tensors, tensors_in

if TYPE_CHECKING:
    from zoo.analysis.tracer.modes import BlankMode

KEY: Any = torch._C.DispatchKey.AutocastIPU  # type: ignore[attr-defined]
"""Of a device that torch no longer supports."""
_KEYS = torch._C.DispatchKeySet(KEY)

LOWER = frozenset(
    "_convolution _convolution.deprecated _mps_convolution conv1d conv1d.padding conv2d "
    "conv2d.padding conv3d conv3d.padding conv_tbc conv_transpose1d conv_transpose2d.input "
    "conv_transpose3d.input convolution cudnn_convolution cudnn_convolution_transpose prelu addmm "
    "_addmm_activation addmv addr matmul einsum mm mv linalg_vecdot linear addbmm baddbmm bmm "
    "chain_matmul linalg_multi_dot _thnn_fused_lstm_cell _thnn_fused_gru_cell lstm_cell gru_cell "
    "rnn_tanh_cell rnn_relu_cell mkldnn_rnn_layer _scaled_dot_product_flash_attention "
    "scaled_dot_product_attention _native_multi_head_attention".split()
)
"""Run in the lower precision, wherever torch casts them at all."""
WIDEST = frozenset(
    "addcdiv addcmul atan2 bilinear cross dot vdot grid_sampler index_put tensordot "
    "scatter_add".split()
)
WIDEST_ON_CPU = frozenset("cat stack index_copy".split())
DTYPE = frozenset(
    "prod prod.dim_int softmax.int log_softmax.int cumprod cumsum linalg_vector_norm "
    "linalg_matrix_norm linalg_matrix_norm.str_ord sum sum.dim_IntList".split()
)
"""Are asked for float32 by their argument `dtype`, except on the CPU and mps, which cast."""


@contextmanager
def simulated(kind: str, dtype: torch.dtype) -> Iterator[None]:
    """Inside, autocast is on, whether or not there is such a device.

    Args:
        kind: `cpu`, `cuda`, or another kind of device that torch has autocast for.
        dtype: What eligible operators run in.

    Yields:
        None: Nothing.
    """
    on, before = torch.is_autocast_enabled(kind), torch.get_autocast_dtype(kind)
    keeps = torch.is_autocast_cache_enabled()
    torch.set_autocast_enabled(kind, True)  # noqa: FBT003 - torch's signature
    torch.set_autocast_dtype(kind, dtype)
    torch.set_autocast_cache_enabled(True)
    torch.autocast_increment_nesting()
    try:
        yield
    finally:
        if torch.autocast_decrement_nesting() == 0:
            torch.clear_autocast_cache()
            running = _RUNNING.get()
            if running is not None and (casts := running()) is not None:
                casts.forget()
        torch.set_autocast_enabled(kind, on)
        torch.set_autocast_dtype(kind, before)
        torch.set_autocast_cache_enabled(keeps)


class Casts:
    """The casts of one run.

    Args:
        blank: Knows where tensors are said to lie.
    """

    def __init__(self, blank: BlankMode) -> None:
        self.blank = blank
        kind = blank.device.partition(":")[0]
        known = kind != "cpu" and torch.amp.is_autocast_available(kind)
        self._kinds = (kind, "cpu") if known else ("cpu",)
        self._kept: dict[int, tuple[Tensor, Tensor]] = {}
        """Weights and their casts, by the weight's identity."""
        self._ref = ref(self)

    def on(self) -> bool:
        """Whether autocast is on for a device of the run; forgets casts when a region is over."""
        for kind in self._kinds:
            if torch.is_autocast_enabled(kind):
                return True
        if self._kept and _nesting() == 0:
            self.forget()
        return False

    def refused(self) -> bool:
        """Whether torch would turn off a region that it is asked to turn on again."""
        return self._kinds[0] == "cuda" and not torch.cuda.is_available()

    def forget(self) -> None:
        """Let go of the casts of weights."""
        self._kept.clear()

    @contextmanager
    def around(self) -> Iterator[None]:
        """Inside, operators are cast."""
        for kind in self._kinds_on():
            _register(kind)
        was_off = torch._C._dispatch_tls_is_dispatch_key_excluded(KEY)
        _RUNNING.set(self._ref)
        torch._C._dispatch_tls_set_dispatch_key_excluded(KEY, False)  # noqa: FBT003
        try:
            with torch._C._IncludeDispatchKeyGuard(KEY):
                yield
        finally:
            torch._C._dispatch_tls_set_dispatch_key_excluded(KEY, was_off)

    def run(self, func: Any, args: Any, kwargs: Any) -> Any:
        """An operator, on what its operands are cast to."""
        name = _name(func)
        known = [kind for kind in self._kinds_on() if name in names(kind)]
        if not known:
            return _as_it_is(func, args, kwargs)
        with torch._C._ExcludeDispatchKeyGuard(_KEYS):
            for kind in known:
                func, args, kwargs = policy(kind, name)(_Region(self, kind), func, args, kwargs)
            return func(*args, **kwargs)

    def _kinds_on(self) -> list[str]:
        return [kind for kind in self._kinds if torch.is_autocast_enabled(kind)]

    def operands(self, name: str, args: Any, kwargs: Any) -> tuple[Any, Any]:
        """What the operands of an operator that goes by another name are cast to."""
        for kind in self._kinds_on():
            if name in names(kind):
                _, args, kwargs = policy(kind, name)(_Region(self, kind), None, args, kwargs)
        return args, kwargs

    def kept(self, weight: Tensor, dtype: torch.dtype) -> Tensor:
        """The cast of a weight, made once for a region."""
        known = self._kept.get(id(weight))
        if known is None:
            known = self._kept[id(weight)] = (weight, weight.to(dtype))
        return known[1]


class _Region:
    """Autocast on one kind of device."""

    def __init__(self, casts: Casts, kind: str) -> None:
        self.casts, self.kind = casts, kind
        self.lower = torch.get_autocast_dtype(kind)

    def takes(self, tensor: Any) -> bool:
        """Whether autocast concerns itself with a value."""
        if not isinstance(tensor, Tensor) or not tensor.is_floating_point():
            return False
        place = self.casts.blank.device_of(tensor)
        return tensor.dtype != torch.float64 and place.partition(":")[0] == self.kind

    def cast(self, value: Any, dtype: torch.dtype) -> Any:
        """Operands, cast as far as autocast concerns itself with them."""

        def one(tensor: Tensor) -> Tensor:
            if tensor.dtype == dtype or not self.takes(tensor):
                return tensor
            weight = tensor.dtype == torch.float32 and tensor.requires_grad and tensor.is_leaf
            if weight and dtype == self.lower and torch.is_autocast_cache_enabled():  # noqa: SIM102
                if not tensor._is_view():
                    return self.casts.kept(tensor, dtype)
            return tensor.to(dtype)

        return replace_tensors(value, one)


def _lower(region: _Region, func: Any, args: Any, kwargs: Any) -> Any:
    return func, *region.cast((args, kwargs), region.lower)


def _full(region: _Region, func: Any, args: Any, kwargs: Any) -> Any:
    return func, *region.cast((args, kwargs), torch.float32)


def _widest(region: _Region, func: Any, args: Any, kwargs: Any) -> Any:
    dtypes = {one.dtype for one in tensors_in((args, kwargs)) if region.takes(one)}
    if not dtypes <= {torch.float32, region.lower}:
        strange = ", ".join(sorted(str(dtype) for dtype in dtypes - {torch.float32, region.lower}))
        raise RuntimeError(f"autocast to {region.lower} met an operand of {strange}")
    widest = torch.float32 if torch.float32 in dtypes else region.lower
    return func, *region.cast((args, kwargs), widest)


def _dtype(region: _Region, func: Any, args: Any, kwargs: Any) -> Any:
    asked = kwargs.get("dtype") is not None or (len(args) > 2 and _is_dtype(args[2]))
    if asked or not region.takes(args[0]):
        return func, args, kwargs
    if func in _READS_HALF and args[0].dtype == torch.float16:
        return _READS_HALF[func], (*args[:2], True), {}
    positional = args[:2] if len(args) > 2 and args[2] is None else args
    return func, positional, {**kwargs, "dtype": torch.float32}


_READS_HALF = {
    torch.ops.aten.softmax.int: torch.ops.aten._softmax.default,
    torch.ops.aten.log_softmax.int: torch.ops.aten._log_softmax.default,
}
"""Kernels that read float16 and write float32; bfloat16 is cast before."""


def _is_dtype(value: Any) -> bool:
    return isinstance(value, torch.dtype)


def _norm(region: _Region, func: Any, args: Any, kwargs: Any) -> Any:
    first = args[0]
    dtype = torch.float32 if region.takes(first) else first.dtype
    if func._schema.overload_name == "Scalar":
        p = args[1] if len(args) > 1 else 2
        return torch.ops.aten.norm.ScalarOpt_dtype, (first, p), {**kwargs, "dtype": dtype}
    whole = args if len(args) > 3 else (*args, False)
    return torch.ops.aten.norm.ScalarOpt_dim_dtype, whole, {**kwargs, "dtype": dtype}


def _cudnn_rnn(region: _Region, func: Any, args: Any, kwargs: Any) -> Any:
    """The kernel of torch's autocast runs in float16, whatever its dtype, and keeps no weights."""
    x, weights, each, flat, *rest = args
    if any(region.takes(one) and one.dtype != torch.float16 for one in weights):
        weights = [one.to(torch.float16) for one in weights]
        flat = weights[0].detach().view(-1)
    x, rest = region.cast((x, rest), torch.float16)
    return func, (x, weights, each, flat, *rest), kwargs


def _banned(*_: Any) -> Any:
    raise RuntimeError(
        "torch refuses binary_cross_entropy under autocast, whose logarithms overflow in float16; "
        "binary_cross_entropy_with_logits takes what comes before the sigmoid"
    )


Policy = Callable[[_Region, Any, Any, Any], Any]


def policy(kind: str, name: str) -> Policy:
    """What autocast does to an operator that it knows.

    Args:
        kind: The kind of device.
        name: One of `names(kind)`.

    Returns:
        A function of region, operator, its arguments and those by name, that gives the last three
        as they are called.
    """
    if name in LOWER:
        return _lower
    if kind == "cpu":
        return _widest if name in WIDEST_ON_CPU else _full
    if name in WIDEST:
        return _widest
    if kind != "mps" and name in DTYPE:
        return _dtype
    return _SPECIAL.get(name, _full)


_SPECIAL: Mapping[str, Policy] = MappingProxyType(
    {
        "norm.Scalar": _norm,
        "norm.ScalarOpt_dim": _norm,
        "binary_cross_entropy": _banned,
        "_cudnn_rnn": _cudnn_rnn,
    }
)


@cache
def names(kind: str) -> frozenset[str]:
    """Operators that torch's autocast knows on a kind of device: `mm`, `sum.dim_IntList`.

    Args:
        kind: `cpu`, `cuda`, or another.

    Returns:
        Their names, of those in `aten`.
    """
    found = torch._C._dispatch_get_registrations_for_dispatch_key(f"Autocast{kind.upper()}")
    return frozenset(one.removeprefix("aten::") for one in found if one.startswith("aten::"))


_RUNNING: ContextVar[ReferenceType[Casts] | None] = ContextVar("_RUNNING", default=None)
"""The casts of the run that this thread is in, or was in last."""


@cache
def _library(namespace: str) -> torch.library.Library:
    """Zoo's registrations; held, since they end with the object."""
    library = torch.library.Library(namespace, "IMPL", KEY.name)
    if namespace == "_":
        library.fallback(torch.library.fallthrough_kernel)
    return library


@cache
def _register(kind: str) -> None:
    """Register the casts of a kind of device, those that another kind has too once only."""
    _library("_")
    for name in sorted(names(kind)):
        _register_one(name)
    for name in sorted(_of_others(kind)):
        _register_whole(name)


@cache
def _register_one(name: str) -> None:
    packet, _, overload = name.partition(".")
    func = getattr(getattr(torch.ops.aten, packet), overload or "default")

    def run(*args: Any, **kwargs: Any) -> Any:
        running = _RUNNING.get()
        casts = None if running is None else running()
        if casts is None:
            return _as_it_is(func, args, kwargs)
        return casts.run(func, args, kwargs)

    _library("aten").impl(name, run)


def _of_others(kind: str) -> frozenset[str]:
    """Operators of torchvision that its own autocast knows: `torchvision::roi_align`."""
    found = torch._C._dispatch_get_registrations_for_dispatch_key(f"Autocast{kind.upper()}")
    return frozenset(one for one in found if one.startswith("torchvision::"))


@cache
def _register_whole(name: str) -> None:
    """Register an operator that runs in float32, with its result cast back (`ops/autocast`)."""
    namespace, _, packet = name.partition("::")
    func = getattr(getattr(torch.ops, namespace), packet.partition(".")[0]).default

    def run(*args: Any, **kwargs: Any) -> Any:
        running = _RUNNING.get()
        casts = None if running is None else running()
        floats = [one for one in tensors_in((args, kwargs)) if one.is_floating_point()]
        if casts is None or not casts.on() or not floats:
            return _as_it_is(func, args, kwargs)
        with torch._C._ExcludeDispatchKeyGuard(_KEYS):
            args, kwargs = replace_tensors(
                (args, kwargs), lambda one: one.float() if one.is_floating_point() else one
            )
            return replace_tensors(
                func(*args, **kwargs),
                lambda one: one.to(floats[0].dtype) if one.is_floating_point() else one,
            )

    _library(namespace).impl(name, run)


_COMPOSITE = torch._C.DispatchKey.CompositeImplicitAutograd


@cache
def _is_composite(func: Any) -> bool:
    return bool(func.has_kernel_for_dispatch_key(_COMPOSITE))


def _as_it_is(func: Any, args: Any, kwargs: Any) -> Any:
    """An operator that is cast on another kind of device only; the ones inside it may be cast."""
    if _is_composite(func):
        return func._op_dk(_COMPOSITE, *args, **kwargs)
    with torch._C._ExcludeDispatchKeyGuard(_KEYS):
        return func(*args, **kwargs)


@cache
def _name(func: Any) -> str:
    overload = func._schema.overload_name
    return f"{packet_name(func)}.{overload}" if overload else packet_name(func)


def _nesting() -> int:
    """In how many regions of autocast this thread is."""
    torch.autocast_increment_nesting()
    return int(torch.autocast_decrement_nesting())
