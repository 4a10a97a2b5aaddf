"""What plans cost: closed forms, laws, and real training under the same plans."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import zoo
from tests.analysis.test_freezing import IMAGE, TOKENS, Encoded, Net, Shared, vit
from tests.fingerprint import fingerprint
from tests.real_step import real_step, sum_of_outputs
from tests.strategies import WIDTH, models
from zoo.analysis import steptime
from zoo.analysis.freeze import DEPTHS, freeze, prefix, spread
from zoo.analysis.freezing import Model, Plan
from zoo.analysis.steptime import effort, step_effort
from zoo.errors import NothingToTrain, StepError, ZooError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from zoo.analysis.records import Trace

CONTRACT = (
    "plan trainable_parameters forward_macs backward_macs saved_bytes gradient_bytes "
    "optimizer_bytes peak_bytes ratio"
).split()


def step(model: nn.Module, *inputs: Any, plan: Plan | None = None, **how: Any) -> Trace:
    found = zoo.trace(model, *inputs, train=True, freeze=plan, **how)
    assert found.failure is None
    return found


def sum_macs(trace: Trace, phase: str) -> int:
    return sum(op.cost.macs for op in trace.ops if op.phase == phase and op.cost)


def held(trace: Trace, role: str) -> int:
    return sum(one.nbytes for one in trace.storages if one.role == role)


def apply(model: nn.Module, plan: Plan) -> nn.Module:
    """Do to a real module what a plan says."""
    frozen, still = set(plan.frozen), set(plan.still)
    model.train()
    for name, parameter in model.named_parameters():
        if name in frozen:
            parameter.requires_grad_(requires_grad=False)
    for path, module in model.named_modules():
        if path in still:
            module.training = False
    return model


def small_resnet() -> nn.Module:
    return torchvision.models.resnet18(num_classes=5)


def chain(*widths: int) -> nn.Sequential:
    """Linear layers with a nonlinearity between them."""
    pairs = pairwise(widths)
    layers = [nn.Sequential(nn.Linear(first, second), nn.Tanh()) for first, second in pairs]
    return nn.Sequential(*layers)


# closed forms


@given(
    widths=st.lists(st.integers(1, 9), min_size=2, max_size=6),
    batch=st.integers(1, 5),
    data=st.data(),
)
def test_backward_is_weight_gradients_and_input_gradients(
    widths: list[int], batch: int, data: st.DataObject
) -> None:
    """No weight gradient where frozen, no input gradient up to the first trained layer."""
    model = chain(*widths)
    layers = range(len(widths) - 1)
    trained = data.draw(st.sets(st.sampled_from(layers), min_size=1))
    plan = Model(zoo.trace(model, (batch, widths[0]))).only([f"{one}.*" for one in trained])
    found = step(model, (batch, widths[0]), plan=plan)
    products = [batch * widths[one] * widths[one + 1] for one in layers]
    weights = sum(products[one] for one in trained)
    inputs = sum(products[one] for one in layers if one > min(trained))
    assert sum_macs(found, "forward") == sum(products)
    assert sum_macs(found, "backward") == weights + inputs
    assert held(found, "gradient") == 4 * sum(
        widths[one] * widths[one + 1] + widths[one + 1] for one in trained
    )


def test_convolutions_too() -> None:
    """3x3 on 6x6, groups of 2: a frozen layer after a trained one passes gradients down."""
    model = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1, bias=False),
        nn.Conv2d(4, 4, 3, padding=1, groups=2, bias=False),
        nn.Conv2d(4, 2, 1, bias=False),
    )
    one, two, three = 36 * 2 * 4 * 9, 36 * 4 * 2 * 9, 36 * 4 * 2
    found = Model(zoo.trace(model, (1, 2, 6, 6)))
    for names, expected in (
        (["0"], one + two + three),
        (["1"], two + three),
        (["2"], three),
        (["0", "2"], one + two + 2 * three),
        (["1", "2"], two + 2 * three),
        (["0", "1", "2"], one + 2 * two + 2 * three),
    ):
        trace = step(model, (1, 2, 6, 6), plan=found.only(names))
        assert sum_macs(trace, "backward") == expected, names


def test_the_first_trained_layer_has_no_input_gradient() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 3), nn.Flatten())
    plan = Model(zoo.trace(model, (1, 3, 8, 8))).through("0")
    (gradient,) = (
        op
        for op in step(model, (1, 3, 8, 8), plan=plan).ops
        if op.op == "aten.convolution_backward.default"
    )
    assert [one.shape for one in gradient.outputs] == [(4, 8, 3, 3), (4,)]


@pytest.mark.parametrize("epochs", [1, 2, 10])
def test_cached_ratio_is_all_epochs_without_all_but_one_prefix(epochs: int) -> None:
    model = Net()
    look = Model(zoo.trace(model, IMAGE))
    plan = look.through("stem")
    whole, part = step(model, IMAGE), step(model, IMAGE, plan=plan)
    (_, row) = freeze([(Plan("train everything"), whole), (plan, part)], epochs=epochs).rows
    first = next(op.index for op in part.ops if "body.0" in part.calls[op.call].path)
    skipped = effort(part.ops[:first])
    time, full = step_effort(part), step_effort(whole)
    assert row["ratio"] == time / full
    assert row["cached_ratio"] == (epochs * time - (epochs - 1) * skipped) / (epochs * full)
    if epochs == 1:
        assert row["cached_ratio"] == row["ratio"]


# laws


def reached(model: nn.Module) -> bool:
    """Whether a loss of all outputs reaches a parameter of it."""
    return any(one.requires_grad for one in model.parameters()) and bool(
        model.train()(torch.zeros(3, WIDTH)).requires_grad
    )


FIGURES = ("trainable_parameters", "backward_macs", "gradient_bytes", "optimizer_bytes")


@given(model=models.filter(reached), data=st.data())
def test_freezing_never_adds_a_mac(model: nn.Module, data: st.DataObject) -> None:
    whole = step(model, (3, WIDTH))
    names = sorted(dict(model.named_parameters()))
    kept = data.draw(st.sets(st.sampled_from(names), min_size=1))
    look = Model(zoo.trace(model, (3, WIDTH)))
    try:
        plan = look.only(sorted(kept))
    except NothingToTrain:
        return
    part = step(model, (3, WIDTH), plan=plan)
    assert sum_macs(part, "forward") == sum_macs(whole, "forward")
    assert sum_macs(part, "backward") <= sum_macs(whole, "backward")
    for role in ("gradient", "saved"):
        assert held(part, role) <= held(whole, role)
    frozen = {one.names[0] for one in part.parameters if not one.trainable}
    theirs = {one.names[0] for one in whole.parameters if not one.trainable}
    assert frozen == theirs | set(plan.frozen)
    gradients = {one.name for one in part.storages if one.role == "gradient"}
    assert not gradients & frozen


@settings(max_examples=20)  # a step for each depth of each
@given(parts=st.lists(models, min_size=2, max_size=3), optimizer=st.sampled_from(["sgd", "adamw"]))
def test_deeper_plans_never_cost_more(parts: list[nn.Module], optimizer: str) -> None:
    model = nn.Sequential(*parts, nn.Linear(WIDTH, WIDTH))
    rows = zoo.freeze(model, (3, WIDTH), optimizer=optimizer).rows
    assert rows[0]["plan"] == "train everything"
    assert rows[0]["ratio"] == rows[0]["macs_ratio"] == 1
    for shallow, deep in pairwise(rows):
        assert shallow["forward_macs"] == deep["forward_macs"]
        for figure in (*FIGURES, "saved_bytes"):
            assert deep[figure] <= shallow[figure], figure
    for row in rows[1:]:
        assert row["trainable_parameters"] < rows[0]["trainable_parameters"]
        assert row["cached_ratio"] is None or row["cached_ratio"] <= row["ratio"]


@pytest.mark.parametrize("make", [Net, Shared, lambda: Encoded(tied=True), vit, small_resnet])
def test_columns_hold_what_the_trace_holds(make: Callable[[], nn.Module]) -> None:
    model, inputs = make(), {Net: IMAGE, Shared: (2, 4)}.get(make)
    x = inputs or (TOKENS if isinstance(model, Encoded) else (2, 3, 32, 32))
    report = zoo.freeze(model, x, optimizer="adamw")
    plans = Model(zoo.trace(model, x)).depths()
    assert [row["plan"] for row in report.rows] == ["train everything", *(p.name for p in plans)]
    for row, plan in zip(report.rows, (None, *plans), strict=True):
        trace = step(model, x, plan=plan, optimizer="adamw")
        assert set(CONTRACT) <= set(row)
        assert row["backward_macs"] == sum_macs(trace, "backward")
        assert row["saved_bytes"] == held(trace, "saved")
        assert row["peak_bytes"] == zoo.memory(trace).totals["peak_bytes"]
    assert {name: report.totals[name] for name in report.rows[-1]} == report.rows[-1]


# real training


def make_adamw(parameters: Iterable[Tensor]) -> torch.optim.Optimizer:
    return torch.optim.AdamW([one for one in parameters if one.requires_grad], lr=0.1)


REAL = [
    (Net, IMAGE, "through", "stem"),
    (Net, IMAGE, "train", "body.0,head.*.bias"),
    (Net, IMAGE, "train", "stem.0,head.3"),
    (Shared, (2, 4), "through", "once"),
    (small_resnet, (2, 3, 32, 32), "through", "layer2"),
    (small_resnet, (2, 3, 32, 32), "train", "layer1.0.conv1,fc"),
]


@pytest.mark.parametrize(("make", "shape", "how", "words"), REAL, ids=str)
def test_a_real_step_runs_what_the_trace_says(
    make: Callable[[], nn.Module], shape: tuple[int, ...], how: str, words: str
) -> None:
    """And what is frozen, or still, is the same to the byte after two steps."""
    model = make()
    look = Model(zoo.trace(model, shape))
    plan = look.through(words) if how == "through" else look.only(words.split(","))
    expected = step(model, shape, plan=plan, optimizer="adamw")
    apply(model, plan)
    before = {name: one.clone() for name, one in model.state_dict().items()}
    ran = real_step(model, [torch.randn(shape)], make_adamw)
    for phase in ("forward", "backward"):
        ours = [op.op for op in expected.ops if op.phase == phase]
        theirs = [one.op for one in getattr(ran, phase)]
        if phase == "forward":  # the loss is the step's own
            theirs = theirs[: len(ours)]
        assert [one for one in ours if "detach" not in one] == [
            one for one in theirs if "detach" not in one
        ]
    assert held(expected, "optimizer") == sum(ran.state.values())
    trained = {name: one for name, one in model.named_parameters() if one.requires_grad}
    gradients = {name: one.grad for name, one in model.named_parameters() if one.grad is not None}
    assert gradients.keys() == trained.keys()
    assert held(expected, "gradient") == sum(one.nbytes for one in gradients.values())
    still = tuple(f"{path}." for path in plan.still)
    for name, now in model.state_dict().items():
        same = torch.equal(now, before[name])
        if name in trained:
            assert not same, name
        elif name in plan.frozen or name.startswith(still):
            assert same, name


def test_a_norm_that_is_trained_goes_on_with_its_statistics() -> None:
    """The twin of the above: not everything stands still."""
    model = Net()
    plan = Model(zoo.trace(model, IMAGE)).through("stem")
    apply(model, plan)
    before = model.body[1].running_mean.clone()
    real_step(model, [torch.randn(IMAGE)], make_adamw)
    assert not torch.equal(before, model.body[1].running_mean)


# cached features


class Boundary(TorchDispatchMode):
    """Stops before one operator of a run, when the tensors that came before are known.

    Args:
        end: Index of the operator.
        then: What to do with the storages that operators made, by the operator's index.
    """

    def __init__(
        self, end: int, then: Callable[[dict[int, list[torch.UntypedStorage]]], None]
    ) -> None:
        super().__init__()
        self.end, self.then = end, then
        self.ops: list[str] = []
        self.made: dict[int, list[torch.UntypedStorage]] = {}
        self.known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if len(self.ops) == self.end:
            self.then(self.made)
        out = func(*args, **(kwargs or {}))
        self.known |= {
            one.untyped_storage()._cdata
            for one in tree_leaves((args, kwargs))
            if isinstance(one, Tensor)
        }
        for one in tree_leaves(out):
            if isinstance(one, Tensor) and one.untyped_storage()._cdata not in self.known:
                self.made.setdefault(len(self.ops), []).append(one.untyped_storage())
                self.known.add(one.untyped_storage()._cdata)
        name = str(func._schema.name).replace("::", ".", 1)
        self.ops.append(f"{name}.{func._schema.overload_name or 'default'}")
        return out


def raw(storage: torch.UntypedStorage) -> Tensor:
    """The bytes of a storage, as a tensor that autograd does not know."""
    return torch.empty(0, dtype=torch.uint8).set_(storage)


def learn(model: nn.Module, x: Tensor, mode: TorchDispatchMode) -> tuple[Tensor, list[Tensor]]:
    """Outputs and gradients of a step, random numbers as in any other."""
    torch.manual_seed(7)
    model.zero_grad(set_to_none=True)
    with mode:
        output = model(x)
    sum_of_outputs(output.square()).backward()
    return output.detach(), [one.grad for one in model.parameters() if one.grad is not None]


class Skips(nn.Module):
    """Three tensors cross from what is frozen: along the chain, a skip, and one of a skip's."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.ModuleList(nn.Conv2d(3, 3, 3, padding=1) for _ in range(3))
        self.up = nn.Conv2d(9, 2, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, 2, H, W)."""
        first = self.down[0](x).relu()
        second = self.down[1](first).relu()
        third = self.down[2](second).relu()
        y: Tensor = self.up(torch.cat((first.flip(2), second, third * 2), 1))
        return y


CACHED = [
    ("resnet18", small_resnet, (3, 3, 32, 32), "layer2"),
    ("resnet18 in a block", small_resnet, (3, 3, 32, 32), "layer2.0.conv1"),
    ("resnet18 head", small_resnet, (3, 3, 32, 32), "layer4"),
    ("vgg11", lambda: torchvision.models.vgg11(num_classes=5), (2, 3, 32, 32), "features"),
    ("vit", vit, (3, 3, 32, 32), "encoder.layers.encoder_layer_1"),
    ("skips", Skips, (2, 3, 6, 6), "down.2"),
    ("skips", Skips, (2, 3, 6, 6), "down.1"),
]


@pytest.mark.parametrize(
    ("name", "make", "shape", "path"), CACHED, ids=[c[0] + c[3] for c in CACHED]
)
def test_what_crosses_is_all_that_the_rest_needs(
    name: str,
    make: Callable[[], nn.Module],
    shape: tuple[int, ...],
    path: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Another input and the cached bytes give the outputs and gradients of the first input.

    All else that the prefix made is overwritten with NaN before the rest runs. Attention runs
    without torch's fast path for inference, which a trace does not take.
    """
    torch.manual_seed(0)
    model = make()
    (_, row) = zoo.freeze(model, shape, through=path).rows
    plan = Model(zoo.trace(model, shape)).through(path)
    found = prefix(step(model, shape, plan=plan))
    born = {one.born for one in found.crossing}
    monkeypatch.setattr(torch.backends.mha, "_is_fastpath_enabled", False)
    apply(model, plan)
    cache: dict[int, list[Tensor]] = {}

    def keep(made: dict[int, list[torch.UntypedStorage]]) -> None:
        cache.update({index: [raw(one).clone() for one in made[index]] for index in born})

    def poison(made: dict[int, list[torch.UntypedStorage]]) -> None:
        for index, storages in made.items():
            for place, storage in enumerate(storages):
                raw(storage).fill_(255)  # float32: NaN
                if index in cache:
                    raw(storage).copy_(cache[index][place])

    keeping = Boundary(len(found.ops), keep)
    output, gradients = learn(model, torch.randn(shape), keeping)
    # a linear layer of a strided input adds its bias in place, unless a mode looks on, as here
    names = [op.op.replace("add_.", "add.") for op in found.ops]
    assert [one.replace("add_.", "add.") for one in keeping.ops[: len(names)]] == names
    assert row["cacheable"] == "yes"
    cached = sum(one.nbytes for parts in cache.values() for one in parts)
    assert cached == row["cache_bytes"] * shape[0] == sum(one.nbytes for one in found.crossing)
    again, theirs = learn(model, torch.randn(shape), Boundary(len(found.ops), poison))
    assert not again.isnan().any()
    assert torch.equal(again, output)
    assert all(torch.equal(one, other) for one, other in zip(gradients, theirs, strict=True))
    for index in born:  # and nothing of it can be left out
        short = {one: parts for one, parts in cache.items() if one != index}
        full, cache = cache, short
        less, _ = learn(model, torch.randn(shape), Boundary(len(found.ops), poison))
        cache = full
        assert less.isnan().any()


def test_skips_cross() -> None:
    nbytes = 3 * 36 * 4  # three channels of 6x6
    rows = {
        path: zoo.freeze(Skips(), (2, 3, 6, 6), through=path).rows[-1]
        for path in ("down.0", "down.1", "down.2")
    }
    assert [rows[path]["cache_bytes"] // nbytes for path in rows] == [1, 2, 3]


class Random(nn.Module):
    """Noise where features should be."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.body = nn.Linear(4, 4)
        self.norm = nn.BatchNorm1d(4, affine=False)
        self.depth = torchvision.ops.StochasticDepth(0.5, "row")
        self.head = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 4) -> (B, 2)."""
        if self.kind == "noise":
            x = x + torch.randn(4)
        if self.kind == "norm":
            x = self.norm(x)
        if self.kind == "depth":
            x = self.depth(x)
        if self.kind == "dropout":
            x = nn.functional.dropout(x, 0.5)
        y: Tensor = self.head(self.body(x).tanh())
        return y


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("plain", "yes"),
        ("noise", "Random draws random numbers"),
        ("dropout", "Random draws random numbers"),
        ("norm", "yes"),  # it runs before the last frozen layer, so that it is still
        ("depth", "yes"),
    ],
)
def test_what_varies_cannot_be_cached(kind: str, said: str) -> None:
    (_, row) = zoo.freeze(Random(kind), (3, 4), through="body").rows
    assert row["cacheable"] == said
    known = (row["cache_bytes"], row["cached_ratio"])
    assert (None in known) == (said != "yes")


def test_statistics_of_the_batch_cannot_be_cached() -> None:
    """Not even in evaluation, where a norm keeps no others."""
    norm = nn.BatchNorm1d(4, affine=False, track_running_stats=False)
    model = nn.Sequential(norm, nn.Linear(4, 4), nn.Linear(4, 4))
    plan = Model(zoo.trace(model, (3, 4))).through("1")
    assert "0" in plan.still
    (_, row) = zoo.freeze(model, (3, 4), through="1").rows
    assert row["cacheable"] == "0 uses statistics of the batch"
    assert row["cached_ratio"] is None
    real, x = apply(model, plan), torch.randn(3, 4)
    assert not torch.allclose(real[0](x)[:2], real[0](x[:2]))


@pytest.mark.parametrize("batch", [1, 3])
def test_statistics_of_each_input_can_be_cached(batch: int) -> None:
    model = nn.Sequential(nn.Conv1d(2, 2, 1), nn.InstanceNorm1d(2), nn.Conv1d(2, 2, 1))
    (_, row) = zoo.freeze(model, (batch, 2, 5), through="0").rows
    assert row["cacheable"] == "yes"
    assert row["cache_bytes"] == 2 * 5 * 4


def test_a_cache_ends_where_numbers_are_drawn() -> None:
    """Dropout after frozen layers and before the head: features are those before it."""
    model = nn.Sequential(nn.Linear(4, 6), nn.Dropout(0.5), nn.Linear(6, 2))
    plan = Model(zoo.trace(model, (3, 4))).through("0")
    found = prefix(step(model, (3, 4), plan=plan))
    assert found.obstacle is None
    assert [one.nbytes for one in found.crossing] == [3 * 6 * 4]
    assert not any("bernoulli" in op.op for op in found.ops)


def test_to_train_everything_leaves_nothing_to_cache() -> None:
    row = zoo.freeze("lenet").rows[0]
    assert row["cacheable"] == "no prefix"
    assert row["cache_bytes"] is row["cached_ratio"] is None


# what the user gave


def test_a_users_own_frozen_parameters_are_respected() -> None:
    model = Net()
    model.body.requires_grad_(requires_grad=False)
    model.body[1].eval()
    rows = zoo.freeze(model, IMAGE).rows
    free = sum(one.numel() for one in model.parameters() if one.requires_grad)
    assert rows[0]["trainable_parameters"] == free
    assert rows[1]["trainable_parameters"] == sum(one.numel() for one in model.head.parameters())


@pytest.mark.parametrize("how", [{}, {"through": "stem"}, {"train": "head"}, {"through": "steam"}])
def test_the_model_is_given_back_as_it_was(how: dict[str, str]) -> None:
    model = Net().train()
    model.stem[1].eval()
    model.stem[0].weight.requires_grad_(requires_grad=False)
    before = fingerprint(model)
    try:
        zoo.freeze(model, IMAGE, **how)
    except ZooError:
        assert how == {"through": "steam"}
    assert fingerprint(model) == before


def test_lazy_models_stay_lazy() -> None:
    model = nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.Flatten(), nn.LazyLinear(2))
    before = fingerprint(model)
    report = zoo.freeze(model, (2, 3, 5, 5), through="1")
    assert report.totals["trainable_parameters"] == 4 * 9 * 2 + 2
    assert fingerprint(model) == before


def test_by_name_and_by_module_are_the_same() -> None:
    named = zoo.freeze("resnet18", through="b3")
    module = zoo.freeze(zoo.create("resnet18"), (1, 1, 96, 96), through="b3")
    assert named.rows == module.rows
    assert named.totals["forward_macs"] == zoo.flops("resnet18").totals["macs"]


def test_options_of_the_step_are_handed_on() -> None:
    sgd = zoo.freeze("lenet", through="conv2").totals
    adam = zoo.freeze("lenet", through="conv2", optimizer="adam", batch=4).totals
    assert adam["forward_macs"] == 4 * sgd["forward_macs"]
    assert sgd["optimizer_bytes"] == 0
    assert adam["optimizer_bytes"] >= 2 * adam["gradient_bytes"]
    assert (
        zoo.freeze("lenet", through="conv2", batch=4).rows[-1]["cache_bytes"]
        == (zoo.freeze("lenet", through="conv2").rows[-1]["cache_bytes"])
    )


def test_without_a_backward_pass_there_is_nothing_to_freeze() -> None:
    with pytest.raises(StepError, match="loss none"):
        zoo.freeze("lenet", loss="none")


def test_a_model_that_breaks_says_so_and_knows_no_ratio() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(5, 4))
    report = zoo.freeze(model, (2, 4))
    assert report.failure is not None
    assert all(row["ratio"] is row["cached_ratio"] is None for row in report.rows)


# the time model


def efforts(model: nn.Module, *inputs: Any) -> float:
    return step_effort(step(model, *inputs))


def test_time_grows_with_work() -> None:
    small, large = nn.Linear(64, 64), nn.Linear(256, 256)
    assert efforts(small, (8, 64)) < efforts(large, (8, 256)) < efforts(large, (64, 256))


def test_a_sum_over_parts_is_the_whole() -> None:
    trace = zoo.trace("lenet")
    half = len(trace.ops) // 2
    parts = effort(trace.ops[:half]) + effort(trace.ops[half:])
    assert effort(trace.ops) <= parts * (1 + 1e-9)  # a module cut in two is called once
    assert effort(()) == 0


def test_a_norm_that_is_still_is_the_faster_one() -> None:
    model = nn.Sequential(nn.Conv2d(3, 64, 3), nn.BatchNorm2d(64), nn.Conv2d(64, 4, 3))

    def norm_of(trace: Trace) -> float:
        return effort(op for op in trace.ops if op.op == "aten.native_batch_norm.default")

    plan = Model(zoo.trace(model, (2, 3, 32, 32))).through("1")
    moving = norm_of(step(model, (2, 3, 32, 32)))
    still = norm_of(step(model, (2, 3, 32, 32), plan=plan))
    assert still < moving


def test_operators_without_a_formula_take_time() -> None:
    trace = zoo.trace("lenet")
    unknown = [replace(op, cost=None) for op in trace.ops]
    assert effort(unknown) > effort([replace(op, inputs=(), outputs=()) for op in unknown]) > 0


@pytest.mark.parametrize(
    ("conv", "kind"),
    [
        (nn.Conv2d(16, 32, 3), steptime.CONVOLUTION),
        (nn.Conv2d(16, 32, 1), steptime.POINTWISE),
        (nn.Conv2d(16, 32, 1, stride=4), steptime.TINY),
        (nn.Conv2d(3, 32, 3), steptime.COLOURS),
        (nn.Conv2d(16, 16, 3, groups=16), steptime.DEPTHWISE),
        (nn.Conv2d(16, 16, 5, groups=16), steptime.WIDE),
        (nn.Conv2d(16, 32, 3, groups=4), steptime.GROUPED),
        (nn.Conv1d(16, 16, 5, groups=16), steptime.WIDE),
        (nn.Conv3d(16, 16, 3, groups=16), steptime.DEPTHWISE),
    ],
    ids=str,
)
def test_kinds_of_convolutions(conv: nn.Module, kind: steptime.Passes) -> None:
    shape = (1, conv.in_channels, *[12] * len(conv.kernel_size))
    (op,) = zoo.trace(conv, shape).ops
    assert steptime.kind_of(*op.inputs[:2], op.outputs[0]) is kind


def test_gradients_that_are_not_computed_take_no_time() -> None:
    model = nn.Sequential(nn.Conv2d(16, 16, 3), nn.Conv2d(16, 16, 3))
    look = Model(zoo.trace(model, (2, 16, 9, 9)))

    def gradients(plan: Plan | None) -> list[float]:
        ops = step(model, (2, 16, 9, 9), plan=plan).ops
        return [steptime.time_of(one) for one in ops if "convolution_backward" in one.op]

    second, first = gradients(None)
    (alone,) = gradients(look.only(["1"]))
    passed, whole = gradients(look.only(["0"]))
    assert alone < second
    assert passed < second
    assert alone + passed == pytest.approx(second + steptime.CALL)
    assert whole == first  # the first layer has no input gradient either way


def test_channels_fill_whole_vectors() -> None:
    def forward(channels: int) -> float:
        (op,) = zoo.trace(nn.Conv2d(64, channels, 3, bias=False), (8, 64, 30, 30)).ops
        return steptime.time_of(op)

    assert forward(17) > 1.5 * forward(16)
    assert forward(32) < 1.5 * forward(17)


def test_one_matrix_that_is_spread_over_a_batch_is_read_once() -> None:
    class Spread(nn.Module):
        def __init__(self, *, spread: bool) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(*([] if spread else [64]), 128, 128))

        def forward(self, x: Tensor) -> Tensor:
            return torch.bmm(x, self.weight.expand(64, 128, 128))

    spread, apart = (
        effort(zoo.trace(Spread(spread=one), (64, 2, 128)).ops) for one in (True, False)
    )
    assert spread < apart / 2


def test_blocks_that_the_system_hands_out_anew_take_longer() -> None:
    model = nn.Linear(1, 1, bias=False)
    (op,) = (one for one in zoo.trace(model, (1, 1)).ops if one.cost and one.cost.macs)
    small = replace(op, new_bytes=steptime.LARGE - 1)
    large = replace(op, new_bytes=steptime.LARGE)
    assert steptime.time_of(small) == steptime.time_of(op)
    assert steptime.time_of(large) - steptime.time_of(op) == pytest.approx(
        steptime.LARGE / steptime.FRESH
    )


@given(st.integers(0, 300), st.integers(1, 60))
def test_spread_takes_some_of_many_plans_and_the_last(number: int, most: int) -> None:
    plans = [Plan(str(index)) for index in range(number)]
    found = spread(plans, most)
    taken = [int(one.name) for one in found]
    assert len(found) == min(most, number)
    assert taken[-1:] == list(range(number))[-1:]
    gaps = [after - before - 1 for before, after in pairwise([-1, *taken])]
    assert [one.skipped for one in found] == gaps
    assert not gaps or max(gaps) - min(gaps) <= 1


def test_very_many_depths_are_not_all_looked_at() -> None:
    layers = DEPTHS + 9
    deep = nn.Sequential(*(nn.Linear(4, 4) for _ in range(layers)))
    report = zoo.freeze(deep, (2, 4))
    assert len(report.rows) == 1 + DEPTHS
    assert report.rows[-1]["plan"] == f"through {layers - 2}"
    (note,) = [note.text for note in report.notes if note.code == "depths"]
    assert note.startswith("Depths between these that are left out: 8;")
