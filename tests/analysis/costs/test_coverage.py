"""No operator of a training step is without a formula, and no formula without an operator."""

from __future__ import annotations

import pytest
import torch
import torchvision
from torch import nn
from torch.nn import functional as F
from torch.utils._pytree import tree_leaves

from zoo.analysis.costs import DEFAULT, formula_of

WITHOUT_A_FORMULA = {
    "number of non-zeros unknown": """
        _sparse_addmm _sparse_mm _sparse_mm_reduce_impl _sparse_sparse_matmul _spsolve hspmm smm
        sparse_sampled_addmm sspaddmm sparse_mask _sparse_mask_projection _spdiags
        _sparse_mm_reduce_impl_backward
        copy_sparse_to_sparse _coalesce _coalesced _coalesced_
    """,
    "makes or resizes a sparse tensor": """
        _sparse_bsc_tensor_unsafe _sparse_bsr_tensor_unsafe _sparse_compressed_tensor_unsafe
        _sparse_compressed_tensor_with_dims _sparse_coo_tensor_unsafe _sparse_coo_tensor_with_dims
        _sparse_coo_tensor_with_dims_and_tensors _sparse_csc_tensor_unsafe
        _sparse_csr_tensor_unsafe sparse_bsc_tensor sparse_bsr_tensor sparse_compressed_tensor
        sparse_coo_tensor sparse_csc_tensor sparse_csr_tensor resize_as_sparse resize_as_sparse_
        sparse_resize_and_clear sparse_resize_and_clear_ _sparse_semi_structured_apply
        _sparse_semi_structured_apply_dense _sparse_semi_structured_tile _rowwise_prune
        _validate_sparse_bsc_tensor_args _validate_sparse_bsr_tensor_args
        _validate_sparse_csc_tensor_args _validate_sparse_csr_tensor_args
    """,
    "number of steps or their order depends on values or a search": """
        _compute_linear_combination linalg_matrix_exp matrix_exp linalg_matrix_sqrth linalg_polar
        linalg_matrix_power matrix_power chain_matmul linalg_multi_dot _cslt_sparse_mm_search
        matrix_exp_backward
    """,
    "composite, taken apart before it is seen": """
        corrcoef cov gradient istft linalg_cond linalg_matrix_rank linalg_tensorinv
        linalg_tensorsolve nuclear_norm cumprod_backward
        _convolution_double_backward _gather_sparse_backward
    """,
    "packed weights do not tell their size": """
        _wrapped_linear_prepack _wrapped_quantized_linear_prepacked fbgemm_linear_fp16_weight
        fbgemm_linear_fp16_weight_fp32_activation fbgemm_linear_int8_weight
        fbgemm_linear_int8_weight_fp32_activation fbgemm_linear_quantize_weight
        fbgemm_pack_gemm_matrix_fp16 fbgemm_pack_quantized_matrix quantized_gru quantized_lstm
        _saturate_weight_to_fp16
    """,
    "starts a backward pass, which is seen itself": """
        _backward get_gradients
    """,
    "of forward-mode differentiation": """
        glu_jvp glu_backward_jvp
    """,
    "belongs to another engine": """
        _propagate_xla_data _add_batch_dim _remove_batch_dim
        _sobol_engine_ff_ _sobol_engine_initialize_state_ _sobol_engine_scramble_
        _philox_key_fold_in _philox_key_split _nested_from_padded_and_nested_example
        _cufft_clear_plan_cache _cufft_get_plan_cache_max_size _cufft_get_plan_cache_size
        _cufft_set_plan_cache_max_size
    """,
}
EXCUSED = {name for names in WITHOUT_A_FORMULA.values() for name in names.split()}


def packets() -> set[str]:
    """All operators of torch and torchvision, with and without their overloads."""
    names = {name.replace("::", ".", 1) for name in torch._C._dispatch_get_all_op_names()}
    assert torchvision.ops is not None
    whole = {name if name.count(".") == 2 else f"{name}.default" for name in names}
    return whole | {name.rpartition(".")[0] for name in whole}


def operators() -> list[str]:
    """Every `aten.name.overload`, forward, backward or optimizer, that is not an `out` variant."""
    return sorted(
        f"{name}.default" if name.count(".") == 1 else name
        for name in (raw.replace("::", ".", 1) for raw in torch._C._dispatch_get_all_op_names())
        if name.startswith("aten.")
        and not name.endswith("out")
        and "_test_" not in name
        and name != "aten._foobar"
    )


def test_every_operator_has_a_formula_or_an_excuse():
    bare = {name.split(".")[1] for name in operators() if formula_of(name, DEFAULT) is None}
    assert bare - EXCUSED == set()


def test_an_excuse_that_is_not_needed_is_none():
    bare = {name.split(".")[1] for name in operators() if formula_of(name, DEFAULT) is None}
    assert EXCUSED - bare == set()


def test_no_formula_is_for_an_operator_that_is_not_there():
    higher_order = {"higher_order.flex_attention"}
    assert set(DEFAULT) - packets() - higher_order == set()


IMAGE, TOKENS = (2, 4, 16, 16), (2, 6)
MODULES = {
    "linear": (lambda: nn.Linear(16, 4), IMAGE),
    "bilinear": (lambda: nn.Bilinear(16, 16, 3), (2, 16)),
    "conv": (lambda: nn.Conv2d(4, 6, 3, padding="same", padding_mode="reflect"), IMAGE),
    "transposed": (lambda: nn.ConvTranspose2d(4, 6, 3, stride=2), IMAGE),
    "batch norm": (lambda: nn.BatchNorm2d(4), IMAGE),
    "instance norm": (lambda: nn.InstanceNorm2d(4, affine=True), IMAGE),
    "group norm": (lambda: nn.GroupNorm(2, 4), IMAGE),
    "layer norm": (lambda: nn.LayerNorm(16), IMAGE),
    "rms norm": (lambda: nn.RMSNorm(16), IMAGE),
    "response norm": (lambda: nn.LocalResponseNorm(3), IMAGE),
    "weight norm": (lambda: nn.utils.parametrizations.weight_norm(nn.Linear(16, 4)), IMAGE),
    "pools": (
        lambda: nn.Sequential(
            nn.MaxPool2d(2), nn.AvgPool2d(2), nn.AdaptiveAvgPool2d(2), nn.AdaptiveMaxPool2d(1)
        ),
        IMAGE,
    ),
    "norm pool": (lambda: nn.LPPool2d(2, 2), IMAGE),
    "activations": (
        lambda: nn.Sequential(
            nn.ReLU(inplace=True),
            nn.GELU(),
            nn.SiLU(),
            nn.ELU(),
            nn.PReLU(),
            nn.Softplus(),
            nn.Hardswish(),
            nn.Mish(),
            nn.LeakyReLU(),
            nn.Tanhshrink(),
            nn.LogSigmoid(),
            nn.GLU(),
            nn.Softmax(-1),
            nn.LogSoftmax(-1),
            nn.Softmin(-1),
            nn.RReLU(),
            nn.SELU(),
            nn.Hardtanh(),
        ),
        IMAGE,
    ),
    "dropouts": (
        lambda: nn.Sequential(
            nn.Tanh(), nn.Dropout(), nn.Dropout2d(), nn.AlphaDropout(), nn.FeatureAlphaDropout()
        ),
        IMAGE,
    ),
    "upsampling": (
        lambda: nn.Sequential(
            nn.Upsample(scale_factor=2),
            nn.UpsamplingBilinear2d(scale_factor=2),
            nn.Upsample(scale_factor=2, mode="bicubic"),
            nn.Upsample(size=8, mode="nearest-exact"),
        ),
        IMAGE,
    ),
    "pads": (
        lambda: nn.Sequential(
            nn.ReflectionPad2d(1), nn.ReplicationPad2d(1), nn.ZeroPad2d(1), nn.CircularPad2d(1)
        ),
        IMAGE,
    ),
    "shuffles": (
        lambda: nn.Sequential(nn.PixelShuffle(2), nn.PixelUnshuffle(2), nn.ChannelShuffle(2)),
        IMAGE,
    ),
    "fold": (lambda: nn.Sequential(nn.Unfold(2, stride=2), nn.Fold(16, 2, stride=2)), IMAGE),
    "lstm": (lambda: nn.LSTM(16, 8, 2, bidirectional=True, proj_size=4, dropout=0.1), (3, 2, 16)),
    "gru": (lambda: nn.GRU(16, 8, 2), (3, 2, 16)),
    "rnn": (lambda: nn.RNN(16, 8, nonlinearity="relu"), (3, 2, 16)),
    "cells": (lambda: nn.Sequential(nn.GRUCell(16, 8), nn.RNNCell(8, 4)), (2, 16)),
    "encoder": (
        lambda: nn.TransformerEncoder(
            nn.TransformerEncoderLayer(16, 2, 32, batch_first=True), 2, enable_nested_tensor=False
        ),
        (2, 6, 16),
    ),
    "vision transformer": (
        lambda: torchvision.models.VisionTransformer(16, 8, 1, 2, 16, 32),
        (1, 3, 16, 16),
    ),
    "swin": (torchvision.models.swin_v2_t, (1, 3, 64, 64)),
    "densenet": (torchvision.models.densenet121, (1, 3, 64, 64)),
    "shufflenet": (torchvision.models.shufflenet_v2_x0_5, (1, 3, 64, 64)),
    "efficientnet": (torchvision.models.efficientnet_b0, (1, 3, 64, 64)),
    "convnext": (torchvision.models.convnext_tiny, (1, 3, 64, 64)),
    "maxvit": (
        lambda: torchvision.models.MaxVit((64, 64), 8, 2, [8], [1], 8, stochastic_depth_prob=0.1),
        (1, 3, 64, 64),
    ),
    "segmentation": (
        lambda: torchvision.models.segmentation.lraspp_mobilenet_v3_large(weights_backbone=None),
        (2, 3, 64, 64),
    ),
    "video": (torchvision.models.video.r3d_18, (1, 3, 8, 32, 32)),
}


@pytest.mark.parametrize("name", MODULES)
def test_no_operator_of_a_model_is_unknown(name, observe):
    make, shape = MODULES[name]
    model = make().to("meta").eval()
    x = torch.empty(shape, device="meta")
    seen = observe(lambda: model(*[x] * (2 if name == "bilinear" else 1)))
    assert seen
    assert {s.op for s in seen if s.cost is None} == set()


@pytest.mark.parametrize("name", MODULES)
def test_no_operator_of_a_training_step_is_unknown(name, observe_training):
    make, shape = MODULES[name]
    model = make().to("meta").train()
    x = torch.empty(shape, device="meta", requires_grad=True)
    xs = [x * 1] * (2 if name == "bilinear" else 1)  # so that a model may work in place

    def step() -> None:
        result = model(*xs)
        tensors = [one for one in tree_leaves(result) if isinstance(one, torch.Tensor)]
        torch.autograd.backward([one.sum() for one in tensors])

    seen = observe_training(step)
    assert x.grad is not None
    assert {s.op for s in seen if s.cost is None} == set()


def embeddings(ids):
    nn.Embedding(9, 4, device="meta")(ids)
    nn.EmbeddingBag(9, 4, device="meta")(ids)
    F.one_hot(ids, 9)


def losses(x, y):
    logits, labels = x.flatten(1), torch.zeros(2, dtype=torch.long, device="meta")
    for loss in (
        F.mse_loss,
        F.l1_loss,
        F.huber_loss,
        F.smooth_l1_loss,
        F.soft_margin_loss,
    ):
        loss(x, y)
    F.binary_cross_entropy_with_logits(x, y)
    F.kl_div(x, y, reduction="batchmean")
    F.cross_entropy(logits, labels, label_smoothing=0.1)
    F.triplet_margin_loss(logits, logits, logits)
    F.cosine_similarity(logits, logits)


def indexing(x, ids):
    x[:, ids]
    x[ids] = 0.0
    x.index_add_(0, ids[0, :1] * 0, x[:1])
    x.gather(0, torch.zeros_like(x, dtype=torch.long))
    torch.zeros_like(x).scatter_add(0, torch.zeros_like(x, dtype=torch.long), x)
    x.masked_fill(x > 0, -1.0).tril_().roll(1, 0).flip(-1)
    torch.where(x > 0, x, 0).cumsum(-1).topk(2, -1)
    x.sort(-1)
    torch.searchsorted(torch.arange(9.0, device="meta"), x)


def spectra(x):
    torch.fft.irfft2(torch.fft.rfft2(x))
    torch.fft.fftn(x).abs().square().sum()
    torch.stft(x.flatten(1), 16, window=torch.hann_window(16, device="meta"), return_complex=True)


def algebra(x):
    square = x @ x.mT + torch.eye(16, device="meta")
    torch.linalg.cholesky(square)
    torch.linalg.solve(square, x)
    torch.linalg.qr(x)
    torch.linalg.svdvals(x)
    torch.linalg.eigh(square)
    torch.linalg.inv(square)
    torch.linalg.det(square)
    torch.cdist(x, x)


def spatial(x):
    theta = torch.empty(2, 2, 3, device="meta")
    F.grid_sample(x, F.affine_grid(theta, [2, 4, 8, 8], align_corners=False), align_corners=False)
    rois = torch.empty(3, 5, device="meta")
    torchvision.ops.roi_align(x, rois, 3, sampling_ratio=2)
    torchvision.ops.ps_roi_align(x, rois, 2)
    torchvision.ops.deform_conv2d(
        x, torch.empty(2, 18, 14, 14, device="meta"), torch.empty(4, 4, 3, 3, device="meta")
    )


CALLS = {
    "embeddings": lambda x, ids: embeddings(ids),
    "losses": lambda x, ids: losses(x, x),
    "indexing": indexing,
    "spectra": lambda x, ids: spectra(x),
    "algebra": lambda x, ids: algebra(x),
    "spatial": lambda x, ids: spatial(x),
    "lists": lambda x, ids: torch._foreach_add_([x, x], [x, x]),
}


@pytest.mark.parametrize("name", CALLS)
def test_no_operator_of_a_call_is_unknown(name, observe):
    x = torch.empty(IMAGE, device="meta")
    ids = torch.zeros(TOKENS, dtype=torch.long, device="meta")
    seen = observe(lambda: CALLS[name](x, ids))
    assert seen
    assert {s.op for s in seen if s.cost is None} == set()


def surfaces(x, ids):
    loss = F.interpolate(x, scale_factor=0.5, mode="bilinear", antialias=True).sum()
    loss += F.interpolate(x, scale_factor=0.5, mode="bicubic", antialias=True).sum()
    theta = torch.zeros(2, 2, 3, requires_grad=True)
    grid = F.affine_grid(theta, [2, 4, 8, 8], align_corners=False)
    loss += F.grid_sample(x, grid, align_corners=False).sum()
    rois = torch.tensor([[0.0, 1, 1, 9, 9], [1, 2, 2, 8, 8]])
    for pool in (torchvision.ops.roi_align, torchvision.ops.roi_pool):
        loss += pool(x, rois, 3).sum()
    for pool in (torchvision.ops.ps_roi_align, torchvision.ops.ps_roi_pool):
        loss += pool(x, rois, 2).sum()
    offset = torch.zeros(2, 18, 14, 14, requires_grad=True)
    weight = torch.zeros(4, 4, 3, 3, requires_grad=True)
    return loss + torchvision.ops.deform_conv2d(x, offset, weight).sum()


def regressions(x, ids):
    y = torch.zeros_like(x)
    losses = [F.mse_loss, F.l1_loss, F.huber_loss, F.smooth_l1_loss, F.soft_margin_loss]
    loss = (
        sum(one(x, y) for one in losses)
        + F.kl_div(x, y, reduction="sum")
        + F.cosine_similarity(x, y).sum()
    )
    loss += F.binary_cross_entropy(x.sigmoid(), y) + F.binary_cross_entropy_with_logits(x, y)
    return loss + torch.cdist(x, y).sum() + torch.pdist(x.flatten(1)).sum()


def classifications(x, ids):
    labels = torch.zeros(2, dtype=torch.long)
    logits = x.flatten(1)
    loss = F.cross_entropy(logits, labels, label_smoothing=0.1) + F.nll_loss(logits, labels)
    loss += F.cross_entropy(x, torch.zeros(2, 16, 16, dtype=torch.long))
    loss += F.multi_margin_loss(logits, labels)
    loss += F.multilabel_margin_loss(logits, torch.zeros_like(logits, dtype=torch.long))
    paths = F.log_softmax(x[:, 0].transpose(0, 1), -1)
    long = torch.full((2,), 16)
    return loss + F.ctc_loss(paths, torch.ones(2, 3, dtype=torch.long), long, labels + 3)


def selections(x, ids):
    chosen = [x[:, 1], x[:, 1:3], x[:, :, ids], x[x > 0], x.diagonal(dim1=-1, dim2=-2)]
    chosen += [x.amax(-1), x.max(-1).values, x.sort(-1).values, x.topk(2).values, x.median()]
    chosen += [x.gather(0, torch.zeros_like(x, dtype=torch.long)), x.unfold(-1, 4, 2)]
    chosen += [x.masked_fill(x > 0, 0.0), x.index_select(1, ids[0] * 0), x.cummax(-1).values]
    chosen += [x.cumsum(-1), x.cumprod(-1), x.prod(-1), x.var(), x.norm(), x.logsumexp(-1)]
    chosen += [x.clamp(0, 1), x.flip(-1).roll(1, -1), F.embedding(ids, x[0, 0])]
    chosen += [F.embedding_bag(ids, x[0, 0], mode="mean"), x[0, 0].trace()]
    return sum(one.sum() for one in chosen)


def spectra_and_algebra(x, ids):
    square = x @ x.mT + torch.eye(16)
    loss = torch.fft.irfft2(torch.fft.rfft2(x)).sum()
    loss += torch.linalg.cholesky(square).sum() + torch.linalg.inv(square).sum()
    return loss + torch.linalg.solve(square, x).sum() + torch.linalg.det(square).sum()


BACKWARDS = [surfaces, regressions, classifications, selections, spectra_and_algebra]


@pytest.mark.parametrize("call", BACKWARDS, ids=lambda call: call.__name__)
def test_no_operator_of_the_backward_of_a_call_is_unknown(call, observe_training):
    """On the CPU, with data: many of these search."""
    x = torch.rand(IMAGE, generator=torch.Generator().manual_seed(0)).requires_grad_()
    ids = torch.arange(12).reshape(TOKENS) % 4
    seen = observe_training(lambda: call(x, ids).backward())
    assert x.grad is not None
    assert {s.op for s in seen if s.cost is None} == set()
