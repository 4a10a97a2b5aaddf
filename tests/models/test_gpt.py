"""GPT: published counts, outputs of transformers' classes, cached decoding, and that it learns."""

from __future__ import annotations

import json
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import cross_entropy

import zoo
from tests.models.learning import one_thread
from tests.models.measures import numel
from tests.models.transformers_twin import close, twin
from zoo.analysis.skeleton import skeleton
from zoo.language import Vocabulary, clean
from zoo.models.gpt import Gpt, State, gpt
from zoo.models.gpt_config import GptConfig, read
from zoo.plugins.llms.gpt import PUBLISHED

ORACLES = Path(__file__).parents[1] / "oracles"
CONFIGS = ORACLES / "hf_configs"
ITEMS = {item["id"]: item for item in json.loads((ORACLES / "d2l.json").read_text())["items"]}
SIZING = json.loads((ORACLES / "nanogpt_sizing.json").read_text())
D2L_ITEMS = ("gpt-size", "chinchilla-size")


# published counts


@pytest.mark.parametrize(("name", "parameters", "settings"), PUBLISHED, ids=str)
def test_cards_have_published_sizes(name: str, parameters: int, settings: dict[str, Any]) -> None:
    assert numel(skeleton(lambda: gpt(settings))) == parameters
    assert f" {parameters:,} parameters" in str(zoo.info(f"llms/{name}").rows[2]["value"])


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("gpt2", 124_439_808), ("gpt2-medium", 354_823_168), ("gpt2-large", 774_030_080)],
)
def test_published_configs_are_those_of_the_cards(name: str, parameters: int) -> None:
    config = CONFIGS / f"{name}.json"
    (settings,) = (found for card, _, found in PUBLISHED if card == name)
    assert read(config, {}) == read(settings, {})
    assert numel(skeleton(lambda: gpt(config))) == parameters
    embedding = 50257 * read(config, {}).n_embd
    untied = skeleton(lambda: gpt(config, tie_word_embeddings=False))
    assert numel(untied) == parameters + embedding


# nanoGPT's table of GPT-2 without biases: parameters and FLOPs of each part


def sized() -> dict[str, dict[str, Any]]:
    given = SIZING["config"]
    config = {name: given[name] for name in ("block_size", "vocab_size", "n_layer", "n_head")}
    config |= {"n_embd": given["n_embd"], "bias": given["bias"]}
    config["tie_word_embeddings"] = given["tied_head"]
    report = zoo.summary("gpt", "1,1024:int64", arguments={"config": config})
    return {row["path"]: row for row in report.rows}


def test_parameters_by_part_are_nanogpt_s() -> None:
    wanted = SIZING["params"]
    rows = {path: row["parameters"] for path, row in sized().items()}
    block = "transformer.h.0"
    attention = rows[f"{block}.ln_1"] + rows[f"{block}.attn"]
    mlp = rows[f"{block}.ln_2"] + rows[f"{block}.mlp"]
    found = {
        "embedding/position": rows["transformer.wpe"],
        "embedding/token": rows["transformer.wte"],
        "attention/ln": rows[f"{block}.ln_1"],
        "attention/kqv": rows[f"{block}.attn.c_attn"],
        "attention/proj": rows[f"{block}.attn.c_proj"],
        "attention": attention,
        "mlp/ln": rows[f"{block}.ln_2"],
        "mlp/ffw": rows[f"{block}.mlp.c_fc"],
        "mlp/proj": rows[f"{block}.mlp.c_proj"],
        "mlp": mlp,
        "block": rows[block],
        "transformer": sum(rows[f"transformer.h.{n}"] for n in range(12)),
        "ln_f": rows["transformer.ln_f"],
        "dense": rows["lm_head"],
    }
    # nanoGPT leaves positions out of its count of the whole; its table has them
    assert found | {"total": rows[""]} == wanted


def test_flops_by_part_are_nanogpt_s() -> None:
    wanted = SIZING["flops_forward_per_sequence"]
    rows = {path: 2 * row["macs"] for path, row in sized().items()}
    block = "transformer.h.0"
    kqv, proj = rows[f"{block}.attn.c_attn"], rows[f"{block}.attn.c_proj"]
    own = rows[f"{block}.attn"] - kqv - proj
    found = {
        "attention/kqv": kqv,
        "attention/scores": own // 2,
        "attention/reduce": own // 2,
        "attention/proj": proj,
        "attention": rows[f"{block}.attn"],
        "mlp/ffw1": rows[f"{block}.mlp.c_fc"],
        "mlp/ffw2": rows[f"{block}.mlp.c_proj"],
        "mlp": rows[f"{block}.mlp"],
        "block": rows[block],
        "transformer": rows["transformer"],
        "dense": rows["lm_head"],
        "forward_total": rows[""],
    }
    assert found == {name: wanted[name] for name in found}
    assert found["forward_total"] == 291_648_307_200


# the book's claims


def test_the_first_gpt_has_about_a_hundred_million_parameters() -> None:
    about = ITEMS["gpt-size"]["outputs"]["params_about"]
    assert round(zoo.params("gpt-1").totals["parameters"], -8) == about


def test_chinchilla_s_seventy_billion_by_arithmetic() -> None:
    """Hoffmann et al. 2022, table 4: 80 layers of width 8,192, 64 heads of 128, 32,000 tokens.

    Its positions are relative as in Transformer-XL, which has a map of positions to keys in each
    layer; with these, and no learned positions, it has 70 billion, without them 65.
    """
    item = ITEMS["chinchilla-size"]
    settings = {"n_layer": 80, "n_embd": 8192, "n_head": 64, "vocab_size": 32000}
    plain = numel(skeleton(lambda: gpt(None, **settings, n_positions=1))) - 8192
    assert round(plain / 1e9) == 65
    found = round((plain + 80 * 8192 * 8192) / 1e9)
    assert f"{found} billion" == item["outputs"]["params"]
    tokens = float(item["outputs"]["tokens"].split()[0])
    assert tokens * 1e12 == 20 * found * 1e9  # the paper's twenty tokens for each parameter


# figures


@st.composite
def configs(draw: st.DrawFn) -> GptConfig:
    heads = draw(st.integers(1, 4))
    return GptConfig(
        vocab_size=draw(st.integers(1, 60)),
        n_embd=heads * draw(st.integers(1, 8)),
        n_layer=draw(st.integers(1, 3)),
        n_head=heads,
        n_positions=draw(st.integers(20, 40)),
        n_inner=draw(st.none() | st.integers(1, 50)),
        bias=draw(st.booleans()),
        pre_norm=draw(st.booleans()),
        tie_word_embeddings=draw(st.booleans()),
    )


@given(config=configs(), batch=st.integers(1, 3), tokens=st.integers(1, 20))
def test_macs_and_parameters_by_closed_form(config: GptConfig, batch: int, tokens: int) -> None:
    report = zoo.summary(skeleton(lambda: Gpt(config)), f"{batch},{tokens}:int64")
    assert report.failure is None
    assert report.totals["uncounted"] == []
    c, f, v, layers = config.n_embd, config.inner, config.vocab_size, config.n_layer
    weights = layers * (4 * c * c + 2 * c * f)
    attention = layers * 2 * tokens * tokens * c
    assert report.totals["macs"] == batch * (tokens * (weights + c * v) + attention)
    norms = (2 * layers + config.pre_norm) * c * (1 + config.bias)
    biases = layers * (3 * c + c + f + c) * config.bias
    embeddings = (config.n_positions + v * (1 if config.tie_word_embeddings else 2)) * c
    assert report.totals["parameters"] == weights + norms + biases + embeddings


def test_attention_is_quadratic_in_the_length() -> None:
    """Two products of T x T x 768 in each of twelve blocks; all else is linear."""
    report = zoo.formula("gpt2", "1,T@ints:50257")
    quadratic = 12 * 2 * 768
    linear = 12 * 12 * 768 * 768 + 768 * 50257
    assert report.totals["macs"] == f"{quadratic}*T^2 + {linear}*T"


# outputs

SMALL: dict[str, Any] = {"vocab_size": 50, "n_embd": 24, "n_layer": 3, "n_head": 4}
SMALL["n_positions"] = 20
IDS = torch.randint(0, 50, (3, 12), generator=torch.Generator().manual_seed(1))
TRANSPOSED = ("c_attn.weight", "c_proj.weight", "c_fc.weight")


def copied(theirs: Any, **settings: Any) -> Gpt:
    """Ours with the weights of transformers', which stores those of the blocks transposed."""
    ours = gpt(None, **{**SMALL, **settings}).eval()
    names = {"tokens_embed": "wte", "positions_embed": "wpe"}
    weights = {}
    for name, value in theirs.state_dict().items():
        parts = [names.get(part, part) for part in name.split(".")]
        turned = value.T if name.endswith(TRANSPOSED) else value
        weights[".".join(parts)] = turned
    ours.load_state_dict(weights)
    return ours


def gpt2_twin(**settings: Any) -> Any:
    return twin("GPT2LMHeadModel", "GPT2Config", **{**SMALL, **settings})


@pytest.mark.parametrize(
    "settings",
    [{}, {"activation_function": "relu"}, {"activation_function": "gelu"}, {"n_inner": 31}],
    ids=str,
)
def test_outputs_are_those_of_transformers(settings: dict[str, Any]) -> None:
    theirs = gpt2_twin(**settings)
    ours = copied(theirs, **settings)
    with torch.no_grad():
        close(ours(IDS), theirs(IDS).logits)


def test_outputs_of_the_first_gpt_are_those_of_transformers() -> None:
    theirs: Any = twin("OpenAIGPTLMHeadModel", "OpenAIGPTConfig", **SMALL)
    ours = copied(theirs, model_type="openai-gpt")
    assert not ours.config.pre_norm
    with torch.no_grad():
        close(ours(IDS), theirs(IDS).logits)


@pytest.mark.filterwarnings("ignore:.past_key_values. is deprecated:FutureWarning")  # 5.24
def test_cached_decoding_is_that_of_transformers() -> None:
    theirs = gpt2_twin()
    ours, cache, state = copied(theirs), None, None
    with torch.no_grad():
        for part in IDS.split([5, 1, 1, 3, 2], dim=1):
            wanted = theirs(part, past_key_values=cache, use_cache=True)
            cache = wanted.past_key_values
            scores, state = ours.extend(part, state)
            close(scores, wanted.logits)


# decoding


def drawn_gpt(**settings: Any) -> Gpt:
    torch.manual_seed(0)
    model = gpt(None, **{**SMALL, **settings}).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model


@pytest.mark.parametrize("pre_norm", [True, False])
def test_decoding_in_steps_is_decoding_at_once(*, pre_norm: bool) -> None:
    model = drawn_gpt(pre_norm=pre_norm)
    state: State | None = None
    found = []
    with torch.no_grad():
        for part in IDS.split([1, 4, 1, 6], dim=1):
            scores, state = model.extend(part, state)
            found.append(scores)
        torch.testing.assert_close(torch.cat(found, 1), model(IDS), rtol=1e-5, atol=1e-5)


def test_a_state_is_not_changed_and_its_rows_can_be_put_in_another_order() -> None:
    model = drawn_gpt()
    order = torch.tensor([2, 0, 0])
    with torch.no_grad():
        _, state = model.extend(IDS[:, :7])
        kept = [part.clone() for cache in state for part in cache]
        model.extend(IDS[:, 7:], state)
        assert all(map(torch.equal, kept, (part for cache in state for part in cache)))
        moved = tuple((k[order], v[order]) for k, v in state)
        scores, _ = model.extend(IDS[order, 7:], moved)
        torch.testing.assert_close(scores, model(IDS[order])[:, 7:], rtol=1e-5, atol=1e-5)


def test_no_token_sees_a_later_one() -> None:
    model, other = drawn_gpt(), IDS.clone()
    other[:, 6] = (other[:, 6] + 1) % 50
    with torch.no_grad():
        changed = (model(IDS) - model(other)).abs().amax((0, 2)) > 1e-4
    assert not changed[:6].any()
    assert changed[6:].all()


# configs and errors


@pytest.mark.parametrize(("kind", "config"), [("GPT2Model", "GPT2Config")])
def test_a_config_that_transformers_writes_reads_the_same(
    kind: str, config: str, tmp_path: Path
) -> None:
    theirs: Any = twin(kind, config, **SMALL)
    theirs.config.save_pretrained(tmp_path)
    assert read(tmp_path, {}) == read(None, SMALL)


def test_the_first_gpt_s_own_config_reads() -> None:
    found = read({**SMALL, "model_type": "openai-gpt", "afn": "gelu"}, {})
    assert (found.activation_function, found.pre_norm) == ("gelu_new", False)


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"n_embd": 25}, "n_embd is 25, which n_head, 4, does not divide"),
        ({"activation_function": "silu"}, "activation_function is 'silu'; known: gelu_new"),
        ({"n_inner": 0}, "n_inner is 0; it wants a whole number from 1 up"),
        ({"attn_pdrop": -0.1}, "attn_pdrop is -0.1; it wants a number from 0 up"),
        ({"model_type": "gptj"}, "model_type is 'gptj'; known: gpt2, openai-gpt"),
        ({"scale_attn_weights": False}, "scale_attn_weights is False: scores without a scale"),
        ({"scale_attn_by_inverse_layer_idx": True}, "scores that are scaled by layer"),
    ],
)
def test_what_is_not_this_architecture_is_refused_by_name(
    changed: dict[str, Any], text: str
) -> None:
    with pytest.raises(ValueError, match=text):
        read(None, {**SMALL, **changed})


def test_a_sequence_that_is_too_long_is_refused() -> None:
    model = drawn_gpt()
    with pytest.raises(ValueError, match="21 tokens, but n_positions is 20"):
        model(torch.zeros(1, 21, dtype=torch.int64))
    _, state = model.extend(IDS)
    with pytest.raises(ValueError, match="21 tokens, but n_positions is 20"):
        model.extend(IDS[:, :9], state)


def test_what_is_added_to_the_stream_starts_smaller() -> None:
    torch.manual_seed(0)
    model = gpt(n_embd=128, n_layer=8)
    for name, parameter in model.named_parameters():
        if parameter.dim() == 2:
            wanted = 0.02 / 4 if name.endswith("c_proj.weight") else 0.02
            assert 0.93 * wanted < parameter.std() < 1.07 * wanted, name


# learning


def next_losses(model: Gpt, rows: Tensor) -> Tensor:
    """Mean cross-entropy of each next token of rows (B, T + 1), in nats."""
    return cross_entropy(model(rows[:, :-1]).flatten(0, 1), rows[:, 1:].flatten())


@one_thread()
def test_its_loss_falls_below_the_entropy_of_single_words() -> None:
    """Both on the same held-out words; the entropy is that of frequencies in training."""
    words = clean(" ".join(topics[name] for name in sorted(topics))).split()
    cut = len(words) * 9 // 10
    vocab = Vocabulary(words[:cut], min_freq=20)
    ids = torch.tensor(vocab[words])
    frequency = torch.bincount(ids[:cut], minlength=len(vocab)) + 1.0
    held = ids[cut:][: 17 * 100].reshape(-1, 17)
    entropy = -(frequency / frequency.sum()).log()[held[:, 1:]].mean()
    torch.manual_seed(0)
    without = dict.fromkeys(("embd_pdrop", "resid_pdrop", "attn_pdrop"), 0.0)
    model = gpt(vocab_size=len(vocab), n_embd=32, n_head=2, **without)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=300)
    with torch.no_grad():
        before = next_losses(model, held)
    for _ in range(300):
        start = torch.randint(0, cut - 17, (128, 1))
        loss = next_losses(model, ids[start + torch.arange(17)])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        after = next_losses(model.eval(), held)
    assert after < entropy < before
