"""BiRNN and TextCNN: what they compute, and whether they learn the order of English words."""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from pydoc_data.topics import topics

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import zoo
from tests.models.learning import fit
from zoo.models.birnn import BiRNN, birnn
from zoo.models.textcnn import TextCNN, corr1d, textcnn

STEPS = 8
WORDS = 500


@pytest.mark.parametrize("factory", [birnn, textcnn])
@pytest.mark.parametrize(("batch", "steps", "classes"), [(2, 12, 2), (1, 5, 4)])
def test_shapes(factory: object, batch: int, steps: int, classes: int) -> None:
    assert callable(factory)
    model = factory(vocab_size=50, num_classes=classes)
    assert model(torch.randint(50, (batch, steps))).shape == (batch, classes)


@pytest.mark.parametrize("name", ["birnn", "textcnn"])
def test_the_card_runs_on_real_ids(name: str) -> None:
    model = zoo.create(name).eval()
    with torch.no_grad():
        assert model(torch.randint(49346, (2, 60))).isfinite().all()


@pytest.mark.parametrize(("v", "e", "n", "layers"), [(49346, 100, 100, 2), (500, 16, 8, 1)])
def test_parameters_of_birnn(v: int, e: int, n: int, layers: int) -> None:
    lstm = 2 * (4 * n * (e + n) + 8 * n) + (layers - 1) * 2 * (4 * n * (2 * n + n) + 8 * n)
    settings = {"vocab_size": v, "embed_size": e, "num_hiddens": n, "num_layers": layers}
    count = zoo.params("birnn", arguments=settings).totals["parameters"]
    assert count == v * e + lstm + 4 * n * 2 + 2


@pytest.mark.parametrize(("v", "e", "widths"), [(49346, 100, (3, 4, 5)), (500, 16, (2, 7))])
def test_parameters_of_textcnn(v: int, e: int, widths: tuple[int, ...]) -> None:
    channels = tuple(10 * width for width in widths)
    settings = {"vocab_size": v, "embed_size": e, "kernel_sizes": widths, "num_channels": channels}
    totals = zoo.params("textcnn", arguments=settings).totals
    kernels = sum(2 * e * w * c + c for w, c in zip(widths, channels, strict=True))
    assert totals["parameters"] == 2 * v * e + kernels + 2 * sum(channels) + 2
    assert totals["trainable_parameters"] == totals["parameters"] - v * e


def test_birnn_reads_both_ends_in_both_directions() -> None:
    """Its encoding is that of one LSTM on the text and of another on the text turned round."""
    torch.manual_seed(0)
    model = BiRNN(20, 6, 5, 1)
    tokens = torch.randint(20, (3, 7))
    forth, back = nn.LSTM(6, 5), nn.LSTM(6, 5)
    states = model.encoder.state_dict()
    forth.load_state_dict({key: states[key] for key in forth.state_dict()})
    back.load_state_dict({key: states[f"{key}_reverse"] for key in back.state_dict()})
    x = model.embedding(tokens).transpose(0, 1)
    there, again = forth(x)[0], back(x.flip(0))[0].flip(0)
    wanted = torch.cat((there[0], again[0], there[-1], again[-1]), dim=1)
    torch.testing.assert_close(model.encode(tokens), wanted, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(model(tokens), model.decoder(wanted), atol=1e-5, rtol=1e-5)


def test_corr1d_has_the_books_values() -> None:
    x, kernel = torch.arange(7.0)[None], torch.tensor([[1.0, 2.0]])
    assert corr1d(x, kernel).tolist() == [2, 5, 8, 11, 14, 17]
    rows = torch.stack([torch.arange(7.0) + n for n in range(3)])
    kernels = torch.tensor([[1.0, 2.0], [3.0, 4.0], [-1.0, -3.0]])
    assert corr1d(rows, kernels).tolist() == [2, 8, 14, 20, 26, 32]


def test_textcnn_from_scratch() -> None:
    torch.manual_seed(0)
    model = TextCNN(20, 3, (2, 4), (5, 6), dropout=0.0)
    tokens = torch.randint(20, (2, 9))
    answers = model(tokens)
    for text, answer in zip(tokens, answers, strict=True):
        both = torch.cat((model.embedding(text), model.constant_embedding(text)), dim=1).T
        largest = []
        for conv in model.convs:
            assert isinstance(conv, nn.Conv1d)
            for kernel, bias in zip(conv.weight, conv.get_parameter("bias"), strict=True):
                largest.append((corr1d(both, kernel) + bias).relu().max())
        wanted = model.decoder(torch.stack(largest))
        torch.testing.assert_close(answer, wanted, atol=1e-5, rtol=1e-5)


def test_widths_without_channels_are_refused() -> None:
    with pytest.raises(ValueError, match="3 kernel sizes and 2 numbers of channels"):
        textcnn(10, 4, (3, 4, 5), (10, 10))


def test_cost_is_linear_in_the_length() -> None:
    assert zoo.formula("birnn", "tokens=2,T:int64").totals["growth"]["macs"] == "T"
    assert zoo.formula("textcnn", "tokens=2,T:int64").totals["growth"]["macs"] == "T"


# learning


@cache
def reversed_or_not() -> tuple[Tensor, Tensor]:
    """Pieces of Python's documentation, half of them turned round: ids (N, 8), labels (N,).

    Both kinds have the same words: who ignores their order is right for one half.
    """
    words = re.findall(r"[a-z]+", " ".join(topics.values()).lower())
    common = (word for word, _ in Counter(words).most_common(WORDS))
    number = {word: n for n, word in enumerate(common, 1)}
    ids = torch.tensor([number.get(word, 0) for word in words])
    pieces = ids[: len(ids) // STEPS * STEPS].reshape(-1, STEPS)
    labels = torch.randint(2, (len(pieces),), generator=torch.Generator().manual_seed(0))
    return torch.where(labels[:, None] == 1, pieces.flip(1), pieces), labels


@pytest.mark.parametrize("kind", [BiRNN, TextCNN])
def test_the_order_of_words_is_learned(kind: type) -> None:
    tokens, labels = reversed_or_not()
    cut = len(tokens) * 4 // 5
    random = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    if kind is BiRNN:
        model: nn.Module = BiRNN(WORDS + 1, 16, 16, 2)
    else:
        model = TextCNN(WORDS + 1, 16, (2, 3, 4), (16, 16, 16), dropout=0.1)

    def loss() -> Tensor:
        chosen = torch.randint(cut, (64,), generator=random)
        return cross_entropy(model(tokens[chosen]), labels[chosen])

    fit(model, loss, steps=400, rate=5e-3)
    with torch.no_grad():
        right = model.eval()(tokens[cut:]).argmax(1) == labels[cut:]
    majority = labels[cut:].bincount().max().item() / len(labels[cut:])
    assert right.float().mean().item() > majority + 0.12
