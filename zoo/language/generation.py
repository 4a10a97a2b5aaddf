"""How does a language model go on from a prefix, and where does its past end in training?

Dive into Deep Learning, 9.5.4 and 9.7. A model here takes token ids (B, T) and a state (None at the
start), and returns scores (B, T, V) and its state after them, as those of `zoo.models.rnn_lm` do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from zoo.errors import LanguageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch
    from torch import Tensor, nn

State = TypeVar("State")


def generate(
    model: nn.Module,
    prefix: Sequence[int],
    length: int,
    *,
    temperature: float | None = None,
    generator: torch.Generator | None = None,
) -> list[int]:
    """Go on from a prefix, a token at a time.

    The prefix is read first, which brings the state up to date (warm-up). The model runs in
    evaluation mode; each module's own mode is given back.

    Args:
        model: Takes (1, T) and a state, returns (1, T, V) and a state.
        prefix: Token ids, one or more.
        length: How many tokens to add.
        temperature: None takes the token with the highest score. A number draws from the softmax of
            the scores divided by it: 1 as the model says, less than 1 nearer to the highest.
        generator: Draws; torch's own where None.

    Returns:
        Ids of the prefix and of the tokens that were added.

    Raises:
        LanguageError: No prefix, a length below 0, or a temperature of 0 or less.
    """
    import torch

    from zoo.building.modes import evaluating

    _check(prefix, length, temperature)
    ids = list(prefix)
    place = next((one.device for one in model.parameters()), None)
    given = torch.tensor([ids], device=place)  # (1, T)
    state: Any = None
    with evaluating(model):
        for _ in range(length):
            scores, state = model(given, state)  # (1, T, V)
            given = _choose(scores[0, -1], temperature, generator).reshape(1, 1)
            ids.append(int(given))
    return ids


def detach(state: State) -> State:
    """The same state, cut from what it was computed from.

    Backpropagation through time ends there: do so between minibatches that carry a state over, or
    each step of training goes back to the first.

    Args:
        state: A tensor, a tuple or list of states, or None.

    Returns:
        The same form.
    """
    from torch import Tensor

    found: Any = state
    if isinstance(found, Tensor):
        found = found.detach()
    elif isinstance(found, tuple | list):
        found = type(found)(map(detach, found))
    return found  # type: ignore[no-any-return]  # the form is that of `state`


def _check(prefix: Sequence[int], length: int, temperature: float | None) -> None:
    if not len(prefix):
        raise LanguageError("generate", "there is no prefix", "Give one token or more.")
    if length < 0:
        raise LanguageError("generate", f"{length} tokens cannot be added", "Take 0 or more.")
    if temperature is not None and temperature <= 0:
        hint = "Take None for the highest score, or a number above 0."
        raise LanguageError("generate", f"a temperature of {temperature} divides nothing", hint)


def _choose(scores: Tensor, temperature: float | None, generator: torch.Generator | None) -> Tensor:
    """The id that comes next: (V,) -> one number."""
    import torch

    if temperature is None:
        return scores.argmax()
    return torch.multinomial((scores / temperature).softmax(0), 1, generator=generator)
