"""Batch norm from scratch is torch's, but for where it keeps its averages."""

from __future__ import annotations

import linecache
from pathlib import Path

import pytest
import torch
from torch import nn

import zoo
from zoo.models import batchnorm_scratch as module
from zoo.models.batchnorm_scratch import ScratchBatchNorm, batchnorm_scratch
from zoo.models.lenet_bn import lenet_bn


@pytest.mark.parametrize("shape", [(16, 5), (4, 5, 6, 7)])
def test_training_and_evaluation_are_torchs(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    ours = ScratchBatchNorm(5, len(shape))
    theirs = nn.BatchNorm1d(5) if len(shape) == 2 else nn.BatchNorm2d(5)
    for one, other in ((ours.weight, theirs.weight), (ours.bias, theirs.bias)):
        nn.init.normal_(one)
        other.data.copy_(one.detach().flatten())
    for _ in range(3):
        x = torch.randn(shape) * 3 + 2
        torch.testing.assert_close(ours(x), theirs(x), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(ours.moving_mean.flatten(), theirs.running_mean)
    torch.testing.assert_close(ours.moving_var.flatten(), theirs.running_var)
    ours.eval(), theirs.eval()
    torch.testing.assert_close(ours(x), theirs(x), rtol=1e-5, atol=1e-5)
    assert not torch.allclose(ours(x), theirs.train()(x), atol=1e-2)


def test_gradients_are_torchs() -> None:
    torch.manual_seed(0)
    x = torch.randn(8, 5, requires_grad=True)
    upstream = torch.randn(8, 5)
    gradients = [
        torch.autograd.grad((layer(x) * upstream).sum(), x)[0]
        for layer in (ScratchBatchNorm(5, 2), nn.BatchNorm1d(5))
    ]
    torch.testing.assert_close(*gradients, rtol=1e-5, atol=1e-5)


def test_the_network_is_lenet_bn() -> None:
    torch.manual_seed(0)
    ours, theirs = batchnorm_scratch(), lenet_bn()
    x = torch.rand(4, 1, 28, 28)
    ours(x), theirs(x)
    values = [parameter.detach().clone() for parameter in ours.parameters()]
    assert len(values) == len(list(theirs.parameters()))
    with torch.no_grad():
        for parameter, value in zip(theirs.parameters(), values, strict=True):
            parameter.copy_(value.reshape(parameter.shape))
    torch.testing.assert_close(ours(x), theirs(x), rtol=1e-5, atol=1e-5)
    assert sum(value.numel() for value in values) == 44878


def test_one_value_has_no_variance_in_training() -> None:
    model = batchnorm_scratch()
    with pytest.raises(ValueError, match="wants 2 values a feature or more; got 1"):
        model(torch.rand(1, 1, 28, 28))
    assert model.eval()(torch.rand(1, 1, 28, 28)).isfinite().all()


def test_averages_are_not_saved() -> None:
    assert [*ScratchBatchNorm(4, 2).state_dict()] == ["weight", "bias"]


@pytest.mark.parametrize("train", [False, True])
def test_zoo_names_the_hidden_copies_and_the_repair(train: bool) -> None:
    report = zoo.transfers("book/batchnorm_scratch", device="cuda", train=train)
    assert report.failure is None
    assert [row["module"] for row in report.rows] == [f"bn{n}" for n in (1, 1, 2, 2, 3, 3, 4, 4)]
    assert {(row["from"], row["to"], row["when"]) for row in report.rows} == {
        ("cpu", "cuda:0", "first step")
    }
    assert all("register_buffer" in row["fix"] for row in report.rows)
    for row, name in zip(report.rows, ["moving_mean", "moving_var"] * 4, strict=True):
        path, _, number = row["source"].rpartition(":")
        assert Path(path).name == "batchnorm_scratch.py"
        line = linecache.getline(str(module.__file__), int(number)).strip()
        assert line == f"self.{name} = self.{name}.to(x.device)"


def test_zoo_finds_nothing_in_the_repaired_network() -> None:
    report = zoo.transfers("book/lenet_bn", device="cuda")
    assert report.rows == ()
    assert report.totals["first_step_only"] == 0
