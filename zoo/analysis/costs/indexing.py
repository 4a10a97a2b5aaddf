"""How many bytes do indexed reads and writes move?

A gather reads the elements it returns and its indices, not the rest of the tensor. A scatter in
place reads what it puts and its indices, and writes as many elements; where it accumulates it reads
these first and takes one pointwise FLOP for each. A scatter into a new tensor copies the tensor,
too. How many elements a mask selects is not known from shapes: all of them, an upper bound, unless
a result tells.

The backward of a view or a gather makes a tensor of zeros as large as the operand, and puts the
gradient into its place; where places may be shared it adds, one pointwise FLOP for each element.
"""

from __future__ import annotations

from math import prod

from zoo.analysis.costs.base import Inputs, Specs, argument, read_bytes, table, written_bytes  # noqa: F401 - for the doctests
from zoo.analysis.costs.common import broadcast, each, elements, named, streamed
from zoo.analysis.records import Cost, TensorSpec


def gathered(inputs: Specs, outputs: Specs) -> Cost:
    """Reads what it returns and the indices.

    >>> gathered((TensorSpec((100, 8)), TensorSpec((2,), "int64")), (TensorSpec((2, 8)),))
    Cost(macs=0, flops=0, bytes_read=80, bytes_written=64)
    """
    size = written_bytes(outputs)
    return Cost(bytes_read=size + read_bytes(inputs[1:]), bytes_written=size)


def masked_select(inputs: Specs, outputs: Specs) -> Cost:
    """Reads the mask and what it returns.

    >>> masked_select((TensorSpec((8,)), TensorSpec((8,), "bool")), (TensorSpec((3,)),))
    Cost(macs=0, flops=0, bytes_read=20, bytes_written=12)
    """
    return gathered(inputs, outputs)


def nonzero(inputs: Specs, outputs: Specs) -> Cost:
    """Tests each element, one FLOP, and writes the places it found.

    >>> nonzero((TensorSpec((8,), "bool"),), (TensorSpec((3, 1), "int64"),))
    Cost(macs=0, flops=8, bytes_read=8, bytes_written=24)
    """
    return streamed(inputs, outputs, flops=elements(inputs[:1]))


def _put(target: TensorSpec, count: int, read: int, *, adds: bool, copies: bool) -> Cost:
    """`count` elements into `target`; `read` bytes tell what and where."""
    size = TensorSpec((count,), target.dtype).nbytes
    whole = target.nbytes if copies else 0
    return Cost(
        flops=count if adds else 0,
        bytes_read=read + (size if adds and not copies else 0) + whole,
        bytes_written=whole or size,
    )


def _selected(target: TensorSpec, indices: list[TensorSpec | None]) -> int:
    """Elements selected by a list of index tensors, None for a whole dimension; all for a mask."""
    places: list[tuple[int, ...]] = []
    kept, dim = 1, 0
    for index in indices:
        if index is None:
            kept *= target.shape[dim]
            dim += 1
        elif index.dtype in {"bool", "uint8"}:
            places.append((index.numel,))
            dim += len(index.shape)
        else:
            places.append(index.shape)
            dim += 1
    return prod(broadcast(*places)) * kept * prod(target.shape[dim:])


def index_put_(inputs: Specs, outputs: Specs) -> Cost:  # noqa: ARG001
    """`x[indices] = values`: reads indices and values, writes the places; adds if it accumulates.

    >>> x, i, v = TensorSpec((100, 8)), TensorSpec((2,), "int64"), TensorSpec((2, 8))
    >>> index_put_(Inputs((x, i, v), {"indices": [i]}), (x,))
    Cost(macs=0, flops=0, bytes_read=80, bytes_written=64)
    """
    indices = argument(inputs, "indices", list(inputs[1:-1]))
    adds = bool(argument(inputs, "accumulate", default=False))
    count = _selected(inputs[0], indices)
    return _put(inputs[0], count, read_bytes(inputs[1:]), adds=adds, copies=False)


def index_put(inputs: Specs, outputs: Specs) -> Cost:  # noqa: ARG001
    """`index_put_` on a copy.

    >>> x, i, v = TensorSpec((100, 8)), TensorSpec((2,), "int64"), TensorSpec((2, 8))
    >>> index_put(Inputs((x, i, v), {"indices": [i]}), (x,))
    Cost(macs=0, flops=0, bytes_read=3280, bytes_written=3200)
    """
    indices = argument(inputs, "indices", list(inputs[1:-1]))
    adds = bool(argument(inputs, "accumulate", default=False))
    count = _selected(inputs[0], indices)
    return _put(inputs[0], count, read_bytes(inputs[1:]), adds=adds, copies=True)


def _source(inputs: Specs) -> int:
    """Elements that are put: those of the source, or of the largest operand."""
    for name in ("src", "source", "tensor", "value"):
        if isinstance(found := argument(inputs, name), TensorSpec) and found.shape:
            return found.numel
    if len(inputs) < 2:
        return inputs[0].numel
    return max(spec.numel for spec in inputs[1:])


def scatter_(inputs: Specs, outputs: Specs) -> Cost:  # noqa: ARG001
    """Puts one element for each index: reads indices and source, writes the places.

    >>> x, i, v = TensorSpec((100, 8)), TensorSpec((2, 8), "int64"), TensorSpec((2, 8))
    >>> scatter_((x, i, v), (x,))
    Cost(macs=0, flops=0, bytes_read=192, bytes_written=64)
    """
    count = named(inputs, "index", 1).numel
    return _put(inputs[0], count, read_bytes(inputs[1:]), adds=False, copies=False)


def scatter(inputs: Specs, outputs: Specs) -> Cost:  # noqa: ARG001
    """`scatter_` on a copy.

    >>> x, i, v = TensorSpec((100, 8)), TensorSpec((2, 8), "int64"), TensorSpec((2, 8))
    >>> scatter((x, i, v), (x,))
    Cost(macs=0, flops=0, bytes_read=3392, bytes_written=3200)
    """
    count = named(inputs, "index", 1).numel
    return _put(inputs[0], count, read_bytes(inputs[1:]), adds=False, copies=True)


def scatter_add_(inputs: Specs, outputs: Specs) -> Cost:  # noqa: ARG001
    """Adds one element for each index: reads the places, too, and takes a FLOP for each.

    >>> x, i, v = TensorSpec((100, 8)), TensorSpec((2, 8), "int64"), TensorSpec((2, 8))
    >>> scatter_add_((x, i, v), (x,))
    Cost(macs=0, flops=16, bytes_read=256, bytes_written=64)
    """
    count = named(inputs, "index", 1).numel
    return _put(inputs[0], count, read_bytes(inputs[1:]), adds=True, copies=False)


def scatter_add(inputs: Specs, outputs: Specs) -> Cost:  # noqa: ARG001
    """`scatter_add_` on a copy.

    >>> x, i, v = TensorSpec((100, 8)), TensorSpec((2, 8), "int64"), TensorSpec((2, 8))
    >>> scatter_add((x, i, v), (x,)).flops
    16
    """
    count = named(inputs, "index", 1).numel
    return _put(inputs[0], count, read_bytes(inputs[1:]), adds=True, copies=True)


def put_rows_(inputs: Specs, outputs: Specs) -> Cost:  # noqa: ARG001
    """Puts whole slices (`index_copy_`, `put_`): the elements of the source.

    >>> x, i, v = TensorSpec((100, 8)), TensorSpec((2,), "int64"), TensorSpec((2, 8))
    >>> put_rows_((x, i, v), (x,))
    Cost(macs=0, flops=0, bytes_read=80, bytes_written=64)
    """
    return _put(inputs[0], _source(inputs), read_bytes(inputs[1:]), adds=False, copies=False)


def put_rows(inputs: Specs, outputs: Specs) -> Cost:  # noqa: ARG001
    """`put_rows_` on a copy; also `slice_scatter` and its like.

    >>> x, v = TensorSpec((100, 8)), TensorSpec((2, 8))
    >>> put_rows((x, v), (x,))
    Cost(macs=0, flops=0, bytes_read=3264, bytes_written=3200)
    """
    return _put(inputs[0], _source(inputs), read_bytes(inputs[1:]), adds=False, copies=True)


def add_rows_(inputs: Specs, outputs: Specs) -> Cost:  # noqa: ARG001
    """Adds whole slices (`index_add_`): one FLOP for each element of the source.

    >>> x, i, v = TensorSpec((100, 8)), TensorSpec((2,), "int64"), TensorSpec((2, 8))
    >>> add_rows_((x, i, v), (x,)).flops
    16
    """
    return _put(inputs[0], _source(inputs), read_bytes(inputs[1:]), adds=True, copies=False)


def add_rows(inputs: Specs, outputs: Specs) -> Cost:  # noqa: ARG001
    """`add_rows_` on a copy.

    >>> x, i, v = TensorSpec((100, 8)), TensorSpec((2,), "int64"), TensorSpec((2, 8))
    >>> add_rows((x, i, v), (x,)).bytes_written
    3200
    """
    return _put(inputs[0], _source(inputs), read_bytes(inputs[1:]), adds=True, copies=True)


def fill_rows_(inputs: Specs, outputs: Specs) -> Cost:  # noqa: ARG001
    """A value over whole slices (`index_fill_`): as many elements as the slices have.

    >>> x, i = TensorSpec((100, 8)), TensorSpec((2,), "int64")
    >>> fill_rows_(Inputs((x, i), {"dim": 0}), (x,)).bytes_written
    64
    """
    return _put(inputs[0], _rows(inputs), read_bytes(inputs[1:]), adds=False, copies=False)


def fill_rows(inputs: Specs, outputs: Specs) -> Cost:  # noqa: ARG001
    """`fill_rows_` on a copy.

    >>> x, i = TensorSpec((100, 8)), TensorSpec((2,), "int64")
    >>> fill_rows(Inputs((x, i), {"dim": 0}), (x,)).bytes_written
    3200
    """
    return _put(inputs[0], _rows(inputs), read_bytes(inputs[1:]), adds=False, copies=True)


def _rows(inputs: Specs) -> int:
    target, dim = inputs[0], argument(inputs, "dim", 0)
    length = target.shape[dim] if target.shape else 1
    return target.numel // max(length, 1) * named(inputs, "index", 1).numel


def placed(inputs: Specs, outputs: Specs) -> Cost:
    """The backward of a slice: zeros, and grad over a part of them.

    >>> placed((TensorSpec((2, 8)),), (TensorSpec((100, 8)),))
    Cost(macs=0, flops=0, bytes_read=64, bytes_written=3264)
    """
    grad = inputs[0]
    return Cost(bytes_read=grad.nbytes, bytes_written=written_bytes(outputs) + grad.nbytes)


def placed_by_index(inputs: Specs, outputs: Specs) -> Cost:
    """The backward of a gather: zeros, and grad added at the indices.

    >>> g, x, i = TensorSpec((2, 8)), TensorSpec((100, 8)), TensorSpec((2,), "int64")
    >>> placed_by_index(Inputs((g, x, i), {"index": i}), (x,))
    Cost(macs=0, flops=16, bytes_read=144, bytes_written=3264)
    """
    grad = inputs[0]
    found = (argument(inputs, name) for name in ("index", "indices", "mask"))
    where = sum(spec.nbytes for spec in found if isinstance(spec, TensorSpec))
    read, written = 2 * grad.nbytes + where, written_bytes(outputs) + grad.nbytes
    return Cost(0, grad.numel, read, written)


FORMULAS = table(
    each("gather index index_select take take_along_dim repeat_interleave", gathered),
    each("_unsafe_index _unsafe_masked_index", gathered),
    each("masked_select", masked_select),
    each("nonzero nonzero_static nonzero_numpy argwhere where.default", nonzero),
    each("index_put_ _index_put_impl_", index_put_),
    each("index_put _index_put_impl _unsafe_index_put", index_put),
    each("_unsafe_masked_index_put_accumulate", index_put),
    each("scatter_", scatter_),
    each("scatter", scatter),
    each("scatter_add_ scatter_reduce_", scatter_add_),
    each("scatter_add scatter_reduce", scatter_add),
    each("index_copy_ put_ masked_scatter_", put_rows_),
    each("index_copy put masked_scatter slice_scatter select_scatter", put_rows),
    each("diagonal_scatter as_strided_scatter", put_rows),
    each("index_add_ index_reduce_", add_rows_),
    each("index_add index_reduce", add_rows),
    each("index_fill_ fill_diagonal_", fill_rows_),
    each("index_fill", fill_rows),
    each("select_backward slice_backward diagonal_backward _nested_select_backward", placed),
    each("index_select_backward gather_backward masked_select_backward", placed_by_index),
    each("value_selecting_reduction_backward cummaxmin_backward unfold_backward", placed_by_index),
    each("trace_backward", placed),
)
"""Gathers and scatters."""
