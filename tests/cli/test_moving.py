"""What `zoo transfer --by link|cut|replica` prints, and what it says of bad input."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import torch

from tests.cli.running import zoo

if TYPE_CHECKING:
    from pathlib import Path

LENET = ("transfer", "lenet", "--input", "8,1,28,28")
HERE = torch.cuda.is_available() or torch.backends.mps.is_available()


def report_of(*words: str) -> Any:
    done = zoo(*words, "--format", "json")
    assert done.code == 0, done.err
    return json.loads(done.out)


def test_links() -> None:
    report = report_of(*LENET, "--by", "link", "--on", "rtx4090", "--train")
    assert (report["schema"], report["report"]) == ("zoo.report/1", "transfer")
    rows = {row["what"]: row for row in report["rows"]}
    assert set(rows) == {
        *("parameters", "buffers", "inputs", "outputs", "gradients", "optimizer state"),
    }
    assert rows["parameters"]["bytes"] == rows["gradients"]["bytes"] == 61_706 * 4
    assert rows["inputs"]["bytes"] == report["totals"]["input_bytes"] == 8 * 28 * 28 * 4
    assert rows["parameters"]["pageable_seconds"] > rows["parameters"]["pinned_seconds"] > 0


def test_cuts() -> None:
    report = report_of(*LENET, "--by", "cut", "--parts", "3", "--train", "--on", "v100")
    totals = report["totals"]
    assert totals["parts"] == 3
    assert len(totals["compute_cut"]) == len(totals["compute_macs"]) - 1
    assert sum(totals["memory_macs"]) == totals["macs"]
    assert sum(totals["memory_parameter_bytes"]) == totals["parameter_bytes"] == 61_706 * 4
    pool = next(row for row in report["rows"] if row["after"] == "pool1")
    assert pool["forward_bytes"] == pool["backward_bytes"] == 8 * 6 * 14 * 14 * 4


FORMS = (
    (),
    ("--on", "v100"),
    ("--by", "link", "--on", "v100"),
    ("--by", "cut", "--parts", "3", "--on", "v100"),
    ("--by", "replica", "--on", "v100"),
)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("saved") / "lenet.json.gz"
    words = ("--input", "8,1,28,28", "--device", "cuda", "--train", "-o", str(file))
    assert zoo("trace", "lenet", *words).code == 0
    return str(file)


@pytest.mark.parametrize("words", FORMS)
def test_a_saved_trace_takes_the_place_of_a_model(saved: str, words: tuple[str, ...]) -> None:
    ours = report_of("transfer", saved, *words)
    model = report_of(*LENET, "--train", *words)
    same = [row for row in model["rows"] if row.get("batch") in (None, 8)]  # it has one batch
    assert ours["rows"] == same


def test_a_saved_trace_of_another_device_is_named(tmp_path: Path) -> None:
    file = str(tmp_path / "lenet.json.gz")
    assert zoo("trace", "lenet", "-o", file).code == 0
    for words in (("--by", "cut", "--on", "v100"), ()):
        done = zoo("transfer", file, *words)
        assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
        assert "cpu" in done.err
    assert zoo("transfer", file, "--by", "cut").code == 0


@pytest.mark.parametrize("words", [(), ("--on", "v100"), ("--train", "--on", "v100")])
@pytest.mark.parametrize("form", ["link", "cut"])
def test_tables_are_no_wider_than_a_page(form: str, words: tuple[str, ...]) -> None:
    done = zoo(*LENET, "--by", form, *words)
    table = done.out.partition("\n\n")[2].partition("\n\n")[0].splitlines()
    assert len(table) > 2
    assert max(map(len, table)) <= 120
    everything = report_of(*LENET, "--by", form, *words)["rows"][0]
    assert ("tensors" if form == "cut" else "latency_seconds") in everything


def test_cuts_without_a_device_have_no_times() -> None:
    report = report_of(*LENET, "--by", "cut")
    assert "slowest_seconds" not in report["rows"][0]
    assert "compute_seconds" not in report["totals"]
    assert report["totals"]["memory_cut"]


def test_replicas() -> None:
    words = ("--by", "replica", "--on", "a100", "--network", "100Gbit", "--replicas", "4")
    report = report_of(*LENET, *words)
    assert {row["replicas"] for row in report["rows"]} == {2, 4}
    assert report["totals"]["gradient_bytes"] == 61_706 * 4
    assert report["totals"]["link"] == "network"


def test_text_says_figures_of_parts_with_their_units() -> None:
    done = zoo(*LENET, "--by", "cut", "--on", "rtx4090")
    line = next(one for one in done.out.splitlines() if one.startswith("memory parameter memory"))
    assert line.split("memory")[-1].strip() == "203 kB; 44.1 kB"
    assert "us; " in next(one for one in done.out.splitlines() if one.startswith("memory seconds"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--by", "cuts"), "by 'cuts': rows cannot be made so. Did you mean cut?"),
        (("--by", "wire"), "Known: code, link, cut, replica."),
        (("--by", "cut", "--parts", "0"), "parts 0: a model has one part at least"),
        (("--by", "cut", "--parts", "99"), "parts at most"),
        (("--by", "cut", "--parts", "two"), "'two' is not a valid integer"),
        (("--by", "link", "--parts", "2"), "parts beside by 'link': it is of by 'cut'"),
        (("--parts", "2"), "parts beside by 'code': it is of by 'cut'"),
        (("--by", "cut", "--network", "1Gbit"), "network beside by 'cut'"),
        (("--by", "link", "--on", "h1000"), "no device is called 'h1000'"),
        (("--by", "cut", "--on", "a100", "--device", "cpu"), "took place on cpu, and not on cuda"),
        (("--by", "replica"), "no device was named. Say --on a100."),
        (("--by", "replica", "--on", "a100", "--replicas", "1"), "that is no parallelism"),
        (("--by", "replica", "--on", "a100", "--network", "fast"), "Write 100Gbit or 12.5GB/s."),
        (("--by", "replica", "--on", "a100", "--loss", "none"), "nothing is exchanged"),
        (("--by", "replica", "--on", "Apple M2"), "Name a network: --network 100Gbit."),
        (("--by", "code", "--measure"), "measure beside by 'code': it is of by 'link'"),
    ],
)
def test_bad_input_is_one_line(words: tuple[str, ...], said: str) -> None:
    done = zoo(*LENET, *words)
    assert done.code == 2
    assert done.out == ""
    assert said in done.err
    assert len(done.err.strip().splitlines()) == 1


@pytest.mark.skipif(HERE, reason="an accelerator is here")
def test_nothing_to_measure() -> None:
    done = zoo(*LENET, "--by", "link", "--measure")
    assert (done.code, done.out) == (2, "")
    assert "no accelerator is here that torch can use" in done.err


def test_a_run_that_breaks_exits_with_1() -> None:
    done = zoo("transfer", "lenet", "--input", "8,1,2,2", "--by", "cut")
    assert done.code == 1
    assert "conv2" in done.out


def test_a_trace_of_the_processor_is_not_one_of_a_gpu() -> None:
    import zoo as library

    trace = library.trace("lenet", (8, 1, 28, 28))
    for by in ("link", "cut", "replica"):
        with pytest.raises(library.ZooError, match="took place on cpu, and not on cuda"):
            library.transfers(trace, by=by, on="a100")
    assert library.transfers(trace, by="cut").totals["memory_cut"]
