"""AnyNet and RegNet: what is chosen, and the paper's models to the unit."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn

import zoo
from zoo.models.anynet import Stage, anynet
from zoo.models.regnet import Settings, SqueezeExcite, X, Y, regnet, regnetx, regnety, stages_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# facebookresearch/pycls dev/model_complexity.json @5719de6417: 224 pixels, 1,000 classes. Its MACs
# count a bias as one operation for each output.
PYCLS: list[tuple[Callable[..., nn.Module], str, int, int]] = [
    (regnetx, "200mf", 2684792, 199040872),
    (regnetx, "32gf", 107811560, 31735930792),
    (regnety, "400mf", 4344144, 401849056),
    (regnety, "8.0gf", 39180068, 7963074196),
]
# Changes of each of the 17 numbers of an AnyNet, by what is changed.
CHOICES: list[Mapping[str, Any]] = [
    {"stem_channels": 24},
    *({"depths": [3 if i == stage else 2 for i in range(4)]} for stage in range(4)),
    *({"channels": [48 if i == stage else 32 for i in range(4)]} for stage in range(4)),
    *({"groups": [8 if i == stage else 16 for i in range(4)]} for stage in range(4)),
    *({"bot_mul": [0.5 if i == stage else 1.0 for i in range(4)]} for stage in range(4)),
]


@pytest.mark.parametrize(("build", "size", "parameters", "macs"), PYCLS)
def test_published_parameters_and_macs(
    build: Callable[..., nn.Module], size: str, parameters: int, macs: int
) -> None:
    name = f"book/{build.__name__}"
    totals = zoo.summary(name, arguments={"size": size, "num_classes": 1000}).totals
    with torch.device("meta"):
        model = build(1000, size=size)
        model(torch.empty(2, 3, 64, 64))
    layers = [layer for layer in model.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    biases = sum(layer.bias.numel() for layer in layers if layer.bias is not None)
    assert totals["parameters"] == parameters
    assert totals["macs"] + biases == macs


@pytest.mark.parametrize("settings", [*X.values(), *Y.values()])
def test_stages_are_blocks_of_growing_width_in_whole_groups(settings: Any) -> None:
    stages = list(stages_of(settings))
    assert len(stages) == 4
    assert sum(depth for depth, _, _ in stages) == settings.depth
    widths = [width for _, width, _ in stages]
    assert widths == sorted(set(widths))
    assert all(width % group == 0 for _, width, group in stages)


def test_one_s_own_regnet_is_the_paper_s_with_its_settings() -> None:
    with torch.device("meta"):
        ours, papers = regnet(squeeze=0.25, **X["3.2gf"]._asdict()), regnetx(size="3.2gf")
        for model in (ours, papers):
            assert model(torch.empty(2, 1, 32, 32)).shape == (2, 10)
    names = {name for name, _ in ours.named_parameters() if ".weigh." not in name}
    assert names == {name for name, _ in papers.named_parameters()}
    assert any(isinstance(module, SqueezeExcite) for module in ours.modules())


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ({"depth": 0}, "depth is 0; it wants a whole number from 1 up"),
        ({"wm": 1.0}, "wa is 0 or more and wm above 1; got .*wm=1.0"),
        ({"w0": 4}, "w0 is 5 or more, which rounds to 8 channels; got 4"),
        ({"squeeze": -0.25}, "squeeze is 0 or more; got -0.25"),
    ],
)
def test_settings_that_give_no_network(arguments: Mapping[str, Any], line: str) -> None:
    with pytest.raises(ValueError, match=line):
        regnet(**arguments)


def test_a_size_that_there_is_not() -> None:
    with pytest.raises(ValueError, match=r"size is one of 200mf, .*; got 5gf"):
        regnety(size="5gf")


def test_squeeze_and_excitation_weighs_channels() -> None:
    torch.manual_seed(0)
    x = torch.rand(2, 6, 3, 4)
    ratio = SqueezeExcite(6, 2)(x) / x
    assert bool(((ratio > 0) & (ratio < 1)).all())
    torch.testing.assert_close(ratio, ratio[:, :, :1, :1].expand_as(ratio))


def test_seventeen_numbers_choose_an_anynet() -> None:
    """Each of them changes the network (8.8: 17 of a design space of four stages)."""

    def shapes(**arguments: Any) -> tuple[tuple[str, tuple[int, ...]], ...]:
        base = {"depths": [2] * 4, "channels": [32] * 4}
        model = anynet(**{**base, **arguments})
        model(torch.empty(2, 1, 32, 32))
        return tuple((name, tuple(p.shape)) for name, p in model.named_parameters())

    with torch.device("meta"):
        networks = {shapes(), *(shapes(**choice) for choice in CHOICES)}
    assert len(CHOICES) == 17 == 1 + 4 * len(Stage._fields)
    assert len(networks) == 18


def test_stages_of_anynet_halve_the_image() -> None:
    rows = {row["path"]: row["output_shape"] for row in zoo.summary("book/anynet").rows}
    found = [tuple(rows[path]) for path in ("stem", "stage1", "stage2", "stage3", "stage4")]
    widths = (32, 32, 64, 160, 384)
    assert found == [(1, wide, 112 >> i, 112 >> i) for i, wide in enumerate(widths)]


@pytest.mark.parametrize("name", ["channels", "groups", "bot_mul"])
def test_settings_of_another_number_of_stages(name: str) -> None:
    with pytest.raises(ValueError, match=f"depths are of 4 stages, {name} of 3"):
        anynet(**{name: [8, 8, 8]})


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ({"depths": (1, 0, 1, 1)}, r"depths are .*; got \[1, 0, 1, 1\]"),
        ({"depths": (), "channels": ()}, r"depths are of one stage or more.*; got \[\]"),
        ({"groups": 0}, "32 channels do not split into groups of 0"),
        ({"stem_channels": 0}, "out_channels is 0; it wants a whole number from 1 up"),
    ],
)
def test_stages_that_give_no_network(arguments: Mapping[str, Any], line: str) -> None:
    with pytest.raises(ValueError, match=line):
        anynet(**arguments)


@pytest.mark.parametrize("share", [0.001, 0.25])
def test_the_least_squeeze_is_one_channel(share: float) -> None:
    network = regnet(w0=8, wa=8.0, wm=2.0, depth=3, group_width=8, squeeze=share)
    network(torch.rand(2, 1, 32, 32))
    widths = [m.squeeze.out_channels for m in network.modules() if isinstance(m, SqueezeExcite)]
    assert len(widths) == 3
    assert (min(widths) == 1) is (share == 0.001)


def test_the_narrowest_regnet() -> None:
    settings = Settings(5, 0.0, 2.0, 2, 8)
    assert list(stages_of(settings)) == [(2, 8, 8)]


def test_anynet_on_the_command_line_s_words() -> None:
    arguments = {"depths": [1, 1], "channels": [16, 24], "groups": 8}
    report = zoo.summary("book/anynet", "2,1,64,64", arguments=arguments)
    assert report.rows[0]["output_shape"] == [2, 10]
    assert math.isclose(report.totals["coverage"], 1.0)
