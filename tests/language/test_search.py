"""Searches: against all sequences there are, against each other, one by one, on nested states."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

import zoo
from zoo.errors import LanguageError
from zoo.language import (
    Candidate,
    beam_search,
    greedy_search,
    rereading,
    select_rows,
    translate,
)
from zoo.models.gpt import gpt
from zoo.models.rnn_lm import rnn_lm
from zoo.models.seq2seq import seq2seq
from zoo.models.seq2seq_attention import seq2seq_attention
from zoo.models.t5 import t5
from zoo.models.transformer import transformer

if TYPE_CHECKING:
    from collections.abc import Callable

VOCAB, END = 3, 0
SEEDS = st.integers(0, 10_000)


class Table:
    """Scores depend on the example, the last token and the one before; the state is nested.

    It is a tuple of the rows of the examples' tables, a growing cache of tokens in a list with
    None, and a number.
    """

    def __init__(self, seed: int, batch: int = 1, vocab: int = VOCAB) -> None:
        noise = torch.Generator().manual_seed(seed)
        self.tables = 2 * torch.randn(batch, vocab, vocab, vocab, generator=noise)
        self.calls = 0

    def begin(self) -> tuple[Any, ...]:
        return self.tables, [torch.zeros(len(self.tables), 1, dtype=torch.int64), None], 0

    def __call__(self, tokens: Tensor, state: Any) -> tuple[Tensor, Any]:
        self.calls += 1
        tables, (cache, none), step = state
        assert none is None
        cache = torch.cat((cache, tokens), dim=1)
        rows = torch.arange(len(tables))
        scores = tables[rows, cache[:, -2], cache[:, -1]]
        return scores[:, None], (tables, [cache, None], step + 1)

    def log_p(self, example: int, tokens: tuple[int, ...]) -> float:
        """Of a whole sequence that begins with token 1, its end token included."""
        before, last, total = 0, 1, 0.0
        for token in tokens:
            total += float(self.tables[example, before, last].log_softmax(-1)[token])
            before, last = last, token
        return total


def begun(batch: int) -> Tensor:
    return torch.ones(batch, dtype=torch.int64)


def all_sequences(steps: int, vocab: int = VOCAB) -> list[tuple[int, ...]]:
    """Those that end within some steps, and those of all steps that do not."""
    found = set()
    for tokens in product(range(vocab), repeat=steps):
        cut = tokens.index(END) + 1 if END in tokens else steps
        found.add(tokens[:cut])
    return sorted(found)


def same(one: Candidate, other: Candidate) -> bool:
    return (one.tokens, one.ended) == (other.tokens, other.ended) and one.score == pytest.approx(
        other.score, abs=1e-4
    )


# laws


@given(SEEDS, st.integers(1, 4), st.sampled_from([0.0, 0.75, 1.0]))
def test_a_wide_beam_finds_all_sequences_best_first(seed: int, steps: int, alpha: float) -> None:
    table, sequences = Table(seed), all_sequences(steps)
    wide = len(sequences) + 5
    (found,) = beam_search(
        table, table.begin(), begun(1), end=END, steps=steps, beam=wide, alpha=alpha
    )
    wanted = {
        (tokens[:-1] if tokens[-1] == END else tokens): table.log_p(0, tokens)
        for tokens in sequences
    }
    assert len(found) == len(sequences)
    for one in found:
        length = len(one.tokens) + one.ended
        assert one.log_prob == pytest.approx(wanted[one.tokens], abs=1e-4)
        assert one.score == pytest.approx(one.log_prob / length**alpha, abs=1e-6)
        assert one.ended == (len(one.tokens) < steps)
    scores = [one.score for one in found]
    assert scores == sorted(scores, reverse=True)
    greedy = greedy_search(table, table.begin(), begun(1), end=END, steps=steps, alpha=alpha)[0]
    assert found[0].score >= greedy.score - 1e-5
    assert sum(torch.tensor([one.log_prob for one in found]).exp()) == pytest.approx(1, abs=1e-4)


@given(SEEDS, st.integers(1, 3), st.integers(1, 8), st.sampled_from([END, None]))
def test_a_beam_of_one_is_greedy(seed: int, batch: int, steps: int, end: int | None) -> None:
    table = Table(seed, batch)
    greedy = greedy_search(table, table.begin(), begun(batch), end=end, steps=steps)
    beams = beam_search(table, table.begin(), begun(batch), end=end, steps=steps, beam=1)
    assert [len(beam) for beam in beams] == [1] * batch
    assert all(same(one, beam[0]) for one, beam in zip(greedy, beams, strict=True))


@given(SEEDS, st.integers(1, 3), st.integers(1, 6), st.integers(1, 5))
def test_a_batch_is_its_examples_one_by_one(seed: int, batch: int, steps: int, beam: int) -> None:
    table = Table(seed, batch)
    together = beam_search(table, table.begin(), begun(batch), end=END, steps=steps, beam=beam)
    greedy = greedy_search(table, table.begin(), begun(batch), end=END, steps=steps)
    for example in range(batch):
        alone = Table(seed, batch)
        alone.tables = table.tables[example : example + 1]
        (found,) = beam_search(alone, alone.begin(), begun(1), end=END, steps=steps, beam=beam)
        assert len(found) == len(together[example])
        assert all(same(*pair) for pair in zip(found, together[example], strict=True))
        (one,) = greedy_search(alone, alone.begin(), begun(1), end=END, steps=steps)
        assert same(one, greedy[example])


@given(SEEDS, st.integers(2, 6), st.integers(1, 6))
def test_what_is_found_has_the_probability_that_is_said(seed: int, beam: int, steps: int) -> None:
    table = Table(seed, vocab=5)
    (found,) = beam_search(table, table.begin(), begun(1), end=END, steps=steps, beam=beam)
    assert len({(one.tokens, one.ended) for one in found}) == len(found)
    for one in found:
        whole = (*one.tokens, END) if one.ended else one.tokens
        assert END not in one.tokens
        assert len(whole) == steps or one.ended
        assert one.log_prob == pytest.approx(table.log_p(0, whole), abs=1e-4)


def test_wider_beams_find_better_sequences_on_the_whole() -> None:
    """Not of each table: the sequence that a narrow beam keeps may fall out of a wide one."""
    best = []
    for beam in (1, 3, 9):
        table = Table(0, batch=200, vocab=4)
        found = beam_search(
            table, table.begin(), begun(200), end=END, steps=6, beam=beam, alpha=0.0
        )
        best.append(sum(one[0].score for one in found) / 200)
    assert best[0] + 0.05 < best[1] < best[2]


# what a search does


def certain(*tokens: int, vocab: int = 4) -> Any:
    """A decoder that says one sequence, whatever it is given; its state counts."""

    def decoder(given: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        scores = torch.full((len(given), 1, vocab), -torch.inf)
        for row, at in enumerate(state.tolist()):
            scores[row, 0, tokens[min(at, len(tokens) - 1)]] = 0.0
        return scores, state + 1

    return decoder


def test_impossible_sequences_are_not_returned() -> None:
    found = beam_search(
        certain(3, 2, END), torch.zeros(1, dtype=torch.int64), begun(1), end=END, steps=9, beam=3
    )
    assert found == [[Candidate((3, 2), 0.0, 0.0, ended=True)]]


def test_a_search_stops_where_all_have_ended() -> None:
    for batch in (1, 3):
        table = Table(0, batch)
        table.tables[..., END] = 20.0
        greedy_search(table, table.begin(), begun(batch), end=END, steps=50)
        assert table.calls == 1
        table.calls = 0
        found = beam_search(table, table.begin(), begun(batch), end=END, steps=50, beam=3)
        assert table.calls < 4
        assert all(one[0] == Candidate((), one[0].score, one[0].score, ended=True) for one in found)


def test_without_an_end_token_every_step_is_taken() -> None:
    table = Table(3, 2)
    found = beam_search(table, table.begin(), begun(2), end=None, steps=5, beam=2)
    assert all(len(one.tokens) == 5 and not one.ended for beam in found for one in beam)
    assert table.calls == 5


def test_length_decides_with_alpha() -> None:
    """Ending at once has p = 0.4; going on has 0.6, and then ends: the mean prefers the latter."""
    scores = torch.tensor([[0.4, 0.6, 0.0], [0.4, 0.3, 0.3]]).log()

    def decoder(tokens: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        return scores[state.clamp(max=1)][:, None], state + 1

    def best(alpha: float) -> Candidate:
        state = torch.zeros(1, dtype=torch.int64)
        return beam_search(decoder, state, begun(1), end=END, steps=2, beam=5, alpha=alpha)[0][0]

    assert best(0.0).tokens == ()
    assert best(1.0).tokens == (1,)
    assert best(1.0).score == pytest.approx(torch.tensor(0.6 * 0.4).log().item() / 2)


def test_a_beginning_of_several_tokens() -> None:
    def model(tokens: Tensor) -> Tensor:
        """The next token is likely the sum of all, modulo 7."""
        return 9 * torch.nn.functional.one_hot(tokens.cumsum(1) % 7, 7).float()

    prompt = torch.tensor([[1, 2, 3], [0, 0, 1]])
    found = greedy_search(rereading(model), None, prompt, end=0, steps=4)
    assert [one.tokens for one in found] == [(6, 5, 3, 6), (1, 2, 4, 1)]
    beams = beam_search(rereading(model), None, prompt, end=0, steps=4, beam=2)
    assert [beam[0].tokens for beam in beams] == [one.tokens for one in found]


class Named(NamedTuple):
    cache: Tensor
    none: None


def test_rows_of_nested_states() -> None:
    rows = torch.tensor([1, 1, 0])
    tensor = torch.tensor([[1.0], [2.0]])
    state = {"a": (Named(tensor, None), [tensor.t()]), "b": 3}
    found = select_rows({"a": state["a"][0], "b": 3}, rows)  # type: ignore[index]
    assert isinstance(found["a"], Named)
    assert found["a"].cache.tolist() == [[2.0], [2.0], [1.0]]
    assert (found["a"].none, found["b"]) == (None, 3)
    assert select_rows((tensor.t(),), rows, dim=1)[0].tolist() == [[2.0, 2.0, 1.0]]
    with pytest.raises(LanguageError, match=r"state of type object: .* Give reorder="):
        select_rows([object()], rows)


# decoders of zoo


TRANSLATORS: dict[str, Callable[[], Any]] = {
    "seq2seq-gru": lambda: seq2seq(12, 6, 8, 16, 2, dropout=0.5, cell="gru"),
    "seq2seq-lstm": lambda: seq2seq(12, 6, 8, 16, 2, dropout=0.5, cell="lstm"),
    "attention-gru": lambda: seq2seq_attention(12, 6, 8, 16, 2, dropout=0.5, cell="gru"),
    "attention-lstm": lambda: seq2seq_attention(12, 6, 8, 16, 2, dropout=0.5, cell="lstm"),
    "transformer": lambda: transformer(12, 6, 16, 24, 2, 2, dropout=0.5),
    "t5": lambda: t5(vocab_size=12, d_model=16, num_layers=2, dropout_rate=0.5),
}


@pytest.mark.parametrize("name", TRANSLATORS)
def test_translations_of_a_model_have_the_probability_that_it_gives(name: str) -> None:
    torch.manual_seed(0)
    model = TRANSLATORS[name]()
    src, lengths = torch.randint(12, (3, 5)), torch.tensor([5, 2, 4])
    model(src, src % 6, lengths)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    model.encoder.eval()
    words = {"begin": 1, "end": 2, "steps": 6}
    for beam in (1, 4):
        found = translate(model, src, lengths, beam=beam, **words)
        assert model.decoder.training
        assert not model.encoder.training
        model.eval()
        for example, one in enumerate(found):
            whole = [*one.tokens, 2] if one.ended else [*one.tokens]
            given = torch.tensor([[1, *whole[:-1]]])
            at = slice(example, example + 1)
            log_p = model(src[at], given, lengths[at]).log_softmax(-1)[0]
            wanted = log_p[range(len(whole)), whole].sum().item()
            assert one.log_prob == pytest.approx(wanted, abs=1e-4)
            (alone,) = translate(model, src[at], lengths[at], beam=beam, **words)
            assert same(alone, one)
        model.train()
        model.encoder.eval()
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize(("batch", "layers"), [(1, 1), (3, 1), (2, 2)])
def test_a_language_model_is_searched(cell: str, batch: int, layers: int) -> None:
    """Its state counts sequences in dim 1, which may be as long as dim 0."""
    torch.manual_seed(batch)
    model = rnn_lm(7, 16, cell=cell, num_layers=layers).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    begin = torch.randint(7, (batch, 3))
    found = beam_search(model, None, begin, end=None, steps=5, beam=4)
    for example, candidates in enumerate(found):
        assert len({one.tokens for one in candidates}) == 4
        for one in candidates:
            text = torch.tensor([[*begin[example].tolist(), *one.tokens]])
            log_p = model(text[:, :-1])[0][0, 2:].log_softmax(-1)
            wanted = log_p[range(5), one.tokens].sum().item()
            assert one.log_prob == pytest.approx(wanted, abs=1e-4)


def test_a_decoder_with_kept_keys_is_searched() -> None:
    torch.manual_seed(0)
    model = gpt(vocab_size=9, n_embd=16, n_layer=2, n_head=2).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    begin = torch.randint(9, (3, 2))
    found = beam_search(model.extend, None, begin, end=None, steps=5, beam=4)
    for example, candidates in enumerate(found):
        assert len({one.tokens for one in candidates}) == 4
        for one in candidates:
            text = torch.tensor([[*begin[example].tolist(), *one.tokens]])
            log_p = model(text[:, :-1])[0, 1:].log_softmax(-1)
            wanted = log_p[range(5), one.tokens].sum().item()
            assert one.log_prob == pytest.approx(wanted, abs=1e-4)


# what is refused


def test_what_does_not_go_together_is_refused() -> None:
    table = Table(0, 2)
    given = {"end": END, "steps": 3}
    with pytest.raises(LanguageError, match=r"end token 9: the decoder scores 3 tokens"):
        beam_search(table, table.begin(), begun(2), end=9, steps=3)
    with pytest.raises(LanguageError, match="steps 0: a search takes at least one"):
        greedy_search(table, table.begin(), begun(2), end=END, steps=0)
    with pytest.raises(LanguageError, match="beam 0: a search takes at least one"):
        beam_search(table, table.begin(), begun(2), beam=0, **given)
    with pytest.raises(LanguageError, match=r"begin of shape \(\) and torch.int64"):
        beam_search(table, table.begin(), torch.tensor(1), **given)
    with pytest.raises(LanguageError, match=r"begin of shape \(2,\) and torch.float32"):
        beam_search(table, table.begin(), torch.ones(2), **given)
    table.tables[0] = torch.nan
    with pytest.raises(LanguageError, match="scores: some are no numbers"):
        greedy_search(table, table.begin(), begun(2), **given)


def test_a_state_that_counts_sequences_elsewhere_is_refused() -> None:
    layer = torch.nn.GRU(4, 4, 3)

    def decoder(tokens: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        x = torch.nn.functional.one_hot(tokens.t(), 4).float()
        outputs, state = layer(x, state)
        return outputs.transpose(0, 1), state

    state = torch.zeros(3, 2, 4)
    with pytest.raises(LanguageError, match=r"dim 0 does not count 2 sequences.*dim=1"):
        beam_search(decoder, state, begun(2), end=END, steps=3)
    found = beam_search(
        decoder,
        state,
        begun(2),
        end=END,
        steps=3,
        reorder=lambda state, rows: select_rows(state, rows, dim=1),
    )
    assert [len(beam) for beam in found] == [4, 4]


def test_scores_of_another_shape_are_refused() -> None:
    def decoder(tokens: Tensor, state: None) -> tuple[Tensor, None]:
        return torch.zeros(len(tokens), 4), state

    with pytest.raises(LanguageError, match=r"scores of shape \(2, 4\): they are not \(B, T, V\)"):
        greedy_search(decoder, None, begun(2), end=END, steps=3)


def test_a_model_without_encoder_is_refused() -> None:
    with pytest.raises(LanguageError, match="model LeNet: it has no encoder with a decoder"):
        translate(zoo.create("lenet"), torch.zeros(1, 2).long(), begin=1, end=2, steps=3)
