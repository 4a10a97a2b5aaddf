"""What the CPU's kernels allocate and free inside themselves, beyond their outputs.

An operator's workspace is the most bytes alive while it runs, less those alive before it and those
of its new outputs. Formulas were read off the allocation events of torch 2.14 (oneDNN 3.12 on a
processor with AVX-512, which decides the blocked layouts), and `benchmarks/memory_peak.py` holds
them against it. Each takes the operator's arguments and outputs as tensors, of which it looks at
shapes, strides and dtypes only. An operator without a formula allocates nothing beside its outputs.
Whether oneDNN is used is asked of `torch.backends.mkldnn`. Of other devices nothing is known here.

Not known, and so counted too low or too high: under oneDNN, channels-last convolutions (nothing is
reordered there), the sums by thread of a weight's gradient (tens of kB), strided transposed ones by
depth. Without it: transposed ones of one pixel in three dimensions.

Not counted: what kernels take from the C library itself, since no profiler of torch's sees it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor
from torch._ops import HigherOrderOperator

BLOCK = 16
"""Channels in a block of oneDNN's layouts under AVX-512."""
ALIGNED = 128
"""Bytes that oneDNN adds to each part of its scratch memory, to align it."""
PAGE = 4_096
"""Bytes to which oneDNN's recurrent kernels round the parts of their scratch memory."""
BAG_SUM, BAG_MEAN, BAG_MAX = 0, 1, 2
"""How `embedding_bag` joins the rows of a bag."""
WEIGHT_SUMS = 8
"""Copies of a weight's gradient that oneDNN adds up where patches are laid out."""
RNN_POINTERS = 568
"""Bytes of tables that a recurrent kernel keeps."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What decides which kernel runs, beside the operands."""

    onednn: bool = True
    """Whether torch may use oneDNN."""
    threads: int = 2
    """Threads that kernels share their work among: as many on every machine, so that figures do
    not depend on where they are asked."""


Formula = Callable[[Setting, Sequence[Any], Sequence[Tensor]], int]
"""(setting, arguments in the order of the schema, outputs) -> bytes."""


class Workspaces:
    """What the kernels of a device allocate inside themselves.

    Args:
        device: Where the run is said to take place.
    """

    def __init__(self, device: str) -> None:
        self._table = FORMULAS if device == "cpu" else {}
        self._setting = Setting(onednn=bool(torch.backends.mkldnn.enabled))
        self._known: dict[int, tuple[Any, Formula | None, Sequence[Any]]] = {}
        """By the operator's `id`: the operator, its formula, its arguments' defaults."""

    def of(self, func: Any, args: Sequence[Any], outputs: Sequence[Tensor]) -> int:
        """Bytes that one call needs beyond its outputs.

        Args:
            func: The operator.
            args: Its arguments by position.
            outputs: Tensors among its results.

        Returns:
            Bytes; 0 where nothing is known.
        """
        known = self._known.get(id(func))
        if known is None:
            known = self._known[id(func)] = (func, *self._formula(func))
        _, formula, defaults = known
        if formula is None:
            return 0
        return formula(self._setting, [*args, *defaults[len(args) :]], outputs)

    def _formula(self, func: Any) -> tuple[Formula | None, Sequence[Any]]:
        """An operator's formula, and the defaults of its positional arguments."""
        name = None if isinstance(func, HigherOrderOperator) else func._schema.name
        formula = self._table.get(str(name).removeprefix("aten::"))
        if formula is None:
            return None, ()
        return formula, [one.default_value for one in func._schema.arguments if not one.kwarg_only]


_INTS = {int}


def largest(*values: int) -> int:
    """`max`, that leaves it open which is the largest where sizes are open."""
    if set(map(type, values)) == _INTS:
        return max(values)
    found: Any = values[0]
    for one in values[1:]:
        found = torch.sym_max(found, one)
    return found  # type: ignore[no-any-return]


def smallest(*values: int) -> int:
    """`min`, that leaves it open too."""
    if set(map(type, values)) == _INTS:
        return min(values)
    found: Any = values[0]
    for one in values[1:]:
        found = torch.sym_min(found, one)
    return found  # type: ignore[no-any-return]


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _copied(*tensors: Tensor | None) -> int:
    """Bytes of contiguous copies of those that are not contiguous."""
    return sum(_bytes(one) for one in tensors if one is not None and not one.is_contiguous())


def _up(count: int, to: int = BLOCK) -> int:
    return -(-count // to) * to


@dataclass(frozen=True, slots=True)
class _Conv:
    """Sizes of a convolution, one-dimensional to three-dimensional."""

    size: int
    """Of an element, in bytes."""
    batch: int
    inside: int
    """Channels of the input."""
    outside: int
    """Channels of the output."""
    groups: int
    window: int
    """Elements of the kernel in space."""
    pixels_in: int
    pixels_out: int
    plane: int
    """Pixels whose patches are laid out at a time: of the last two dims of the
    output, or of the input if transposed."""
    pointwise: bool
    """Whether the kernel is one pixel, without stride or padding."""
    strided: bool
    dilated: bool
    transposed: bool
    spatial: int
    """Dims of space."""
    large: bool
    """Whether the kernel is larger than 3 in both last dims."""
    float32: bool

    @classmethod
    def of(cls, x: Tensor, weight: Tensor, after: Sequence[int], rest: Sequence[Any]) -> _Conv:
        stride, padding, dilation, transposed, _, groups = rest
        kernel = weight.shape[2:]
        one = all(k == 1 for k in kernel)
        inside = x.shape[1]
        return cls(
            size=x.element_size(),
            batch=x.shape[0],
            inside=inside,
            outside=weight.shape[1] * groups if transposed else weight.shape[0],
            groups=groups,
            window=prod(kernel),
            pixels_in=prod(x.shape[2:]),
            pixels_out=prod(after),
            plane=prod((x.shape[2:] if transposed else after)[-2:]),
            pointwise=one and all(s == 1 for s in stride) and not any(padding),
            strided=any(s != 1 for s in stride),
            dilated=any(d != 1 for d in dilation),
            transposed=transposed,
            spatial=len(kernel),
            large=kernel[-1] > 3 and (len(kernel) < 2 or kernel[-2] > 3),
            float32=x.dtype == torch.float32,
        )

    @property
    def depthwise(self) -> bool:
        """Whether each channel is convolved alone."""
        return self.groups > 1 and self.inside == self.outside == self.groups

    def takes_onednn(self, setting: Setting) -> bool:
        """Whether torch gives it to oneDNN (`use_mkldnn` of `Convolution.cpp`)."""
        if not setting.onednn or not self.float32:
            return False
        if self.transposed:
            return True
        if self.groups == 1 and not self.large and self.batch == 1 and self._small():
            return False
        if setting.threads > 1 or self.strided or self.dilated or self.window != 1:
            return True
        return self.batch >= 16

    def _small(self) -> bool:
        """Whether the input has so few elements that a batch of one is not worth it."""
        return self.inside * self.pixels_in * self.batch <= 20_480

    def takes_nnpack(self) -> bool:
        """Whether torch gives it to NNPACK, whose memory nobody sees."""
        return self.spatial <= 2 and self.batch >= 16 and self.float32 and not self.dilated

    def columns(self) -> int:
        """Bytes of one sample's and one group's patches, laid out as columns."""
        if self.transposed:
            return self.size * self.outside // self.groups * self.window * self.pixels_in
        return self.size * self.inside // self.groups * self.window * self.pixels_out

    def share(self, channels: int, pixels: int) -> int:
        """Bytes of one group's part of a tensor, which is copied out where there are several."""
        if self.groups == 1 or self.batch == 1:
            return 0
        return self.size * self.batch * channels // self.groups * pixels

    @property
    def grouped_inside(self) -> bool:
        """Whether torch's own kernel takes all groups at once, as it does in three dimensions."""
        return self.spatial == 3 and not self.transposed and not self.dilated

    def forward_columns(self, bias: bool) -> int:
        """Patches that the forward pass of torch's own kernels holds.

        In three dimensions transposed ones go by sample, and begin with a copy of the input.
        """
        if self.transposed and self.spatial == 3:
            ones = self.size * self.pixels_out if bias else 0
            into = self.size * self.batch * self.inside // self.groups * self.pixels_in
            return largest(into, self.columns() + ones)
        if self.transposed:
            return self.batch * self.columns()
        if self.dilated:
            return self.columns()
        if self.takes_nnpack():
            return 0
        return self._all_columns()

    def _all_columns(self) -> int:
        """Patches of all samples, unless they are the input itself."""
        if self.grouped_inside:
            plain = self.pointwise and self.groups == 1
            return 0 if plain else self.batch * self.groups * self.columns()
        return 0 if self.pointwise else self.batch * self.columns()

    def backward_columns(self, bias: bool) -> int:
        """Patches that the backward pass of torch's own kernels holds."""
        if self.transposed:
            return self.columns()
        if self.dilated or self.takes_nnpack():
            return self.columns() + (self.size * self.outside // self.groups if bias else 0)
        return self._all_columns()

    def blocked(self, channels: int, pixels: int, block: int = BLOCK) -> int:
        """Bytes of a tensor in blocks of channels; block 1 leaves it as it is."""
        return self.size * self.batch * _up(channels, block) * pixels

    def blocked_weight(self, into_block: int = BLOCK, out_block: int = BLOCK) -> int:
        """Bytes of the weight in oneDNN's layout."""
        if self.depthwise:
            return self.size * _up(self.groups) * self.window
        out = _up(self.outside // self.groups, out_block)
        into = _up(self.inside // self.groups, into_block)
        return self.size * self.groups * out * into * self.window

    def groups_are(self, even: int) -> bool:
        """Whether groups' channels are no multiple of `even`: then patches are laid out."""
        if self.groups == 1 or self.depthwise:
            return False
        return bool((self.inside // self.groups) % even or (self.outside // self.groups) % even)

    @property
    def unpadded(self) -> bool:
        """Whether channels stay as many as they are in oneDNN's layout."""
        return self.groups > 1 and not self.depthwise and self.groups_are(BLOCK)

    def patches(self, setting: Setting) -> int:
        """Bytes of the patches that each thread lays out, where oneDNN has no better kernel."""
        channels = (self.outside if self.transposed else self.inside) // self.groups
        laid = 0 if self.pointwise else channels * self.window * self.plane
        return self.size * setting.threads * laid + (3 if self.transposed else 1) * ALIGNED

    def operands(self) -> tuple[int, int, int]:
        """Bytes of input, weight and output as the forward pass holds them."""
        if self.unpadded:
            return (
                self.blocked(self.inside, self.pixels_in, 1),
                self.blocked_weight(1, 1),
                self.blocked(self.outside, self.pixels_out, 1),
            )
        few = self.inside < BLOCK and self.groups == 1 and self.window > 1 and not self.transposed
        before = 0 if few else self.blocked(self.inside, self.pixels_in)
        weight = self.blocked_weight(1 if few else BLOCK)
        return before, weight, self.blocked(self.outside, self.pixels_out)

    def padded_bias(self) -> int:
        """Bytes of a copy of the bias, filled up to a block."""
        if self.unpadded or self.outside % BLOCK == 0:
            return 0
        return self.size * _up(self.outside) + ALIGNED

    def gathered(self, setting: Setting) -> int:
        """Pixels that a strided kernel of one pixel picks out, for each thread."""
        if self.strided and self.window == 1 and self.groups == 1:
            return setting.threads * self.size * _up(self.inside) * self.pixels_out
        return 0


def _convolution(setting: Setting, args: Sequence[Any], outputs: Sequence[Tensor]) -> int:
    x, weight, rest = args[0], args[1], args[3:9]
    (out,) = outputs
    conv = _Conv.of(x, weight, out.shape[2:], rest)
    if not conv.takes_onednn(setting):
        columns = conv.forward_columns(args[2] is not None) + _copied(x)
        if conv.groups == 1 or conv.grouped_inside:
            return columns
        return largest(conv.share(conv.inside, conv.pixels_in) + columns, _bytes(out))
    return _copied(x, weight) + _onednn_forward(conv, setting, args[2] is not None, _bytes(out))


def _onednn_forward(conv: _Conv, setting: Setting, bias: bool, out: int) -> int:
    """Of oneDNN's forward pass: operands in its layout, then the result copied out of it."""
    if conv.groups_are(4):
        held = out if conv.transposed else 0
        return largest(conv.patches(setting) + held, out)
    before, weight, after = conv.operands()
    if conv.transposed:
        if conv.strided and conv.groups == 1:
            return 2 * out
        apart = after + ALIGNED if bias else 0  # the result before the bias
    else:
        apart = conv.padded_bias() if bias else 0
    needed = apart + before + weight + conv.gathered(setting) + after
    return largest(needed - out, after)


def _convolution_backward(setting: Setting, args: Sequence[Any], outputs: Sequence[Tensor]) -> int:
    grad, x, weight, rest, wanted = args[0], args[1], args[2], args[4:10], args[10]
    conv = _Conv.of(x, weight, grad.shape[2:], rest)
    total = sum(_bytes(one) for one in outputs)
    copies = _copied(grad, x)
    if not conv.takes_onednn(setting):
        columns = conv.backward_columns(wanted[2])
        if conv.spatial == 3 and conv.pointwise and conv.groups == 1 and wanted[0]:
            into = _bytes(x)  # columns are made here, but for the input's gradient only
            return copies + largest(into + conv.batch * conv.columns() - total, 0)
        if conv.groups == 1 or conv.grouped_inside:
            return columns + copies
        grad_part = conv.share(conv.outside, conv.pixels_out)
        if not grad_part and not grad.is_contiguous():
            grad_part = _bytes(grad) // conv.groups
        return largest(grad_part + conv.share(conv.inside, conv.pixels_in) + columns, total)
    into = _bytes(x) if wanted[0] else 0
    peaks = [total]
    if wanted[0]:
        peaks += _onednn_input_gradient(conv, setting)
    if wanted[1]:
        bias = conv.size * conv.outside if wanted[2] else 0
        peaks += _onednn_weight_gradient(conv, setting, into, total, bias)
    return copies + largest(*peaks) - total


def _onednn_input_gradient(conv: _Conv, setting: Setting) -> tuple[int, int]:
    """Bytes while the input's gradient is computed in oneDNN's layout, and while it is copied out.

    Strided ones leave channels as they are, and are copied twice.
    """
    plain = conv.blocked(conv.inside, conv.pixels_in, 1)
    if conv.groups_are(4):
        patches = conv.patches(setting) - (ALIGNED if conv.transposed else 0)
        return plain + patches, 2 * plain
    if conv.unpadded:
        return sum(conv.operands()), 2 * plain
    strided = conv.strided and not conv.depthwise and not conv.transposed
    inner = conv.blocked(conv.inside, conv.pixels_in, 1 if strided else BLOCK)
    few = conv.transposed and conv.outside < BLOCK and conv.groups == 1
    arrived = 0 if few else conv.blocked(conv.outside, conv.pixels_out)
    weight = conv.blocked_weight(out_block=1 if few else BLOCK)
    return arrived + weight + inner, inner + plain * (2 if strided else 1)


def _onednn_weight_gradient(
    conv: _Conv, setting: Setting, into: int, total: int, bias: int
) -> tuple[int, int]:
    """Bytes while the weight's gradient is computed, and while it is copied out."""
    odd = conv.inside % BLOCK or conv.outside % BLOCK
    least = conv.outside if conv.transposed else conv.inside
    if (
        conv.groups_are(8)
        or (conv.depthwise and conv.large)
        or (conv.spatial == 3 and conv.groups == 1 and odd and conv.window > 1 and least > 3)
    ):
        made = conv.blocked_weight(1, 1)
        scratch = conv.patches(setting) + (0 if conv.transposed else ALIGNED) + WEIGHT_SUMS * made
        return into + made + scratch + bias, total + made + bias
    before, after = (1, 1) if conv.unpadded else _weight_gradient_blocks(conv)
    made = conv.blocked_weight(before, after) + bias
    read = (
        0
        if before == 1 and not conv.unpadded
        else conv.blocked(conv.inside, conv.pixels_in, before)
    )
    arrived = (
        0
        if after == 1 and not conv.unpadded
        else conv.blocked(conv.outside, conv.pixels_out, after)
    )
    return into + arrived + read + made + conv.gathered(setting), total + made


def _weight_gradient_blocks(conv: _Conv) -> tuple[int, int]:
    """Channels in a block of the input and of the output, where the weight's gradient is made."""
    least = conv.outside if conv.transposed else conv.inside
    if conv.groups > 1 or conv.window == 1 or least > 8:
        return BLOCK, BLOCK
    if least > 3:
        return 8, 8
    return (BLOCK, 1) if conv.transposed else (1, BLOCK)


def _split(queries: int, keys: int) -> tuple[int, int]:
    """Rows and columns of the scores that the fused kernel makes at a time."""
    rows = 32 + 32 * smallest(1, queries // 192) + 192 * smallest(1, queries // 768)
    return smallest(rows, queries), smallest(512, keys)


def _attention(setting: Setting, args: Sequence[Any], _: Sequence[Tensor]) -> int:
    query, key = args[0], args[1]
    rows, columns = _split(query.shape[-2], key.shape[-2])
    held = rows * columns + 2 * rows + rows * query.shape[-1]
    needed: int = 4 * setting.threads * held
    return needed


def _attention_backward(setting: Setting, args: Sequence[Any], _: Sequence[Tensor]) -> int:
    grad, query, key = args[0], args[1], args[2]
    rows, columns = _split(query.shape[-2], key.shape[-2])
    copies = _copied(grad.transpose(1, 2))
    needed: int = copies + query.element_size() * setting.threads * 2 * rows * columns + 4 * rows
    return needed


def _safe_softmax(_: Setting, args: Sequence[Any], outputs: Sequence[Tensor]) -> int:
    (out,) = outputs
    rows = out.numel() // largest(1, out.shape[args[1]]) if out.dim() else 1
    return out.numel() + rows + 4


def _ld(width: int) -> int:
    """A row's length that oneDNN finds good: whole cache lines, off powers of two."""
    padded = _up(width)
    return padded + BLOCK if padded % 256 == 0 else padded


def _page(nbytes: int) -> int:
    return _up(nbytes, PAGE)


def lstm_workspace(steps: int, batch: int, into: int, hidden: int) -> int:
    """Bytes that `mkldnn_rnn_layer` keeps for the backward pass, its fourth output."""
    states = 8 * (steps + 1) * batch
    return (
        _page(4 * steps * batch * _ld(4 * hidden))
        + _page(4 * steps * batch * _ld(hidden))
        + 3 * _page(states * _ld(largest(into, hidden)))
        + 2 * _page(states * hidden)
    )


def _lstm_scratch(steps: int, batch: int, hidden: int) -> int:
    gates = _page(4 * steps * batch * _ld(4 * hidden))
    return gates + 2 * _page(4 * batch * _ld(hidden)) + _page(16 * hidden) + RNN_POINTERS


def _lstm(_: Setting, args: Sequence[Any], __: Sequence[Tensor]) -> int:
    x, hidden = args[0], args[6].shape[-1]
    steps, batch, into = x.shape
    weights = 4 * (into + hidden) * _ld(4 * hidden)
    needed: int = _copied(x) + 16 * hidden + weights + _lstm_scratch(steps, batch, hidden)
    return needed


def _lstm_backward(_: Setting, args: Sequence[Any], __: Sequence[Tensor]) -> int:
    x, hidden = args[0], args[5].shape[-1]
    steps, batch, into = x.shape
    grad_out, grad_h, grad_c = args[10:13]
    blank = sum(4 * batch * hidden for grad in (grad_h, grad_c) if grad is None)
    padded = sum(16 * hidden * _ld(width) for width in (into, hidden) if _ld(width) != width)
    weights = 4 * (into + hidden) * _ld(4 * hidden)
    scratch = _lstm_scratch(steps, batch, hidden)
    needed: int = _copied(grad_out) + blank + 16 * hidden + padded + weights + scratch
    return needed


def _clone_for_blas(matrix: Tensor) -> bool:
    """Whether a matrix product copies an operand: no dim of it has unit stride."""
    (rows, columns), (down, right) = matrix.shape[-2:], matrix.stride()[-2:]
    by_row = right == 1 and down >= largest(1, columns)
    return not (by_row or (down == 1 and right >= largest(1, rows)))


def _mm(first: int, *, batched: bool = False) -> Formula:
    def formula(_: Setting, args: Sequence[Any], __: Sequence[Tensor]) -> int:
        found = 0
        for one in args[first : first + 2]:
            if one.numel() > 1 and _clone_for_blas(one):
                nbytes = _bytes(one) // (one.shape[0] if batched else 1)
                found = largest(found, nbytes) if batched else found + nbytes
        return found

    return formula


def _copy_of(*places: int) -> Formula:
    def formula(_: Setting, args: Sequence[Any], __: Sequence[Tensor]) -> int:
        return _copied(*(args[place] for place in places))

    return formula


def _layer_norm_backward(setting: Setting, args: Sequence[Any], _: Sequence[Tensor]) -> int:
    width = prod(args[2])
    partial = 2 * setting.threads * width * args[1].element_size() if any(args[7][1:]) else 0
    return _copied(args[0], args[1]) + partial


def _group_norm_backward(_: Setting, args: Sequence[Any], __: Sequence[Tensor]) -> int:
    x, batch, channels = args[1], args[5], args[6]
    needed: int = _copied(args[0], x) + 2 * batch * channels * x.element_size()
    return needed


def _batch_norm(_: Setting, args: Sequence[Any], __: Sequence[Tensor]) -> int:
    x = args[0]
    needed: int = 2 * x.shape[1] * x.element_size()
    return needed


def _batch_norm_backward(_: Setting, args: Sequence[Any], __: Sequence[Tensor]) -> int:
    grad, x = args[0], args[1]
    plain = grad.is_contiguous() and x.is_contiguous()
    return _bytes(x) if plain else x.shape[1] * x.element_size()


def _held(tensor: Tensor) -> int:
    """Bytes of the block that a tensor lies in."""
    return tensor.untyped_storage().nbytes()


def _bag_lists(weight: Tensor, indices: Tensor, bags: int, mode: int, padding: int) -> int:
    """Bytes of what a forward pass over bags really keeps, beside its output.

    Of each index its bag, unless bags are summed in one go; of each bag its size and, of a maximum,
    the index of each of its elements.
    """
    size, count = indices.element_size(), indices.numel()
    at_once = mode == BAG_SUM and padding < 0 and weight.stride(1) == 1
    return size * (
        (0 if at_once else count + 1) + bags + bags * (weight.shape[1] if mode == BAG_MAX else 1)
    )


def _embedding_bag(_: Setting, args: Sequence[Any], outputs: Sequence[Tensor]) -> int:
    weight, indices, mode, padding = args[0], args[1], args[4], args[8]
    out, bags, size = outputs[0], outputs[0].shape[0], indices.element_size()
    kept = _bag_lists(weight, indices, bags, mode, padding)
    peak = kept
    if mode != BAG_SUM:
        turned = size * (indices.numel() + 1)
        lists = 4 * size * bags + out.element_size() * bags if mode == BAG_MEAN else 0
        peak = largest(2 * turned, turned + lists, kept + (size * bags if mode == BAG_MAX else 0))
    return largest(0, _bytes(out) + peak - sum(map(_held, outputs)))


def _embedding_bag_backward(_: Setting, args: Sequence[Any], __: Sequence[Tensor]) -> int:
    """Indices are sorted, or looked at by element for a maximum.

    What the forward pass kept is counted as it is on the CPU: torch's shapes of it are others.
    """
    grad, indices, lists, mode, padding = args[0], args[1], args[3:6], args[8], args[11]
    size, bags, sizes = indices.element_size(), grad.shape[0], sum(map(_held, lists))
    behind = _bag_lists(grad, indices, bags, mode, padding) - sizes
    if mode == BAG_MAX:
        places = grad.numel() * (size + grad.element_size())
    else:
        turned = mode == BAG_SUM and padding < 0
        places = _copied(grad) + size * ((indices.numel() + 1) * turned + 3 * indices.numel())
    needed: int = behind + places + (size * bags if mode == BAG_MAX else 0)
    return needed


def _trilinear(_: Setting, args: Sequence[Any], __: Sequence[Tensor]) -> int:
    """One product of two and its product with the third, for one step of the unrolled dim."""
    shapes = []
    for one, added in zip(args[:3], args[3:6], strict=True):
        sizes = iter(one.shape)
        dims = one.dim() + len(added)
        shapes.append([1 if dim in added else next(sizes) for dim in range(dims)])
    summed, unrolled = args[6], args[7]
    first = last = args[0].element_size()
    for dim, sizes in enumerate(zip(*shapes, strict=True)):
        if dim == unrolled:
            continue
        if dim not in summed:
            last *= largest(*sizes)
        if dim not in summed or dim not in args[5]:
            first *= largest(*sizes[:2])
    needed: int = first + last
    return needed


def _roll(_: Setting, args: Sequence[Any], outputs: Sequence[Tensor]) -> int:
    return _bytes(outputs[0]) if len(args[1]) > 1 else 0


def _upsample(_: Setting, args: Sequence[Any], outputs: Sequence[Tensor]) -> int:
    return _bytes(args[0]) + _bytes(outputs[0])


FORMULAS: Mapping[str, Formula] = MappingProxyType(
    {
        "convolution": _convolution,
        "convolution_backward": _convolution_backward,
        "_scaled_dot_product_flash_attention_for_cpu": _attention,
        "_scaled_dot_product_flash_attention_for_cpu_backward": _attention_backward,
        "_safe_softmax": _safe_softmax,
        "mkldnn_rnn_layer": _lstm,
        "mkldnn_rnn_layer_backward": _lstm_backward,
        "mm": _mm(0),
        "addmm": _mm(1),
        "bmm": _mm(0, batched=True),
        "baddbmm": _mm(1, batched=True),
        "native_layer_norm_backward": _layer_norm_backward,
        "native_group_norm_backward": _group_norm_backward,
        "native_batch_norm": _batch_norm,
        "native_batch_norm_backward": _batch_norm_backward,
        "native_layer_norm": _copy_of(0),
        "max_pool2d_with_indices_backward": _copy_of(0),
        "avg_pool2d_backward": _copy_of(0),
        "_adaptive_avg_pool2d_backward": _copy_of(0),
        "_softmax_backward_data": _copy_of(0),
        "_log_softmax_backward_data": _copy_of(0),
        "embedding_dense_backward": _copy_of(0),
        "_embedding_bag": _embedding_bag,
        "_embedding_bag_backward": _embedding_bag_backward,
        "_trilinear": _trilinear,
        "roll": _roll,
        "upsample_bilinear2d": _upsample,
    }
)
