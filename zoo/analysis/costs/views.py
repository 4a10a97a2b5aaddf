"""Which operators do no work on the data?

Views, questions about a tensor's form, assertions, allocations and a profiler's marks: zero MACs,
FLOPs and bytes. That is a known zero, not an unknown one. An operator that makes a view or a copy,
as the need may be (`reshape`, `contiguous`, `to`), costs a copy where its result has another type
or device than its operand and nothing otherwise; a `reshape` that has to copy reaches the tracer as
`clone` below autograd.
"""

from __future__ import annotations

from zoo.analysis.costs.base import Specs, table
from zoo.analysis.costs.common import each, streamed, with_in_place
from zoo.analysis.records import Cost, TensorSpec  # noqa: F401 - for the doctests


def free(inputs: Specs, outputs: Specs) -> Cost:  # noqa: ARG001
    """Nothing.

    >>> free((TensorSpec((2, 3)),), (TensorSpec((6,)),))
    Cost(macs=0, flops=0, bytes_read=0, bytes_written=0)
    """
    return Cost()


def view_or_conversion(inputs: Specs, outputs: Specs) -> Cost:
    """Nothing, or a copy where the result has another type or device.

    >>> view_or_conversion((TensorSpec((4,)),), (TensorSpec((2, 2)),)).bytes_read
    0
    >>> view_or_conversion((TensorSpec((4,)),), (TensorSpec((4,), "float16"),))
    Cost(macs=0, flops=0, bytes_read=16, bytes_written=8)
    """
    if not inputs or not outputs:
        return Cost()
    before, after = inputs[0], outputs[0]
    same = before.dtype == after.dtype and before.device == after.device
    return Cost() if same else streamed(inputs[:1], outputs[:1])


_VIEWS = """
    _conj _fw_primal _indices _make_dual _neg_view _nested_get_values _nested_view_from_buffer
    _nested_view_from_jagged _reshape_alias _sparse_broadcast_to _unpack_dual _unsafe_view _values
    adjoint alias as_strided atleast_1d atleast_2d atleast_3d broadcast_tensors broadcast_to
    ccol_indices chunk col_indices conj crow_indices data detach diagonal dsplit expand expand_as
    flatten hsplit imag indices lift lift_fresh linalg_diagonal mH mT matrix_H meshgrid moveaxis
    movedim narrow numpy_T permute ravel real reshape_as resolve_conj resolve_neg row_indices select
    set set_ set_data slice slice_inverse split split_with_sizes squeeze swapaxes swapdims t
    tensor_split transpose unbind unflatten unflatten_dense_tensors unfold unsafe_chunk unsafe_split
    unsafe_split_with_sizes unsqueeze values view view_as view_as_complex view_as_real vsplit
    _mkldnn_transpose _lazy_clone shallow_copy_data_
"""
_IN_PLACE_VIEWS = """
    as_strided_ detach_ squeeze_ swapaxes_ swapdims_ t_ transpose_ unsqueeze_ _mkldnn_transpose_
"""
_QUESTIONS = """
    sym_size sym_numel sym_stride sym_storage_offset sym_is_contiguous size stride storage_offset
    numel dim is_contiguous is_complex is_conj is_floating_point is_inference is_leaf is_neg
    is_signed is_pinned is_same_size is_set_to is_coalesced is_distributed _is_zerotensor dense_dim
    sparse_dim _dimI _dimV _nnz get_device result_type promote_types can_cast output_nr _version
    retains_grad requires_grad_ retain_grad _has_compatible_shallow_copy_type
    _has_same_storage_numel _debug_has_internal_overlap _shape_as_tensor _reshape_from_tensor
    qscheme q_scale q_zero_point q_per_channel_axis q_per_channel_scales q_per_channel_zero_points
    _fused_sdp_choice _use_cudnn_ctc_loss _use_miopen_ctc_loss _use_cudnn_rnn_flatten_weight
    cudnn_is_acceptable _nnpack_available is_vulkan_available _nested_get_offsets
    _nested_get_lengths _nested_get_ragged_idx _nested_get_min_seqlen _nested_get_max_seqlen
    _nested_get_jagged_dummy
"""
_ASSERTIONS = """
    _assert_async _assert_scalar _assert_tensor_metadata _functional_assert_async
    _functional_assert_scalar sym_constrain_range sym_constrain_range_for_size
    _functional_sym_constrain_range _functional_sym_constrain_range_for_size _make_dep_token _print
    _linalg_check_errors record_stream _cudnn_init_dropout_state _validate_sparse_coo_tensor_args
    _validate_sparse_compressed_tensor_args _validate_compressed_sparse_indices
"""
_MARKS = """
    _record_function_enter _record_function_enter_new _record_function_exit
"""
_ALLOCATIONS = """
    empty empty_like empty_permuted empty_quantized empty_strided new_empty new_empty_strided
    _empty_affine_quantized _empty_per_channel_affine_quantized _efficientzerotensor
"""

FORMULAS = table(
    each(_VIEWS, free),
    each(_IN_PLACE_VIEWS, free),
    each(_QUESTIONS, free),
    each(_ASSERTIONS, free),
    each(_ALLOCATIONS, free),
    with_in_place("resize resize_as _resize_output sparse_resize", free),
    each(_MARKS, free, "profiler"),
    each("_autocast_to_full_precision _autocast_to_reduced_precision", view_or_conversion),
    each("to type_as contiguous reshape pin_memory coalesce _to_cpu", view_or_conversion),
    each("_cast_Byte _cast_Char _cast_Double _cast_Float _cast_Half", view_or_conversion),
    each("_cast_Int _cast_Long _cast_Short chalf", view_or_conversion),
)
"""Views, questions, assertions and allocations."""
