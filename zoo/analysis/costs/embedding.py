"""What does looking rows up in a table cost?

No MACs: a look-up multiplies nothing (Mikolov et al., arXiv:1301.3781, count it as a projection by
selection). Memory: only the rows that are gathered are read, not the whole table, and the indices.
A bag sums its rows: one pointwise FLOP for each gathered element.

Backward: zeros for the whole table, and each row of the gradient added to its place, one pointwise
FLOP for each element. A sparse gradient is the rows alone.

Rows that several indices share are read once for each.
"""

from __future__ import annotations

from zoo.analysis.costs.base import Specs, read_bytes, table, written_bytes
from zoo.analysis.costs.common import each, elements, named
from zoo.analysis.records import DTYPES, Cost, TensorSpec


def _row_bytes(weight: TensorSpec) -> int:
    """Bytes of one row of the table."""
    return TensorSpec(weight.shape[1:], weight.dtype).nbytes


def embedding(inputs: Specs, outputs: Specs) -> Cost:
    """A table (v, e) and indices (*): reads one row for each index, and the indices.

    >>> table, ids = TensorSpec((1000, 8)), TensorSpec((2, 3), "int64")
    >>> embedding((table, ids), (TensorSpec((2, 3, 8)),))
    Cost(macs=0, flops=0, bytes_read=240, bytes_written=192)
    """
    weight, indices = named(inputs, "weight", 0), named(inputs, "indices", 1)
    read = indices.numel * _row_bytes(weight) + indices.nbytes
    return Cost(bytes_read=read, bytes_written=written_bytes(outputs))


def embedding_bag(inputs: Specs, outputs: Specs) -> Cost:
    """A table (v, e), indices (n,) and what tells the bags apart: n*e FLOPs for the sums.

    Its other three results, the bookkeeping of the backward pass, are written too.

    >>> table, ids = TensorSpec((1000, 8)), TensorSpec((6,), "int64")
    >>> embedding_bag((table, ids, TensorSpec((2,), "int64")), (TensorSpec((2, 8)),))
    Cost(macs=0, flops=48, bytes_read=256, bytes_written=64)
    """
    weight, indices = named(inputs, "weight", 0), named(inputs, "indices", 1)
    gathered = indices.numel * _row_bytes(weight)
    rest = sum(spec.nbytes for spec in inputs[1:])
    flops = gathered // DTYPES.get(weight.dtype, ("", 1))[1]
    return Cost(flops=flops, bytes_read=gathered + rest, bytes_written=written_bytes(outputs))


def embedding_renorm(inputs: Specs, outputs: Specs) -> Cost:  # noqa: ARG001
    """Shortens the rows that are looked up: their norm and their scaling, 2*n*e FLOPs, at most.

    >>> table, ids = TensorSpec((1000, 8)), TensorSpec((6,), "int64")
    >>> embedding_renorm((table, ids), (table,))
    Cost(macs=0, flops=96, bytes_read=240, bytes_written=192)
    """
    weight, indices = inputs[0], inputs[1]
    rows = indices.numel * _row_bytes(weight)
    flops = 2 * rows // DTYPES.get(weight.dtype, ("", 1))[1]
    return Cost(flops=flops, bytes_read=rows + indices.nbytes, bytes_written=rows)


def embedding_backward(inputs: Specs, outputs: Specs) -> Cost:
    """From grad (*, e) and indices (*) -> a table: n*e FLOPs, the table written, n rows changed.

    >>> g, ids = TensorSpec((2, 3, 8)), TensorSpec((2, 3), "int64")
    >>> embedding_backward((g, ids), (TensorSpec((1000, 8)),))
    Cost(macs=0, flops=48, bytes_read=432, bytes_written=32192)
    """
    indices, table_ = named(inputs, "indices", 1), outputs[0]
    added = TensorSpec((indices.numel, *table_.shape[1:]), table_.dtype)
    read = read_bytes(inputs) + added.nbytes
    return Cost(0, added.numel, read, table_.nbytes + added.nbytes)


def sparse_backward(inputs: Specs, outputs: Specs) -> Cost:  # noqa: ARG001
    """From grad and indices, kept as they are.

    >>> g, ids = TensorSpec((6, 8)), TensorSpec((6,), "int64")
    >>> sparse_backward((g, ids), (TensorSpec((1000, 8)),))
    Cost(macs=0, flops=0, bytes_read=240, bytes_written=240)
    """
    grad, indices = inputs[0], named(inputs, "indices", 1)
    size = grad.nbytes + indices.nbytes
    return Cost(bytes_read=size, bytes_written=size)


def bag_weights_backward(inputs: Specs, outputs: Specs) -> Cost:
    """From grad (bags, e), a table (v, e), indices (n,) -> (n,): a product and a sum, 2*n*e FLOPs.

    >>> g, table, ids = TensorSpec((2, 8)), TensorSpec((1000, 8)), TensorSpec((6,), "int64")
    >>> bag_weights_backward((g, table, ids), (TensorSpec((6,)),)).flops
    96
    """
    weight, indices = named(inputs, "weight", 1), named(inputs, "indices", 2)
    rows = indices.numel * _row_bytes(weight)
    flops = 2 * indices.numel * elements((weight,)) // max(weight.shape[0], 1)
    read = 2 * rows + sum(spec.nbytes for spec in inputs[2:])
    return Cost(flops=flops, bytes_read=read, bytes_written=written_bytes(outputs))


FORMULAS = table(
    each("embedding", embedding),
    each("embedding_bag _embedding_bag _embedding_bag_forward_only", embedding_bag),
    each("embedding_renorm embedding_renorm_", embedding_renorm),
    each("embedding_dense_backward embedding_backward", embedding_backward),
    each("_embedding_bag_dense_backward _embedding_bag_backward", embedding_backward),
    each("embedding_sparse_backward _embedding_bag_sparse_backward", sparse_backward),
    each("_embedding_bag_per_sample_weights_backward", bag_weights_backward),
)
"""Look-ups."""
