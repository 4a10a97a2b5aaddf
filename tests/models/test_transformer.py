"""The Transformer against torch's own layers, step by step against at once, and on real words."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from pydoc_data.topics import topics
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn

import zoo
from tests.models.learning import fit, one_thread
from tests.models.measures import close, numel
from zoo.models.blocks.positional import sinusoids
from zoo.models.blocks.transformer import (
    AddNorm,
    PositionWiseFFN,
    TransformerDecoderBlock,
    TransformerEncoderBlock,
    causal_lens,
)
from zoo.models.transformer import (
    TransformerDecoder,
    TransformerEncoder,
    transformer,
    transformer_base,
    transformer_big,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from zoo.models.blocks.attention import MultiHeadAttention
    from zoo.models.blocks.encoder_decoder import EncoderDecoder

D2L_ITEMS = ("add-norm", "positionwise-ffn", "transformer-encoder-block")
ORACLE = Path(__file__).parents[1] / "oracles" / "d2l.json"
ITEMS: dict[str, dict[str, Any]] = {
    item["id"]: item for item in json.loads(ORACLE.read_text())["items"] if item["id"] in D2L_ITEMS
}
BLOCKS: dict[str, Callable[..., nn.Module]] = {
    "add-norm": AddNorm,
    "positionwise-ffn": PositionWiseFFN,
    "transformer-encoder-block": TransformerEncoderBlock,
}
LENS = torch.tensor([3, 2])


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Small models are quicker so."""
    torch.manual_seed(0)
    with one_thread():
        yield


# What the book prints or asserts


@pytest.mark.parametrize("name", D2L_ITEMS)
def test_blocks_of_the_book(name: str) -> None:
    item = ITEMS[name]
    given = [torch.randn(shape) for key, shape in item["inputs"].items() if key != "valid_lens"]
    if "valid_lens" in item["inputs"]:
        given.append(torch.tensor(item["inputs"]["valid_lens"]))
    block = BLOCKS[name](**item["args"])
    (expected,) = item["outputs"].values()
    assert list(block(*given).shape) == expected
    assert numel(block) == item["derived_params"]


def test_the_same_row_at_each_position() -> None:
    y = PositionWiseFFN(4, 8)(torch.ones(2, 3, 4))
    close(y, y[:1, :1].expand(2, 3, 8))


def test_encoder_and_decoder_block_of_the_book() -> None:
    src = torch.ones(2, 100, dtype=torch.long)
    encoded = TransformerEncoder(200, 24, 48, 8, 2, 0.5)(src, LENS)
    assert encoded.shape == (2, 100, 24)
    block = TransformerDecoderBlock(24, 48, 8, 0.5)
    y, seen = block(torch.ones(2, 100, 24), encoded, LENS)
    assert y.shape == seen.shape == (2, 100, 24)
    decoder = TransformerDecoder(200, 24, 48, 8, 2, 0.5)
    assert decoder(src, decoder.init_state(encoded, LENS))[0].shape == (2, 100, 200)


# Parameters by the closed form


def count(n: int, f: int, blocks: int) -> int:
    """Of the blocks of encoder and decoder, attention without biases."""
    encoder = 4 * n * n + 2 * n * f + f + n + 4 * n
    decoder = 8 * n * n + 2 * n * f + f + n + 6 * n
    return blocks * (encoder + decoder)


@pytest.mark.parametrize(
    ("factory", "n", "f", "blocks", "published", "off"),
    [
        (transformer_base, 512, 2048, 6, 65e6, 0.031),
        (transformer_big, 1024, 4096, 6, 213e6, 0.006),
    ],
)
def test_parameters_of_the_paper(
    factory: Callable[[], EncoderDecoder],
    n: int,
    f: int,
    blocks: int,
    published: float,
    off: float,
) -> None:
    """37,000 tokens give 63.0 M and 214.2 M, where table 3 says 65 M and 213 M."""
    with torch.device("meta"):
        model = factory()
        ids = torch.zeros(1, 5, dtype=torch.long)
        assert model(ids, ids).shape == (1, 5, 37000)
    assert numel(model) == count(n, f, blocks) + 37000 * n
    assert numel(model) == pytest.approx(published, rel=off)


def test_parameters_of_the_book_s_sizes() -> None:
    report = zoo.summary("transformer")
    tables, head = 400 * 256, 256 * 200 + 200
    assert report.totals["parameters"] == count(256, 64, 2) + tables + head


def test_one_table_of_three() -> None:
    with torch.device("meta"):
        model = transformer_base(11)
        model(torch.zeros(1, 5, dtype=torch.long), torch.zeros(1, 5, dtype=torch.long))
    assert model.decoder.dense.weight is model.encoder.embedding.weight
    assert model.decoder.embedding.weight is model.encoder.embedding.weight
    assert numel(model) == count(512, 2048, 6) + 11 * 512


def test_cost_in_lengths() -> None:
    """Two blocks, width 256: self-attention is quadratic, cross-attention a product."""
    report = zoo.formula("transformer", "B,S:int64", "B,T:int64", "B:int64")
    n, f, vocab = 256, 64, 200
    source, target = 2 * (6 * n * n + 2 * n * f), 2 * (6 * n * n + 2 * n * f) + n * vocab
    assert report.totals["macs"] == (
        f"{4 * n}*B*S^2 + {4 * n}*B*S*T + {4 * n}*B*T^2 + {source}*B*S + {target}*B*T"
    )


# Against torch's layers, weights copied


def attention_weights(name: str, one: MultiHeadAttention) -> dict[str, Tensor]:
    """Under the names of torch's module; what has no biases gets zeros."""
    maps = (one.W_q, one.W_k, one.W_v)
    width = one.W_o.weight.shape[0]
    biases = [torch.zeros(width) if each.bias is None else each.bias for each in (*maps, one.W_o)]
    return {
        f"{name}.in_proj_weight": torch.cat([each.weight for each in maps]),
        f"{name}.in_proj_bias": torch.cat(biases[:3]),
        f"{name}.out_proj.weight": one.W_o.weight,
        f"{name}.out_proj.bias": biases[3],
    }


def encoder_weights(block: TransformerEncoderBlock) -> dict[str, Tensor]:
    parts = {
        "linear1": block.ffn.dense1,
        "linear2": block.ffn.dense2,
        "norm1": block.addnorm1.ln,
        "norm2": block.addnorm2.ln,
    }
    found = attention_weights("self_attn", block.attention)
    for name, part in parts.items():
        found |= {f"{name}.weight": part.weight, f"{name}.bias": part.bias}
    return {name: value.detach() for name, value in found.items()}


def decoder_weights(block: TransformerDecoderBlock) -> dict[str, Tensor]:
    parts = {
        "linear1": block.ffn.dense1,
        "linear2": block.ffn.dense2,
        "norm1": block.addnorm1.ln,
        "norm2": block.addnorm2.ln,
        "norm3": block.addnorm3.ln,
    }
    found = attention_weights("self_attn", block.attention1)
    found |= attention_weights("multihead_attn", block.attention2)
    for name, part in parts.items():
        found |= {f"{name}.weight": part.weight, f"{name}.bias": part.bias}
    return {name: value.detach() for name, value in found.items()}


def stir(module: nn.Module) -> None:
    """Give every parameter a value of its own: norms start at 1 and 0."""
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.3)


def hidden(lens: Tensor, keys: int) -> Tensor:
    """torch's padding mask: true where a key does not count."""
    return torch.arange(keys) >= lens[:, None]


def ahead(tokens: int) -> Tensor:
    """torch's causal mask: true where a key is ahead of its query."""
    return torch.ones(tokens, tokens, dtype=torch.bool).triu(1)


def torch_encoder_layer() -> nn.TransformerEncoderLayer:
    return nn.TransformerEncoderLayer(12, 3, 20, dropout=0.0, batch_first=True)


def torch_decoder_layer() -> nn.TransformerDecoderLayer:
    return nn.TransformerDecoderLayer(12, 3, 20, dropout=0.0, batch_first=True)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("lens", [None, LENS])
def test_encoder_block_is_torch_s(bias: bool, lens: Tensor | None) -> None:
    x = torch.randn(2, 4, 12)
    ours, theirs = TransformerEncoderBlock(12, 20, 3, use_bias=bias), torch_encoder_layer()
    ours(x)
    stir(ours)
    theirs.load_state_dict(encoder_weights(ours))
    mask = None if lens is None else hidden(lens, 4)
    close(ours(x, lens), theirs(x, src_key_padding_mask=mask))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("lens", [None, LENS])
def test_decoder_block_is_torch_s(bias: bool, lens: Tensor | None) -> None:
    x, encoded = torch.randn(2, 5, 12), torch.randn(2, 4, 12)
    ours, theirs = TransformerDecoderBlock(12, 20, 3, use_bias=bias), torch_decoder_layer()
    ours(x, encoded)
    stir(ours)
    theirs.load_state_dict(decoder_weights(ours))
    mask = None if lens is None else hidden(lens, 4)
    expected = theirs(x, encoded, tgt_mask=ahead(5), memory_key_padding_mask=mask)
    close(ours(x, encoded, lens)[0], expected)


def test_stacked_encoder_and_decoder_are_torch_s() -> None:
    sizes = (12, 20, 3, 3)
    encoder, decoder = TransformerEncoder(30, *sizes), TransformerDecoder(30, *sizes)
    src, tgt = torch.randint(0, 30, (2, 4)), torch.randint(0, 30, (2, 5))
    decoder(tgt, decoder.init_state(encoder(src)))
    stir(encoder)
    stir(decoder)

    below = nn.TransformerEncoder(torch_encoder_layer(), 3, enable_nested_tensor=False)
    above = nn.TransformerDecoder(torch_decoder_layer(), 3)
    for ours, theirs in zip(encoder.blks, below.layers, strict=True):
        theirs.load_state_dict(encoder_weights(ours))
    for ours, theirs in zip(decoder.blks, above.layers, strict=True):
        theirs.load_state_dict(decoder_weights(ours))
    placed = encoder.embedding(src) * 12**0.5 + sinusoids(4, 12)
    expected = below(placed, src_key_padding_mask=hidden(LENS, 4))
    encoded = encoder(src, LENS)
    close(encoded, expected)
    placed = decoder.embedding(tgt) * 12**0.5 + sinusoids(5, 12)
    y = above(placed, expected, tgt_mask=ahead(5), memory_key_padding_mask=hidden(LENS, 4))
    close(decoder(tgt, decoder.init_state(encoded, LENS))[0], decoder.dense(y))


# Decoding


def small() -> tuple[EncoderDecoder, Tensor, Tensor]:
    """A model in evaluation mode, with sources and targets."""
    model = transformer(30, 30, 12, 20, 3, 2)
    src, tgt = torch.randint(0, 30, (2, 4)), torch.randint(0, 30, (2, 6))
    model(src, tgt)
    return model.eval(), src, tgt


@pytest.mark.parametrize("pieces", [[1] * 6, [2, 3, 1], [6]])
def test_step_by_step_is_at_once(pieces: list[int]) -> None:
    model, src, tgt = small()
    state = model.decoder.init_state(model.encoder(src, LENS), LENS)
    scores = []
    for piece in tgt.split(pieces, dim=1):
        found, state = model.decoder(piece, state)
        scores.append(found)
    close(torch.cat(scores, dim=1), model(src, tgt, LENS))


def reordered(state: Any, order: Tensor) -> Any:
    if isinstance(state, tuple):
        return tuple(reordered(part, order) for part in state)
    return None if state is None else state.index_select(0, order)


def test_states_are_taken_up_again_and_reordered() -> None:
    """A beam search goes on from one state in several ways, in another order."""
    model, src, tgt = small()
    _, state = model.decoder(tgt[:, :3], model.decoder.init_state(model.encoder(src, LENS), LENS))
    one, _ = model.decoder(tgt[:, 3:], state)
    assert torch.equal(model.decoder(tgt[:, 3:], state)[0], one)
    turned = torch.tensor([1, 0, 1])
    close(model.decoder(tgt[turned, 3:], reordered(state, turned))[0], one[turned])


def test_scores_see_neither_what_comes_later_nor_padding() -> None:
    model, src, tgt = small()
    before = model(src, tgt, LENS)
    later, padded = tgt.clone(), src.clone()
    later[:, 4:] = 0
    padded[0, 3:], padded[1, 2:] = 29, 29
    assert torch.equal(model(src, later, LENS)[:, :4], before[:, :4])
    assert not torch.equal(model(src, later, LENS)[:, 4:], before[:, 4:])
    close(model(padded, tgt, LENS), before)


def test_keys_that_a_token_sees() -> None:
    assert causal_lens(torch.zeros(2, 3, 4), before=5).tolist() == [[6, 7, 8]] * 2


# It learns


PAD, BEGIN, END = 0, 1, 2


def words(reverse: bool) -> tuple[Tensor, Tensor, Tensor]:
    """The words of Python's own help, letter by letter, and the same words copied or reversed.

    Returns:
        Letters (2042, 8), targets with begin and end (2042, 10), lengths (2042,).
    """
    text = " ".join(topics.values()).lower()
    found = sorted({word for word in re.findall("[a-z]+", text) if 3 <= len(word) <= 8})
    random.Random(0).shuffle(found)
    src = torch.full((len(found), 8), PAD)
    tgt = torch.full((len(found), 10), PAD)
    for row, word in enumerate(found):
        letters = [ord(letter) - ord("a") + 3 for letter in word]
        src[row, : len(word)] = torch.tensor(letters)
        out = [BEGIN, *(letters[::-1] if reverse else letters), END]
        tgt[row, : len(out)] = torch.tensor(out)
    return src, tgt, (src != PAD).sum(dim=1)


def decoded(model: EncoderDecoder, src: Tensor, lens: Tensor, steps: int) -> Tensor:
    """The likeliest token at each step, one step at a time, (B, steps)."""
    state = model.decoder.init_state(model.encoder(src, lens), lens)
    ids, out = torch.full((len(src), 1), BEGIN), []
    for _ in range(steps):
        scores, state = model.decoder(ids, state)
        ids = scores.argmax(dim=-1)
        out.append(ids)
    return torch.cat(out, dim=1)


@pytest.mark.parametrize(("reverse", "steps", "share"), [(False, 250, 0.85), (True, 450, 0.7)])
def test_copies_and_reverses_words_that_it_never_saw(
    reverse: bool, steps: int, share: float
) -> None:
    src, tgt, lens = words(reverse)
    model = transformer(29, 29, 48, 96, 4, 1, 0.0)
    model(src[:2], tgt[:2], lens[:2])

    def loss() -> Tensor:
        some = torch.randint(200, len(src), (64,))  # the first 200 are for the test
        scores = model(src[some], tgt[some, :-1], lens[some])
        return nn.functional.cross_entropy(scores.mT, tgt[some, 1:], ignore_index=PAD)

    fit(model, loss, steps=steps, rate=4e-3, last_rate=0.0)
    wanted = tgt[:200, 1:]
    counts = wanted[wanted != PAD]
    commonest = float((counts == counts.mode().values).float().mean())
    with torch.no_grad():
        found = decoded(model.eval(), src[:200], lens[:200], wanted.shape[1])
    right = (found == wanted) | (wanted == PAD)
    assert float(right.all(dim=1).float().mean()) > share > 3 * commonest
