"""Are the accelerators that are here found, and the CPU where there are none?"""

from __future__ import annotations

import pytest
import torch

import zoo
from zoo.errors import OptionError


def here() -> int:
    """Accelerators of this machine, as torch counts them."""
    accelerator = torch.accelerator.is_available() and torch.accelerator.device_count()
    return torch.cuda.device_count() or int(accelerator)


def test_every_accelerator_is_counted_once() -> None:
    found = zoo.try_all_gpus()
    assert zoo.num_gpus() == here()
    assert len(set(found)) == len(found) == max(1, here())
    assert all(isinstance(device, torch.device) for device in found)
    assert found[0] == zoo.try_gpu()


def test_what_is_not_there_is_the_cpu_and_tensors_can_be_made_on_it() -> None:
    assert zoo.try_gpu(10**6) == torch.device("cpu")
    for device in (zoo.try_gpu(), *zoo.try_all_gpus()):
        assert torch.ones(2, device=device).device == device


def test_a_machine_with_two_of_cudas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert zoo.num_gpus() == 2
    assert zoo.try_all_gpus() == [torch.device("cuda:0"), torch.device("cuda:1")]
    assert (zoo.try_gpu(1), zoo.try_gpu(2)) == (torch.device("cuda:1"), torch.device("cpu"))


def test_a_machine_with_an_accelerator_of_another_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    kind = torch.device("mps")
    monkeypatch.setattr(
        torch.accelerator, "current_accelerator", lambda check_available=False: kind
    )
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: 1)
    assert zoo.try_all_gpus() == [torch.device("mps:0")]
    assert (zoo.try_gpu(), zoo.try_gpu(1)) == (torch.device("mps:0"), torch.device("cpu"))


def test_devices_are_counted_from_0() -> None:
    with pytest.raises(OptionError, match=r"GPU -1: devices are counted from 0\. Ask for"):
        zoo.try_gpu(-1)
