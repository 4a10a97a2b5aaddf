"""Encoders and decoders: the book's shapes, torch's own GRU, attention by hand, toy languages."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

import pytest
import sacrebleu
import torch
from torch import Tensor, nn

import zoo
from tests.models.learning import one_thread
from zoo.errors import BuildError
from zoo.language import Vocabulary, build_pairs, corpus_bleu, translate
from zoo.language.pairs import RESERVED
from zoo.models.blocks.encoder_decoder import EncoderDecoder, masked_loss
from zoo.models.seq2seq import Seq2SeqDecoder, Seq2SeqEncoder, seq2seq
from zoo.models.seq2seq_attention import Seq2SeqAttentionDecoder, seq2seq_attention

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from zoo.language import Pairs

SMALL = (10, 8, 16, 2)
"""Vocabulary, embedding, hidden units and layers of the book's checks of shapes."""
FACTORIES: dict[str, Callable[..., EncoderDecoder]] = {
    "seq2seq": seq2seq,
    "seq2seq_attention": seq2seq_attention,
}
DECODERS: dict[str, type[Seq2SeqDecoder | Seq2SeqAttentionDecoder]] = {
    "seq2seq": Seq2SeqDecoder,
    "seq2seq_attention": Seq2SeqAttentionDecoder,
}
GATES = {"rnn": 1, "gru": 3, "lstm": 4}


def size(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def recurrent_size(gates: int, inputs: int, hidden: int, layers: int) -> int:
    """Weights of input and state, and torch's two biases, for each gate of each layer."""
    widths = [inputs, *[hidden] * (layers - 1)]
    return sum(gates * hidden * (width + hidden + 2) for width in widths)


def ids(batch: int, steps: int, vocab: int = 10) -> Tensor:
    return torch.randint(vocab, (batch, steps))


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


# shapes and sizes


def test_an_encoder_has_the_shapes_of_the_book() -> None:
    encoder = Seq2SeqEncoder(*SMALL)
    outputs, state = encoder(ids(4, 9))
    assert (outputs.shape, state.shape) == ((9, 4, 16), (2, 4, 16))
    assert size(encoder) == 10 * 8 + recurrent_size(3, 8, 16, 2)


@pytest.mark.parametrize("steps", [1, 7, 9])
@pytest.mark.parametrize("name", DECODERS)
def test_a_decoder_has_the_shapes_of_the_book(name: str, steps: int) -> None:
    encoder, decoder = Seq2SeqEncoder(*SMALL), DECODERS[name](*SMALL)
    scores, state = decoder(ids(4, steps), decoder.init_state(encoder(ids(4, 9))))
    assert scores.shape == (4, steps, 10)
    assert state[0].shape == ((9, 4, 16) if name == "seq2seq" else (4, 9, 16))
    assert state[1].shape == (2, 4, 16)
    scored = 3 * 16 * 16 - 2 * 16 * 16 + 16 * 16 + 16 if "attention" in name else 0
    dense = 16 * 10 + 10
    assert size(decoder) == 80 + recurrent_size(3, 8 + 16, 16, 2) + dense + scored


@pytest.mark.parametrize("cell", GATES)
@pytest.mark.parametrize("name", FACTORIES)
def test_parameters_of_every_cell(name: str, cell: str) -> None:
    src, tgt, embed, hidden, layers = 50, 70, 12, 20, 3
    model = FACTORIES[name](src, tgt, embed, hidden, layers, cell=cell)
    assert model(ids(2, 5), ids(2, 6), torch.tensor([5, 1])).shape == (2, 6, tgt)
    wanted = (src + tgt) * embed + (hidden + 1) * tgt
    wanted += recurrent_size(GATES[cell], embed, hidden, layers)
    wanted += recurrent_size(GATES[cell], embed + hidden, hidden, layers)
    if "attention" in name:
        wanted += 2 * hidden * hidden + hidden
    assert size(model) == wanted


@pytest.mark.parametrize("name", FACTORIES)
def test_default_inputs_run_with_numbers(name: str) -> None:
    model = zoo.create(name)
    lengths = torch.tensor([9, 1, 4, 0])
    scores = model(ids(4, 9, 10_000), ids(4, 9, 10_000), lengths)
    assert scores.shape == (4, 9, 10_000)
    assert bool(scores.isfinite().all())


def test_no_cell_of_that_name() -> None:
    with pytest.raises(ValueError, match="no cell is called 'gro': take one of rnn, gru, lstm"):
        seq2seq(cell="gro")
    with pytest.raises(BuildError, match="no cell is called 'gro': take one of rnn, gru, lstm"):
        zoo.summary("seq2seq", arguments={"cell": "gro"})


# what they compute


def test_the_encoder_is_torch_s_gru() -> None:
    encoder = Seq2SeqEncoder(*SMALL)
    other = nn.GRU(8, 16, 2)
    other.load_state_dict(encoder.rnn.state_dict())
    src = ids(4, 9)
    outputs, state = encoder(src)
    wanted, final = other(encoder.embedding.weight[src.t()])
    torch.testing.assert_close(outputs, wanted)
    torch.testing.assert_close(state, final)


@torch.no_grad()
def test_the_decoder_by_hand() -> None:
    """Each step is given the token and the last output of the encoder, beside its own state."""
    model = seq2seq(10, 10, 8, 16, 2, 0.0)
    src, tgt = ids(3, 5), ids(3, 4)
    scores = model(src, tgt)
    layers = [nn.GRUCell(24, 16), nn.GRUCell(16, 16)]
    rnn, embedding, dense = (
        model.decoder.get_submodule(name) for name in ("rnn", "embedding", "dense")
    )
    for at, layer in enumerate(layers):
        for name, parameter in layer.named_parameters():
            parameter.copy_(rnn.get_parameter(f"{name}_l{at}"))
    outputs, state = model.encoder(src)
    hidden = list(state)
    for step in range(4):
        x = torch.cat((embedding(tgt[:, step]), outputs[-1]), dim=-1)
        for at, layer in enumerate(layers):
            x = hidden[at] = layer(x, hidden[at])
        torch.testing.assert_close(scores[:, step], dense(x), atol=1e-5, rtol=0)


@torch.no_grad()
def test_attention_by_hand() -> None:
    """Example by example, over the outputs within its length alone."""
    model = seq2seq_attention(10, 10, 8, 16, 2, 0.0)
    src, tgt, lengths = ids(3, 6), ids(3, 4), [6, 2, 1]
    scores = model(src, tgt, torch.tensor(lengths))
    decoder: Any = model.decoder
    w_q, w_k, w_v = (getattr(decoder.attention, name).weight for name in ("W_q", "W_k", "w_v"))
    for example, length in enumerate(lengths):
        outputs, state = model.encoder(src[example : example + 1])
        kept = outputs[:length, 0]  # (S, N)
        for step in range(4):
            score = (w_q @ state[-1, 0] + kept @ w_k.t()).tanh() @ w_v[0]
            context = score.softmax(0) @ kept
            token = decoder.embedding.weight[tgt[example, step]]
            x, state = decoder.rnn(torch.cat((context, token))[None, None], state)
            wanted = decoder.dense(x[0, 0])
            torch.testing.assert_close(scores[example, step], wanted, atol=1e-5, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("cell", GATES)
@pytest.mark.parametrize("name", FACTORIES)
def test_token_by_token_is_all_at_once(name: str, cell: str) -> None:
    model = FACTORIES[name](10, 10, 8, 16, 2, cell=cell).eval()
    decoder: Any = model.decoder
    src, tgt, lengths = ids(3, 5), ids(3, 6), torch.tensor([5, 3, 1])
    whole = model(src, tgt, lengths)
    state = decoder.init_state(model.encoder(src, lengths), lengths)
    for step in range(6):
        scores, state = decoder(tgt[:, step : step + 1], state)
        torch.testing.assert_close(scores[:, 0], whole[:, step], atol=1e-5, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("cell", GATES)
@pytest.mark.parametrize("name", FACTORIES)
def test_states_in_another_order(name: str, cell: str) -> None:
    model = FACTORIES[name](10, 10, 8, 16, 2, cell=cell).eval()
    decoder: Any = model.decoder
    src, lengths, rows = ids(3, 5), torch.tensor([5, 3, 1]), torch.tensor([2, 0, 0, 1])
    _, state = decoder(ids(3, 2), decoder.init_state(model.encoder(src, lengths), lengths))
    tokens = ids(3, 1)
    scores, _ = decoder(tokens, state)
    moved, _ = decoder(tokens[rows], decoder.reorder(state, rows))
    torch.testing.assert_close(moved, scores[rows], atol=1e-6, rtol=0)


def test_padding_is_not_counted_in_the_loss() -> None:
    scores, labels = torch.randn(2, 3, 5), torch.tensor([[1, 2, 0], [4, 0, 0]])
    log_p = scores.log_softmax(-1)
    wanted = -(log_p[0, 0, 1] + log_p[0, 1, 2] + log_p[1, 0, 4]) / 3
    torch.testing.assert_close(masked_loss(scores, labels, 0), wanted)
    other = scores.clone()
    other[labels == 0] = 100.0
    torch.testing.assert_close(masked_loss(other, labels, 0), wanted)


# formulas


@pytest.mark.parametrize("name", FACTORIES)
def test_attention_alone_grows_with_both_lengths(name: str) -> None:
    embed, hidden, vocab = 8, 16, 10
    words = dict.fromkeys(("src_vocab_size", "tgt_vocab_size"), vocab)
    sizes = {"embed_size": embed, "num_hiddens": hidden, "num_layers": 1}
    found = zoo.formula(
        name, "B,S:int64", "B,T:int64", "B:int64", arguments={**words, **sizes}, device="cuda"
    )
    read = 3 * hidden * (embed + hidden)
    written = 3 * hidden * (embed + 2 * hidden) + hidden * vocab
    if name == "seq2seq":
        assert found.totals["macs"] == f"{read}*B*S + {written}*B*T"
        return
    looked = hidden * hidden + hidden + hidden  # a key projected and scored, a value weighed
    written += hidden * hidden  # the query
    assert found.totals["macs"] == f"{looked}*B*S*T + {read}*B*S + {written}*B*T"
    assert found.totals["growth"]["macs"] == "B*S*T"


def test_a_formula_of_kernels_that_are_taken_apart_is_the_same() -> None:
    """On the CPU a GRU counts up to the length of what it reads, for sources and targets."""
    three = ("2,S:int64", "2,T:int64", "2:int64")
    sizes = {"src_vocab_size": 10, "tgt_vocab_size": 10, "num_hiddens": 16, "num_layers": 1}
    on_cpu = zoo.formula("seq2seq", *three, arguments=sizes)
    on_gpu = zoo.formula("seq2seq", *three, arguments=sizes, device="cuda")
    assert set(on_cpu.totals["fitted"]) == {"S", "T"}
    assert on_cpu.totals["macs"] == on_gpu.totals["macs"]


# learning

LETTERS = "abcdefgh"
VOCAB = Vocabulary(LETTERS, reserved=RESERVED)
HELD_OUT = 200


@pytest.fixture
def _one_thread() -> Iterator[None]:
    with one_thread():
        yield


def words(count: int) -> list[list[str]]:
    """Distinct random words of four or five letters."""
    random = Random(0)
    found: dict[tuple[str, ...], None] = {}
    while len(found) < count:
        found[tuple(random.choices(LETTERS, k=random.choice((4, 5))))] = None
    return [list(word) for word in found]


def trained(model: EncoderDecoder, pairs: Pairs, steps: int) -> EncoderDecoder:
    model(pairs.src[:1], pairs.tgt[:1])
    optimizer = torch.optim.Adam(model.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.01, total_steps=steps)
    order = torch.Generator().manual_seed(0)
    batches = [batch for _ in range(3) for batch in pairs.batches(64, order)]
    for batch in batches[:steps]:
        scores = model(batch.src, batch.tgt, batch.src_valid_len)
        loss = masked_loss(scores, batch.labels, VOCAB["<pad>"])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    return model


def written(model: EncoderDecoder, pairs: Pairs, beam: int) -> list[str]:
    begin, end = VOCAB["<bos>"], VOCAB["<eos>"]
    found = translate(
        model, pairs.src, pairs.src_valid_len, begin=begin, end=end, steps=8, beam=beam
    )
    return [" ".join(VOCAB.tokens(one.tokens)) for one in found]


def percent(predicted: Sequence[str], labels: Sequence[str]) -> float:
    """BLEU by sacrebleu and by us, which must be one."""
    score: float = sacrebleu.corpus_bleu(predicted, [labels], tokenize="none", force=True).score
    mine = 100 * corpus_bleu(predicted, [[label] for label in labels])
    assert mine == pytest.approx(score)
    return score


@pytest.mark.usefixtures("_one_thread")
@pytest.mark.parametrize("task", ["copy", "reverse"])
@pytest.mark.parametrize(
    ("name", "num_hiddens", "steps"), [("seq2seq", 128, 600), ("seq2seq_attention", 64, 300)]
)
def test_it_learns_to_copy_and_to_reverse(
    name: str, num_hiddens: int, steps: int, task: str
) -> None:
    sources = words(16_000)
    targets = sources if task == "copy" else [word[::-1] for word in sources]
    pairs = build_pairs(zip(sources, targets, strict=True), VOCAB, VOCAB)
    labels = [" ".join(word) for word in targets[:HELD_OUT]]
    model = FACTORIES[name](len(VOCAB), len(VOCAB), 32, num_hiddens, 1, 0.0)
    held_out = pairs.rows(slice(HELD_OUT))
    assert percent(written(model, held_out, beam=1), labels) < 20
    trained(model, pairs.rows(slice(HELD_OUT, None)), steps)
    assert percent(written(model, held_out, beam=1), labels) == pytest.approx(100)
    assert percent(written(model, held_out, beam=3), labels) == pytest.approx(100)
