"""How a run looks as if it took place on the device that was asked for.

Blank tensors lie on torch's meta device. The model's own code must not see that: a branch on
`x.device.type == "cuda"` goes the way it would go there, `.cuda()` and `.to("cuda:1")` work without
a driver, and `.numpy()`, `.tolist()` and `print` of a blank tensor give its stand-in values.

torch's own Python functions (`multi_head_attention_forward`) are run as twins with the mode on
(`bodies.py`). Where torch has it off, the meta device is seen, and `BlankMode` reads it as the
device that was asked for.
"""

from __future__ import annotations

import sys
from contextlib import nullcontext
from math import prod
from types import CodeType, FunctionType, MethodWrapperType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch._tensor_str import PRINT_OPTS
from torch.overrides import TorchFunctionMode
from torch.utils import checkpoint
from torch.utils._device import DeviceContext

from zoo.analysis.tracer import kernels
from zoo.analysis.tracer.autocast import Casts
from zoo.analysis.tracer.blank import SMALL, blank_like, replace_tensors, tensors_in
from zoo.analysis.tracer.bodies import Bodies
from zoo.analysis.tracer.moves import LONG, Move, bytes_of, read

if TYPE_CHECKING:
    from collections.abc import Callable

    from zoo.analysis.tracer.modes import BlankMode

_GET_DEVICE = torch.Tensor.device.__get__
_FLAGS = {
    getattr(torch.Tensor, f"is_{kind}").__get__: kind
    for kind in ("cpu", "cuda", "meta", "xpu", "mps", "hpu", "ipu", "xla", "mtia", "maia", "vulkan")
    if hasattr(torch.Tensor, f"is_{kind}")
}
_CHECKS_DEVICES = {
    getattr(torch._VF, name)
    for name in (
        "lstm",
        "gru",
        "rnn_tanh",
        "rnn_relu",
        "lstm_cell",
        "gru_cell",
        "rnn_tanh_cell",
        "rnn_relu_cell",
        "stft",
        "istft",
    )
} | {torch.stft, torch.istft, torch.nn.functional.scaled_dot_product_attention}
"""Functions whose C++ code compares the devices of their operands before any operator runs."""
_LEGACY = {
    torch.float32: "Float",
    torch.float64: "Double",
    torch.float16: "Half",
    torch.bfloat16: "BFloat16",
    torch.int64: "Long",
    torch.int32: "Int",
    torch.int16: "Short",
    torch.int8: "Char",
    torch.uint8: "Byte",
    torch.bool: "Bool",
}
"""Names that `Tensor.type()` gives dtypes."""
_ATTENTION = torch.nn.functional.scaled_dot_product_attention
_INFERS = next(
    part for part in checkpoint._infer_device_type.__code__.co_consts if isinstance(part, CodeType)
)
"""Asks for the device whose autocast gradient checkpointing turns on again when it runs a module
again. Where torch would refuse that (`Casts.refused`), it is shown a device without autocast, and
leaves autocast as it finds it."""
_COMPARES = checkpoint._default_meta_extractor.__code__
"""Compares devices of the first run and of the second, some where function modes are off."""
_SCALARS = {
    torch.Tensor.item: None,
    torch.Tensor.__bool__: bool,
    torch.Tensor.__int__: int,
    torch.Tensor.__float__: float,
    torch.Tensor.__index__: int,
}
"""Ways to read a tensor's one value, and what each makes of it."""
_NAMES = {
    torch.is_nonzero: "bool",
    torch.Tensor.is_nonzero: "bool",
}
"""Functions that ask for a value under a name of their own."""
_FROM_DATA = {torch.tensor, torch.as_tensor, torch.asarray, torch.scalar_tensor}
_TO_KIND = {
    getattr(torch.Tensor, kind): kind
    for kind in ("cuda", "cpu", "xpu", "hpu", "ipu", "mtia")
    if hasattr(torch.Tensor, kind)
}


def with_index(device: torch.device) -> str:
    """`cuda:0` of `cuda`; `cpu`, of which there is one, stays as it is."""
    return "cpu" if device.type == "cpu" else f"{device.type}:{device.index or 0}"


def _only_default_devices() -> bool:
    """Whether all function modes that are on are those of `torch.set_default_device`."""
    depth = torch._C._len_torch_function_stack()
    return all(
        isinstance(torch._C._get_function_stack_at(index), DeviceContext) for index in range(depth)
    )


class DeviceMode(TorchFunctionMode):
    """Answers and rewrites what is said about devices.

    Args:
        blank: The mode below that runs the operators.
    """

    def __init__(self, blank: BlankMode) -> None:
        super().__init__()
        self.blank = blank
        self.casts = Casts(blank)
        self._bodies = Bodies()
        self._inside: Any = None
        """The Python function of torch's whose twin is running."""
        self._special: dict[Any, Callable[..., Any]] = {
            _GET_DEVICE: self._device,
            torch.Tensor.get_device: self._device_index,
            torch.Tensor.to: self._to,
            torch.Tensor.type: self._type,
            torch.Tensor.numpy: self._numpy,
            torch.Tensor.__array__: self._numpy,
            torch.Tensor.tolist: self._tolist,
            torch.Tensor.__format__: self._format,
            torch.Tensor.__repr__: self._repr,
            torch.Tensor.pin_memory: self._pin,
            torch.Tensor.is_pinned: lambda tensor, *_, **__: tensor in blank.pinned,
            torch.Tensor.new_tensor: self._new_tensor,
            torch.Tensor.__getitem__: self._get,
            torch.Tensor.__setitem__: self._set,
            torch.nn.functional.one_hot: self._one_hot,
        }
        self._special.update({ask: self._named(ask, name) for ask, name in _NAMES.items()})
        self._special.update({func: self._stands_in(own) for func, own in blank.functions.items()})
        self._special.update({read: self._scalar(read, kind) for read, kind in _SCALARS.items()})
        self._special.update({get: self._flag(kind) for get, kind in _FLAGS.items()})
        self._special.update({move: self._move(kind) for move, kind in _TO_KIND.items()})

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:  # torch's signature
        if self.blank.busy:
            return func(*args, **(kwargs or {}))
        special = self._special.get(func)
        if special is not None:
            return special(*args, **(kwargs or {}))
        if type(func) is MethodWrapperType:  # an attribute is read
            return func(*args)
        if type(func) is not FunctionType and self.casts.on():
            with self.casts.around():
                return self._answer(func, args, kwargs)
        return self._answer(func, args, kwargs)

    def _answer(self, func: Any, args: Any, kwargs: Any) -> Any:
        if func in kernels.STANDS_FOR:
            out = self._kernel(func, args, kwargs or {})
            if out is not NotImplemented:
                return out
        if kwargs and kwargs.get("device") is not None:
            return self._with_device(func, args, kwargs)
        if func in _FROM_DATA:
            return self._from_data(func, args, kwargs or {})
        if func in _CHECKS_DEVICES:
            args, kwargs = replace_tensors((args, kwargs or {}), self._blanked)
        if type(func) is FunctionType:
            return self._through(func, args, kwargs or {})
        return func(*args, **(kwargs or {}))

    def _through(self, func: FunctionType, args: Any, kwargs: dict[str, Any]) -> Any:
        """Call a Python function of torch's with this mode on.

        As it is, with the mode off, where a mode of the user's below this one waits for the call,
        and where the twin has come back here, since the question is asked further in.
        """
        if func is self._inside or not _only_default_devices():
            with self.casts.around() if self.casts.on() else nullcontext():
                return func(*args, **kwargs)
        outer, self._inside = self._inside, func
        try:
            with self:
                return self._bodies.of(func)(*args, **kwargs)
        finally:
            self._inside = outer

    def _kernel(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """`func` as the device's own kernel; NotImplemented where it has none for the operands."""
        kernel = kernels.kernel(func, self._kind_of((args, kwargs)))
        if kernel is None or (kernel is kernels.linear and self.casts.on()):
            return NotImplemented
        operands, options = replace_tensors((args, kwargs), self._blanked)
        if func is _ATTENTION and self.casts.on():
            name = "scaled_dot_product_attention"
            operands, options = self.casts.operands(name, operands, options)
        with self:
            return kernel(*operands, **options)

    def _kind_of(self, operands: Any) -> str:
        """The kind of device on which the first of some tensors lies."""
        first = next(tensors_in(operands), None)
        place = self.blank.device if first is None else self.blank.device_of(first)
        return place.partition(":")[0]

    def _blanked(self, tensor: Tensor) -> Tensor:
        """A floating point tensor without its data; sizes and indices keep theirs."""
        if tensor.is_meta or not tensor.is_floating_point():
            return tensor
        with self.blank.unseen():
            twin = blank_like(tensor)
        twin._zoo_twin_of = tensor  # type: ignore[attr-defined]  # whoever keeps it keeps that
        return twin

    def _with_device(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """Call `func`, whose `device` argument names a device of the simulation."""
        place = self._normal(kwargs["device"])
        if func in _FROM_DATA:
            return self._made_on(place, func, args, kwargs)
        return self._asking(place, func, args, {**kwargs, "device": torch.device("meta")})

    def _made_on(self, place: str, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """A tensor on a device, of data that lie elsewhere: what the host has is copied there."""
        self._simulates(place)
        data = args[0] if args else kwargs.get("data", kwargs.get("obj"))
        if isinstance(data, Tensor):
            dtype = args[1] if len(args) > 1 else kwargs.get("dtype")
            again = func is torch.tensor or bool(kwargs.get("copy"))
            if func is torch.tensor:
                data = data.detach()
            if again and place == self.blank.device_of(data):
                data = data.clone()
            return self._to(data, place, dtype=dtype)
        out = self._from_data(func, args, {**kwargs, "device": None})
        if not self.blank.simulating:
            return out
        if place != "cpu" and func is not torch.scalar_tensor:
            self.blank.tell([Move("copy", bytes_of(out), "cpu", place)])
        return self._placed(out, place)

    def _new_tensor(self, tensor: Tensor, data: Any, **kwargs: Any) -> Any:
        """`new_tensor` is `torch.tensor` with another tensor's dtype and device."""
        kwargs.setdefault("dtype", tensor.dtype)
        if kwargs.get("device") is None:
            kwargs["device"] = self._device(tensor)
        return self._with_device(torch.tensor, (data,), kwargs)

    def _from_data(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """`torch.tensor` of a list that holds blank tensors is blank, and carries their values."""
        data = args[0] if args else kwargs.get("data", kwargs.get("obj"))
        inside = list(tensors_in(data)) if isinstance(data, list | tuple) else []
        for tensor in inside:
            self.blank.tell(read(self.blank, tensor, "item", tensor.element_size()))
        if not any(self.blank.is_blank(tensor) for tensor in inside):
            return func(*args, **kwargs)
        with self.blank.unseen():
            values = replace_tensors(data, lambda tensor: self.blank.stand_in(tensor).tolist())
        made = func(values, *args[1:], **{k: v for k, v in kwargs.items() if k != "data"})
        with self.blank.unseen():
            out = blank_like(made)
        if made.numel() <= SMALL:
            out._zoo_value = made  # type: ignore[attr-defined]
        return self._placed(out, "cpu") if self.blank.simulating else out

    def _asking(self, place: str, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        before, self.blank.target = self.blank.target, place
        self._simulates(place)
        try:
            return func(*args, **kwargs)
        finally:
            self.blank.target = before

    def _simulates(self, place: str) -> bool:
        self.blank.simulating = self.blank.simulating or place != "cpu"
        return self.blank.simulating

    def _normal(self, device: Any) -> str:
        """`cuda:0` for `cuda`, and for 0; the device of the run for `meta`."""
        if isinstance(device, int):
            kind = torch.device(self.blank.device).type
            return f"{kind if kind != 'cpu' else 'cuda'}:{device}"
        device = torch.device(device)
        return self.blank.device if device.type == "meta" else with_index(device)

    def _placed(self, tensor: Tensor, place: str) -> Tensor:
        tensor._zoo_device = place  # type: ignore[attr-defined]
        return tensor

    def _device(self, tensor: Tensor) -> torch.device:
        asks = sys._getframe(2).f_code  # below this and `__torch_function__`
        if asks is _COMPARES:
            with self.blank.unseen():
                return tensor.device
        if asks is _INFERS and self.casts.on() and self.casts.refused():
            return torch.device("meta")
        return torch.device(self.blank.device_of(tensor))

    def _device_index(self, tensor: Tensor) -> int:
        index = self._device(tensor).index
        return -1 if index is None else index

    def _flag(self, kind: str) -> Callable[[Tensor], bool]:
        return lambda tensor: self._device(tensor).type == kind

    def _to(self, tensor: Tensor, *args: Any, **kwargs: Any) -> Any:
        """`.to` of a device, a dtype, another tensor, or a device and a dtype."""
        place = None
        rest = list(args)
        if "device" in kwargs:
            asked = kwargs.pop("device")
            place = None if asked is None else self._normal(asked)
        elif (
            rest and isinstance(rest[0], str | torch.device | int) and not isinstance(rest[0], bool)
        ):
            place = self._normal(rest.pop(0))
        elif rest and isinstance(rest[0], Tensor):
            other = rest.pop(0)
            place = self.blank.device_of(other)
            kwargs["dtype"] = other.dtype
        elif rest and rest[0] is None:
            rest.pop(0)
        if rest and isinstance(rest[0], torch.dtype):
            kwargs["dtype"] = rest.pop(0)
        if place is None or place == self.blank.device_of(tensor):
            dtype = kwargs.pop("dtype", None) or tensor.dtype
            return torch.Tensor.to(tensor, dtype, *rest, **kwargs)
        kwargs.setdefault("dtype", tensor.dtype)
        kwargs.update(zip(("non_blocking", "copy"), rest, strict=False))
        copy = torch.ops.aten._to_copy.default
        start = self.blank.device_of(tensor)
        out = self._asking(
            place,
            copy,
            (tensor,),
            {
                "dtype": kwargs["dtype"],
                "device": torch.device("meta"),
                "non_blocking": bool(kwargs.get("non_blocking", False)),
            },
        )
        if out.requires_grad:  # autograd sees one device, and would leave the gradient there
            out.register_hook(lambda gradient: gradient.to(start))
        return out

    def _move(self, kind: str) -> Callable[..., Any]:
        def move(tensor: Tensor, device: Any = None, **kwargs: Any) -> Any:
            place = kind if device is None else device
            kwargs.pop("memory_format", None)
            return self._to(tensor, place if kind != "cpu" else "cpu", **kwargs)

        return move

    def _type(self, tensor: Tensor, dtype: Any = None, *args: Any, **kwargs: Any) -> Any:
        if dtype is not None:
            return torch.Tensor.type(tensor, dtype, *args, **kwargs)
        name = _LEGACY.get(tensor.dtype, str(tensor.dtype).removeprefix("torch.").capitalize())
        kind = self._device(tensor).type
        return f"torch.{name}Tensor" if kind == "cpu" else f"torch.{kind}.{name}Tensor"

    def _values(self, tensor: Tensor, asked: str) -> Tensor:
        """Stand-in values, with a note that they were asked for."""
        if not self.blank.is_blank(tensor):
            return tensor
        self.blank.hints.taken_as_ones(asked)
        with self.blank.unseen():
            return self.blank.stand_in(tensor)

    def _stands_in(self, own: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            with self:
                return own(*args, **kwargs)

        return call

    def _named(self, ask: Any, kind: str) -> Callable[..., Any]:
        """A function whose operators wait for what it is called by."""

        def answer(*args: Any, **kwargs: Any) -> Any:
            with self.blank.asking(kind):
                return ask(*args, **kwargs)

        return answer

    def _scalar(self, ask: Any, kind: Any) -> Callable[..., Any]:
        """`.item()` and the like. `BlankMode` answers them, but not in inference mode."""
        name = "bool" if kind is bool else "item"

        def answer(tensor: Tensor) -> Any:
            blank = self.blank
            asks = torch.is_inference_mode_enabled() and tensor.numel() == 1
            if not asks:
                with blank.asking(name):
                    return ask(tensor)
            blank.tell(read(blank, tensor, name, tensor.element_size()))
            if not blank.is_blank(tensor):
                return ask(tensor)
            with blank.unseen():
                value = blank.stand_in(tensor).item()
            value = blank.hints.value("item", value)
            return value if kind is None else kind(value)

        return answer

    def _one_hot(self, tensor: Tensor, num_classes: int = -1) -> Any:
        """As on a device: torch's meta kernel compares with every class, which makes a mask more.

        How many classes there are is asked where it is not said.
        """
        blank = self.blank
        if num_classes > 0 and tensor.dtype == torch.int64:
            with self:
                shape = (*tensor.shape, num_classes)
                out = torch.zeros(shape, dtype=torch.int64, device=tensor.device)
                return out.scatter_(-1, tensor.unsqueeze(-1), 1)
        if blank.device_of(tensor) != "cpu" and num_classes == -1:
            blank.tell(read(blank, tensor, "one_hot", LONG))
        before, blank.muted = blank.muted, True
        try:
            out = torch.nn.functional.one_hot(tensor, num_classes)
        finally:
            blank.muted = before
        return self._placed(out, blank.device_of(tensor)) if blank.simulating else out

    def _numpy(self, tensor: Tensor, *args: Any, **kwargs: Any) -> Any:
        self.blank.tell(read(self.blank, tensor, "numpy", bytes_of(tensor)))
        place = self.blank.device_of(tensor)
        if place != "cpu" and kwargs.get("force") is not True:
            self.blank.refuse(f"numpy() of a tensor on {place}", "Say x.cpu().numpy().")
        values = self._values(tensor, "numpy")
        return values.numpy() if not args else values.__array__(*args)

    def _tolist(self, tensor: Tensor) -> Any:
        self.blank.tell(read(self.blank, tensor, "tolist", bytes_of(tensor)))
        return self._values(tensor, "tolist").tolist()

    def _repr(self, tensor: Tensor, **_: Any) -> str:
        """What `print` shows; one wait stands for those of each element that is shown."""
        self.blank.tell(read(self.blank, tensor, "repr", _shown_bytes(tensor)))
        return f"tensor(..., size={tuple(tensor.shape)}, device='{self._device(tensor)}')"

    def _format(self, tensor: Tensor, spec: str) -> str:
        if tensor.dim() == 0:
            with self.blank.asking("format"):
                return format(tensor.item(), spec)
        return self._repr(tensor)

    def _pin(self, tensor: Tensor, *_: Any, **__: Any) -> Tensor:
        """A copy in memory that a device reads by itself."""
        out = tensor.clone()
        self.blank.pinned.add(out)
        return out

    def _get(self, tensor: Tensor, index: Any) -> Any:
        if self.blank.simulating:
            index = self._index_of(tensor, index)
        return torch.Tensor.__getitem__(tensor, index)

    def _set(self, tensor: Tensor, index: Any, value: Any) -> None:
        blank = self.blank
        if blank.simulating:
            index = self._index_of(tensor, index)
        before, blank.assigns_number = blank.assigns_number, isinstance(value, int | float)
        try:
            torch.Tensor.__setitem__(tensor, index, value)
            if blank.assigns_number and tensor.grad_fn is not None:
                blank.assigned_number.add(tensor.grad_fn._sequence_nr())
        finally:
            blank.assigns_number = before

    def _index_of(self, tensor: Tensor, index: Any) -> Any:
        """An index whose lists are tensors on the device, which the host copies there."""
        if type(index) is tuple:
            lists = any(_is_list(part) for part in index)
            return tuple(self._listed(tensor, part) for part in index) if lists else index
        return self._listed(tensor, index)

    def _listed(self, tensor: Tensor, index: Any) -> Any:
        if not _is_list(index):
            return index
        return self._with_device(torch.tensor, (index,), {"device": self._device(tensor)})


def _is_list(index: Any) -> bool:
    """Whether an index is one for each of several elements, and no tensor."""
    if type(index) is list:
        return bool(index) and all(isinstance(one, int) for one in index)
    return type(index).__module__ == "numpy" and getattr(index, "ndim", 0) > 0


def _shown_bytes(tensor: Tensor) -> int:
    """Bytes of the elements that `print` shows: of a large tensor, those at the edges."""
    if tensor.numel() <= PRINT_OPTS.threshold:
        return bytes_of(tensor)
    return prod(min(dim, 2 * PRINT_OPTS.edgeitems) for dim in tensor.shape) * tensor.element_size()
