"""Which sequence does a decoder think most likely?

Dive into Deep Learning, 10.8. A decoder is any function of token ids (B, T) and a state that
returns scores (B, T, V) and the state after: a decoder of `zoo.models`, an RNN language model, or
with `rereading` a model that keeps no state. Scores are logits or logarithms of probabilities.

    greedy    the likeliest token at each step
    beam      the k likeliest sequences at each step (Graves 2012; Sutskever et al. 2014,
              section 3.2); one that has ended keeps its place and does not grow

A sequence of L tokens, its end token among them, has the score log p / L ** alpha, so that long
ones are not at a disadvantage; alpha is 0.75 in the book, and 0 leaves log p.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import log_softmax

from zoo.errors import LanguageError

Decoder = Callable[[Tensor, Any], tuple[Tensor, Any]]
"""Ids (B, T) and a state -> scores (B, T, V), the state after."""
Reorder = Callable[[Any, Tensor], Any]
"""A state of N sequences, and which of them are wanted (M,) -> a state of M sequences."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A sequence that a search found."""

    tokens: tuple[int, ...]
    """Ids after the beginning, without the end token."""
    score: float
    """log_prob / L ** alpha, of L tokens with the end token; the best has the highest."""
    log_prob: float
    """Logarithm of the sequence's probability, in nats, its end token's too where it has one."""
    ended: bool
    """Whether the end token was reached."""


def select_rows(state: Any, rows: Tensor, dim: int = 0) -> Any:
    """Some sequences of a nested state, in a new order.

    Args:
        state: Tensors in tuples, lists and dictionaries; numbers, words and None stay as they are.
        rows: Which sequences, (M,); one may occur several times.
        dim: Which dim of the tensors counts sequences; 1 in the states of torch's RNNs.

    Returns:
        The same nesting, of M sequences.

    Raises:
        LanguageError: Something in the state is none of these.

    Example:
        >>> select_rows([torch.tensor([[1], [2]]), None], torch.tensor([1, 1]))
        [tensor([[2],
                [2]]), None]
    """
    if isinstance(state, Tensor):
        return state.index_select(dim, rows)
    if isinstance(state, dict):
        return {key: select_rows(one, rows, dim) for key, one in state.items()}
    if isinstance(state, tuple | list):
        parts = [select_rows(one, rows, dim) for one in state]
        return type(state)(*parts) if hasattr(state, "_fields") else type(state)(parts)
    if state is None or isinstance(state, int | float | str):
        return state
    raise LanguageError(
        f"state of type {type(state).__name__}",
        "its sequences cannot be put in another order",
        "Give reorder=, a function of a state and the rows that are wanted.",
    )


def rereading(model: Callable[[Tensor], Tensor]) -> Decoder:
    """A decoder of a model that keeps no state: it reads all tokens again at every step.

    Args:
        model: Ids (B, T) -> scores (B, T, V).

    Returns:
        The decoder; its state is the ids so far, None before the first.
    """

    def decoder(tokens: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
        seen = tokens if state is None else torch.cat((state, tokens), dim=1)
        return model(seen), seen

    return decoder


@torch.no_grad()
def greedy_search(
    decoder: Decoder,
    state: Any,
    begin: Tensor,
    *,
    end: int | None,
    steps: int,
    alpha: float = 0.75,
) -> list[Candidate]:
    """Take the likeliest token at each step.

    Args:
        decoder: Ids (B, T) and a state -> scores (B, T, V), the state after.
        state: Before the first token.
        begin: What each sequence begins with, (B,) or (B, T).
        end: Id of the end token; None where there is none.
        steps: Most tokens of a sequence, the end token among them.
        alpha: Power of the length that log p is divided by.

    Returns:
        A sequence for each example.

    Raises:
        LanguageError: What is given does not go together, or scores are no numbers.
    """
    tokens = _beginning(begin, steps=steps, beam=1)
    log_prob = torch.zeros(len(tokens), device=tokens.device)
    length, ended = torch.zeros_like(tokens[:, 0]), torch.zeros_like(tokens[:, 0], dtype=torch.bool)
    chosen = []
    for _ in range(steps):
        log_p, state = _next(decoder, tokens, state, end)  # (B, V)
        best, token = log_p.max(dim=-1)  # (B,), (B,)
        log_prob = log_prob + best.masked_fill(ended, 0.0)
        length = length + ~ended
        chosen.append(token)
        if end is not None:
            ended = ended | (token == end)
        if bool(ended.all()):
            break
        tokens = token[:, None]
    found = torch.stack(chosen, dim=1)  # (B, L)
    return [_candidate(*one, alpha) for one in zip(found, log_prob, length, ended, strict=True)]


@torch.no_grad()
def beam_search(
    decoder: Decoder,
    state: Any,
    begin: Tensor,
    *,
    end: int | None,
    steps: int,
    beam: int = 4,
    alpha: float = 0.75,
    reorder: Reorder | None = None,
) -> list[list[Candidate]]:
    """Keep the likeliest sequences at each step.

    As many steps are taken as it takes for all sequences of a beam to end, or `steps`. A beam of 1
    is a greedy search; one as wide as there are sequences finds the best of all.

    Args:
        decoder: Ids (B, T) and a state -> scores (B, T, V), the state after.
        state: Before the first token, of B sequences.
        begin: What each sequence begins with, (B,) or (B, T).
        end: Id of the end token; None where there is none.
        steps: Most tokens of a sequence, the end token among them.
        beam: Sequences that are kept for each example.
        alpha: Power of the length that log p is divided by.
        reorder: Gives some sequences of a state, in a new order. None: the decoder's own method
            `reorder`, or else `select_rows`, where dim 0 of all tensors counts sequences.

    Returns:
        For each example `beam` sequences, or as many as are possible; the best first.

    Raises:
        LanguageError: What is given does not go together, or scores are no numbers.
    """
    tokens = _beginning(begin, steps=steps, beam=beam)
    log_p, state = _next(decoder, tokens, state, end)  # (B, V)
    own = getattr(decoder, "reorder", None)
    if reorder is None and own is None:
        _check_rows(state, len(tokens))
    reorder = reorder or own or select_rows
    examples = torch.arange(len(tokens), device=tokens.device)  # (B,)
    rows = examples.repeat_interleave(beam)  # (B * k,)
    log_p, state = log_p[rows], reorder(state, rows)  # (B * k, V)
    kept = _Beam.empty(len(tokens), beam, tokens.device)
    for step in range(1, steps + 1):
        kept, parents = kept.grown(log_p.unflatten(0, (-1, beam)), end)  # (B, k)
        if step == steps or kept.done():
            break
        state = reorder(state, (examples[:, None] * beam + parents).flatten())
        log_p, state = _next(decoder, kept.last(), state, end)  # (B * k, V)
    return kept.candidates(alpha)


@dataclass(frozen=True, slots=True)
class _Beam:
    """The sequences that are kept: k for each of B examples, of L steps."""

    tokens: Tensor
    """(B, k, L); after the end token, that token again."""
    log_prob: Tensor
    """(B, k); -inf where there is no sequence."""
    length: Tensor
    """(B, k), tokens up to the end token."""
    ended: Tensor
    """(B, k), bool."""

    @classmethod
    def empty(cls, batch: int, beam: int, device: torch.device) -> _Beam:
        """For each example one sequence without a token, and none beside it."""
        log_prob = torch.full((batch, beam), -torch.inf, device=device)
        log_prob[:, 0] = 0.0
        length = torch.zeros_like(log_prob, dtype=torch.int64)
        return cls(length[:, :, None][:, :, :0], log_prob, length, length.bool())

    def grown(self, log_p: Tensor, end: int | None) -> tuple[_Beam, Tensor]:
        """The likeliest of all sequences of a token more; those that have ended stay.

        Args:
            log_p: Of each next token, (B, k, V).
            end: Id of the end token.

        Returns:
            The beam after the step, and which sequence of the beam before each goes on, (B, k).
        """
        vocab = log_p.shape[-1]
        total = self.log_prob[:, :, None] + log_p  # (B, k, V)
        rank = total
        if end is not None:
            none = torch.full_like(total, -torch.inf)
            stays, first = none.clone(), none.clone()
            stays[:, :, end], first[:, :, end] = self.log_prob, torch.inf
            total = torch.where(self.ended[:, :, None], stays, total)
            rank = torch.where(self.ended[:, :, None], first, total)
        chosen = rank.flatten(1).topk(self.log_prob.shape[1]).indices  # (B, k)
        parents, token = chosen // vocab, chosen % vocab  # (B, k), (B, k)
        before = self.tokens.gather(1, parents[:, :, None].expand(-1, -1, self.tokens.shape[-1]))
        log_prob = total.flatten(1).gather(1, chosen)  # (B, k)
        ended = self.ended.gather(1, parents)
        grown = _Beam(
            torch.cat((before, token[:, :, None]), dim=-1),
            log_prob,
            self.length.gather(1, parents) + ~ended,
            ended if end is None else ended | ((token == end) & ~log_prob.isneginf()),
        )
        return grown, parents

    def last(self) -> Tensor:
        """The last token of each sequence, (B * k, 1)."""
        return self.tokens[:, :, -1].reshape(-1, 1)

    def done(self) -> bool:
        """Whether no sequence can grow."""
        return bool((self.ended | self.log_prob.isneginf()).all())

    def candidates(self, alpha: float) -> list[list[Candidate]]:
        """The sequences of each example, the best first."""
        found = []
        for rows in zip(self.tokens, self.log_prob, self.length, self.ended, strict=True):
            some = [_candidate(*row, alpha) for row in zip(*rows, strict=True)]
            possible = [one for one in some if one.log_prob > -torch.inf]
            found.append(sorted(possible, key=lambda one: -one.score))
        return found


def _candidate(
    tokens: Tensor, log_prob: Tensor, length: Tensor, ended: Tensor, alpha: float
) -> Candidate:
    """One sequence, of tensors for one."""
    steps, whole = int(length), bool(ended)
    logarithm = float(log_prob)
    kept = tokens[: steps - whole].tolist()
    return Candidate(tuple(kept), logarithm / steps**alpha, logarithm, whole)


def _next(decoder: Decoder, tokens: Tensor, state: Any, end: int | None) -> tuple[Tensor, Any]:
    """Logarithms of the probabilities of each next token (N, V), and the state after."""
    scores, state = decoder(tokens, state)
    if scores.dim() != 3 or scores.shape[0] != tokens.shape[0]:
        raise LanguageError(
            f"scores of shape {tuple(scores.shape)}",
            f"they are not (B, T, V) for ids of shape {tuple(tokens.shape)}",
            "Give a decoder that returns scores of each next token, and its state.",
        )
    if end is not None and not 0 <= end < scores.shape[2]:
        raise LanguageError(
            f"end token {end}", f"the decoder scores {scores.shape[2]} tokens", "Take one of these."
        )
    log_p = log_softmax(scores[:, -1].float(), dim=-1)
    if bool(log_p.isnan().any()):
        raise LanguageError(
            "scores", "some are no numbers", "Look whether the decoder divides by 0 or overflows."
        )
    return log_p, state


def _beginning(begin: Tensor, *, steps: int, beam: int) -> Tensor:
    """What each sequence begins with, as (B, T); numbers that are none are refused."""
    tokens = begin[:, None] if begin.dim() == 1 else begin
    if tokens.dim() != 2 or not tokens.numel() or tokens.is_floating_point():
        raise LanguageError(
            f"begin of shape {tuple(begin.shape)} and {begin.dtype}",
            "a search begins with ids (B,) or (B, T), at least one each",
            "Give torch.full((B,), id).",
        )
    for name, number in (("steps", steps), ("beam", beam)):
        if number < 1:
            raise LanguageError(
                f"{name} {number}", "a search takes at least one", "Give 1 or more."
            )
    return tokens


def _check_rows(state: Any, count: int) -> None:
    """Refuse a state whose tensors do not count sequences in dim 0."""
    if isinstance(state, Tensor) and (not state.dim() or state.shape[0] != count):
        raise LanguageError(
            f"a tensor of shape {tuple(state.shape)} in the state",
            f"its dim 0 does not count {count} sequences",
            "Say which does: reorder=lambda state, rows: select_rows(state, rows, dim=1).",
        )
    parts = state.values() if isinstance(state, dict) else state
    if isinstance(parts, tuple | list) or isinstance(state, dict):
        for part in parts:
            _check_rows(part, count)
