"""A decoder with a mixture of experts: each token goes through a few of many MLPs.

Jiang et al., "Mixtral of experts", 2024, section 2.1; Shazeer et al., "Outrageously large neural
networks: the sparsely-gated mixture-of-experts layer", 2017, section 2. In place of the MLP of a
`Llama` block:

    p = softmax(router(x))             a share for each of E experts
    y = sum of p_e * expert_e(x)       over the K largest shares

    settings          Mixtral 8x7B   8x22B    Qwen3-30B-A3B
    layers                      32      56               48
    width                    4,096   6,144            2,048
    expert's width          14,336  16,384              768
    experts E                    8       8              128
    for a token K                2       2                8

Tokens are put in order of their experts, so that each expert takes a run of rows in one grouped
product: what is computed is K experts a token, whichever these are. B sequences of T tokens; width
C, experts of width F. Parameters have the names and shapes of transformers 5.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.functional import grouped_mm, silu

from zoo.models._config import signature
from zoo.models.llama import MLP, STD, Linear, Llama
from zoo.models.llama_config import LlamaConfig
from zoo.models.mixture_config import TINY, MixtureConfig, read

if TYPE_CHECKING:
    from zoo.models._config import Config


class Experts(nn.Module):
    """E MLPs with SwiGLU, of which each row goes through one.

    Args:
        experts: E.
        narrow: C.
        wide: F.
        dtype: Of the weights.
    """

    def __init__(self, experts: int, narrow: int, wide: int, dtype: torch.dtype) -> None:
        super().__init__()
        self.gate_up_proj = nn.Parameter(torch.empty(experts, 2 * wide, narrow, dtype=dtype))
        self.down_proj = nn.Parameter(torch.empty(experts, narrow, wide, dtype=dtype))
        nn.init.normal_(self.gate_up_proj, std=STD)
        nn.init.normal_(self.down_proj, std=STD)

    def forward(self, x: Tensor, ends: Tensor) -> Tensor:  # (R, C), (E,)
        """Rows in order of their experts, and behind each expert's last one: (R, C) -> (R, C)."""
        both = grouped_mm(x, self.gate_up_proj.transpose(1, 2), offs=ends)  # (R, 2F)
        gate, up = both.chunk(2, -1)  # (R, F), (R, F)
        y: Tensor = grouped_mm(silu(gate) * up, self.down_proj.transpose(1, 2), offs=ends)
        return y  # (R, C)


class Mixture(nn.Module):
    """A router, and experts that it sends each token to. (B, T, C) -> (B, T, C).

    Args:
        narrow: C.
        config: Settings of the experts.
        dtype: Of the weights.
    """

    def __init__(self, narrow: int, config: MixtureConfig, dtype: torch.dtype) -> None:
        super().__init__()
        self.config = config
        self.gate = Linear(narrow, config.num_experts, bias=False, dtype=dtype)
        wide = config.moe_intermediate_size
        self.experts = Experts(config.num_experts, narrow, wide, dtype)

    def forward(self, x: Tensor) -> Tensor:  # (B, T, C)
        """(B, T, C) -> (B, T, C)."""
        tokens = x.flatten(0, 1)  # (N, C), N = B * T
        shares, chosen = self.routes(tokens)  # (N, K), (N, K)
        k = chosen.shape[1]
        order = chosen.flatten().argsort(stable=True)  # (N * K,)
        numbers = torch.arange(self.config.num_experts, device=x.device)  # (E,)
        counts = (chosen.flatten()[:, None] == numbers).sum(0)  # (E,)
        ends = counts.cumsum(0).to(torch.int32)  # (E,)
        source = order // k  # (N * K,)
        y = self.experts(tokens.index_select(0, source), ends)  # (N * K, C)
        y = y * shares.flatten().index_select(0, order)[:, None]  # (N * K, C)
        return torch.zeros_like(tokens).index_add(0, source, y).view_as(x)  # (B, T, C)

    def routes(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Which experts a token goes to, and in which shares: (N, C) -> (N, K), (N, K)."""
        scores = self.gate(tokens).softmax(-1, dtype=torch.float32)  # (N, E)
        shares, chosen = scores.topk(self.config.num_experts_per_tok, dim=-1)  # (N, K), (N, K)
        if self.config.norm_topk_prob:
            shares = shares / shares.sum(-1, keepdim=True)  # (N, K)
        return shares.to(tokens.dtype), chosen


def feed_forward(
    number: int, config: LlamaConfig, dtype: torch.dtype, *, experts: MixtureConfig
) -> nn.Module:
    """What stands where a block's MLP does.

    Args:
        number: The block, counted from 0.
        config: Settings of the decoder.
        dtype: Of the weights.
        experts: Settings of the experts.

    Returns:
        A mixture of experts, or the MLP in blocks that have none.
    """
    if experts.mixes(number):
        return Mixture(config.hidden_size, experts, dtype)
    return MLP(config, dtype)


def mixture(config: Config = TINY, **settings: Any) -> Llama:
    """A decoder with experts, from a Hugging Face config.json.

    Args:
        config: The file, its folder, or what it holds; None: `settings` has it all.
        **settings: Fields of `LlamaConfig` and `MixtureConfig`, which win over `config`.

    Returns:
        The model, with weights drawn anew.
    """
    decoder, experts = read(config, settings)
    return Llama(decoder, partial(feed_forward, experts=experts))


mixture.__signature__ = signature((LlamaConfig, MixtureConfig), TINY)  # type: ignore[attr-defined]  # each setting by its name
