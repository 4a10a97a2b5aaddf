"""GPT: a decoder that predicts each next token of a text.

GPT     Radford, Narasimhan, Salimans and Sutskever, "Improving language understanding by
        generative pre-training", 2018, section 4.1
GPT-2   Radford, Wu, Child, Luan, Amodei and Sutskever, "Language models are unsupervised multitask
        learners", 2019, section 2.3 and table 2
GPT-3   Brown et al., "Language models are few-shot learners", 2020, table 2.1

    x = x + attention(norm(x))                       GPT: norm(x + attention(x))
    x = x + proj(gelu(fc(norm(x))))                  GPT: norm(x + proj(gelu(fc(x))))

                   layers   width   heads   parameters
    GPT                12     768      12    116,534,784    positions 512, tokens 40,478
    GPT-2              12     768      12    124,439,808    positions 1,024, tokens 50,257
    GPT-2 medium       24   1,024      16    354,823,168
    GPT-2 large        36   1,280      20    774,030,080
    GPT-2 xl           48   1,600      25  1,557,611,200
    GPT-3 small        12     768      12        125.2 M    positions 2,048, tokens 50,257
    GPT-3 medium       24   1,024      16        355.9 M
    GPT-3 large        24   1,536      16        760.3 M
    GPT-3 xl           24   2,048      16      1,315.7 M
    GPT-3 2.7b         32   2,560      32      2,651.6 M
    GPT-3 6.7b         32   4,096      32      6,658.4 M
    GPT-3 13b          40   5,120      40     12,853.4 M
    GPT-3 175b         96  12,288      96    174,604.3 M

The head is the embedding. Table 2 of the second paper has lower counts, which its authors took
back; table 2.1 of the third prints 24 heads of 128 for xl and a width of 5,140 for 13b, which its
own counts contradict. GPT-3's layers attend to all tokens before and to a window of them in turn;
here all attend to all, which changes no parameter.

B sequences of T tokens; width C, H heads, V tokens. Parameters have the names of published
checkpoints of GPT-2; these store the weights of a block's four linear maps transposed.
"""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, scaled_dot_product_attention

from zoo.models._config import signature
from zoo.models._init import draw_normal
from zoo.models.gpt_config import TINY, GptConfig, read

if TYPE_CHECKING:
    from zoo.models._config import Config

Cache = tuple[Tensor, Tensor]
"""A block's keys and values of the tokens so far, (B, H, T, C / H) each."""

State = tuple[Cache, ...]
"""Those of all blocks. Nothing is changed in place: a search may put rows in another order."""


class Attention(nn.Module):
    """Causal attention in several heads. (B, T, C) -> (B, T, C).

    Args:
        config: Settings.
    """

    def __init__(self, config: GptConfig) -> None:
        super().__init__()
        self.heads = config.n_head
        self.share = config.attn_pdrop
        self.c_attn = nn.Linear(config.n_embd, 3 * config.n_embd, bias=config.bias)
        self.c_proj = nn.Linear(config.n_embd, config.n_embd, bias=config.bias)
        self.resid_dropout = nn.Dropout(config.resid_pdrop)

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # (B, T, C)
        """Queries, keys and values: (B, T, C) -> three of (B, H, T, C / H)."""
        parts = self.c_attn(x).chunk(3, -1)  # 3 of (B, T, C)
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in parts)
        return q, k, v

    def join(self, y: Tensor) -> Tensor:  # (B, H, T, C / H)
        """Heads side by side again, mapped: (B, H, T, C / H) -> (B, T, C)."""
        out: Tensor = self.resid_dropout(self.c_proj(y.transpose(1, 2).flatten(2)))  # (B, T, C)
        return out

    def forward(self, x: Tensor) -> Tensor:  # (B, T, C)
        """(B, T, C) -> (B, T, C)."""
        q, k, v = self.project(x)  # (B, H, T, C / H)
        share = self.share if self.training else 0.0
        y = scaled_dot_product_attention(q, k, v, dropout_p=share, is_causal=True)
        return self.join(y)  # (B, T, C)

    def extend(self, x: Tensor, past: Cache | None) -> tuple[Tensor, Cache]:
        """The same for tokens that stand behind others.

        Args:
            x: (B, T, C).
            past: Keys and values of the tokens before; None: there are none.

        Returns:
            (B, T, C), and keys and values with those of `x`.
        """
        q, k, v = self.project(x)  # (B, H, T, C / H)
        if past is not None:
            k, v = torch.cat((past[0], k), 2), torch.cat((past[1], v), 2)  # (B, H, K, C / H)
        keys = torch.arange(k.shape[2], device=x.device)  # (K,)
        mask = keys <= keys[-x.shape[1] :, None]  # (T, K)
        return self.join(scaled_dot_product_attention(q, k, v, attn_mask=mask)), (k, v)


class MLP(nn.Module):
    """Two linear maps with an activation between them. (B, T, C) -> (B, T, C).

    Args:
        config: Settings.
    """

    def __init__(self, config: GptConfig) -> None:
        super().__init__()
        self.kind = config.activation_function
        self.c_fc = nn.Linear(config.n_embd, config.inner, bias=config.bias)
        self.c_proj = nn.Linear(config.inner, config.n_embd, bias=config.bias)
        self.dropout = nn.Dropout(config.resid_pdrop)

    def forward(self, x: Tensor) -> Tensor:  # (B, T, C)
        """(B, T, C) -> (B, T, C)."""
        y = self.c_fc(x)  # (B, T, 4C)
        if self.kind == "relu":
            y = y.relu()
        else:
            y = gelu(y, approximate="none" if self.kind == "gelu" else "tanh")  # (B, T, 4C)
        out: Tensor = self.dropout(self.c_proj(y))  # (B, T, C)
        return out


def norm(config: GptConfig) -> nn.LayerNorm:
    """A norm over the width, with a bias where the model has biases."""
    return nn.LayerNorm(config.n_embd, config.layer_norm_epsilon, bias=config.bias)


class Block(nn.Module):
    """Attention and MLP, each added to its input. (B, T, C) -> (B, T, C).

    Args:
        config: Settings.
    """

    def __init__(self, config: GptConfig) -> None:
        super().__init__()
        self.pre_norm = config.pre_norm
        self.ln_1 = norm(config)
        self.attn = Attention(config)
        self.ln_2 = norm(config)
        self.mlp = MLP(config)

    def before(self, x: Tensor) -> Tensor:
        """What attention is given: (B, T, C) -> (B, T, C)."""
        return self.ln_1(x) if self.pre_norm else x

    def after(self, x: Tensor, attended: Tensor) -> Tensor:
        """The rest of the block: its input and what attention found, (B, T, C) -> (B, T, C)."""
        y = x + attended  # (B, T, C)
        if self.pre_norm:
            out: Tensor = y + self.mlp(self.ln_2(y))  # (B, T, C)
        else:
            y = self.ln_1(y)  # (B, T, C)
            out = self.ln_2(y + self.mlp(y))  # (B, T, C)
        return out

    def forward(self, x: Tensor) -> Tensor:  # (B, T, C)
        """(B, T, C) -> (B, T, C)."""
        return self.after(x, self.attn(self.before(x)))

    def extend(self, x: Tensor, past: Cache | None) -> tuple[Tensor, Cache]:
        """The same for tokens behind others: (B, T, C), keys and values of those before."""
        attended, cache = self.attn.extend(self.before(x), past)  # (B, T, C)
        return self.after(x, attended), cache


class Decoder(nn.Module):
    """Embeddings, blocks and the last norm. (B, T) -> (B, T, C).

    Args:
        config: Settings.
    """

    def __init__(self, config: GptConfig) -> None:
        super().__init__()
        self.wte = nn.Embedding(config.vocab_size, config.n_embd)
        self.wpe = nn.Embedding(config.n_positions, config.n_embd)
        self.drop = nn.Dropout(config.embd_pdrop)
        self.h = nn.ModuleList(Block(config) for _ in range(config.n_layer))
        self.ln_f = norm(config) if config.pre_norm else nn.Identity()

    def embed(self, ids: Tensor, before: int = 0) -> Tensor:  # (B, T)
        """Tokens and their positions, of which the first is `before`: (B, T) -> (B, T, C)."""
        end = before + ids.shape[1]
        if end > self.wpe.num_embeddings:
            raise ValueError(f"{end} tokens, but n_positions is {self.wpe.num_embeddings}")
        positions = torch.arange(before, end, device=ids.device)  # (T,)
        x: Tensor = self.drop(self.wte(ids) + self.wpe(positions))  # (B, T, C)
        return x

    def forward(self, ids: Tensor) -> Tensor:  # (B, T)
        """(B, T) -> (B, T, C)."""
        x = self.embed(ids)  # (B, T, C)
        for block in self.h:
            x = block(x)  # (B, T, C)
        out: Tensor = self.ln_f(x)  # (B, T, C)
        return out

    def extend(self, ids: Tensor, state: State | None) -> tuple[Tensor, State]:
        """The same for tokens behind others: (B, T), their keys and values -> (B, T, C)."""
        x = self.embed(ids, 0 if state is None else state[0][0].shape[2])  # (B, T, C)
        caches = []
        for number, module in enumerate(self.h):
            block = cast("Block", module)
            x, cache = block.extend(x, None if state is None else state[number])  # (B, T, C)
            caches.append(cache)
        return self.ln_f(x), tuple(caches)


class Gpt(nn.Module):
    """A decoder and its head. Token ids (B, T) -> scores of each next token (B, T, V).

    Args:
        config: Settings.
    """

    def __init__(self, config: GptConfig) -> None:
        super().__init__()
        self.config = config
        self.transformer = Decoder(config)
        self.lm_head = nn.Linear(config.n_embd, config.vocab_size, bias=False)
        self.apply(draw_normal)
        for name, weight in self.named_parameters():
            if name.endswith("c_proj.weight"):  # of what is added to the stream
                nn.init.normal_(weight, std=0.02 / sqrt(2 * config.n_layer))
        if config.tie_word_embeddings:
            self.lm_head.weight = self.transformer.wte.weight
        self.to(getattr(torch, config.torch_dtype or "float32"))

    def forward(self, input_ids: Tensor) -> Tensor:  # (B, T)
        """(B, T) -> (B, T, V)."""
        scores: Tensor = self.lm_head(self.transformer(input_ids))  # (B, T, V)
        return scores

    def extend(self, input_ids: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Scores of tokens that stand behind others, without looking at those again.

        Args:
            input_ids: (B, T).
            state: Of the tokens before; None: there are none.

        Returns:
            Scores of each next token (B, T, V), and the state for what follows.
        """
        x, after = self.transformer.extend(input_ids, state)  # (B, T, C)
        return self.lm_head(x), after


def gpt(config: Config = TINY, **settings: Any) -> Gpt:
    """A decoder from a Hugging Face config.json.

    Args:
        config: The file, its folder, or what it holds; None: `settings` has it all.
        **settings: Fields of `GptConfig`, which win over `config`.

    Returns:
        The model, with weights drawn anew.
    """
    return Gpt(read(config, settings))


gpt.__signature__ = signature(GptConfig, TINY)  # type: ignore[attr-defined]  # each setting by its name
