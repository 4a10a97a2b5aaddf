"""What `zoo freeze` prints, and how it exits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import zoo as library
from tests.cli.running import zoo

ROW = (
    "plan trainable_parameters forward_macs backward_macs saved_bytes gradient_bytes "
    "optimizer_bytes peak_bytes ratio"
).split()


def report_of(*words: str) -> Any:
    done = zoo("freeze", *words, "--format", "json")
    assert done.code == 0, done.err
    return json.loads(done.out)


def test_json_is_the_contract() -> None:
    report = report_of("lenet", "--through", "conv2", "--optimizer", "adam")
    assert (report["schema"], report["report"]) == ("zoo.report/1", "freeze")
    assert [row["plan"] for row in report["rows"]] == ["train everything", "through conv2"]
    for row in report["rows"]:
        assert set(ROW) <= set(row)
    last = report["rows"][-1]
    assert {name: report["totals"][name] for name in last} == last
    assert (report["totals"]["epochs"], report["totals"]["plans"]) == (10, 2)
    assert last["gradient_bytes"] == 4 * last["trainable_parameters"]
    assert last["forward_macs"] == 416_520
    assert last["backward_macs"] == 48_000 + 2 * (10_080 + 840)
    assert report == json.loads(
        library.freeze("lenet", through="conv2", optimizer="adam").to_json()
    )


def test_without_a_plan_every_depth_has_a_row() -> None:
    rows = report_of("resnet18")["rows"]
    plans = [row["plan"] for row in rows]
    assert plans[0] == "train everything"
    assert [f"through b{stage}" in plans for stage in (1, 2, 3, 4)] == [True] * 4
    macs = [row["backward_macs"] for row in rows]
    assert macs == sorted(macs, reverse=True)
    done = zoo("freeze", "resnet18")
    assert (done.code, done.err) == (0, "")
    for plan in plans:
        assert any(line.startswith(plan) for line in done.out.splitlines())


def test_rows_are_named_whatever_columns_are_chosen() -> None:
    text = zoo("freeze", "lenet", "--columns", "ratio,cacheable").out
    assert any(line.startswith("through ") for line in text.splitlines())


def test_patterns_and_fractions() -> None:
    named = report_of("lenet", "--train", "fc*, conv2.bias")["rows"][1]
    assert named["plan"] == "train fc*,conv2.bias"
    assert named["trainable_parameters"] == 48_120 + 10_164 + 850 + 16
    by_macs = report_of("lenet", "--fraction", "0.5")["rows"][1]
    by_size = report_of("lenet", "--fraction", "0.5", "--of", "parameters")["rows"][1]
    assert by_macs["trainable_parameters"] > by_size["trainable_parameters"]


def test_epochs_and_batch() -> None:
    words = ("lenet", "--through", "conv2")
    one, many = report_of(*words, "--epochs", "1"), report_of(*words, "--epochs", "50")
    assert one["totals"]["cached_ratio"] == one["totals"]["ratio"] == many["totals"]["ratio"]
    assert many["totals"]["cached_ratio"] < one["totals"]["cached_ratio"]
    batch = report_of(*words, "--batch", "8")["totals"]
    assert batch["forward_macs"] == 8 * one["totals"]["forward_macs"]
    assert batch["cache_bytes"] == one["totals"]["cache_bytes"]


def test_the_note_says_what_epochs_do() -> None:
    done = zoo("freeze", "lenet", "--through", "conv2", "--epochs", "3")
    assert "cached_ratio is that of 3 epochs; the first computes the features" in done.out


CASES = [
    (("--through", "conv3"), "--through conv3: no module is called so. Did you mean conv"),
    (("--train", "convs"), "--train convs: no parameter is called so. Did you mean conv"),
    (("--train", ""), "--train: it names nothing"),
    (("--fraction", "2"), "--fraction 2.0: it is not between 0 and 1"),
    (("--fraction", "0.9999"), "freezing all but the last stage freezes"),
    (("--fraction", "0.5", "--of", "layers"), "--of layers: no such share"),
    (("--through", "fc3"), "through fc3 freezes every parameter"),
    (("--train", "fc1", "--through", "conv1"), "plan: several were given"),
    (("--fraction", "0.5", "--through", "conv1"), "Give --through, --train or --fraction."),
    (("--loss", "none"), "loss none: without a backward pass nothing is frozen"),
    (("--epochs", "0"), "--epochs"),
    (("--optimizer", "adamm"), "adam"),
    (("--columns", "ratios"), "no column is called 'ratios'. Did you mean ratio"),
]


@pytest.mark.parametrize(("words", "said"), CASES, ids=[" ".join(words) for words, _ in CASES])
def test_bad_words_are_one_line_and_code_2(words: tuple[str, ...], said: str) -> None:
    done = zoo("freeze", "lenet", *words)
    assert (done.code, done.out) == (2, "")
    assert said in done.err
    assert done.err.count("\n") == 1


def test_a_model_without_parameters_has_nothing_to_freeze(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bare.py").write_text("from torch import nn\n\nNet = nn.ReLU\n")
    done = zoo("freeze", "./bare.py:Net", "--input", "1,3")
    assert (done.code, done.out) == (2, "")
    assert "the model has no trainable parameter" in done.err


def test_a_model_that_breaks_is_code_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("broken.py").write_text(
        "from torch import nn\n\n\n"
        "def net():\n    return nn.Sequential(nn.Linear(3, 4), nn.Linear(5, 2))\n"
    )
    done = zoo("freeze", "./broken.py:net", "--input", "1,3", "--format", "json")
    assert done.code == 1
    report = json.loads(done.out)
    assert report["failure"]["message"].startswith("1 (Linear) got f32[1,4]")
    assert {row["ratio"] for row in report["rows"]} == {None}
