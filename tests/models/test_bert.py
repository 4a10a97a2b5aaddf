"""BERT: published counts, transformers' outputs, the book's shapes, and that it learns."""

from __future__ import annotations

import json
from pathlib import Path
from pydoc_data.topics import topics
from random import Random
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import zoo
from tests.models.learning import one_thread
from tests.models.measures import numel
from tests.models.transformers_twin import close, drawn, twin
from zoo.analysis.skeleton import skeleton
from zoo.language import (
    Vocabulary,
    clean,
    get_tokens_and_segments,
    mask_tokens,
    pretraining_batch,
    sentence_pairs,
)
from zoo.models.bert import Bert, BertOutput, bert, bert_book, pretraining_loss
from zoo.models.bert_config import HEADS, BertConfig, read
from zoo.plugins.llms.bert import PUBLISHED

ORACLES = Path(__file__).parents[1] / "oracles"
BASE = ORACLES / "hf_configs" / "bert-base-uncased.json"
ITEMS = {item["id"]: item for item in json.loads((ORACLES / "d2l.json").read_text())["items"]}
D2L_ITEMS = ("bert-model", "bert-small-pair", "bert-large-claim")
LARGE = {
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
}


# published counts


@pytest.mark.parametrize(
    ("settings", "heads", "parameters"),
    [
        ({}, [], 108_891_648),
        ({}, ["pooler"], 109_482_240),
        ({}, ["mlm"], 109_514_298),
        ({}, ["mlm", "nsp"], 110_106_428),
        (LARGE, ["pooler"], 335_141_888),
        (LARGE, ["mlm"], 335_174_458),
        (LARGE, ["mlm", "nsp"], 336_226_108),
    ],
)
def test_parameters_of_published_configs(
    settings: dict[str, Any], heads: list[str], parameters: int
) -> None:
    assert numel(skeleton(lambda: bert(BASE, heads=heads, **settings))) == parameters


@pytest.mark.parametrize(("name", "parameters", "settings"), PUBLISHED, ids=str)
def test_cards_have_published_sizes(name: str, parameters: int, settings: dict[str, Any]) -> None:
    assert zoo.params(f"llms/{name}").totals["parameters"] == parameters
    assert settings["vocab_size"] == read(BASE, {}).vocab_size


def test_the_card_of_base_is_its_config() -> None:
    (settings,) = (found for name, _, found in PUBLISHED if name == "bert-base-uncased")
    assert read(settings, {}) == read(BASE, {})


# the book


def test_the_book_s_model() -> None:
    item = ITEMS["bert-model"]
    model = bert_book(**item["args"]).eval()
    assert numel(model) == item["derived_params"]
    shapes = item["inputs"]
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(0, 10000, shapes["tokens"], generator=generator)
    segments = torch.randint(0, 2, shapes["segments"], generator=generator)
    positions = torch.randint(0, 8, shapes["pred_positions"], generator=generator)
    with torch.no_grad():
        found = model(tokens, segments, torch.tensor([8, 3]), positions)
    shown = {name: list(getattr(found, name).shape) for name in item["outputs"]}
    assert shown == item["outputs"]
    assert found.pooled is None
    assert found.classes is None


def test_the_book_s_pair_of_sentences() -> None:
    item = ITEMS["bert-small-pair"]
    model = bert_book(vocab_size=20256, **item["args"]).eval()
    first = ["a", "crane", "driver", "came"]
    tokens, segments = get_tokens_and_segments(first, ["he", "just", "left"])
    vocab = Vocabulary(tokens)
    with torch.no_grad():
        encoded = model(torch.tensor([vocab[tokens]]), torch.tensor([segments])).encoded
    assert [1, len(tokens)] == item["inputs"]["tokens"]
    assert list(encoded.shape) == item["outputs"]["Y"]
    assert list(encoded[:, 0].shape) == item["outputs"]["cls"]
    assert (tokens[0], tokens[5], tokens[-1]) == ("<cls>", "<sep>", "<sep>")


def test_the_book_s_claim_of_the_largest() -> None:
    """350 million in the book, 340 in the paper, 335 by arithmetic: each rounded more than ours."""
    claimed = int(ITEMS["bert-large-claim"]["outputs"]["params"].split()[0])
    ours = zoo.params("bert-large-uncased").totals["parameters"] / 1e6
    assert round(ours / 10) * 10 == 340
    assert abs(ours - claimed) < 0.05 * claimed


# figures


@st.composite
def configs(draw: st.DrawFn) -> BertConfig:
    heads = draw(st.integers(1, 4))
    return BertConfig(
        vocab_size=draw(st.integers(1, 60)),
        hidden_size=heads * draw(st.integers(1, 8)),
        num_hidden_layers=draw(st.integers(1, 3)),
        num_attention_heads=heads,
        intermediate_size=draw(st.integers(1, 50)),
        max_position_embeddings=draw(st.integers(20, 40)),
        type_vocab_size=draw(st.integers(1, 3)),
        embedding_norm=draw(st.booleans()),
        tie_word_embeddings=draw(st.booleans()),
        heads=draw(st.lists(st.sampled_from(HEADS), unique=True)),
    )


def parameters(config: BertConfig) -> int:
    """By hand."""
    c, f, v = config.hidden_size, config.intermediate_size, config.vocab_size
    block = 4 * (c * c + c) + 2 * c * f + f + c + 4 * c
    found = (v + config.max_position_embeddings + config.type_vocab_size) * c
    found += 2 * c * config.embedding_norm + config.num_hidden_layers * block
    found += (c * c + c) * config.pooled
    if "mlm" in config.heads:
        found += c * c + c + 2 * c + v + (0 if config.tie_word_embeddings else v * c)
    return found + 2 * (c + 1) * (("nsp" in config.heads) + ("classes" in config.heads))


def macs(config: BertConfig, batch: int, tokens: int, masked: int) -> int:
    """By hand."""
    c, f = config.hidden_size, config.intermediate_size
    block = tokens * (4 * c * c + 2 * c * f) + 2 * tokens * tokens * c
    found = config.num_hidden_layers * block + c * c * config.pooled
    found += masked * (c * c + c * config.vocab_size) * ("mlm" in config.heads)
    return batch * (found + 2 * c * (("nsp" in config.heads) + ("classes" in config.heads)))


@given(config=configs(), batch=st.integers(1, 3), tokens=st.integers(1, 20), some=st.booleans())
def test_macs_and_parameters_by_closed_form(
    config: BertConfig, batch: int, tokens: int, *, some: bool
) -> None:
    shape = f"{batch},{tokens}:int64"
    words = [shape, shape, f"{batch}:int64"]
    masked = 4 if some else tokens
    report = zoo.summary(
        skeleton(lambda: Bert(config)), *words, *([f"{batch},4:int64"] if some else [])
    )
    assert report.failure is None
    assert report.totals["uncounted"] == []
    assert report.totals["parameters"] == parameters(config)
    assert report.totals["macs"] == macs(config, batch, tokens, masked)


def test_attention_is_quadratic_in_the_length() -> None:
    report = zoo.formula("llms/bert-base-uncased", "1,T:int64")
    assert report.totals["macs"] == "18432*T^2 + 84934656*T + 589824"


# outputs

SMALL: dict[str, Any] = {
    "vocab_size": 50,
    "hidden_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 40,
    "max_position_embeddings": 20,
    "type_vocab_size": 2,
}
GENERATOR = torch.Generator().manual_seed(1)
IDS = torch.randint(0, 50, (3, 12), generator=GENERATOR)
SEGMENTS = torch.randint(0, 2, (3, 12), generator=GENERATOR)
LENGTHS = torch.tensor([12, 1, 7])
MASK = (torch.arange(12) < LENGTHS[:, None]).long()


def pair(kind: str, heads: list[str], **settings: Any) -> tuple[Bert, Any]:
    """Ours and transformers', with the same weights; names differ by the outermost alone."""
    theirs = twin(kind, "BertConfig", **{**SMALL, **settings})
    ours = bert(None, **{**SMALL, "heads": heads, **settings}).eval()
    weights = {
        name if name.startswith(("bert.", "cls.", "classifier.")) else f"bert.{name}": value
        for name, value in theirs.state_dict().items()
        if name not in ("cls.predictions.bias", "embeddings.position_ids")
    }
    ours.load_state_dict(weights)
    return ours, theirs


def both(ours: Bert, theirs: Any, *, masked: bool) -> tuple[BertOutput, Any]:
    with torch.no_grad():
        found: BertOutput = ours(IDS, SEGMENTS, LENGTHS if masked else None)
        attention = MASK if masked else None
        return found, theirs(IDS, token_type_ids=SEGMENTS, attention_mask=attention)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("act", ["gelu", "gelu_new", "relu"])
def test_encodings_are_those_of_transformers(act: str, *, masked: bool) -> None:
    found, wanted = both(*pair("BertModel", ["pooler"], hidden_act=act), masked=masked)
    assert found.pooled is not None
    close(found.encoded, wanted.last_hidden_state)
    close(found.pooled, wanted.pooler_output)


@pytest.mark.parametrize("masked", [False, True])
def test_scores_of_masked_words_are_those_of_transformers(*, masked: bool) -> None:
    found, wanted = both(*pair("BertForMaskedLM", ["mlm"]), masked=masked)
    assert found.mlm is not None
    close(found.mlm, wanted.logits)


def test_scores_of_pretraining_are_those_of_transformers() -> None:
    ours, theirs = pair("BertForPreTraining", ["mlm", "nsp"])
    found, wanted = both(ours, theirs, masked=True)
    assert found.mlm is not None
    assert found.nsp is not None
    close(found.mlm, wanted.prediction_logits)
    close(found.nsp, wanted.seq_relationship_logits)
    positions = torch.tensor([[1, 5], [0, 0], [6, 2]])
    with torch.no_grad():
        some = ours(IDS, SEGMENTS, LENGTHS, positions).mlm
    close(some, torch.stack([row[at] for row, at in zip(found.mlm, positions, strict=True)]))


def test_scores_of_classes_are_those_of_transformers() -> None:
    ours, theirs = pair("BertForSequenceClassification", ["classes"], num_labels=3)
    found, wanted = both(ours, theirs, masked=True)
    assert found.classes is not None
    close(found.classes, wanted.logits)


def test_tokens_behind_the_length_do_not_matter() -> None:
    torch.manual_seed(0)
    model = bert(None, **SMALL).eval()
    drawn(model)
    other = torch.where(MASK.bool(), IDS, (IDS + 1) % 50)
    with torch.no_grad():
        left, right = (model(ids, SEGMENTS, LENGTHS).encoded for ids in (IDS, other))
        unmasked = model(other, SEGMENTS).encoded
    torch.testing.assert_close(left[MASK.bool()], right[MASK.bool()])
    assert (left - unmasked).abs().max() > 1e-2


def test_the_book_s_blocks_are_torch_s_encoder_layers() -> None:
    """ReLU, the norm after the sum, biases: `nn.TransformerEncoderLayer`, weights copied."""
    model = bert_book(50, 24, 40, 4, 2, max_len=20).eval()
    drawn(model)
    x = model.bert.embeddings(IDS, SEGMENTS)  # (3, 12, 24)
    for layer in model.bert.encoder.layer:
        theirs = nn.TransformerEncoderLayer(24, 4, 40, batch_first=True).eval()
        named = dict(layer.named_parameters())
        for kind in ("weight", "bias"):
            parts = [named[f"attention.self.{one}.{kind}"] for one in ("query", "key", "value")]
            getattr(theirs.self_attn, f"in_proj_{kind}").data = torch.cat(parts)
            for mine, his in (
                ("attention.output.dense", theirs.self_attn.out_proj),
                ("attention.output.LayerNorm", theirs.norm1),
                ("intermediate.dense", theirs.linear1),
                ("output.dense", theirs.linear2),
                ("output.LayerNorm", theirs.norm2),
            ):
                setattr(his, kind, named[f"{mine}.{kind}"])
        x = theirs(x, src_key_padding_mask=~MASK.bool())  # (3, 12, 24)
    with torch.no_grad():
        close(model(IDS, SEGMENTS, LENGTHS).encoded[MASK.bool()], x[MASK.bool()])


def test_the_loss_of_pretraining_by_hand() -> None:
    generator = torch.Generator().manual_seed(3)
    mlm, nsp = torch.randn(2, 3, 7, generator=generator), torch.randn(2, 2, generator=generator)
    labels, follows = torch.tensor([[1, 2, 0], [6, 0, 0]]), torch.tensor([1, 0])
    weights = torch.tensor([[1.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    found = pretraining_loss(BertOutput(mlm, mlm, nsp), weights, labels, follows)
    words = [mlm[b, p].log_softmax(-1)[labels[b, p]] for b, p in ((0, 0), (0, 1), (1, 0))]
    pairs = [nsp[b].log_softmax(-1)[follows[b]] for b in (0, 1)]
    torch.testing.assert_close(found, -sum(words) / 3 - sum(pairs) / 2)
    with pytest.raises(ValueError, match="heads mlm and nsp"):
        pretraining_loss(BertOutput(mlm), weights, labels, follows)


# configs and errors


def test_a_config_that_transformers_writes_reads_the_same(tmp_path: Path) -> None:
    theirs: Any = twin("BertModel", "BertConfig", **SMALL)
    theirs.config.save_pretrained(tmp_path)
    assert read(tmp_path, {}) == read(None, SMALL)


def test_defaults_are_those_of_transformers() -> None:
    transformers = pytest.importorskip("transformers")
    theirs, ours = transformers.BertConfig(), read(None, SMALL)
    for name in ("hidden_act", "layer_norm_eps", "hidden_dropout_prob", "type_vocab_size"):
        assert getattr(ours, name) == getattr(theirs, name)


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"hidden_size": 25}, "hidden_size is 25, which num_attention_heads, 4, does not divide"),
        ({"heads": ["lm"]}, "heads has 'lm'; known: pooler, mlm, nsp, classes"),
        ({"hidden_act": "silu"}, "hidden_act is 'silu'; known: gelu"),
        ({"vocab_size": 0}, "vocab_size is 0; it wants a whole number from 1 up"),
        ({"vocab_size": 5.0}, "vocab_size is 5.0; it wants int"),
        ({"hidden_dropout_prob": 1.0}, "hidden_dropout_prob is 1.0; it wants a number from 0"),
        ({"model_type": "roberta"}, "model_type is 'roberta'; known: bert"),
        ({"is_decoder": True}, "is_decoder is True: causal attention"),
        ({"position_embedding_type": "relative_key"}, "positions of another kind"),
        ({"torch_dtype": "int8"}, "torch_dtype is 'int8'; known: float32"),
    ],
)
def test_what_is_not_this_architecture_is_refused_by_name(
    changed: dict[str, Any], text: str
) -> None:
    with pytest.raises(ValueError, match=text):
        read(None, {**SMALL, **changed})


def test_a_missing_setting_and_a_missing_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="the setting hidden_size is missing"):
        read({"vocab_size": 3}, {})
    with pytest.raises(ValueError, match=r"none\.json cannot be read"):
        read(tmp_path / "none.json", {})


def test_a_sequence_that_is_too_long_is_refused() -> None:
    with pytest.raises(ValueError, match="21 tokens, but max_position_embeddings is 20"):
        bert(None, **SMALL)(torch.zeros(1, 21, dtype=torch.int64))


@pytest.mark.parametrize("dtype", ["bfloat16", "torch.float64"])
def test_weights_have_the_config_s_dtype(dtype: str) -> None:
    model = skeleton(lambda: bert(torch_dtype=dtype))
    assert {str(one.dtype) for one in model.parameters()} == {
        f"torch.{dtype.removeprefix('torch.')}"
    }


def test_weights_start_small() -> None:
    torch.manual_seed(0)
    for name, parameter in bert(hidden_size=128).named_parameters():
        if parameter.dim() == 2:
            assert 0.017 < parameter.std() < 0.023, name
        else:
            assert bool((parameter == float(name.endswith("LayerNorm.weight"))).all()), name


# learning

TOKENS = 8


def text_ids() -> tuple[Vocabulary, Tensor, Tensor]:
    """The standard library's own English: a vocabulary, ids to learn from and ids held out."""
    words = clean(" ".join(topics[name] for name in sorted(topics))).split()
    cut = len(words) * 9 // 10
    special = ["<pad>", "<mask>", "<cls>", "<sep>"]
    vocab = Vocabulary(words[:cut], min_freq=20, reserved=special)
    ids = torch.tensor(vocab[words])
    return vocab, ids[:cut], ids[cut:]


def masked_rows(
    vocab: Vocabulary, ids: Tensor, rows: int, random: Random
) -> tuple[Tensor, Tensor, Tensor]:
    """Rows of a text with masked words: ids (B, T), positions (B, P), what stood there (B, P)."""
    words, hidden, positions, labels = list(vocab)[5:], [], [], []
    for _ in range(rows):
        start = random.randrange(len(ids) - TOKENS)
        made = mask_tokens(vocab.tokens(ids[start : start + TOKENS]), words, random)
        hidden.append(vocab[made.tokens])
        positions.append(made.positions)
        labels.append(vocab[made.words])
    return torch.tensor(hidden), torch.tensor(positions), torch.tensor(labels)


def mlm_loss(model: Bert, rows: tuple[Tensor, ...]) -> Tensor:
    tokens, positions, labels = rows
    scores = model(tokens, pred_positions=positions).mlm  # (B, P, V)
    return cross_entropy(scores.flatten(0, 1), labels.flatten())


@one_thread()
def test_its_loss_falls_below_the_entropy_of_single_words() -> None:
    """Both on the same held-out masked words; the entropy is that of frequencies in training."""
    vocab, train, held = text_ids()
    torch.manual_seed(0)
    settings = {"hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 64}
    without = dict.fromkeys(("hidden_dropout_prob", "attention_probs_dropout_prob"), 0.0)
    model = bert(vocab_size=len(vocab), heads=["mlm"], **settings, **without)
    test = masked_rows(vocab, held, 2000, Random(1))
    frequency = torch.bincount(train, minlength=len(vocab)) + 1.0
    entropy = -(frequency / frequency.sum()).log()[test[2]].mean()
    pool = masked_rows(vocab, train, 25_600, Random(0))
    steps = 400
    optimizer = torch.optim.AdamW(model.parameters(), 5e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 5e-3, total_steps=steps)
    with torch.no_grad():
        before = mlm_loss(model, test)
    for step in range(steps):
        at = 128 * (step % 200)
        loss = mlm_loss(model, tuple(part[at : at + 128] for part in pool))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        after = mlm_loss(model.eval(), test)
    assert after < entropy - 0.05 < before


@one_thread()
def test_it_learns_which_sentence_follows() -> None:
    """Real pairs of pretraining: the loss on a batch falls below that of a guess for both heads."""
    sentences = [topics[name].split(".") for name in sorted(topics)[:12]]
    paragraphs = [[clean(one).split()[:8] for one in text if one.strip()] for text in sentences]
    words = [word for text in paragraphs for one in text for word in one]
    vocab = Vocabulary(words, min_freq=2, reserved=["<pad>", "<mask>", "<cls>", "<sep>"])
    pairs = sentence_pairs(paragraphs, 20, Random(0))[:32]
    batch = pretraining_batch(pairs, vocab.__getitem__, list(vocab)[5:], 20, Random(0))
    torch.manual_seed(0)
    model = bert(vocab_size=len(vocab), hidden_size=32, hidden_dropout_prob=0.0)
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    for _ in range(60):
        output = model(batch.tokens, batch.segments, batch.valid_lens, batch.pred_positions)
        loss = pretraining_loss(output, *batch[4:])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        output = model(batch.tokens, batch.segments, batch.valid_lens, batch.pred_positions)
    right = (output.nsp.argmax(-1) == batch.nsp_labels).float().mean()
    share = batch.nsp_labels.float().mean()
    assert right > 0.95 > max(share, 1 - share)
