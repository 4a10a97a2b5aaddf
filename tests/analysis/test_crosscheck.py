"""Tools are asked for real, and what they say is what their rules give."""

from __future__ import annotations

import contextlib
import importlib
import json
import math
import os
import signal
import sys
import time
import warnings
from functools import lru_cache, partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import zoo
from tests.analysis.odd_models import MODELS, Tied
from tests.fingerprint import fingerprint
from zoo.analysis import asking
from zoo.analysis.opinions import AGREED, Engine, Opinion, Prediction, Sight
from zoo.analysis.tracer.watching import Watch, facts
from zoo.errors import OptionError, TooLarge, UnknownEngine
from zoo.plugins.engines import flop_counter, zoo_engines
from zoo.plugins.manager import manager
from zoo.subjects import Subject, real

if TYPE_CHECKING:
    from collections.abc import Mapping

ENGINES = {one.name: one for one in zoo_engines()}
QUICK = ("torchinfo", "fvcore", "FlopCounterMode", "thop", "ptflops")
"""Those that are asked of every model; the others take seconds to import."""
CRASHES = {("dicts", "ptflops")}


@pytest.fixture(scope="module", autouse=True)
def imported() -> None:
    """Imported once, so that the copies of this process need not."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in ("torchinfo", "fvcore.nn", "thop", "ptflops"):
            with contextlib.suppress(ImportError):
                importlib.import_module(name)


@lru_cache
def sight(name: str) -> Sight:
    make, inputs = MODELS[name]
    subject, watch = Subject(make(), inputs), Watch()
    trace = subject.trace(watch=watch)
    return Sight(trace, tuple(watch.functions), facts(subject.module))


@lru_cache
def report(name: str) -> zoo.Report:
    make, inputs = MODELS[name]
    return zoo.crosscheck(make(), *inputs, engines=QUICK, timeout=60)


def rows_of(found: zoo.Report, engine: str) -> dict[str, Mapping[str, Any]]:
    return {row["quantity"]: row for row in found.rows if row["engine"] == engine}


def causes(row: Mapping[str, Any]) -> dict[str, float]:
    return {one["cause"]: one["amount"] for one in row["causes"]}


@pytest.mark.parametrize("name", MODELS)
def test_what_a_tool_says_is_what_its_rule_gives(name: str) -> None:
    found = report(name)
    assert found.failure is None
    for row in found.rows:
        if row["status"] in ("missing", "crashed"):
            assert row["status"] == "missing" or (name, row["engine"]) in CRASHES, row["reason"]
            continue
        said = (name, row["engine"], row["quantity"], row["causes"], row["unexplained_in"])
        assert row["unexplained"] == 0, said
        assert sum(causes(row).values()) == row["difference"] == row["theirs"] - row["ours"]
        assert row["status"] == ("differs" if row["difference"] else "ok")


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", MODELS)
def test_a_rule_leaves_out_nothing_that_zoo_counts(name: str, engine: str) -> None:
    seen = sight(name)
    rule = ENGINES[engine].rule
    assert rule is not None
    found = rule(seen)
    assert sum(one.ours for one in found.macs) == seen.macs
    held = sum(one.spec.numel for one in seen.trace.parameters)
    assert sum(one.ours for one in found.parameters) == (held if found.parameters else 0)
    assert all(
        one.theirs == one.ours for one in (*found.macs, *found.parameters) if one.cause == AGREED
    )


def test_figures_by_hand() -> None:
    """Each cause where it is alone, or nearly."""
    tied = rows_of(report("tied"), "torchinfo")
    assert causes(tied["parameters"]) == {"tied parameters, in each module": 64 * 64}
    assert causes(tied["macs"]) == {"norms": 2 * 64, "biases": 2 * 64}
    linear = rows_of(report("linear"), "torchinfo")["macs"]
    assert causes(linear) == {
        "one row for each element of the batch": -2 * 99 * 64 * 64,
        "biases": 2 * 64,
    }
    alone = rows_of(report("attention"), "FlopCounterMode")["macs"]
    whole = 2 * 4 * 128 * 128 * 64
    assert causes(alone) == {"not seen: _scaled_dot_product_flash_attention_for_cpu": -whole}
    assert (alone["theirs"], alone["percent"]) == (0, -100)
    assert rows_of(report("lstm"), "fvcore")["macs"]["causes"][0]["cause"] == "not seen: lstm"


def test_figures_by_hand_of_tools_that_a_developer_need_not_have() -> None:
    for name in ("thop", "ptflops"):
        pytest.importorskip(name)
    once = rows_of(report("shared"), "thop")["macs"]
    assert causes(once) == {"shared modules, once for each place they are held in": 3 * 2304}
    half = rows_of(report("linear"), "ptflops")["macs"]
    assert half["theirs"] == (64 * 64 + 64) * 100


def test_flops_are_halved_and_said_as_they_were() -> None:
    row = rows_of(report("linear"), "FlopCounterMode")["macs"]
    assert (row["unit"], row["said"]) == ("FLOP", "1,638,400 FLOP")
    assert (row["theirs"], row["ours"], row["status"]) == (819_200, 819_200, "ok")


@pytest.mark.parametrize("engine", ["calflops", "torchlens"])
def test_tools_that_are_slow_to_import(engine: str) -> None:
    make, inputs = MODELS["swin"]
    rows = rows_of(zoo.crosscheck(make(), *inputs, engines=[engine]), engine)
    if rows["macs"]["status"] == "missing":
        pytest.skip(rows["macs"]["reason"])
    assert [row["unexplained"] for row in rows.values()] == [0, 0]


def test_networks_by_name() -> None:
    for name, macs in (("lenet", 416_520), ("resnet18", None)):
        found = zoo.crosscheck(name, engines=["torchinfo", "fvcore", "FlopCounterMode"])
        assert found.totals["largest_unexplained_percent"] == 0
        assert macs in (None, found.totals["macs"])
        assert (found.totals["engines"], found.totals["answered"]) == (3, 3)


# what can fail, fails


def say(macs: float, parameters: int | None = None) -> Any:
    return lambda model, inputs, kwargs: Opinion(macs=macs, parameters=parameters)


def engine(name: str, run: Any, **fields: Any) -> Engine:
    return Engine(name, "nothing", "whatever it likes", run, **fields)


def ask(*engines: Engine, timeout: float = 30) -> zoo.Report:
    return zoo.crosscheck(nn.Linear(8, 4), (2, 8), engines=engines, timeout=timeout)


def test_what_a_rule_does_not_give_is_unexplained() -> None:
    wrong = engine("wrong", say(100, 36), rule=flop_counter.rule)
    (macs, parameters) = ask(wrong).rows
    assert (macs["ours"], macs["difference"], macs["unexplained"]) == (64, 36, 36)
    assert (macs["unexplained_percent"], macs["causes"]) == (56.25, [])
    assert (parameters["status"], parameters["unexplained"]) == ("ok", -36 + 36)


def test_what_is_unexplained_is_said_where() -> None:
    def run(model: nn.Module, inputs: Any, kwargs: Any) -> Opinion:
        return Opinion(macs=100, by_module={"": 100, "0": 64, "1": 36})

    model = nn.Sequential(nn.Linear(8, 4), nn.Linear(4, 4))
    off = engine("off", run, rule=flop_counter.rule)
    (row,) = zoo.crosscheck(model, (2, 8), engines=[off]).rows
    assert (row["unexplained"], row["unexplained_in"]) == (100 - 96, ["1"])


def test_without_a_rule_nothing_is_explained() -> None:
    (row,) = ask(engine("silent", say(65))).rows
    assert (row["difference"], row["causes"], row["unexplained"]) == (1, [], 1)


def test_a_rule_that_does_not_work_is_a_note() -> None:
    def rule(seen: Sight) -> Prediction:
        raise KeyError(seen.macs)

    found = ask(engine("broken", say(64), rule=rule))
    assert found.rows[0]["status"] == "ok"
    (note,) = [one for one in found.notes if one.code == "broken-rule"]
    assert "the rule of broken does not work for this run (KeyError: 64)" in note.text


def crashes(model: nn.Module, inputs: Any, kwargs: Any) -> Opinion:
    raise ValueError("no such layer") from RuntimeError("the bottom of it")


def hangs(model: nn.Module, inputs: Any, kwargs: Any) -> Opinion:
    while True:
        time.sleep(0.01)


def dies(model: nn.Module, inputs: Any, kwargs: Any) -> Opinion:
    os.kill(os.getpid(), signal.SIGKILL)
    return Opinion()


def leaves(model: nn.Module, inputs: Any, kwargs: Any) -> Opinion:
    os._exit(3)


def test_a_tool_that_does_not_answer_is_a_row(capfd: pytest.CaptureFixture[str]) -> None:
    def chatters(model: nn.Module, inputs: Any, kwargs: Any) -> Opinion:
        os.write(1, b"on my way\n")
        return Opinion(macs=64)

    found = ask(
        engine("crashes", crashes),
        engine("hangs", hangs),
        engine("dies", dies),
        engine("leaves", leaves),
        engine("exits", lambda *_: sys.exit("enough")),
        engine("lies", lambda *_: 3),
        engine("hides", lambda *_: Opinion(unsupported=(lambda: 1,))),  # type: ignore[arg-type]
        engine("absent", say(1), needs=("no_such_module_here",)),
        engine("chatters", chatters),
        timeout=2,
    )
    assert [(row["engine"], row["status"]) for row in found.rows] == [
        ("crashes", "crashed"),
        ("hangs", "timed out"),
        ("dies", "crashed"),
        ("leaves", "crashed"),
        ("exits", "crashed"),
        ("lies", "crashed"),
        ("hides", "crashed"),
        ("absent", "missing"),
        ("chatters", "ok"),
    ]
    said = [row["reason"] for row in found.rows]
    assert said[0] == "RuntimeError: the bottom of it"
    assert said[1] == "no answer in 2 s. Give it more time (--timeout)."
    assert said[2] == "its process was ended by SIGKILL (out of memory?)"
    assert said[3] == "its process ended with code 3 and said nothing"
    assert said[4] == "SystemExit: enough"
    assert said[5] == "TypeError: it returned int, which is no Opinion"
    assert said[6].startswith("what it returned cannot be sent: ")
    assert said[7] == "no_such_module_here is not installed. Run `pip install nothing`."
    assert {one.code for one in found.notes} >= {
        "engine-crashed",
        "engine-timed-out",
        "engine-missing",
        "real-weights",
    }
    assert capfd.readouterr().out == ""
    assert found.totals["answered"] == 1


def test_nothing_of_a_tool_stays() -> None:
    """thop hangs buffers on modules, ptflops replaces functions of torch; neither is seen here."""
    for name in ("thop", "ptflops"):
        pytest.importorskip(name)
    model = Tied().train()
    before, functions = fingerprint(model), (F.relu, torch.matmul, torch.Tensor.add)
    threads = torch.get_num_threads()
    found = zoo.crosscheck(model, (2, 64), engines=["thop", "ptflops", "torchinfo"])
    assert found.totals["answered"] == 3
    assert fingerprint(model) == before
    assert (F.relu, torch.matmul, torch.Tensor.add) == functions
    assert torch.get_num_threads() == threads
    assert torch.backends.mha.get_fastpath_enabled()


def test_where_processes_are_no_copies_the_model_is_built_there() -> None:
    question = asking.Question(partial(real, "lenet", (), {}), ("1,1,28,28",), {})
    (found,) = asking.ask([flop_counter.ENGINE], question, math.inf, start="spawn")
    assert (found.status, found.opinion and found.opinion.flops) == ("answered", 2 * 416_520)
    here = engine("here", lambda *_: Opinion(macs=1))
    (found,) = asking.ask([here], question, 60, start="spawn")
    assert found.status == "crashed"
    assert found.reason.startswith("it cannot be run in a process of its own: ")


def test_a_model_that_breaks_asks_nobody() -> None:
    found = zoo.crosscheck(nn.Linear(8, 4), (2, 9))
    assert found.failure is not None
    assert found.rows == ()


def test_what_cannot_be_asked() -> None:
    with pytest.raises(UnknownEngine, match=r"no engine is called 'torchinf'\. Did you mean t"):
        zoo.crosscheck("lenet", engines=["torchinf"])
    with pytest.raises(OptionError, match="device: other tools run the forward pass"):
        zoo.crosscheck("lenet", device="cuda")
    with pytest.raises(OptionError, match="timeout: 0 is no time"):
        zoo.crosscheck("lenet", timeout=0)
    with pytest.raises(zoo.ZooError, match="it has no weights"):
        zoo.crosscheck(nn.Linear(8, 4, device="meta"), (2, 8))
    huge = {"in_features": 10**6, "out_features": 10**6}
    with pytest.raises(TooLarge, match=r"takes 4,000.0 GB; [\d,.]+ GB are free"):
        zoo.crosscheck("torch.nn:Linear", (1, 10**6), arguments=huge)


def test_inputs_of_all_kinds_have_data() -> None:
    def shapes(model: nn.Module, inputs: Any, kwargs: Any) -> Opinion:
        (given,) = inputs
        assert given["x"].device.type == "cpu"
        assert given["x"].shape == (5, 8)
        assert torch.equal(given["mask"], torch.full((5, 2), 7.0))
        return Opinion(macs=5 * 8 * 4)

    make, _ = MODELS["dicts"]
    given = {"x": (2, 8), "mask": torch.full((2, 2), 7.0)}
    looks = engine("looks", shapes)
    (row,) = zoo.crosscheck(make(), given, engines=[looks], batch=5).rows
    assert (row["status"], row["reason"]) == ("ok", None)


# plugins


def plugin(answer: Any) -> Any:
    return SimpleNamespace(zoo_engines=zoo.hookimpl(lambda: answer))


class Mine:
    """A plugin with an engine."""

    @staticmethod
    @zoo.hookimpl
    def zoo_engines() -> list[Engine]:
        return [engine("mine", say(64), rule=flop_counter.rule)]


def test_a_plugin_brings_an_engine() -> None:
    found = manager(project=None, extra=[Mine])
    assert list(found.engines()) == [*ENGINES, "mine"]
    assert all(not one.errors for one in found.plugins() if one.name in ("engines", "Mine"))
    (row,) = ask(found.engines()["mine"]).rows
    assert (row["engine"], row["unexplained"]) == ("mine", 0)


GOOD = engine("good", say(1))
RUBBISH = [
    (None, "returned NoneType, which is not a series"),
    ([3], "3 is no Engine"),
    ([engine(" ", say(1))], "' ' is no name of an engine"),
    ([GOOD, engine("GOOD", say(1))], "the engine 'GOOD' is taken by SimpleNamespace"),
    ([engine("odd", 3)], "engine 'odd': run 3 cannot be called"),
    ([engine("odd", say(1), rule=3)], "engine 'odd': rule 3 cannot be called"),
    ([engine("odd", say(1), unit="GFLOPS")], "engine 'odd': unit 'GFLOPS' is none of MAC, FLOP"),
    ([engine("odd", say(1), needs=["a"])], "engine 'odd': needs ['a'] are not a tuple of modules"),
    ([Engine("odd", "", "x", say(1))], "engine 'odd': package '' is not text"),
]


@pytest.mark.parametrize(("answer", "said"), RUBBISH)
def test_a_broken_engine_is_named_and_stops_nobody(answer: Any, said: str) -> None:
    found = manager(entry_points=False, project=None, extra=[plugin(answer), Mine])
    assert "mine" in found.engines()
    (error,) = next(one for one in found.plugins() if one.errors).errors
    assert error.startswith(f"zoo_engines: {said}")


def test_a_tool_may_take_as_long_as_it_likes() -> None:
    """No system waits for an infinite number of seconds."""
    question = asking.Question(partial(nn.Linear, 2, 2), ((1, 2),), {})
    (found,) = asking.ask([engine("one", lambda *_: Opinion(macs=1))], question, math.inf)
    assert (found.status, found.reason) == ("answered", "")


def test_names_are_found_in_any_case() -> None:
    found = zoo.crosscheck("lenet", engines=["flopcountermode", "FlopCounterMode"])
    assert [row["engine"] for row in found.rows] == ["FlopCounterMode"]


def test_the_report_survives_json() -> None:
    found = report("tied")
    assert json.loads(found.to_json())["rows"][0]["causes"] == list(found.rows[0]["causes"])
    assert "norms +" in str(found)
