"""The Llama family: published counts, outputs of transformers' classes, closed forms, refusals."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

import zoo
from zoo.analysis.skeleton import skeleton
from zoo.catalog import resolve
from zoo.errors import BuildError
from zoo.models.llama import Llama, RMSNorm, llama
from zoo.models.llama_config import CLASSES, LlamaConfig, read
from zoo.plugins import llms
from zoo.plugins.checks import fault
from zoo.plugins.manager import manager

ORACLES = Path(__file__).parents[1] / "oracles"
CONFIGS = ORACLES / "hf_configs"
FACTORY = "zoo.models.llama:llama"
CATALOG = manager(entry_points=False, project=None, extra=[llms]).catalog()
CARDS = {card.name: card for card in llms.CARDS}
OURS = {card.name for card in llms.llama.CARDS}
EARLIER = ("llama-7b", "llama-13b", "llama-33b", "llama-65b")


def rows() -> list[dict[str, str]]:
    lines = (ORACLES / "llm_params.csv").read_text().splitlines()
    return list(csv.DictReader(line for line in lines if not line.startswith("#")))


def named(row: dict[str, str]) -> str:
    return row["model"]


def published(name: str) -> dict[str, Any]:
    config: dict[str, Any] = json.loads((CONFIGS / f"{name}.json").read_text())["config"]
    return config


def size(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def macs(config: LlamaConfig, batch: int, tokens: int) -> int:
    """By hand: four projections, both products of attention in full, three of the MLP, the head."""
    c, f, d = config.hidden_size, config.intermediate_size, config.width
    h, g = config.num_attention_heads, config.key_heads
    projections = c * h * d + 2 * c * g * d + h * d * c
    layer = tokens * (projections + 3 * c * f) + 2 * h * tokens * tokens * d
    return batch * (config.num_hidden_layers * layer + tokens * c * config.vocab_size)


# published counts


@pytest.mark.parametrize("row", rows(), ids=named)
def test_parameters_of_a_published_config(row: dict[str, str]) -> None:
    model = skeleton(lambda: llama(str(ORACLES / row["config_file"])))
    counts = {row["params_by_arithmetic"], row["params_transformers_meta"]}
    counts |= {row["hub_count_recalled"]} - {""}
    assert counts == {str(size(model))}
    assert all(one.is_meta for one in model.parameters() if one.numel() > 65_536)


@pytest.mark.parametrize("row", rows(), ids=named)
def test_a_card_is_of_its_config(row: dict[str, str]) -> None:
    card = CARDS[row["model"]]
    count = int(row["params_by_arithmetic"])
    assert f" {count:,} parameters" in card.summary
    model = skeleton(resolve(f"llms/{card.name}", CATALOG).build)
    assert size(model) == count
    assert isinstance(model, Llama)
    ours, theirs = (asdict(one) for one in (model.config, read(published(card.name), {})))
    differs = {key for key in ours if ours[key] != theirs[key]}
    allowed = {"sliding_window", "max_window_layers"} if not ours["use_sliding_window"] else set()
    if card.name.startswith("llama-2"):
        assert (ours["max_position_embeddings"], theirs["max_position_embeddings"]) == (4096, 2048)
        allowed.add("max_position_embeddings")  # the preset's, which its model does not have
    assert differs - {"head_dim"} <= allowed
    assert model.config.width == read(published(card.name), {}).width


@pytest.mark.parametrize("name", EARLIER)
def test_parameters_of_the_first_sizes(name: str) -> None:
    """By hand from table 2 of the paper of 2023; those of 7B and 13B are Llama 2's."""
    settings = CARDS[name].arguments["config"]
    c, f, layers = (
        settings[key] for key in ("hidden_size", "intermediate_size", "num_hidden_layers")
    )
    count = layers * (4 * c * c + 3 * c * f + 2 * c) + c + 2 * 32000 * c
    assert size(skeleton(lambda: llama(settings))) == count
    assert f" {count:,} parameters" in CARDS[name].summary


def test_cards_are_sound_and_all_published_ones_are_held() -> None:
    assert [fault(card) for card in llms.CARDS] == [None] * len(llms.CARDS)
    assert {"llama", *EARLIER, *(row["model"] for row in rows())} == OURS


def test_the_plugin_is_one_of_zoo_s_own() -> None:
    assert {"llms"} <= {one.name for one in manager(project=None).plugins() if not one.errors}


def test_the_tiny_one_runs_on_its_default_input() -> None:
    resolved = resolve("llama", CATALOG)
    model = resolved.build()
    assert resolved.default_input == "1,16@ints:256"
    with torch.no_grad():
        assert model(torch.arange(16)[None]).shape == (1, 16, 256)


# figures


@st.composite
def configs(draw: st.DrawFn) -> LlamaConfig:
    heads, shared = draw(st.sampled_from([(1, 1), (4, 1), (4, 2), (6, 3), (4, 4)]))
    return LlamaConfig(
        vocab_size=draw(st.integers(1, 60)),
        hidden_size=draw(st.integers(1, 40)),
        intermediate_size=draw(st.integers(1, 50)),
        num_hidden_layers=draw(st.integers(1, 3)),
        num_attention_heads=heads,
        num_key_value_heads=shared,
        head_dim=draw(st.sampled_from([2, 6, 8])),
        tie_word_embeddings=draw(st.booleans()),
        sliding_window=draw(st.none() | st.integers(1, 20)),
    )


@given(config=configs(), batch=st.integers(1, 3), tokens=st.integers(1, 20))
def test_macs_and_parameters_by_closed_form(config: LlamaConfig, batch: int, tokens: int) -> None:
    report = zoo.summary(skeleton(lambda: Llama(config)), f"{batch},{tokens}:int64")
    assert report.failure is None
    assert report.totals["uncounted"] == []
    assert report.totals["macs"] == macs(config, batch, tokens)
    c, heads = config.hidden_size, config.num_attention_heads + config.key_heads
    block = 2 * c * config.width * heads + 3 * c * config.intermediate_size + 2 * c
    embeddings = (1 if config.tie_word_embeddings else 2) * c * config.vocab_size
    assert report.totals["parameters"] == config.num_hidden_layers * block + c + embeddings


def test_attention_s_own_macs_are_its_two_products_in_full() -> None:
    report = zoo.summary(FACTORY, "2,12:int64")
    totals = {row["path"]: row["macs"] for row in report.rows}
    inside = [f"model.layers.0.self_attn.{name}_proj" for name in "qkvo"]
    attention = totals["model.layers.0.self_attn"] - sum(totals[path] for path in inside)
    assert attention == 2 * (2 * 4 * 12 * 12 * 16)


def test_a_training_step_takes_twice_the_products_of_weights_and_five_of_attention() -> None:
    """Backward: a product for each weight and input; fused attention makes its scores anew."""
    trace = zoo.trace(FACTORY, "2,12:int64", train=True, optimizer="adamw", loss="cross-entropy")
    assert trace.failure is None
    assert [op.op for op in trace.ops if op.cost is None] == []
    phases = dict.fromkeys(("forward", "backward", "optimizer"), 0)
    for op in trace.ops:
        phases[op.phase] += op.cost.macs if op.cost else 0
    attention = 2 * 2 * (2 * 4 * 12 * 12 * 16)
    weights = macs(llama().config, 2, 12) - attention
    assert phases["forward"] == weights + attention
    assert phases["backward"] == 2 * weights + 5 * attention // 2
    assert phases["optimizer"] == 0


def test_the_largest_one_runs_without_its_weights() -> None:
    config = CONFIGS / "llama-3.1-405b.json"
    trace = zoo.trace(FACTORY, "1,4096:int64", arguments={"config": str(config)})
    assert trace.failure is None
    assert [str(one) for one in trace.outputs] == ["bf16[1,4096,128256]"]
    totals = zoo.summary(trace).totals
    assert totals["macs"] == macs(read(config, {}), 1, 4096) == 1_723_020_620_070_912
    assert totals["parameters"] == 405_853_388_800
    assert totals["parameter_bytes"] == 2 * 405_853_388_800
    assert (totals["buffers"], totals["uncounted"]) == (0, [])


# outputs


def drawn(model: nn.Module) -> None:
    """Weights large enough that each matters, biases and norms too."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            spread = 0.5 if parameter.dim() == 1 else 1.2 / parameter.shape[-1] ** 0.5
            around = 1.0 if parameter.dim() == 1 else 0.0
            parameter.copy_(around + spread * torch.randn(parameter.shape, generator=generator))


SMALL = {
    "vocab_size": 50,
    "hidden_size": 32,
    "intermediate_size": 40,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-5,
    "max_position_embeddings": 64,
}
SCALED = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "llama-2": ("Llama", {"num_key_value_heads": 4}),
    "one key head": ("Llama", {"num_key_value_heads": 1}),
    "llama-3.1": ("Llama", {"rope_theta": 500000.0, "rope_scaling": SCALED}),
    "llama-3.2": (
        "Llama",
        {"rope_theta": 1000.0, "rope_scaling": SCALED, "head_dim": 16, "tie_word_embeddings": True},
    ),
    "linear": ("Llama", {"rope_scaling": {"type": "linear", "factor": 4.0}}),
    "all biases": ("Llama", {"attention_bias": True, "mlp_bias": True}),
    "mistral": ("Mistral", {"sliding_window": 5}),
    "mistral without a window": ("Mistral", {"sliding_window": None}),
    "qwen2": ("Qwen2", {"use_sliding_window": False, "sliding_window": 5, "max_window_layers": 1}),
    "qwen2 with windows": (
        "Qwen2",
        {"use_sliding_window": True, "sliding_window": 5, "max_window_layers": 1},
    ),
    "qwen3": ("Qwen3", {"head_dim": 10, "tie_word_embeddings": True}),
    "qwen3 with biases": ("Qwen3", {"head_dim": 10, "attention_bias": True}),
}
IDS = torch.randint(0, 50, (2, 40), generator=torch.Generator().manual_seed(1))


def theirs(variant: str) -> Any:
    """transformers' model of a variant, with weights that matter."""
    transformers = pytest.importorskip("transformers")
    kind, settings = VARIANTS[variant]
    copied = json.loads(json.dumps(settings))  # transformers writes into nested ones
    config = getattr(transformers, f"{kind}Config")(**{**SMALL, **copied})
    config._attn_implementation = "eager"
    model = getattr(transformers, f"{kind}ForCausalLM")(config).eval()
    drawn(model)
    return model


def ours(variant: str, **given: Any) -> Llama:
    kind, settings = VARIANTS[variant]
    return llama({"model_type": kind.lower(), **SMALL, **settings}, **given).eval()


def logits(model: Any) -> Tensor:
    with torch.no_grad():
        found = model(IDS)
    tensor: Tensor = getattr(found, "logits", found)
    return tensor


@pytest.mark.parametrize("variant", VARIANTS)
def test_outputs_are_those_of_transformers(variant: str) -> None:
    reference, model = theirs(variant), ours(variant)
    model.load_state_dict(reference.state_dict())
    wanted, found = logits(reference), logits(model)
    assert wanted.std() > 0.3
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_config_that_transformers_writes_reads_the_same(variant: str, tmp_path: Path) -> None:
    theirs(variant).config.save_pretrained(tmp_path)
    written = llama(tmp_path).config
    model = ours(variant).config
    assert [written.window(n) for n in range(3)] == [model.window(n) for n in range(3)]
    differing = {"num_key_value_heads", "head_dim", "layer_types", "rope_scaling"}
    differing |= {"sliding_window", "use_sliding_window", "max_window_layers"}
    left, right = ({**asdict(one), **dict.fromkeys(differing)} for one in (written, model))
    assert left == right
    assert (written.width, written.key_heads) == (model.width, model.key_heads)
    assert written.rope == model.rope


@pytest.mark.parametrize(
    ("variant", "changed"),
    [
        ("llama-3.1", {"rope_scaling": None}),
        ("llama-3.1", {"rope_theta": 10000.0}),
        ("llama-3.2", {"rope_scaling": {**SCALED, "high_freq_factor": 2.0}}),
        ("llama-3.1", {"rms_norm_eps": 1e-2}),
        ("linear", {"rope_scaling": None}),
        ("mistral", {"sliding_window": 6}),
        ("mistral", {"sliding_window": None}),
        ("qwen2 with windows", {"max_window_layers": 2}),
        ("qwen2 with windows", {"use_sliding_window": False}),
    ],
)
def test_another_setting_gives_other_outputs(variant: str, changed: dict[str, Any]) -> None:
    """So that the comparison above would see it."""
    model, other = ours(variant), ours(variant, **changed)
    drawn(model)
    other.load_state_dict(model.state_dict())
    assert (logits(model) - logits(other)).abs().max() > 1e-3


def test_norms_of_queries_and_keys_matter() -> None:
    model = ours("qwen3")
    drawn(model)
    before = logits(model)
    for module in model.modules():
        if isinstance(module, RMSNorm) and module.weight.shape == (10,):
            nn.init.ones_(module.weight)
    assert (logits(model) - before).abs().max() > 1e-3


@pytest.mark.parametrize("variant", ["llama-3.1", "mistral"])
def test_no_token_sees_a_later_one(variant: str) -> None:
    model = ours(variant)
    drawn(model)
    other = IDS.clone()
    other[:, 25] = (other[:, 25] + 1) % 50
    with torch.no_grad():
        changed = (model(IDS) - model(other)).abs().amax((0, 2)) > 1e-4
    assert not changed[:25].any()
    assert changed[25:].any()
    if variant == "mistral":  # three layers of a window of 5 see 12 tokens back
        assert changed[25:38].all()
        assert not changed[38:].any()


# weights


def test_names_are_those_of_published_checkpoints() -> None:
    model = skeleton(lambda: llama(num_hidden_layers=1, qk_norm=True, qkv_bias=True))
    assert sorted(model.state_dict()) == sorted(
        ["model.embed_tokens.weight", "model.norm.weight", "lm_head.weight"]
        + [f"model.layers.0.mlp.{name}_proj.weight" for name in ("gate", "up", "down")]
        + [f"model.layers.0.self_attn.{name}_proj.weight" for name in "qkvo"]
        + [f"model.layers.0.self_attn.{name}_proj.bias" for name in "qkv"]
        + [f"model.layers.0.self_attn.{name}_norm.weight" for name in "qk"]
        + [f"model.layers.0.{name}_layernorm.weight" for name in ("input", "post_attention")]
    )


def test_weights_start_small_and_norms_at_one() -> None:
    torch.manual_seed(0)
    model = llama(hidden_size=128, attention_bias=True, mlp_bias=True)
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            assert not parameter.any(), name
        elif parameter.dim() == 1:
            assert bool((parameter == 1).all()), name
        else:
            assert 0.018 < parameter.std() < 0.022, name


def test_tied_weights_are_one_parameter() -> None:
    trace = zoo.trace(FACTORY, "1,4:int64", arguments={"tie_word_embeddings": True})
    (tied,) = (one for one in trace.parameters if len(one.names) > 1)
    assert tied.names == ("model.embed_tokens.weight", "lm_head.weight")


@pytest.mark.parametrize("dtype", ["bfloat16", "torch.float16", "float64", None])
def test_weights_have_the_config_s_dtype(dtype: str | None) -> None:
    model = skeleton(lambda: llama(torch_dtype=dtype))
    wanted = getattr(torch, (dtype or "float32").removeprefix("torch."))
    assert {parameter.dtype for parameter in model.parameters()} == {wanted}


def test_half_precision_runs() -> None:
    torch.manual_seed(0)
    model = llama(torch_dtype="bfloat16").eval()
    with torch.no_grad():
        found = model(IDS)
        assert found.dtype == torch.bfloat16
        torch.testing.assert_close(found.float(), model.float()(IDS), rtol=0.05, atol=0.05)


# configs


def test_settings_beside_a_config_win() -> None:
    config = published("llama-3.1-8b")
    model = read(config, {"num_hidden_layers": 2, "rope_scaling": None, "torch_dtype": "float32"})
    assert (model.num_hidden_layers, model.hidden_size) == (2, 4096)
    assert model.rope == {"rope_type": "default"}
    assert read(config, {}).rope["factor"] == 8.0
    assert model.torch_dtype == "float32"
    assert read(None, SMALL) == read(SMALL, {})


@pytest.mark.parametrize("how", ["text", "path", "folder", "mapping", "flat"])
def test_a_config_is_a_file_its_folder_or_what_it_holds(how: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(published("qwen3-0.6b")))
    source = CONFIGS / "qwen3-0.6b.json"
    given: Any = {
        "text": str(source),
        "path": source,
        "folder": tmp_path,
        "mapping": json.loads(source.read_text()),
        "flat": published("qwen3-0.6b"),
    }[how]
    config = read(given, {})
    assert (config.num_hidden_layers, config.width, config.qk_norm) == (28, 128, True)


def test_keys_that_change_nothing_are_passed_over() -> None:
    config = published("llama-3.2-1b")
    noise = {"bos_token_id": 1, "use_cache": True, "transformers_version": "4.43", "_name": "x"}
    noise |= {"attention_dropout": 0.0, "pretraining_tp": 1, "partial_rotary_factor": 1.0}
    assert read({**config, **noise}, {}) == read(config, {})


def test_both_forms_of_rotary_settings() -> None:
    config = {**SMALL, "rope_theta": 500000.0, "rope_scaling": {**SCALED}}
    old = {**SMALL, "rope_theta": 500000.0, "rope_scaling": {**SCALED, "type": "llama3"}}
    del old["rope_scaling"]["rope_type"]  # type: ignore[attr-defined]
    new = {**SMALL, "rope_parameters": {**SCALED, "rope_theta": 500000.0}}
    wanted = read(config, {})
    assert wanted.rope_theta == 500000.0
    for other in (read(old, {}), read(new, {})):
        assert (other.rope, other.rope_theta) == (wanted.rope, wanted.rope_theta)


@pytest.mark.parametrize("kind", CLASSES)
def test_defaults_are_those_of_transformers_classes(kind: str) -> None:
    transformers = pytest.importorskip("transformers")
    name = {"llama": "Llama", "mistral": "Mistral", "qwen2": "Qwen2", "qwen3": "Qwen3"}[kind]
    written = getattr(transformers, f"{name}Config")(**SMALL)
    config = read({"model_type": kind, **SMALL}, {})
    assert config.width == getattr(written, "head_dim", 32 // 4)
    assert [config.window(n) for n in range(3)] == [
        written.sliding_window if kind == "mistral" else None
    ] * 3
    assert config.tie_word_embeddings == written.tie_word_embeddings
    assert config.rope_theta == written.rope_parameters["rope_theta"]
    assert config.hidden_act == written.hidden_act


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"model_type": "mixtral"}, "model_type is 'mixtral'; known: llama, mistral, qwen2, qwen3"),
    ({"model_type": ["llama"]}, r"model_type is \['llama'\]"),
    ({"architectures": ["LlamaForSequenceClassification"]}, "architectures has LlamaForSeq"),
    ({"num_local_experts": 8}, "num_local_experts is 8: a mixture of experts"),
    ({"partial_rotary_factor": 0.5}, "partial_rotary_factor is 0.5"),
    ({"rope_parameters": {"partial_rotary_factor": 0.5}}, "partial_rotary_factor is 0.5"),
    ({"attention_dropout": 0.1}, "attention_dropout is 0.1"),
    ({"quantization_config": {"bits": 4}}, "quantization_config is .*quantized"),
    ({"model_type": "llama", "sliding_window": 4}, "sliding_window is 4, which a llama"),
    ({"model_type": "mistral", "attention_bias": True}, "attention_bias is True, which a mistral"),
    ({"rope_scaling": {"type": "yarn", "factor": 2}}, "rope_scaling is of type 'yarn'; known"),
    ({"rope_scaling": {"type": "linear"}}, "rope_scaling of type linear wants a number factor"),
    ({"rope_scaling": {"type": "linear", "factor": 0}}, "wants a number factor above 0"),
    ({"rope_scaling": {**SCALED, "high_freq_factor": 1.0}}, "a high_freq_factor above its low"),
    ({"rope_theta": 0}, "rope_theta is 0; it wants a number above 0"),
    ({"embedding_multiplier": 12}, "embedding_multiplier is 12: scaled embeddings"),
    ({"partial_rotary_factor": 0}, "partial_rotary_factor is 0: positions"),
    ({"rope_scaling": {"full_attention": {}}}, "rope_parameters differ by layer"),
    ({"rope_scaling": "llama3"}, "rope_scaling is 'llama3'; it wants dict"),
    ({"hidden_act": "gelu"}, "hidden_act is 'gelu'; this architecture has silu"),
    ({"hidden_size": 30}, "hidden_size is 30, which num_attention_heads, 4, does not divide"),
    ({"num_key_value_heads": 3}, "num_attention_heads is 4, which num_key_value_heads, 3, does"),
    ({"head_dim": 5}, "head_dim is 5; a rotary embedding wants an even one"),
    ({"vocab_size": 0}, "vocab_size is 0; it wants a whole number from 1 up"),
    ({"vocab_size": "many"}, "vocab_size is 'many'; it wants int"),
    ({"num_hidden_layers": True}, "num_hidden_layers is True; it wants int"),
    ({"vocab_size": None}, "vocab_size is None; it wants int"),
    ({"torch_dtype": "int8"}, "torch_dtype is 'int8'; known: float32"),
    ({"layer_types": ["full_attention"]}, "layer_types has 1 layers, not 3"),
    ({"layer_types": ["a", "b", "c"]}, "layer_types has 'a'"),
]


@pytest.mark.parametrize(("settings", "wanted"), REFUSED, ids=lambda one: str(one)[:40])
def test_what_is_not_this_architecture_is_refused_by_name(
    settings: dict[str, Any], wanted: str
) -> None:
    assert read(SMALL, {}).vocab_size == 50
    with pytest.raises(ValueError, match=wanted) as caught:
        read({**SMALL, **settings}, {})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("missing", [*list(SMALL)[:5]])
def test_a_config_lacks_nothing_silently(missing: str) -> None:
    config = {key: value for key, value in SMALL.items() if key != missing}
    with pytest.raises(ValueError, match=f"the setting {missing} is missing"):
        read(config, {})
    assert getattr(read(config, {missing: SMALL[missing]}), missing) == SMALL[missing]


def test_key_heads_may_lack_where_the_class_has_a_default_that_fits() -> None:
    config = {key: value for key, value in SMALL.items() if key != "num_key_value_heads"}
    assert read({**config, "model_type": "llama"}, {}).key_heads == 4
    with pytest.raises(ValueError, match="the setting num_key_value_heads is missing"):
        read({**config, "model_type": "mistral"}, {})


OTHERS = sorted({path.stem for path in CONFIGS.glob("*.json")} - OURS)


@pytest.mark.parametrize("name", OTHERS)
def test_other_published_architectures_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"^model_type is '\w+'; known: "):
        read(CONFIGS / f"{name}.json", {})


def test_other_architectures_are_there_to_be_refused() -> None:
    assert len(OTHERS) >= 8


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (None, "cannot be read \\(No such file or directory\\)"),
        ("{", "is not JSON"),
        ("[1]", "holds a list, not settings by name"),
    ],
)
def test_a_file_that_is_no_config(text: str | None, wanted: str, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(BuildError, match=re.escape(str(path)) + " " + wanted):
        zoo.trace(FACTORY, "1,4:int64", arguments={"config": str(path)})


def test_arguments_are_named_and_typed() -> None:
    from zoo.catalog.described import described

    texts = described(CATALOG.find("llama-3.2-1b"))
    assert texts["num_hidden_layers"] == "int = 16"  # as the card's config says
    assert texts["qk_norm"] == "bool"  # as the class of the config says
    assert texts["head_dim"] == "int | None = None"
    assert "'hidden_size': 2048" in texts["config"]
    with pytest.raises(zoo.errors.BadArgument, match="Did you mean hidden_size"):
        resolve("llama", CATALOG, {"hiden_size": 3})
    with pytest.raises(zoo.errors.BadArgument, match="it wants int"):
        resolve("llama", CATALOG, {"hidden_size": "wide"})
