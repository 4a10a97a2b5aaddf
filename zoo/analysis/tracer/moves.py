"""Which operators copy between devices, and for which does the host wait?

Facts are those of torch on CUDA, from its sources, and for code that all devices share also from
torch's profiler. An operator waits where it needs a number of the device's: to know how large its
result is (`nonzero`, masks, `unique`), to check what it was given (`torch.linalg`, `bincount`), or
to hand it to Python (`item`). A copy to or from the host waits, unless it was told not to block and
the host's memory is pinned; a copy between two devices does not. What is copied is what crosses:
on the way to a device the target's dtype, on the way back the source's.

Not here, since we are not sure: `mode` of long rows, `randperm`, and linear algebra whose kernels
choose a library by size (only the check of their result is counted). What the host does outside of
torch's operators (`print`, `tolist`, `numpy`) is seen in `devices.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from zoo.analysis.tracer.blank import tensors_in

if TYPE_CHECKING:
    from zoo.analysis.tracer.modes import BlankMode

COUNT = 4
"""Bytes of a size that `nonzero` hands to the host."""
LONG = 8
"""Bytes of a size or index of other operators."""
FLAG = 1
"""Bytes of the answer to a check."""
MASKS = (torch.bool, torch.uint8)


@dataclass(frozen=True, slots=True)
class Move:
    """A copy or a wait, before it is known who asked for it."""

    kind: str
    """`copy`, or the operation that waits."""
    nbytes: int
    """Bytes moved."""
    source: str
    """The device they come from."""
    target: str
    """The device they go to."""
    blocking: bool = True
    """Whether the host waits."""


Rule = Callable[["BlankMode", Any, Mapping[str, Any], Any], Iterable[Move]]
"""Of the running mode, an operator's arguments and its result."""


def bytes_of(tensor: Tensor) -> int:
    """Bytes of a tensor's elements."""
    return tensor.numel() * tensor.element_size()


def copied(
    mode: BlankMode, source: Tensor, target: Tensor, *, non_blocking: bool = False, new: bool = True
) -> Iterable[Move]:
    """The copy of one tensor's values into another.

    Args:
        mode: Knows where tensors are said to lie.
        source: Where they come from.
        target: Where they go to; of as many elements as are copied.
        non_blocking: Whether the copy was told not to block.
        new: Whether the copy made the target, and would have pinned it for that.

    Yields:
        Move: The copy; nothing where both lie on one device.
    """
    start, end = mode.device_of(source), mode.device_of(target)
    if start == end:
        return
    crossing = source if end == "cpu" else target
    nbytes = target.numel() * crossing.element_size()
    if "cpu" not in (start, end):
        yield Move("copy", nbytes, start, end, blocking=False)
        return
    pinned = source in mode.pinned if end != "cpu" else new or target in mode.pinned
    if non_blocking and end == "cpu" and new:
        mode.pinned.add(target)
    yield Move("copy", nbytes, start, end, blocking=not (non_blocking and pinned))


def _to_copy(mode: BlankMode, args: Any, kwargs: Mapping[str, Any], out: Any) -> Iterable[Move]:
    return copied(mode, args[0], out, non_blocking=bool(kwargs.get("non_blocking")))


def _copy_(mode: BlankMode, args: Any, kwargs: Mapping[str, Any], out: Any) -> Iterable[Move]:
    later = kwargs.get("non_blocking", args[2] if len(args) > 2 else False)
    return copied(mode, args[1], args[0], non_blocking=bool(later), new=False)


def _foreach_copy_(
    mode: BlankMode, args: Any, kwargs: Mapping[str, Any], out: Any
) -> Iterable[Move]:
    later = bool(kwargs.get("non_blocking", args[2] if len(args) > 2 else False))
    for target, source in zip(args[0], args[1], strict=True):
        yield from copied(mode, source, target, non_blocking=later, new=False)


def read(mode: BlankMode, tensor: Tensor, kind: str, *sizes: int) -> Iterable[Move]:
    """What the host reads of a tensor, or of what was computed from it.

    Args:
        mode: Knows where tensors are said to lie, and by what name the user asked.
        tensor: Says on which device.
        kind: The operation.
        *sizes: Bytes of each number that it waits for.

    Yields:
        Move: One for each; none where the tensor lies on the host.
    """
    place = mode.device_of(tensor)
    if place != "cpu":
        for nbytes in sizes:
            yield Move(mode.asked_as or kind, nbytes, place, "cpu")


def _reads(kind: str, *sizes: int) -> Rule:
    """An operator that waits for numbers of so many bytes."""

    def rule(mode: BlankMode, args: Any, kwargs: Mapping[str, Any], out: Any) -> Iterable[Move]:
        return read(mode, next(tensors_in(args)), kind, *sizes)

    return rule


def _item(mode: BlankMode, args: Any, kwargs: Mapping[str, Any], out: Any) -> Iterable[Move]:
    return read(mode, args[0], "item", args[0].element_size())


def _twice(kind: str) -> Rule:
    """An operator that waits for the least and for the largest of its elements."""

    def rule(mode: BlankMode, args: Any, kwargs: Mapping[str, Any], out: Any) -> Iterable[Move]:
        return read(mode, args[0], kind, *[args[0].element_size()] * 2)

    return rule


def _histc(mode: BlankMode, args: Any, kwargs: Mapping[str, Any], out: Any) -> Iterable[Move]:
    least = kwargs.get("min", args[2] if len(args) > 2 else 0)
    most = kwargs.get("max", args[3] if len(args) > 3 else 0)
    return _twice("histc")(mode, args, kwargs, out) if least == most else ()


def _equal(mode: BlankMode, args: Any, kwargs: Mapping[str, Any], out: Any) -> Iterable[Move]:
    """Other shapes and the very same elements are told apart without looking at them."""
    left, right = args
    if left.shape != right.shape or not left.numel() or _same(left, right):
        return ()
    return read(mode, left, "equal", FLAG)


def _same(left: Tensor, right: Tensor) -> bool:
    """Whether two tensors of one shape are the same elements."""
    if left is right or not (left.layout == right.layout == torch.strided):
        return left is right
    places = [(one.untyped_storage()._cdata, one.storage_offset()) for one in (left, right)]
    alike = left.dtype == right.dtype and left.stride() == right.stride()
    return alike and places[0] == places[1]


def _repeat_interleave(
    mode: BlankMode, args: Any, kwargs: Mapping[str, Any], out: Any
) -> Iterable[Move]:
    if kwargs.get("output_size") is not None:
        return ()
    return read(mode, args[0], "repeat_interleave", LONG, FLAG)


def _isin(mode: BlankMode, args: Any, kwargs: Mapping[str, Any], out: Any) -> Iterable[Move]:
    """Few elements to look for are compared with each; many are sorted, and made unique first."""
    tensors = list(tensors_in(args))
    if len(tensors) < 2 or kwargs.get("assume_unique"):
        return ()
    elements, wanted = tensors
    if wanted.numel() < int(10 * elements.numel() ** 0.145):
        return ()
    return read(mode, elements, "unique", LONG, LONG)


def _value(kind: str, position: int) -> Rule:
    """An operator that takes a number, and got a tensor of one."""

    def rule(mode: BlankMode, args: Any, kwargs: Mapping[str, Any], out: Any) -> Iterable[Move]:
        value = args[position] if len(args) > position else kwargs.get("value")
        if not isinstance(value, Tensor):
            return ()
        return read(mode, value, kind, value.element_size())

    return rule


def _where(mode: BlankMode, args: Any, kwargs: Mapping[str, Any], out: Any) -> Iterable[Move]:
    """Scalars of the host go to the device, each as a tensor."""
    if not isinstance(out, Tensor):  # the form with a condition alone is `nonzero`
        return
    place = mode.device_of(out)
    for tensor in tensors_in(args):
        if place != "cpu" and not tensor.dim() and mode.device_of(tensor) == "cpu":
            yield Move("copy", tensor.element_size(), "cpu", place)


def _indices(mode: BlankMode, args: Any, place: str, masks_wait: bool) -> Iterable[Move]:
    """Masks are turned into indices where they lie, and indices of the host go to the device."""
    for index in args[1]:
        if index is None:
            continue
        mask, here = index.dtype in MASKS, mode.device_of(index) == "cpu"
        if mask and not here and masks_wait:
            yield from read(mode, index, "mask", COUNT)
        elif here and place != "cpu":
            nbytes = _found(mode, index) * index.dim() * LONG if mask else bytes_of(index)
            yield Move("copy", nbytes, "cpu", place)


def _found(mode: BlankMode, mask: Tensor) -> int:
    """How many elements of a mask are true; all, where its data is not known."""
    return mask.numel() if mode.is_blank(mask) else int(mask.count_nonzero())


def _index(mode: BlankMode, args: Any, kwargs: Mapping[str, Any], out: Any) -> Iterable[Move]:
    return _indices(mode, args, mode.device_of(args[0]), masks_wait=True)


def _index_put(mode: BlankMode, args: Any, kwargs: Mapping[str, Any], out: Any) -> Iterable[Move]:
    """A mask alone that gets one number of the host's is filled, for which nobody waits."""
    target, indices, value = args[:3]
    place = mode.device_of(target)
    adds = kwargs.get("accumulate", args[3] if len(args) > 3 else False)
    number = _of_number(mode) or (mode.device_of(value) == "cpu" and value.numel() == 1)
    given = [index for index in indices if index is not None]
    lone = len(given) == 1 and given[0].dtype in MASKS and mode.device_of(given[0]) == place
    if number and lone and not adds:
        return
    yield from _indices(mode, args, place, masks_wait=True)
    if number and place != "cpu" and value.dim() == 0:
        yield Move("copy", value.element_size(), "cpu", place)


def _of_number(mode: BlankMode) -> bool:
    """Whether a number is assigned, or the gradient of such an assignment is made."""
    node = torch._C._current_autograd_node() if mode.assigned_number else None
    return mode.assigns_number or (node is not None and node._sequence_nr() in mode.assigned_number)


def _pack(mode: BlankMode, args: Any, kwargs: Mapping[str, Any], out: Any) -> Iterable[Move]:
    return read(mode, args[1], "pack_padded_sequence", bytes_of(args[1]))


def _lengths(mode: BlankMode, args: Any, kwargs: Mapping[str, Any], out: Any) -> Iterable[Move]:
    """Lengths of `ctc_loss` are read by the host."""
    for tensor in args[2:4]:
        if isinstance(tensor, Tensor):
            yield from read(mode, tensor, "ctc_loss", tensor.numel() * LONG)


def _matrix_exp(mode: BlankMode, args: Any, kwargs: Mapping[str, Any], out: Any) -> Iterable[Move]:
    """The norm of each matrix says how it is computed."""
    tensor = args[0]
    if tensor.shape[-1] > 1:
        count = tensor.numel() // tensor.shape[-1] ** 2
        yield from read(mode, tensor, "matrix_exp", count * tensor.element_size())


def _segment_reduce(
    mode: BlankMode, args: Any, kwargs: Mapping[str, Any], out: Any
) -> Iterable[Move]:
    return () if kwargs.get("unsafe") else read(mode, args[0], "segment_reduce", LONG, FLAG)


RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "_to_copy": _to_copy,
        "copy_": _copy_,
        "_foreach_copy_": _foreach_copy_,
        "where": _where,
        "index": _index,
        "_unsafe_index": _index,
        "index_put": _index_put,
        "index_put_": _index_put,
        "_index_put_impl_": _index_put,
        "_local_scalar_dense": _item,
        "allclose": _reads("allclose", FLAG),
        "equal": _equal,
        "nonzero": _reads("nonzero", COUNT),
        "nms": _reads("nms", COUNT),
        "masked_select": _reads("masked_select", COUNT),
        "_unique": _reads("unique", LONG),
        "_unique2": _reads("unique", LONG),
        "unique_dim": _reads("unique", LONG),
        "unique_consecutive": _reads("unique", LONG),
        "repeat_interleave": _repeat_interleave,
        "bincount": _twice("bincount"),
        "histc": _histc,
        "isin": _isin,
        "masked_fill": _value("item", 2),
        "masked_fill_": _value("item", 2),
        "index_fill": _value("item", 3),
        "index_fill_": _value("item", 3),
        "normal": _reads("normal", FLAG, FLAG),
        "embedding_renorm_": _reads("embedding_renorm", COUNT),
        "_coalesce": _reads("coalesce", LONG),
        "_to_sparse": _reads("nonzero", COUNT),
        "segment_reduce": _segment_reduce,
        "_pack_padded_sequence": _pack,
        "_ctc_loss": _lengths,
        "_linalg_check_errors": _reads("linalg", FLAG),
        "_linalg_eigh": _reads("linalg", FLAG),
        "_linalg_svd": _reads("linalg", FLAG),
        "_linalg_eigvals": _reads("linalg", FLAG),
        "linalg_eig": _reads("linalg", FLAG),
        "linalg_lstsq": _reads("linalg", FLAG),
        "linalg_matrix_exp": _matrix_exp,
    }
)
"""By the operator's name without namespace and overload."""
ONLY: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "repeat_interleave": frozenset({"Tensor"}),
        "normal": frozenset({"Tensor_Tensor", "float_Tensor"}),
        "isin": frozenset({"Tensor_Tensor"}),
        "where": frozenset({"self"}),
    }
)
"""Overloads that a rule is for, where it is not for all."""
TAKE_BOTH = frozenset(
    "_to_copy copy_ _foreach_copy_ index _unsafe_index index_put index_put_ _index_put_impl_ "
    "_pack_padded_sequence _pad_packed_sequence _ctc_loss _ctc_loss_backward _cudnn_rnn "
    "_cudnn_rnn_backward lstm gru rnn_tanh rnn_relu tensor_split set_ "
    "_scaled_dot_product_flash_attention_backward _scaled_dot_product_efficient_attention_backward "
    "_scaled_dot_product_cudnn_attention_backward _flash_attention_backward "
    "_efficient_attention_backward".split()
)
"""Operators that take tensors of the host's beside those of a device; all take scalars of it."""


def rule_of(name: str, overload: str) -> Rule | None:
    """The rule of an operator; None where it neither copies nor waits."""
    return RULES.get(name) if name not in ONLY or overload in ONLY[name] else None
