"""How many bytes does an operator move that computes nothing?

Copies, conversions, joins, paddings and permutations: no MACs, no FLOPs (a conversion of type is
none). Each element of the operands is read once and each of the results written once, except that

- a copy into an existing tensor does not read what it overwrites;
- a `*_copy` of a view, and `narrow_copy`, read what they return and not the rest;
- a scalar that is brought to the host is one element.

Backward: a padding that repeats elements sums their gradients, one pointwise FLOP for each; what
only arranged or copied is copied back.

Indexed reads and writes are in `indexing`.
"""

from __future__ import annotations

from zoo.analysis.costs.base import Specs, table, written_bytes
from zoo.analysis.costs.common import each, elements, streamed, with_in_place
from zoo.analysis.records import Cost, TensorSpec


def moved(inputs: Specs, outputs: Specs) -> Cost:
    """Reads all operands, writes all results.

    >>> moved((TensorSpec((2, 3)), TensorSpec((1, 3))), (TensorSpec((3, 3)),))
    Cost(macs=0, flops=0, bytes_read=36, bytes_written=36)
    """
    return streamed(inputs, outputs)


def copied_over(inputs: Specs, outputs: Specs) -> Cost:
    """Reads the second operand, writes over the first.

    >>> copy = (TensorSpec((2, 3)), TensorSpec((3,), "float16"))
    >>> copied_over(copy, copy[:1])
    Cost(macs=0, flops=0, bytes_read=6, bytes_written=24)
    """
    return streamed(inputs[1:2], outputs[:1] or inputs[:1])


def view_copied(inputs: Specs, outputs: Specs) -> Cost:  # noqa: ARG001
    """Reads as much as it writes, however large its operand is.

    >>> view_copied((TensorSpec((100, 3)),), (TensorSpec((3,)),))
    Cost(macs=0, flops=0, bytes_read=12, bytes_written=12)
    """
    size = written_bytes(outputs)
    return Cost(bytes_read=size, bytes_written=size)


def to_host(inputs: Specs, outputs: Specs) -> Cost:  # noqa: ARG001
    """One element read, for `.item()` and `bool()`.

    >>> to_host((TensorSpec((), "int64"),), ())
    Cost(macs=0, flops=0, bytes_read=8, bytes_written=0)
    """
    return Cost(bytes_read=TensorSpec((), inputs[0].dtype).nbytes)


def folded(inputs: Specs, outputs: Specs) -> Cost:
    """Sums overlapping windows back into an image: one FLOP for each element read.

    >>> folded((TensorSpec((1, 9, 4)),), (TensorSpec((1, 1, 4, 4)),)).flops
    36
    """
    return streamed(inputs, outputs, flops=elements(inputs))


def unpadded(inputs: Specs, outputs: Specs) -> Cost:
    """Sums what a padding repeated: one FLOP for each element of grad; x only lends its form.

    >>> unpadded((TensorSpec((1, 6)), TensorSpec((1, 4))), (TensorSpec((1, 4)),))
    Cost(macs=0, flops=6, bytes_read=24, bytes_written=16)
    """
    return streamed(inputs[:1], outputs, flops=elements(inputs[:1]))


def copied_back(inputs: Specs, outputs: Specs) -> Cost:
    """Reads grad, writes it; other operands only lend their form.

    >>> copied_back((TensorSpec((4,)), TensorSpec((4,))), (TensorSpec((4,)),))
    Cost(macs=0, flops=0, bytes_read=16, bytes_written=16)
    """
    return streamed(inputs[:1], outputs)


_COPIES = """
    clone copy _conj_copy _copy_from _copy_from_and_resize _make_dual_copy _fw_primal_copy
    _neg_view_copy _pin_memory _to_copy lift_fresh_copy to_mkldnn to_dense _to_dense to_sparse
    _to_sparse to_sparse_csr _to_sparse_csr to_sparse_csc _to_sparse_csc to_sparse_bsr
    _to_sparse_bsr to_sparse_bsc _to_sparse_bsc _to_sparse_semi_structured int_repr
    mkldnn_reorder_conv2d_weight mkldnn_reorder_conv3d_weight _mkldnn_reshape
    _cudnn_rnn_flatten_weight _convert_weight_to_int4pack _convert_weight_to_int4pack_for_cpu
    _dyn_quant_pack_4bit_weight _cslt_compress _make_per_tensor_quantized_tensor
    _make_per_channel_quantized_tensor
"""
_JOINS = """
    cat concat concatenate stack _stack hstack vstack dstack column_stack row_stack _chunk_cat
    block_diag combinations cartesian_prod pad_sequence flatten_dense_tensors
"""
_ARRANGEMENTS = """
    channel_shuffle native_channel_shuffle constant_pad_nd pad _pad_circular _pad_enum diag
    diag_embed diagflat fft_fftshift fft_ifftshift flip fliplr flipud im2col pixel_shuffle
    pixel_unshuffle reflection_pad1d reflection_pad2d reflection_pad3d repeat replication_pad1d
    replication_pad2d replication_pad3d roll rot90 tile lu_unpack unfold_copy one_hot
    _pack_padded_sequence _pad_packed_sequence view_as_complex_copy view_as_real_copy
    _convert_indices_from_coo_to_csr _convert_indices_from_csr_to_coo
"""
_VIEW_COPIES = """
    alias_copy as_strided_copy ccol_indices_copy col_indices_copy crow_indices_copy detach_copy
    diagonal_copy expand_copy indices_copy _indices_copy narrow_copy permute_copy
    _reshape_alias_copy _reshape_copy row_indices_copy select_copy slice_copy split_copy
    split_with_sizes_copy squeeze_copy t_copy transpose_copy unbind_copy unsqueeze_copy values_copy
    _values_copy view_copy _nested_get_values_copy _nested_view_from_buffer_copy
    _nested_view_from_jagged_copy _sparse_broadcast_to_copy
"""
_NESTED = """
    _nested_from_padded _nested_from_padded_tensor _nested_tensor_from_mask
    _nested_tensor_from_mask_left_aligned _nested_tensor_from_tensor_list _nested_tensor_size
    _nested_tensor_strides _nested_tensor_storage_offsets _nested_compute_contiguous_strides_offsets
    _jagged_to_padded_dense_forward _padded_dense_to_jagged_forward nested_to_padded_tensor
    to_padded_tensor
"""

FORMULAS = table(
    each(_COPIES, moved),
    each(_JOINS, moved),
    each(_ARRANGEMENTS, moved),
    with_in_place("tril triu", moved),
    each(_NESTED, moved),
    each("cat cat_relu", moved, "quantized"),
    each(_VIEW_COPIES, view_copied),
    each("copy_ copy_sparse_to_sparse_", copied_over),
    each("_local_scalar_dense item is_nonzero", to_host),
    each("col2im", folded),
    each("reflection_pad1d_backward reflection_pad2d_backward", unpadded),
    each("reflection_pad3d_backward replication_pad1d_backward", unpadded),
    each("replication_pad2d_backward replication_pad3d_backward", unpadded),
    each("to_dense_backward to_mkldnn_backward _sparse_sum_backward", copied_back),
    each("_pack_padded_sequence_backward _nested_sum_backward", copied_back),
    each("masked_scatter_backward", moved),
)
"""Copies and rearrangements."""
