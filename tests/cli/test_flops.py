"""What `zoo flops` and the options of a training step do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import pytest

from tests.cli.running import zoo
from tests.cli.test_commands import MYSTERY
from zoo.cli import options as shared
from zoo.cli.options import step_options

TOTALS = {"macs", "forward_macs", "backward_macs", "flops", "pointwise_flops", "coverage", "ratio"}


def report_of(*words: str) -> Any:
    done = zoo(*words, "--format", "json")
    assert done.code == 0, done.err
    return json.loads(done.out)


def test_json_is_the_contract() -> None:
    report = report_of("flops", "lenet", "--input", "1,1,28,28")
    assert (report["schema"], report["report"]) == ("zoo.report/1", "flops")
    assert set(report["totals"]) >= TOTALS
    assert report["totals"]["macs"] == report["rows"][0]["macs"] == 416_520
    assert report["totals"]["ratio"] is None


@pytest.mark.parametrize(
    ("by", "first"),
    [("operator", "aten.convolution.default"), ("type", "Conv2d"), ("phase", "forward")],
)
def test_groupings_name_their_rows_whatever_columns_are_chosen(by: str, first: str) -> None:
    report = report_of("flops", "lenet", "--by", by, "--columns", "macs,share")
    assert report["rows"][0][by] == first
    text = zoo("flops", "lenet", "--by", by, "--columns", "macs,share").out
    assert any(line.startswith(first) for line in text.splitlines())
    assert zoo("flops", "lenet", "--by", by, "--format", "csv").out.startswith(f"{by},")
    assert f"| {first} |" in zoo("flops", "lenet", "--by", by, "--format", "md").out


def test_sort_and_depth() -> None:
    rows = report_of("flops", "resnet18", "--depth", "1", "--sort", "share")["rows"]
    shares = [row["share"] for row in rows]
    assert shares == sorted(shares, reverse=True)
    assert max(row["depth"] for row in rows) == 1


def test_text_of_a_forward_pass_says_nothing_of_training() -> None:
    text = zoo("flops", "lenet").out
    assert "backward" not in text
    assert "optimizer" not in text
    assert "coverage: every operator has a formula" in text


def test_a_training_step() -> None:
    words = ("flops", "lenet", "--train", "--optimizer", "adamw")
    report = report_of(*words, "--by", "phase")
    assert [row["phase"] for row in report["rows"]] == ["forward", "backward", "optimizer"]
    totals = report["totals"]
    assert totals["macs"] == totals["forward_macs"] + totals["backward_macs"]
    assert totals["ratio"] == totals["backward_macs"] / totals["forward_macs"] > 1
    text = zoo(*words).out
    assert "backward MACs" in text
    assert "Ratio: MACs of the backward pass" in text


@pytest.mark.parametrize(
    "words",
    [
        ("--optimizer", "sgd"),
        ("--loss", "sum"),
        ("--accumulate", "2"),
        ("--keep-gradients",),
        ("--checkpoint", "conv*"),
    ],
    ids=" ".join,
)
def test_an_option_of_the_step_turns_training_on(words: tuple[str, ...]) -> None:
    assert report_of("flops", "lenet", *words)["totals"]["backward_macs"] > 0


def test_optimizer_and_loss_may_be_the_users_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(
        "import torch\n\n"
        "def plain(parameters):\n    return torch.optim.SGD(parameters, lr=0.1)\n\n"
        "def loss(output):\n    return output.square().mean()\n"
    )
    own = ("--optimizer", "./mine.py:plain", "--loss", "./mine.py:loss")
    named = report_of("flops", "lenet", "--optimizer", "sgd")
    mine = report_of("flops", "lenet", *own)
    assert mine["totals"]["macs"] == named["totals"]["macs"]
    done = zoo("flops", "lenet", "--loss", "./mine.py:lose")
    assert (done.code, done.out) == (2, "")
    assert "mine.py has no 'lose'. Did you mean loss?" in done.err


def given_by(*words: str) -> dict[str, Any]:
    """What the options of a step become."""
    found: dict[str, Any] = {}

    @click.command()
    @step_options
    def command(**options: Any) -> None:
        found.update(shared.step_of(options))
        assert options == {}

    command.main(list(words), standalone_mode=False)
    return found


def test_only_what_the_user_said_is_handed_on() -> None:
    assert given_by() == {}
    assert given_by("--train") == {"train": True}
    assert given_by("--autocast", "bf16", "--checkpoint", "a", "--checkpoint", "b") == {
        "train": True,
        "autocast": "bf16",
        "checkpoint": ("a", "b"),
    }
    assert given_by("--keep-gradients", "--accumulate", "4") == {
        "train": True,
        "set_to_none": False,
        "accumulate": 4,
    }


def test_strict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("odd.py").write_text(MYSTERY.replace("zoo_cli_tests", "zoo_cli_flops_tests"))
    words = ("flops", "./odd.py:Net", "--input", "1,3")
    done = zoo(*words, "--by", "operator")
    assert done.code == 0
    (line,) = (line for line in done.out.splitlines() if "mystery.default  " in line)
    assert "?" in line
    assert zoo(*words, "--strict").code == 1


CASES = [
    (("--by", "moduel"), "by 'moduel': no such grouping. Did you mean module?"),
    (("--causal", "third"), "causal 'third': no such convention. Known: full, half."),
    (("--accumulate", "0"), "--accumulate"),
    (("--optimizer", "adamv"), "adam"),
    (("--loss", "no.such.module:f"), "no module is called 'no'"),
    (("--columns", "colour"), "no column is called 'colour'"),
    (("--hint", "nonzero"), "is not OPERATION=NUMBER"),
]


@pytest.mark.parametrize(("words", "said"), CASES, ids=[" ".join(words) for words, _ in CASES])
def test_bad_words_are_one_line_and_code_2(words: tuple[str, ...], said: str) -> None:
    done = zoo("flops", "lenet", *words)
    assert (done.code, done.out) == (2, "")
    assert said in done.err
    assert done.err.count("\n") == 1
