"""T5: published counts, outputs of transformers' class, decoding in steps, and that it learns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy

import zoo
from tests.models.learning import one_thread
from tests.models.measures import numel
from tests.models.transformers_twin import close, twin
from zoo.analysis.skeleton import skeleton
from zoo.models.t5 import T5, buckets, t5
from zoo.models.t5_config import T5Config, read
from zoo.plugins.llms.t5 import PUBLISHED

SMALL_JSON = Path(__file__).parents[1] / "oracles" / "hf_configs" / "t5-small.json"


# published counts


@pytest.mark.parametrize(("name", "parameters", "settings"), PUBLISHED, ids=str)
def test_cards_have_published_sizes(name: str, parameters: int, settings: dict[str, Any]) -> None:
    assert numel(skeleton(lambda: t5(settings))) == parameters
    assert f" {parameters:,} parameters" in str(zoo.info(f"llms/{name}").rows[2]["value"])


def test_a_published_config_is_that_of_its_card() -> None:
    (settings,) = (found for name, _, found in PUBLISHED if name == "t5-small")
    ours, theirs = read(settings, {}), read(SMALL_JSON, {})
    assert ours.decoder_layers == theirs.decoder_layers
    assert numel(skeleton(lambda: t5(SMALL_JSON))) == 60_506_624
    assert read({**settings, "num_decoder_layers": 6}, {}) == theirs


# figures


@st.composite
def configs(draw: st.DrawFn) -> T5Config:
    return T5Config(
        vocab_size=draw(st.integers(1, 60)),
        d_model=draw(st.integers(1, 30)),
        d_kv=draw(st.integers(1, 8)),
        d_ff=draw(st.integers(1, 40)),
        num_layers=draw(st.integers(1, 3)),
        num_heads=draw(st.integers(1, 4)),
        num_decoder_layers=draw(st.none() | st.integers(1, 3)),
        relative_attention_num_buckets=draw(st.sampled_from([4, 8, 32])),
        feed_forward_proj=draw(st.sampled_from(["relu", "gated-gelu"])),
        tie_word_embeddings=draw(st.booleans()),
    )


@given(config=configs(), batch=st.integers(1, 3), read=st.integers(1, 9), written=st.integers(1, 9))
def test_macs_and_parameters_by_closed_form(
    config: T5Config, batch: int, read: int, written: int
) -> None:
    words = (f"{batch},{read}:int64", f"{batch},{written}:int64", f"{batch}:int64")
    report = zoo.summary(skeleton(lambda: T5(config)), *words)
    assert report.failure is None
    assert report.totals["uncounted"] == []
    c, inner = config.d_model, config.d_kv * config.num_heads
    network = (2 + config.feed_forward_proj.startswith("gated")) * c * config.d_ff
    layers, more = config.num_layers, config.decoder_layers
    s, t = read, written
    encoder = s * (4 * c * inner + network) + 2 * s * s * inner
    own, cross = t * 4 * c * inner + 2 * t * t * inner, 2 * (s + t) * c * inner + 2 * s * t * inner
    decoder = own + cross + t * network
    head = t * c * config.vocab_size
    assert report.totals["macs"] == batch * (layers * encoder + more * decoder + head)
    weights = layers * (4 * c * inner + network) + more * (8 * c * inner + network)
    norms = (2 * layers + 3 * more + 2) * c
    positions = 2 * config.relative_attention_num_buckets * config.num_heads
    embeddings = c * config.vocab_size * (1 if config.tie_word_embeddings else 2)
    assert report.totals["parameters"] == weights + norms + positions + embeddings


def test_attention_is_quadratic_in_each_length_and_across_their_product() -> None:
    report = zoo.formula("t5", "src=1,S:int64", "tgt=1,T:int64")
    own = 2 * 2 * 64  # two products of width 64 in two blocks
    encoder = 2 * (4 * 64 * 64 + 2 * 64 * 128 + 2 * 64 * 64)  # with the source's keys and values
    decoder = 2 * (6 * 64 * 64 + 2 * 64 * 128) + 64 * 256
    wanted = f"{own}*S^2 + {own}*S*T + {own}*T^2 + {encoder}*S + {decoder}*T"
    assert report.totals["macs"] == wanted


# outputs

SMALL: dict[str, Any] = {
    "vocab_size": 50,
    "d_model": 24,
    "d_kv": 5,
    "d_ff": 40,
    "num_layers": 2,
    "num_decoder_layers": 3,
    "num_heads": 4,
    "relative_attention_num_buckets": 8,
    "relative_attention_max_distance": 10,
}
GENERATOR = torch.Generator().manual_seed(1)
SRC = torch.randint(0, 50, (3, 25), generator=GENERATOR)
TGT = torch.randint(0, 50, (3, 19), generator=GENERATOR)
LENGTHS = torch.tensor([25, 1, 14])
MASK = (torch.arange(25) < LENGTHS[:, None]).long()


def pair(**settings: Any) -> tuple[T5, Any]:
    """Ours and transformers', with the same weights; the head's name is `decoder.lm_head`."""
    theirs = twin("T5ForConditionalGeneration", "T5Config", **{**SMALL, **settings})
    ours = t5(None, **{**SMALL, **settings}).eval()
    weights = {
        f"decoder.{name}" if name.startswith("lm_head") else name: value
        for name, value in theirs.state_dict().items()
        if name != "shared.weight"
    }
    ours.load_state_dict(weights)
    return ours, theirs


VARIANTS: tuple[dict[str, Any], ...] = (
    {},
    {"feed_forward_proj": "gated-gelu"},
    {"feed_forward_proj": "gated-silu", "tie_word_embeddings": False},
    {"relative_attention_num_buckets": 32, "relative_attention_max_distance": 128},
)


@pytest.mark.parametrize("settings", VARIANTS, ids=str)
@pytest.mark.parametrize("masked", [False, True])
def test_outputs_are_those_of_transformers(settings: dict[str, Any], *, masked: bool) -> None:
    ours, theirs = pair(**settings)
    attention = MASK if masked else None
    with torch.no_grad():
        found = ours(SRC, TGT, LENGTHS if masked else None)
        wanted = theirs(SRC, attention_mask=attention, decoder_input_ids=TGT, use_cache=False)
        close(ours.encoder(SRC, LENGTHS if masked else None), wanted.encoder_last_hidden_state)
        scale = 24**-0.5 if "tie_word_embeddings" in settings else 1.0  # as the others' are
        close(found * scale, wanted.logits * scale)


@pytest.mark.filterwarnings("ignore:.past_key_values. is deprecated:FutureWarning")  # 5.24
def test_cached_decoding_is_that_of_transformers() -> None:
    ours, theirs = pair()
    cache = None
    with torch.no_grad():
        encoded = theirs.encoder(SRC, attention_mask=MASK)
        state: Any = ours.decoder.init_state(ours.encoder(SRC, LENGTHS), LENGTHS)
        for part in TGT.split([4, 1, 1, 13], dim=1):
            wanted = theirs(
                encoder_outputs=encoded,
                attention_mask=MASK,
                decoder_input_ids=part,
                past_key_values=cache,
                use_cache=True,
            )
            cache = wanted.past_key_values
            scores, state = ours.decoder(part, state)
            close(scores, wanted.logits)


def test_a_head_of_its_own_is_not_scaled() -> None:
    tied, own = t5(None, **SMALL).eval(), t5(None, **SMALL, tie_word_embeddings=False).eval()
    weights = tied.state_dict()
    own.load_state_dict(weights)
    with torch.no_grad():
        torch.testing.assert_close(own(SRC, TGT) * 24**-0.5, tied(SRC, TGT), rtol=1e-4, atol=1e-5)
    assert own.decoder.lm_head.weight is not own.decoder.embed_tokens.weight


@given(
    distance=st.integers(0, 10_000),
    count=st.sampled_from([4, 8, 16, 32]),
    times=st.integers(2, 100),
)
def test_buckets_rise_with_distance_and_stay_in_range(
    distance: int, count: int, times: int
) -> None:
    near, far = buckets(torch.tensor([distance, distance + 1]), count, count * times).tolist()
    assert 0 <= near <= far < count
    if distance < count // 2:
        assert near == distance
    if distance >= count * times:
        assert near == count - 1


# decoding


def drawn_t5() -> T5:
    torch.manual_seed(0)
    model = t5(None, **SMALL).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model


def test_decoding_in_steps_is_decoding_at_once_and_changes_no_state() -> None:
    model = drawn_t5()
    with torch.no_grad():
        state: Any = model.decoder.init_state(model.encoder(SRC, LENGTHS), LENGTHS)
        found = []
        for part in TGT.split([1, 1, 5, 1, 11], dim=1):
            scores, after = model.decoder(part, state)
            again, _ = model.decoder(part, state)
            assert torch.equal(scores, again)
            found.append(scores)
            state = after
        torch.testing.assert_close(
            torch.cat(found, 1), model(SRC, TGT, LENGTHS), rtol=1e-5, atol=1e-5
        )


def test_rows_of_a_state_can_be_put_in_another_order() -> None:
    model, order = drawn_t5(), torch.tensor([2, 2, 0])
    with torch.no_grad():
        state: Any = model.decoder.init_state(model.encoder(SRC, LENGTHS), LENGTHS)
        _, (encoded, lengths, caches) = model.decoder(TGT[:, :7], state)
        moved = tuple(tuple((k[order], v[order]) for k, v in block) for block in caches)
        scores, _ = model.decoder(TGT[order, 7:], (encoded[order], lengths[order], moved))
        wanted = model(SRC[order], TGT[order], LENGTHS[order])[:, 7:]
    torch.testing.assert_close(scores, wanted, rtol=1e-5, atol=1e-5)


def test_tokens_behind_the_length_and_later_ones_do_not_matter() -> None:
    model = drawn_t5()
    src = torch.where(MASK.bool(), SRC, (SRC + 1) % 50)
    tgt = TGT.clone()
    tgt[:, 9] = (tgt[:, 9] + 1) % 50
    with torch.no_grad():
        wanted = model(SRC, TGT, LENGTHS)
        torch.testing.assert_close(model(src, TGT, LENGTHS), wanted, rtol=1e-5, atol=1e-5)
        assert (model(src, TGT) - wanted).abs().max() > 1e-3
        changed = (model(SRC, tgt, LENGTHS) - wanted).abs().amax((0, 2)) > 1e-4
    assert not changed[:9].any()
    assert changed[9:].all()


# configs and errors


def test_a_config_that_transformers_writes_reads_the_same(tmp_path: Path) -> None:
    theirs: Any = twin("T5Model", "T5Config", **SMALL)
    theirs.config.save_pretrained(tmp_path)
    assert read(tmp_path, {}) == read(None, SMALL)


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"num_heads": 0}, "num_heads is 0; it wants a whole number from 1 up"),
        ({"feed_forward_proj": "tanh"}, "feed_forward_proj is 'tanh'; known: relu, gated-gelu"),
        ({"relative_attention_num_buckets": 6}, "num_buckets is 6; it wants a multiple of 4"),
        ({"relative_attention_max_distance": 4}, "with 8 buckets it wants more than 4"),
        ({"dropout_rate": 1}, "dropout_rate is 1; it wants a number from 0 up and below 1"),
        ({"model_type": "mt5"}, "model_type is 'mt5'; known: t5"),
        ({"num_experts": 8}, "num_experts is 8: a mixture of experts"),
    ],
)
def test_what_is_not_this_architecture_is_refused_by_name(
    changed: dict[str, Any], text: str
) -> None:
    with pytest.raises(ValueError, match=text):
        read(None, {**SMALL, **changed})


# learning


@one_thread()
def test_it_learns_to_copy() -> None:
    """Five tokens of ten; by guessing, one in ten would be right."""
    torch.manual_seed(0)
    model = t5(vocab_size=12, d_model=32, d_kv=8, d_ff=64, num_layers=1, dropout_rate=0.0)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-2)
    for _ in range(400):
        src = torch.randint(2, 12, (64, 5))
        tgt = torch.cat((torch.zeros(64, 1, dtype=torch.int64), src[:, :-1]), 1)
        loss = cross_entropy(model(src, tgt).flatten(0, 1), src.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    src = torch.randint(2, 12, (200, 5))
    token, found = torch.zeros(200, 1, dtype=torch.int64), []
    with torch.no_grad():
        state: Any = model.decoder.init_state(model.encoder(src))
        for _ in range(5):  # what it wrote itself, step by step
            scores, state = model.decoder(token, state)
            token = scores[:, -1:].argmax(-1)
            found.append(token)
    assert (torch.cat(found, 1) == src).float().mean() > 0.7
