"""What does looking rows up in a table cost?

No MACs: a look-up multiplies nothing (Mikolov et al., arXiv:1301.3781, count it as a projection by
selection). Memory: only the rows that are gathered are read, not the whole table, and the indices.
A bag sums its rows: one pointwise FLOP for each gathered element.

Rows that several indices share are read once for each.
"""

from __future__ import annotations

from zoo.analysis.costs.base import Specs, table, written_bytes
from zoo.analysis.costs.common import each, named
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


FORMULAS = table(
    each("embedding", embedding),
    each("embedding_bag _embedding_bag _embedding_bag_forward_only", embedding_bag),
    each("embedding_renorm embedding_renorm_", embedding_renorm),
)
"""Look-ups."""
