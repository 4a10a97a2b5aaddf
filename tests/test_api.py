"""The Python contract."""

from __future__ import annotations

import importlib
import subprocess
import sys
from importlib.resources import files
from typing import TYPE_CHECKING

import pytest
import torch
from torch import nn

import zoo

if TYPE_CHECKING:
    from pathlib import Path


def test_every_public_name_is_there_and_no_other() -> None:
    assert sorted(zoo.__all__) == sorted(zoo._HOME)
    assert [name for name in zoo.__all__ if getattr(zoo, name, None) is None] == []
    assert dir(zoo) == sorted([*zoo.__all__, "__version__"])
    with pytest.raises(AttributeError, match="module 'zoo' has no attribute 'sumary'"):
        importlib.import_module("zoo").sumary  # noqa: B018


def test_the_package_is_typed() -> None:
    assert files("zoo").joinpath("py.typed").is_file()


def test_a_trace_is_analysed_without_running_again() -> None:
    trace = zoo.trace("googlenet", (1, 1, 96, 96))
    report = zoo.summary(trace)
    assert report.totals["macs"] == 276_066_304
    assert report.totals == zoo.summary("googlenet", (1, 1, 96, 96)).totals
    assert report.rows[0]["output_shape"] == [1, 10]
    with pytest.raises(zoo.ZooError, match="a trace has run already"):
        zoo.summary(trace, (1, 1, 96, 96))


def test_a_report_shows_itself() -> None:
    report = zoo.summary("lenet")
    assert str(report).startswith("lenet (book), input: f32[1,1,28,28]")
    assert '"schema": "zoo.report/1"' in report.to_json()
    frame = report.to_frame()
    assert frame["macs"].iloc[0] == report.totals["macs"]
    assert len(frame) == len(report.rows)


def test_to_frame_without_pandas_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['pandas'] = None; import zoo\n"
        "try: zoo.list_models().to_frame()\n"
        "except zoo.ZooError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    wanted = "needs pandas, which is not installed. Run `pip install pandas`."
    assert done.stdout == f"Report.to_frame() {wanted}\n"


@pytest.mark.parametrize(
    "given",
    [
        ((1, 3, 8, 8),),
        ("f32[1,3,8,8]",),
        ("1,3,8,8",),
        (torch.zeros(1, 3, 8, 8),),
        (zoo.TensorSpec((1, 3, 8, 8)),),
        (torch.Size([1, 3, 8, 8]),),
    ],
)
def test_inputs_in_every_form(given: tuple[object, ...]) -> None:
    trace = zoo.trace(nn.Conv2d(3, 4, 3), *given)
    assert trace.outputs == (zoo.TensorSpec((1, 4, 6, 6)),)


def test_a_module_of_the_users() -> None:
    trace = zoo.trace(nn.Linear(4, 2), kwargs={"input": (3, 4)})
    assert trace.model.name == "Linear"
    assert trace.model.plugin is None
    with pytest.raises(zoo.ZooError, match=r"is no nn\.Module"):
        zoo.trace(3, (1, 2))  # type: ignore[arg-type]


def test_arguments_build_the_model() -> None:
    trace = zoo.trace("lenet", arguments={"num_classes": 7})
    assert trace.outputs == (zoo.TensorSpec((1, 7)),)
    with pytest.raises(zoo.ZooError, match="Did you mean num_classes"):
        zoo.trace("lenet", arguments={"num_clases": 7})


def test_formulas_as_an_argument_win() -> None:
    report = zoo.summary(nn.Linear(4, 2), (1, 4), formulas={"aten.addmm": lambda *_: 1})
    assert report.totals["macs"] == 1
    cost = zoo.Cost(macs=2, flops=3)
    report = zoo.summary(nn.Linear(4, 2), (1, 4), formulas={"aten.addmm.default": lambda *_: cost})
    assert (report.totals["macs"], report.totals["pointwise_flops"]) == (2, 3)
    with pytest.raises(zoo.ZooError, match=r"the formula of aten\.addmm\.default returned 'x'"):
        zoo.trace(nn.Linear(4, 2), (1, 4), formulas={"aten.addmm": lambda *_: "x"})


@pytest.mark.parametrize("name", ["lenet", "googlenet", "torchvision/resnet18"])
def test_create_allocates_weights(name: str) -> None:
    model = zoo.create(name, num_classes=5)
    parameters = list(model.parameters())
    assert not any(parameter.is_meta for parameter in parameters)
    assert model.training
    traced = zoo.trace(name, arguments={"num_classes": 5})
    assert sum(p.numel() for p in parameters) == sum(p.spec.numel for p in traced.parameters)
    model.eval()
    shape = traced.inputs[0].spec.shape
    assert model(torch.randn(shape)).shape == (shape[0], 5)


def test_create_says_what_is_wrong() -> None:
    with pytest.raises(zoo.ZooError, match="argument 'weights' of lenet"):
        zoo.create("lenet", weights="DEFAULT")
    with pytest.raises(zoo.ZooError, match="Did you mean"):
        zoo.create("lenett")


def weights_file(folder: Path, model: nn.Module, name: str) -> None:
    """What torch.hub finds instead of downloading."""
    place = folder / "hub" / "checkpoints"
    place.mkdir(parents=True)
    torch.save(model.state_dict(), place / name)


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("resnet18", "resnet18-f37072fd.pth"),
        ("googlenet", "googlenet-1378be20.pth"),
        ("ssdlite320_mobilenet_v3_large", "ssdlite320_mobilenet_v3_large_coco-a79551df.pth"),
    ],
)
def test_published_weights_are_loaded(
    name: str, file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torchvision's own code reads the file that it would have downloaded."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    options = {"aux_logits": True} if name == "googlenet" else {}
    source = zoo.create(f"torchvision/{name}", **options)
    weights_file(tmp_path, source, file)
    loaded = zoo.create(f"torchvision/{name}", weights="DEFAULT")
    wanted = source.state_dict()
    found = loaded.state_dict()
    assert len(found) > 100
    assert all(torch.equal(tensor, wanted[key]) for key, tensor in found.items())


def test_a_formula_that_meets_nothing_is_said() -> None:
    report = zoo.summary(nn.Linear(4, 2), (1, 4), formulas={"mylib.typo": lambda *_: 1})
    assert [note.code for note in report.notes] == ["unused-formula"]


def test_a_plugins_broken_formula_stops_nothing() -> None:
    from zoo.analysis.summary import summary
    from zoo.analysis.tracer.run import run

    trace = run(nn.Linear(4, 2), [(1, 4)], plugin_formulas={"aten.addmm": lambda *_: -1})
    report = summary(trace)
    assert report.totals["uncounted"] == ["aten.addmm.default"]
    assert {note.code for note in report.notes} == {"uncounted-op", "broken-formula"}


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -1.0])
def test_a_hint_must_be_a_number(number: float) -> None:
    with pytest.raises(zoo.ZooError, match="input hint nonzero: "):
        zoo.trace(nn.Linear(4, 2), (1, 4), hints={"nonzero": number})


def test_a_trace_says_what_made_it() -> None:
    trace = zoo.trace("lenet")
    assert set(trace.versions) == {"python", "torch", "zoo"}


def test_a_run_that_breaks_is_reminded_of_the_default_input() -> None:
    failure = zoo.trace("torchvision/vit_b_16", (1, 3, 96, 96)).failure
    assert failure is not None
    assert failure.hint == "The default input is 1,3,224,224."
