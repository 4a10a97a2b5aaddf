"""Plans: which parameters they freeze, which modules they keep still, where their prefix ends."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
import torchvision
from torch import Tensor, nn
from torch.nn import functional as F

import zoo
from zoo.analysis.freezing import OF, Model, Plan, macs, matches
from zoo.errors import NothingToTrain, PlanError

if TYPE_CHECKING:
    from collections.abc import Sequence


def look(model: nn.Module, *inputs: Any) -> Model:
    return Model(zoo.trace(model, *inputs))


def names(model: nn.Module, *prefixes: str) -> set[str]:
    """Parameters whose names begin so."""
    return {name for name, _ in model.named_parameters() if name.startswith(prefixes)}


def reader(found: Model, plan: Plan) -> set[str]:
    """Modules that run the operators after the prefix."""
    after = found.trace.ops[plan.boundary + 1 :]
    return {found.trace.calls[op.call].module for op in after}


class Net(nn.Module):
    """Convolutions with norms, then a classifier with dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU())
        self.body = nn.Sequential(
            nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5)
        )
        self.head = nn.Sequential(nn.Dropout(0.5), nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, 2)."""
        y: Tensor = self.head(self.body(self.stem(x)).mean((2, 3)))
        return y


IMAGE = (2, 3, 8, 8)


def vit() -> nn.Module:
    """A vision transformer whose class token and positions belong to the root and its encoder."""
    return torchvision.models.VisionTransformer(
        image_size=32,
        patch_size=8,
        num_layers=3,
        num_heads=2,
        hidden_dim=32,
        mlp_dim=64,
        dropout=0.1,
        num_classes=5,
    )


class Encoded(nn.Module):
    """An embedding that the head is tied to, two recurrent layers."""

    def __init__(self, *, tied: bool) -> None:
        super().__init__()
        self.embedding = nn.Embedding(11, 6)
        self.first = nn.GRU(6, 6, batch_first=True)
        self.second = nn.LSTM(6, 6, batch_first=True)
        self.head = nn.Linear(6, 11, bias=False)
        if tied:
            self.head.weight = self.embedding.weight

    def forward(self, x: Tensor) -> Tensor:
        """(B, T) -> (B, T, 11)."""
        y, _ = self.first(self.embedding(x))
        y, _ = self.second(y)
        scores: Tensor = self.head(y)
        return scores


TOKENS = "2,5:int64"

# through a module


def test_through_freezes_what_runs_up_to_the_end_of_a_module() -> None:
    model = Net()
    found = look(model, IMAGE)
    plan = found.through("stem")
    assert plan.name == "through stem"
    assert set(plan.frozen) == names(model, "stem.")
    assert set(plan.still) == {"stem", "stem.0", "stem.1", "stem.2"}
    first = found.trace.ops[plan.boundary + 1]
    assert (first.op, found.trace.calls[first.call].path) == ("aten.convolution.default", "body.0")


def test_dropout_of_a_frozen_block_is_still_and_that_of_the_head_is_not() -> None:
    plan = look(Net(), IMAGE).through("body")
    assert "body.3" in plan.still
    assert not {"head", "head.0", ""} & set(plan.still)
    half = look(Net(), IMAGE).through("head.1")
    assert "head.0" in half.still  # it runs before the last frozen layer
    assert "head" not in half.still


def test_dropout_between_the_last_frozen_layer_and_the_head_is_not_still() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5), nn.Linear(4, 4))
    plan = look(model, (2, 4)).through("0")
    assert plan.still == ("0",)


def test_the_prefix_holds_what_runs_between_the_last_frozen_layer_and_the_first_trained() -> None:
    found = look(Net(), IMAGE)
    plan = found.through("body.0")
    assert set(plan.still) >= {"body.0", "stem.1"}
    assert not {"body", "body.1", "body.2"} & set(plan.still)  # the norm is trained
    deeper = found.through("body")
    ran = [op.op for op in found.trace.ops[plan.boundary + 1 : deeper.boundary + 1]]
    assert ran[0] == "aten.native_batch_norm.default"
    assert "aten.mean.dim" in ran


def test_parameters_of_the_root_that_are_read_early_are_frozen_with_the_layers_around() -> None:
    model = vit()
    found = look(model, (2, 3, 32, 32))
    patches = found.through("conv_proj")
    assert set(patches.frozen) == names(model, "conv_proj")  # the class token comes after it
    layer = found.through("encoder.layers.encoder_layer_0")
    first = names(
        model, "conv_proj", "class_token", "encoder.pos", "encoder.layers.encoder_layer_0"
    )
    assert set(layer.frozen) == first
    assert "encoder.dropout" in layer.still
    assert "encoder.layers.encoder_layer_0.mlp.4" in layer.still
    assert not {"encoder", "encoder.layers", "encoder.layers.encoder_layer_1"} & set(layer.still)


def test_recurrent_layers() -> None:
    model = Encoded(tied=False)
    found = look(model, TOKENS)
    plan = found.through("first")
    assert set(plan.frozen) == names(model, "embedding", "first")
    assert reader(found, plan) <= {"second", "head", ""}


def test_a_tied_weight_is_read_up_to_its_last_use() -> None:
    model = Encoded(tied=True)
    found = look(model, TOKENS)
    assert set(found.through("first").frozen) == names(model, "first")
    assert found.through("first").boundary == -1  # the embedding is trained
    with pytest.raises(NothingToTrain, match="through head freezes every parameter"):
        found.through("head")


class Shared(nn.Module):
    """Calls one module before and after another."""

    def __init__(self) -> None:
        super().__init__()
        self.twice = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
        self.once = nn.Linear(4, 4)
        self.head = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 4) -> (B, 2)."""
        y: Tensor = self.head(self.twice(self.once(self.twice(x))))
        return y


def test_a_module_that_runs_again_later_is_not_yet_over() -> None:
    model = Shared()
    found = look(model, (2, 4))
    early = found.through("once")
    assert set(early.frozen) == names(model, "once")
    assert early.boundary == -1
    assert early.still == ()
    late = found.through("twice")
    assert set(late.frozen) == names(model, "once", "twice")
    assert set(late.still) == {"twice", "twice.0", "twice.1", "once"}


def test_a_module_has_all_its_names() -> None:
    inner = nn.Linear(4, 4)
    model = nn.Sequential(inner, nn.Tanh(), inner, nn.Linear(4, 4))
    found = look(model, (2, 4))
    assert found.through("2").frozen == found.through("0").frozen == ("0.weight", "0.bias")


class Hidden(nn.Module):
    """Reads a weight in its own forward; one module runs no operator, one does not run."""

    def __init__(self) -> None:
        super().__init__()
        self.lent = nn.Linear(4, 4, bias=False)
        self.same = nn.Identity()
        self.never = nn.Linear(4, 4)
        self.head = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 4) -> (B, 4)."""
        y: Tensor = self.head(self.same(F.linear(x, self.lent.weight)))
        return y


def test_what_is_never_read_is_no_reason_to_train() -> None:
    model = Hidden()
    found = look(model, (2, 4))
    assert found.plan("by hand", ["lent.weight"]).boundary >= 0
    with pytest.raises(NothingToTrain):
        found.only(["never"])
    with pytest.raises(PlanError, match="--through never: it does not run"):
        found.through("never")


def test_lazy_models() -> None:
    found = Model(zoo.trace("resnet18"))
    plan = found.through("b3")
    assert all(name.startswith(("b1.", "b2.", "b3.")) for name in plan.frozen)
    assert {"b1", "b2", "b3"} <= set(plan.still)
    assert "b4" not in plan.still


# by pattern


def test_only_trains_what_patterns_name() -> None:
    model = Net()
    plan = look(model, IMAGE).only(["body.0", "head.*.bias"])
    trained = {"body.0.weight", "body.0.bias", "head.1.bias", "head.3.bias"}
    assert set(plan.frozen) == names(model, "") - trained
    assert plan.name == "train body.0,head.*.bias"
    assert {"stem.1", "body.1"} <= set(plan.still)  # a frozen norm after a trained layer is still
    assert "head.0" not in plan.still


def test_only_with_a_gap_has_the_prefix_before_the_first_trained_layer() -> None:
    found = look(Net(), IMAGE)
    plan = found.only(["body.0", "head.3"])
    assert plan.boundary == found.through("stem").boundary
    assert "stem" in plan.still
    assert "head.0" not in plan.still


@pytest.mark.parametrize(
    ("name", "pattern", "does"),
    [
        ("layer4.0.conv1.weight", "layer4", True),
        ("layer4.0.conv1.weight", "layer4.*", True),
        ("layer4.0.conv1.weight", "layer4.0.conv?", True),
        ("layer4.0.conv1.weight", "*.weight", True),
        ("layer4.0.conv1.weight", "layer", False),
        ("layer40.weight", "layer4", False),
        ("token", "token", True),
        ("token", "", False),
    ],
)
def test_patterns(name: str, pattern: str, *, does: bool) -> None:
    assert matches(name, pattern) is does


def test_everything_named_is_everything_trained() -> None:
    plan = look(Net(), IMAGE).only(["*"])
    assert (plan.frozen, plan.still, plan.boundary) == ((), (), -1)


def test_what_the_user_froze_stays_frozen() -> None:
    model = Net()
    model.body.requires_grad_(requires_grad=False)
    found = look(model, IMAGE)
    plan = found.through("stem")
    assert set(plan.frozen) == names(model, "stem")  # what the plan adds
    assert reader(found, plan) <= {"head.1", "head.2", "head.3", ""}
    assert {"stem", "body", "body.1", "body.3"} <= set(plan.still)
    with pytest.raises(NothingToTrain):
        found.only(["body"])
    with pytest.raises(NothingToTrain):
        found.through("head.3")


# by fraction, and every depth


def shares(found: Model, plans: Sequence[Plan], of: str) -> list[float]:
    return [found.share(plan, of) for plan in plans]


@pytest.mark.parametrize("of", OF)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_fraction_is_the_shallowest_depth_that_holds_it(of: str, share: float) -> None:
    found = Model(zoo.trace("resnet18"))
    plan, depths = found.fraction(share, of), found.depths()
    place = depths.index(plan)
    assert all(one >= share for one in shares(found, depths[place:], of))
    assert all(one < share for one in shares(found, depths[:place], of))


def test_shares_are_of_macs_or_of_parameters() -> None:
    model = nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 2), nn.Linear(2, 2))
    found = look(model, (3, 4))
    plan = found.through("0")
    assert found.share(plan, "macs") == 32 / (32 + 16 + 4)
    assert found.share(plan, "parameters") == 40 / (40 + 18 + 6)
    assert macs(found.trace, 0, plan.boundary) == 3 * 32


@pytest.mark.parametrize(
    ("model", "inputs"),
    [(Net(), IMAGE), (vit(), (2, 3, 32, 32)), (Encoded(tied=False), TOKENS), (Shared(), (2, 4))],
    ids=["cnn", "vit", "recurrent", "shared"],
)
def test_depths_are_nested(model: nn.Module, inputs: Any) -> None:
    plans = look(model, inputs).depths()
    assert plans
    for shallow, deep in pairwise(plans):
        assert set(shallow.frozen) < set(deep.frozen)
        assert shallow.boundary <= deep.boundary
        assert set(shallow.still) <= set(deep.still)


def test_heavy_modules_are_opened() -> None:
    assert look(vit(), (2, 3, 32, 32)).stages() == (
        "conv_proj",
        "encoder.dropout",
        "encoder.layers.encoder_layer_0",
        "encoder.layers.encoder_layer_1",
        "encoder.layers.encoder_layer_2",
        "encoder.ln",
        "heads",
    )


def test_one_layer_has_no_depth() -> None:
    assert look(nn.Linear(4, 4), (2, 4)).depths() == ()


# what cannot be


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"through": "steam"}, "--through steam: no module is called so. Did you mean stem"),
        ({"train": "boddy.*"}, "--train boddy.*: no parameter is called so."),
        ({"train": ""}, "--train: it names nothing. Try --train"),
        ({"fraction": 0}, "--fraction 0: it is not between 0 and 1. Try 0.5."),
        ({"fraction": 1.5}, "it is not between 0 and 1"),
        ({"fraction": 0.999}, "freezing all but the last stage freezes"),
        ({"fraction": 0.5, "of": "flops"}, "--of flops: no such share. Known: macs, parameters."),
        ({"through": "stem", "train": "head"}, "plan: several were given"),
    ],
    ids=str,
)
def test_a_plan_that_cannot_be_made_says_why(how: dict[str, Any], said: str) -> None:
    with pytest.raises(PlanError) as caught:
        zoo.freeze(Net(), IMAGE, **how)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_nothing_left_to_train_is_an_error() -> None:
    with pytest.raises(NothingToTrain, match="through head freezes every parameter"):
        zoo.freeze(Net(), IMAGE, through="head")
    with pytest.raises(NothingToTrain, match="the model has no trainable parameter"):
        zoo.freeze(Net().requires_grad_(requires_grad=False), IMAGE)
    with pytest.raises(NothingToTrain, match="the model has no trainable parameter"):
        zoo.freeze(nn.ReLU(), (2, 4))


def test_a_run_that_breaks_is_told_before_a_plan_is_made() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(5, 4), nn.Linear(4, 4))
    report = zoo.freeze(model, (2, 4), through="2")
    assert report.failure is not None
    assert [row["plan"] for row in report.rows] == ["train everything"]
