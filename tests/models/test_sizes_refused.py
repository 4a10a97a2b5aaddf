"""A size that no model can have is refused where the model is built, in a line that names it."""

from __future__ import annotations

import pytest

import zoo
from zoo.errors import ZooError


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("multi_head_attention", {"num_heads": 0}),
        ("multi_head_attention", {"num_hiddens": -5}),
        ("additive_attention", {"num_hiddens": 0}),
        ("self_attention", {"max_len": 0}),
        ("sequence_cnn", {"kernel_size": -1}),
        ("sequence_cnn", {"num_hiddens": 0}),
        ("sequence_rnn", {"num_hiddens": 0}),
        ("transformer", {"src_vocab_size": 0}),
        ("transformer", {"tgt_vocab_size": -1}),
        ("transformer", {"num_hiddens": 0}),
        ("transformer", {"ffn_num_hiddens": 0}),
        ("transformer", {"num_blks": 0}),
        ("transformer_base", {"vocab_size": 0}),
        ("vit", {"img_size": -16}),
        ("vit", {"num_classes": 0}),
        ("skip_gram", {"vocab_size": 0}),
        ("cbow", {"embedding_dim": -1}),
        ("skip_gram_hierarchical", {"embedding_dim": 0}),
        ("glove", {"embedding_dim": 0}),
        ("fasttext", {"buckets": 0}),
    ],
)
def test_a_size_below_one_is_refused(name: str, arguments: dict[str, int]) -> None:
    ((argument, size),) = arguments.items()
    known = argument.removeprefix("src_").removeprefix("tgt_")
    with pytest.raises(ZooError, match=f"{known} is {size}; it wants a whole number from 1 up"):
        zoo.summary(f"book/{name}", arguments=arguments)
