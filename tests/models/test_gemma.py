"""Gemma: transformers' outputs and counts, capped scores, windows, refusals."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch

from zoo.models.gemma import capped, gemma
from zoo.models.gemma_config import GemmaConfig

SMALL = {
    "vocab_size": 50,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "attn_implementation": "eager",
}


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("Gemma", {}),
        ("Gemma2", {"sliding_window": 4, "query_pre_attn_scalar": 6}),
        ("Gemma2", {"attn_logit_softcapping": 2.0, "final_logit_softcapping": 3.0}),
        ("Gemma2", {"attn_logit_softcapping": None, "final_logit_softcapping": None}),
    ],
)
def test_the_outputs_of_transformers(kind: str, settings: dict[str, Any]) -> None:
    import transformers

    torch.manual_seed(0)
    config = getattr(transformers, f"{kind}Config")(**SMALL, **settings)
    model = getattr(transformers, f"{kind}ForCausalLM")(config).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    ours = gemma(json.loads(config.to_json_string(use_diff=False))).eval()
    ours.load_state_dict(model.state_dict())
    ids = torch.randint(50, (2, 11))
    with torch.no_grad():
        expected, found = model(ids).logits, ours(ids)
    assert expected.std() > 0.1
    torch.testing.assert_close(found, expected, atol=2e-5, rtol=1e-5)


def test_a_cap_is_never_reached_and_leaves_small_scores() -> None:
    scores = torch.tensor([-1000.0, -0.01, 0.0, 0.01, 1000.0])
    found = capped(scores, 5.0)
    assert found.abs().max() <= 5.0
    torch.testing.assert_close(found[1:4], scores[1:4], atol=1e-6, rtol=0.0)
    assert capped(scores, None) is scores


def test_every_other_block_sees_a_window() -> None:
    config = GemmaConfig(50, 16, 24, 4, 4, 2, sliding_window=4)
    assert [config.window(layer) for layer in range(4)] == [4, None, 4, None]


def test_a_token_sees_its_window_only() -> None:
    torch.manual_seed(0)
    model = gemma(num_hidden_layers=1, sliding_window=3).eval()
    ids = torch.randint(256, (1, 8))
    other = ids.clone()
    other[0, 4] = (ids[0, 4] + 1) % 256
    with torch.no_grad():
        changed = (model(ids) != model(other)).any(-1)[0]
    assert changed.tolist() == [False] * 4 + [True] * 3 + [False]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_key_value_heads": 3}, "num_attention_heads is 4, which num_key_value_heads, 3"),
        ({"head_dim": 7}, "head_dim is 7; a rotary embedding wants an even one"),
        ({"torch_dtype": "int8"}, "torch_dtype is 'int8'"),
        ({"layer_types": ["full_attention", "sliding"]}, "layer_types has 'sliding'; it knows"),
        ({"attn_logit_softcapping": 0.0}, "attn_logit_softcapping is 0.0; it wants a number above"),
        ({"rope_theta": -1.0}, "rope_theta is -1.0; it wants a number above 0"),
        ({"layer_types": ["full_attention"]}, "layer_types has 1 layers, not 2"),
    ],
)
def test_a_setting_that_does_not_fit_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        gemma(**settings)


def test_another_head_is_refused() -> None:
    with pytest.raises(ValueError, match="GemmaForSequenceClassification; only models for causal"):
        gemma({"model_type": "gemma", "architectures": ["GemmaForSequenceClassification"]})


def test_another_activation_is_refused() -> None:
    with pytest.raises(ValueError, match="hidden_activation is 'silu'"):
        gemma({"model_type": "gemma", "hidden_activation": "silu"})
