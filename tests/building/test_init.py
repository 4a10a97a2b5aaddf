"""Are weights drawn as asked, where asked, once, and is nothing else touched?"""

from __future__ import annotations

import inspect
import math
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

import zoo
from zoo import init
from zoo.errors import InitError
from zoo.models.lenet import lenet
from zoo.models.lenet_bn import lenet_bn
from zoo.models.mlp_lazy import mlp_lazy
from zoo.models.nin import nin

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


LAYERS: dict[str, Callable[[], nn.Module]] = {
    "linear": lambda: nn.Linear(300, 200),
    "conv": lambda: nn.Conv2d(32, 64, kernel_size=5, groups=2),
    "transposed": lambda: nn.ConvTranspose2d(32, 64, kernel_size=5),
    "embedding": lambda: nn.Embedding(500, 100),
    "lstm": lambda: nn.LSTM(100, 80, num_layers=2, bidirectional=True),
    "cell": lambda: nn.GRUCell(100, 80),
    "attention": lambda: nn.MultiheadAttention(120, 4),
    "attention of three widths": lambda: nn.MultiheadAttention(120, 4, kdim=60, vdim=40),
    "bilinear": lambda: nn.Bilinear(20, 30, 40),
}
FANS = {
    ("linear", "weight"): (300, 200),
    ("conv", "weight"): (16 * 25, 64 * 25),
    ("transposed", "weight"): (32 * 25, 64 * 25),
    ("embedding", "weight"): (100, 500),
    ("cell", "weight_ih"): (100, 240),
    ("cell", "weight_hh"): (80, 240),
    ("attention", "in_proj_weight"): (120, 360),
    ("attention", "out_proj.weight"): (120, 120),
    ("attention of three widths", "k_proj_weight"): (60, 120),
    ("attention of three widths", "v_proj_weight"): (40, 120),
}
"""Inputs and outputs of a unit, by hand."""


def flat(*weights: Tensor) -> Tensor:
    return torch.cat([weight.detach().flatten() for weight in weights])


def weights_of(model: nn.Module) -> Tensor:
    return flat(*(p for name, p in model.named_parameters() if p.dim() > 1))


# what is drawn


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize(
    ("initialiser", "mean", "std"),
    [
        (init.normal(), 0.0, 0.01),
        (init.normal(0.3, mean=2.0), 2.0, 0.3),
        (init.uniform(0.6), 0.0, 0.6 / math.sqrt(3)),
    ],
    ids=["normal", "shifted", "uniform"],
)
def test_weights_have_the_mean_and_spread_that_are_asked_for(
    layer: str, initialiser: init.Init, mean: float, std: float
) -> None:
    model = LAYERS[layer]()
    init.apply(model, initialiser)
    drawn = weights_of(model)
    assert drawn.mean().item() == pytest.approx(mean, abs=4 * std / math.sqrt(drawn.numel()))
    assert drawn.std().item() == pytest.approx(std, rel=0.02)


@pytest.mark.parametrize(("layer", "name"), FANS)
def test_variances_go_by_the_number_of_inputs_and_outputs(layer: str, name: str) -> None:
    fan_in, fan_out = FANS[layer, name]
    both = 2 / (fan_in + fan_out)
    wanted = {
        init.xavier(): both,
        init.xavier(gain=2.0): 4 * both,
        init.xavier_normal(): both,
        init.kaiming(): 2 / fan_in,
        init.kaiming(slope=1.0): 1 / fan_in,
    }
    for initialiser, variance in wanted.items():
        model = LAYERS[layer]()
        init.apply(model, initialiser)
        assert model.get_parameter(name).var().item() == pytest.approx(variance, rel=0.06)


def test_xavier_is_bounded_and_xavier_normal_is_not() -> None:
    bound = math.sqrt(6 / 500)
    layer = LAYERS["linear"]()
    init.apply(layer, init.xavier())
    assert 0.99 * bound < weights_of(layer).abs().max() <= bound * (1 + 1e-6)
    init.apply(layer, init.xavier_normal())
    assert weights_of(layer).abs().max() > 1.2 * bound


def test_every_initialiser_is_in_the_reference() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "python.md").read_text()
    for make in init._MAKERS:
        signature = inspect.signature(make)
        plain = [one.replace(annotation=one.empty) for one in signature.parameters.values()]
        wanted = signature.replace(parameters=plain, return_annotation=signature.empty)
        assert f"| `zoo.init.{make.__name__}{wanted}` |" in page


@pytest.mark.parametrize("layer", LAYERS)
def test_biases_are_zero_and_every_weight_is_new(layer: str) -> None:
    model = LAYERS[layer]()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    init.apply(model, init.constant(3.5))
    for name, parameter in model.named_parameters():
        assert set(parameter.flatten().tolist()) == ({0.0} if "bias" in name else {3.5})
        assert "bias" in name or not torch.equal(parameter, before[name])


def test_layers_of_ones_own_are_drawn_too() -> None:
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(200, 100))
            self.bias = nn.Parameter(torch.ones(200))
            self.scale = nn.Parameter(torch.ones(200, 1))

    model = Own()
    init.apply(model, init.kaiming())
    assert model.weight.var().item() == pytest.approx(2 / 100, rel=0.05)
    assert (model.bias.abs().max(), model.scale.min()) == (0, 1)


@pytest.mark.parametrize(
    "layer",
    [
        nn.BatchNorm2d(4),
        nn.LayerNorm((4, 5)),
        nn.GroupNorm(2, 4),
        nn.RMSNorm((4, 5)),
        nn.PReLU(4),
        nn.InstanceNorm2d(4, affine=True),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_norms_and_layers_without_weights_are_left(layer: nn.Module) -> None:
    for parameter in layer.parameters():
        nn.init.uniform_(parameter, 2, 3)
    before = [p.detach().clone() for p in layer.parameters()]
    init.apply(layer, init.constant(7))
    assert all(map(torch.equal, before, layer.parameters()))


def test_learned_keys_of_attention_are_no_biases() -> None:
    layer = nn.MultiheadAttention(8, 2, add_bias_kv=True)
    before = layer.bias_k.detach().clone()
    init.apply(layer, init.normal())
    assert torch.equal(layer.bias_k, before)


def test_the_row_of_padding_stays_zero() -> None:
    layer = nn.Embedding(10, 4, padding_idx=3)
    init.apply(layer, init.constant(1))
    assert layer.weight.sum(1).tolist() == [4, 4, 4, 0, 4, 4, 4, 4, 4, 4]


def test_units_of_a_constant_network_stay_alike() -> None:
    """The book's reason for random weights; drawn ones differ."""
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
    spread = {}
    for name, initialiser in {"constant": init.constant(0.1), "drawn": init.normal(0.1)}.items():
        init.apply(model, initialiser)
        model.zero_grad()
        model(torch.randn(16, 4)).square().mean().backward()
        gradient = model.get_parameter("0.weight").grad
        assert gradient is not None
        spread[name] = gradient.std(0).max().item()
    assert spread["constant"] < 1e-7 < spread["drawn"]


# seeds


def test_a_generator_gives_the_same_weights_again_and_leaves_torch_s_alone() -> None:
    model = nn.Sequential(nn.Linear(8, 8), nn.Conv2d(3, 4, kernel_size=3), nn.LSTM(4, 4))
    state = torch.get_rng_state()
    init.apply(model, init.xavier(generator=seeded(1)))
    first = weights_of(model)
    init.apply(model, init.xavier(generator=seeded(1)))
    assert torch.equal(weights_of(model), first)
    init.apply(model, init.xavier(generator=seeded(2)))
    assert not torch.equal(weights_of(model), first)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("make", [init.normal, init.uniform, init.xavier, init.xavier_normal])
def test_every_initialiser_takes_a_generator(make: Callable[..., init.Init]) -> None:
    one, other = nn.Linear(8, 8), nn.Linear(8, 8)
    init.apply(one, make(generator=seeded(5)))
    init.apply(other, make(generator=seeded(5)))
    assert torch.equal(one.weight, other.weight)


def test_a_seed_gives_what_torch_s_own_functions_give() -> None:
    one, other = nn.Linear(30, 20), nn.Linear(30, 20)
    init.apply(one, init.xavier(generator=seeded(3)))
    nn.init.xavier_uniform_(other.weight, generator=seeded(3))
    assert torch.equal(one.weight, other.weight)


def test_apply_goes_in_torch_s_order() -> None:
    one, other = (nn.TransformerDecoderLayer(16, 2, 32) for _ in range(2))
    torch.manual_seed(4)
    init.apply(one, init.normal(0.02))
    torch.manual_seed(4)
    other.apply(init.normal(0.02))
    assert all(map(torch.equal, one.parameters(), other.parameters()))


# which modules


def three_blocks() -> nn.Sequential:
    return nn.Sequential(
        *(nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 6)) for _ in range(3))
    )


def changed(model: nn.Module, initialisers: init.Inits) -> set[str]:
    """Names of the parameters that an initialisation changes."""
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    init.apply(model, initialisers)
    return {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}


def test_the_first_pattern_that_fits_decides() -> None:
    model = three_blocks()
    init.apply(
        model, {"0.0": init.constant(1), "0.*": init.constant(2), "1": None, "*": init.constant(3)}
    )
    weights = {name: p[0, 0].item() for name, p in model.named_parameters() if p.dim() > 1}
    assert (weights["0.0.weight"], weights["0.2.weight"]) == (1, 2)
    assert (weights["2.0.weight"], weights["2.2.weight"]) == (3, 3)
    assert {1, 2, 3}.isdisjoint({weights["1.0.weight"], weights["1.2.weight"]})


@given(st.sets(st.sampled_from(["0", "1", "2", "0.0", "0.2", "1.0", "1.2", "2.0", "2.2"])))
def test_nothing_changes_but_what_is_asked_for(blocks: set[str]) -> None:
    model = three_blocks()
    wanted = {
        name
        for name, _ in model.named_parameters()
        if any(name.startswith(f"{block}.") for block in blocks)
    }
    assert changed(model, dict.fromkeys(sorted(blocks), init.normal())) == wanted


def test_any_function_of_a_module_is_an_initialiser() -> None:
    """The book's: weights that are 0 or at least 5 from it."""

    def mine(module: nn.Module) -> None:
        if isinstance(module, nn.Linear):
            nn.init.uniform_(module.weight, -10, 10)
            module.weight.data *= module.weight.data.abs() >= 5

    model = nn.Sequential(nn.Linear(40, 80), nn.Conv1d(1, 1, kernel_size=3))
    assert changed(model, mine) == {"0.weight"}
    weight = model.get_parameter("0.weight").abs()
    assert 0.4 < (weight == 0).float().mean() < 0.6
    assert weight[weight > 0].min() >= 5


@pytest.mark.parametrize(
    ("initialisers", "message"),
    [
        ({"nett.0": init.normal()}, r"pattern 'nett\.0': no module has such a path\. Did you mean"),
        ({"x*": init.normal()}, r"pattern 'x\*': no module.* See model\.named_modules\(\)"),
        (init.normal, r"normal makes initialisers\. Call it: zoo\.init\.normal\(\.\.\.\)"),
        ({"*": 0.01}, "init for '\\*': 0.01 is no function of a module"),
    ],
)
def test_what_is_no_initialiser_or_fits_nothing(initialisers: init.Inits, message: str) -> None:
    model = nn.ModuleDict({"net": three_blocks()})
    before = weights_of(model)
    with pytest.raises(InitError, match=message):
        init.apply(model, initialisers)
    assert torch.equal(weights_of(model), before)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: init.normal(-1), r"normal: std: -1 is not a number of 0 or more"),
        (lambda: init.normal(float("nan")), r"normal: std: nan is not"),
        (lambda: init.uniform(-0.1), r"uniform: bound"),
        (lambda: init.xavier(gain=-1), r"xavier: gain"),
        (lambda: init.constant("1"), r"constant: value: '1' is not a number\."),  # type: ignore[arg-type]
        (lambda: init.kaiming(slope=math.inf), r"kaiming: slope"),
    ],
)
def test_numbers_that_are_none(make: Callable[[], object], message: str) -> None:
    with pytest.raises(InitError, match=message):
        make()


# shared modules and parameters


class Tied(nn.Module):
    """An embedding whose weight is that of the output layer too."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.head = nn.Embedding(50, 20), nn.Linear(20, 50)
        self.head.weight = self.words.weight


def test_a_tied_weight_is_drawn_once_by_the_first() -> None:
    model = Tied()
    init.apply(model, {"words": init.constant(1), "head": init.constant(2)})
    assert model.head.weight is model.words.weight
    assert set(model.head.weight.flatten().tolist()) == {1.0}
    assert model.head.bias.abs().max() == 0


def test_a_tied_weight_is_drawn_by_the_first_that_draws_it() -> None:
    def linear_only(module: nn.Module) -> None:
        if isinstance(module, nn.Linear):
            nn.init.constant_(module.weight, 2)

    model = Tied()
    init.apply(model, linear_only)
    assert set(model.words.weight.flatten().tolist()) == {2.0}


def test_a_module_that_is_used_twice_is_visited_once() -> None:
    seen: list[nn.Module] = []
    model = zoo.create("mlp_tied")
    twice = nn.ModuleList([model, nn.Sequential(model[2])])  # type: ignore[index]
    init.apply(twice, seen.append)
    assert len(seen) == len(set(seen)) == len(list(twice.modules()))


# lazy layers


def test_a_lazy_layer_is_refused_by_name_before_anything_is_drawn() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.LazyLinear(2))
    before = model.get_parameter("0.weight").detach().clone()
    with pytest.raises(InitError, match=r"layer '2': it is lazy .* Show it .*zoo\.apply_init"):
        init.apply(model, init.normal())
    assert torch.equal(model.get_parameter("0.weight"), before)
    with pytest.raises(InitError, match=r"LazyLinear: it is lazy"):
        model.apply(init.normal())
    init.apply(model, {"0": init.constant(1)})
    assert model.get_parameter("0.weight").min() == 1


def test_a_layer_that_the_dummy_run_did_not_reach_is_named() -> None:
    class Half(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.unused = nn.LazyLinear(3), nn.LazyLinear(3)

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.used(x)
            return out

    with pytest.raises(InitError, match="layer 'unused': it is lazy"):
        zoo.apply_init(Half(), (2, 4), init.normal())


class Two(nn.Module):
    """Token ids and features, both of unknown width."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.side = nn.Embedding(10, 4), nn.LazyLinear(4)
        self.out = nn.LazyLinear(2)

    def forward(self, tokens: Tensor, features: Tensor) -> Tensor:
        out: Tensor = self.out(self.words(tokens).mean(1) + self.side(features))
        return out


@pytest.mark.parametrize(
    "inputs",
    [
        [torch.zeros(2, 5, dtype=torch.int64), torch.rand(2, 7)],
        (torch.zeros(2, 5, dtype=torch.int64), (2, 7)),
        [torch.zeros(2, 5, dtype=torch.int64), torch.Size([2, 7])],
    ],
)
def test_dummy_inputs_are_tensors_or_shapes(inputs: init.Inputs) -> None:
    model = Two()
    zoo.apply_init(model, inputs, init.constant(2))
    assert model.side.weight.shape == (4, 7)
    assert model.side.weight.min() == model.out.weight.max() == 2


@pytest.mark.parametrize("inputs", [(2, 20), [2, 20], torch.rand(2, 20), [(2, 20)], ([2, 20],)])
def test_one_dummy_input_needs_no_list(inputs: init.Inputs) -> None:
    model = mlp_lazy()
    zoo.apply_init(model, inputs)
    assert model.get_parameter("0.weight").shape == (256, 20)


def test_shapes_become_zeros_of_the_model_s_dtype() -> None:
    model = nn.Sequential(nn.LazyLinear(3), nn.Linear(3, 2)).double()
    zoo.apply_init(model, (1, 4), init.normal())
    assert model.get_parameter("0.weight").dtype == torch.float64


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (None, "dummy input None: it is no tensor and no shape"),
        ("2,20", "dummy input '2,20': it is no tensor"),
        ([(2, -1)], r"dummy input \(2, -1\): it is no tensor and no shape\. Write such as"),
        ((4, 4), r"dummy inputs of shape \(4, 4\): Expected 3D .* Give inputs that forward takes"),
        ([], "missing 1 required positional argument"),
    ],
)
def test_inputs_that_the_model_does_not_take(inputs: init.Inputs, message: str) -> None:
    model = nin()
    model.get_submodule("b1").eval()
    modes = [module.training for module in model.modules()]
    with pytest.raises(InitError, match=message):
        zoo.apply_init(model, inputs)
    assert [module.training for module in model.modules()] == modes


def test_apply_init_leaves_modes_and_statistics() -> None:
    model = lenet_bn()
    model.get_submodule("bn1").eval()
    modes = [module.training for module in model.modules()]
    zoo.apply_init(model, torch.rand(1, 1, 28, 28), init.xavier())
    assert [module.training for module in model.modules()] == modes
    assert model.get_buffer("bn2.running_mean").abs().max() == 0
    assert all(p.grad is None for p in model.parameters())


def test_apply_init_changes_no_weight_that_is_there_unless_it_is_told_how() -> None:
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.LazyLinear(3))
    before = {name: p.detach().clone() for name, p in model[:2].state_dict().items()}
    zoo.apply_init(model, (2, 4))
    assert all(torch.equal(model.state_dict()[name], old) for name, old in before.items())
    zoo.apply_init(model, (2, 4), {"2": init.constant(5)})
    assert model.get_parameter("2.weight").min() == 5
    assert torch.equal(model.get_parameter("0.weight"), before["0.weight"])


def test_apply_init_draws_over_the_weights_of_lazy_layers() -> None:
    model = lenet()
    zoo.apply_init(model, (1, 3, 28, 28), init.normal(0.5))
    assert model.get_parameter("conv1.weight").shape == (6, 3, 5, 5)
    assert weights_of(model).std().item() == pytest.approx(0.5, rel=0.02)


def test_a_parametrized_layer_is_refused() -> None:
    model = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(3, 3)))
    with pytest.raises(InitError, match="computed by a parametrization"):
        init.apply(model, init.normal())


def test_an_undrawn_model_on_the_meta_device_keeps_quiet() -> None:
    with torch.device("meta"):
        model = Tied()
    init.apply(model, init.xavier(generator=seeded(0)))
    assert model.head.weight.is_meta
