"""Mixtures of experts: transformers' outputs and counts, closed forms, refusals."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import torch

import zoo
from zoo.models.llama import MLP, Llama
from zoo.models.mixture import Mixture, mixture
from zoo.models.mixture_config import MixtureConfig

if TYPE_CHECKING:
    from collections.abc import Mapping

SMALL = {
    "vocab_size": 50,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "attn_implementation": "eager",
}


def theirs(kind: str, **settings: Any) -> tuple[Any, Mapping[str, object]]:
    """A model of transformers with weights of its own, and its config.json."""
    import transformers

    torch.manual_seed(0)
    config = getattr(transformers, f"{kind}Config")(**SMALL, **settings)
    model = getattr(transformers, f"{kind}ForCausalLM")(config).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model, json.loads(config.to_json_string(use_diff=False))


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("Mixtral", {"num_local_experts": 4}),
        ("Mixtral", {"num_local_experts": 5, "num_experts_per_tok": 3}),
        ("Qwen3Moe", {"num_experts": 9, "moe_intermediate_size": 12, "head_dim": 6}),
        (
            "Qwen3Moe",
            {
                "num_experts": 6,
                "num_experts_per_tok": 2,
                "moe_intermediate_size": 12,
                "norm_topk_prob": True,
                "mlp_only_layers": [1],
            },
        ),
    ],
)
def test_the_outputs_of_transformers(kind: str, settings: dict[str, Any]) -> None:
    model, config = theirs(kind, **settings)
    ours = mixture(config).eval()
    ours.load_state_dict(model.state_dict())
    ids = torch.randint(50, (2, 11))
    with torch.no_grad():
        expected, found = model(ids).logits, ours(ids)
    assert expected.std() > 0.1
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_gradients_reach_router_and_experts() -> None:
    torch.manual_seed(0)
    model = mixture()
    model(torch.randint(256, (2, 16))).logsumexp(-1).sum().backward()
    block = model.get_submodule("model.layers.0.mlp")
    assert isinstance(block, Mixture)
    for parameter in block.parameters():
        assert parameter.grad is not None
        assert parameter.grad.abs().sum() > 0


def test_a_token_s_experts_and_no_others_are_computed() -> None:
    torch.manual_seed(0)
    block = Mixture(8, MixtureConfig(5, 2, 12), torch.float32)
    x = torch.randn(1, 7, 8)
    shares, chosen = block.routes(x[0])
    up, down = block.experts.gate_up_proj, block.experts.down_proj
    expected = torch.zeros(7, 8)
    for token in range(7):
        for share, expert in zip(shares[token], chosen[token], strict=True):
            gate, wide = (up[expert] @ x[0, token]).chunk(2)
            expected[token] += share * (down[expert] @ (torch.nn.functional.silu(gate) * wide))
    torch.testing.assert_close(block(x)[0], expected, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(shares.sum(-1), torch.ones(7))


@pytest.mark.parametrize(("experts", "per_token"), [(4, 1), (4, 3), (16, 3)])
def test_macs_are_those_of_the_experts_that_a_token_meets(experts: int, per_token: int) -> None:
    settings = {"num_experts": experts, "num_experts_per_tok": per_token}
    report = zoo.summary("mixtral", "3,10@ints:256", arguments=settings)
    (row,) = [row for row in report.rows if row["path"] == "model.layers.0.mlp"]
    assert row["macs"] == 30 * (64 * experts + per_token * 3 * 64 * 176)
    assert row["parameters"] == 64 * experts + experts * 3 * 64 * 176
    assert report.totals["uncounted"] == []


def test_a_block_without_experts_has_a_plain_mlp() -> None:
    model = mixture(num_hidden_layers=4, decoder_sparse_step=2)
    assert isinstance(model, Llama)
    kinds = [type(model.get_submodule(f"model.layers.{at}.mlp")) for at in range(4)]
    assert kinds == [MLP, Mixture, MLP, Mixture]


def test_a_token_cannot_meet_more_experts_than_there_are() -> None:
    with pytest.raises(ValueError, match="num_experts_per_tok is 9, more than num_experts, 4"):
        mixture(num_experts_per_tok=9)


def test_another_architecture_is_refused() -> None:
    with pytest.raises(ValueError, match="model_type is 'deepseek_v3'; known: mixtral, qwen3_moe"):
        mixture({"model_type": "deepseek_v3"})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"norm_topk_prob": False}, "norm_topk_prob is False, which a mixtral does not have"),
        ({"torch_dtype": "float64"}, "experts are float32, bfloat16 or float16"),
        ({"moe_intermediate_size": 13}, "moe_intermediate_size is 13; experts in float32 want a"),
        (
            {"hidden_size": 68, "head_dim": 16, "torch_dtype": "bfloat16"},
            "hidden_size is 68; experts in bfloat16 want a multiple of 8",
        ),
        ({"num_experts": 0}, "num_experts is 0; it wants a whole number from 1 up"),
    ],
)
def test_what_experts_cannot_be_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        mixture(**settings)


@pytest.mark.parametrize(("dtype", "width"), [("float32", 12), ("bfloat16", 8), ("float16", 24)])
@pytest.mark.parametrize("shape", [(1, 1), (2, 7)])
def test_what_is_not_refused_runs(dtype: str, width: int, shape: tuple[int, int]) -> None:
    model = mixture(torch_dtype=dtype, moe_intermediate_size=width)
    logits = model(torch.randint(256, shape))
    assert logits.isfinite().all()
    assert logits.dtype == getattr(torch, dtype)
