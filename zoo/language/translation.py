"""What does an encoder and decoder write for a source?

Dive into Deep Learning, 10.7.5 and 10.8: the encoder reads the sources once, and a search asks the
decoder token by token.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from zoo.building.modes import evaluating
from zoo.errors import LanguageError
from zoo.language.search import Candidate, beam_search, greedy_search

if TYPE_CHECKING:
    from torch import Tensor, nn


def translate(
    model: nn.Module,
    src: Tensor,
    src_valid_len: Tensor | None = None,
    *,
    begin: int,
    end: int,
    steps: int,
    beam: int = 1,
    alpha: float = 0.75,
) -> list[Candidate]:
    """The best target that a search finds for each source.

    The model runs in evaluation mode, and each of its modules gets its own mode back.

    Args:
        model: It has an `encoder` and a `decoder`, as an `EncoderDecoder` of `zoo.models` has.
        src: Token ids of the sources, (B, S).
        src_valid_len: How many tokens of each are no padding, (B,); None where all are.
        begin: Id that every target begins with.
        end: Id of the end token.
        steps: Most tokens of a target, the end token among them.
        beam: Sequences that are kept for each source; 1 for a greedy search.
        alpha: Power of the length that log p is divided by.

    Returns:
        A target for each source, without `begin` and `end`. `beam_search` on the model's decoder
        gives the others of the beam too.

    Raises:
        LanguageError: The model has no encoder and decoder, or what is given does not go together.
    """
    encoder: Any = getattr(model, "encoder", None)
    decoder: Any = getattr(model, "decoder", None)
    if encoder is None or not hasattr(decoder, "init_state"):
        raise LanguageError(
            f"model {type(model).__name__}",
            "it has no encoder with a decoder that begins from what it says",
            "Take one such as zoo.create('seq2seq').",
        )
    with evaluating(model):
        state = decoder.init_state(encoder(src, src_valid_len), src_valid_len)
        first = torch.full_like(src[:, 0], begin)  # (B,)
        if beam == 1:
            return greedy_search(decoder, state, first, end=end, steps=steps, alpha=alpha)
        found = beam_search(decoder, state, first, end=end, steps=steps, beam=beam, alpha=alpha)
        return [candidates[0] for candidates in found]
