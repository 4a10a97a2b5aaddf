"""The reference names everything that there is, and nothing that there is not."""

from __future__ import annotations

import ast
import inspect
import pkgutil
import re
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING

import pytest

import zoo
from tests.docs.markdown import DOCS, ROOT, plain, sections, tables
from zoo.analysis import (
    aligning,
    budgets,
    compare,
    costs,
    fits,
    flops,
    memory,
    params,
    records,
    sweeps,
)
from zoo.analysis.inputs import parse
from zoo.analysis.summary import COLUMNS
from zoo.catalog.arguments import parse_value
from zoo.catalog.card import ModelCard
from zoo.plugins.manager import HOOKS

if TYPE_CHECKING:
    from pathlib import Path

REFERENCE = DOCS / "reference"


def page(name: str) -> str:
    return (REFERENCE / name).read_text()


def first_cells(text: str, table: int = 0) -> list[str]:
    """First column of a table, without its head."""
    return [plain(row[0]) for row in tables(text)[table][1:]]


# hooks


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_is_documented(hook: str) -> None:
    assert f"## {hook}(" in page("hooks.md")


def test_no_hook_is_documented_that_there_is_not() -> None:
    named = re.findall(r"^## (zoo_\w+)\(", page("hooks.md"), re.MULTILINE)
    assert sorted(named) == sorted(HOOKS)


# records

RECORDS = [one for one in vars(records).values() if is_dataclass(one) and isinstance(one, type)]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
def test_every_record_and_field_is_documented(record: type) -> None:
    section = sections(page("records.md"))[record.__name__]
    assert first_cells(section) == [one.name for one in fields(record)]


def test_no_record_is_documented_that_there_is_not() -> None:
    known = {record.__name__ for record in RECORDS}
    assert set(sections(page("records.md"))) == known | {"Words"}


# names of zoo


@pytest.mark.parametrize("name", zoo.__all__)
def test_every_public_name_is_documented(name: str) -> None:
    found = getattr(zoo, name)
    heading = f"zoo.{name}()" if inspect.isfunction(found) else f"zoo.{name}"
    section = sections(page("python.md"))[heading]
    if inspect.isfunction(found):
        (block,) = re.findall(r"```python\n(def [\s\S]*?)```", section)
        assert signature_of(block) == str(inspect.signature(found)).replace("'", "")


def signature_of(block: str) -> str:
    """The signature of a stub, as `inspect` writes it, without quotes."""
    (stub,) = ast.parse(block).body
    assert isinstance(stub, ast.FunctionDef)
    assert stub.returns is not None
    names = {"__name__": "stub"}
    exec(compile(f"from __future__ import annotations\n{block}", "stub", "exec"), names)
    return str(inspect.signature(names[stub.name])).replace("'", "")  # type: ignore[arg-type]


def test_no_name_is_documented_that_there_is_not() -> None:
    named = {
        heading.removeprefix("zoo.").removesuffix("()") for heading in sections(page("python.md"))
    }
    assert named == set(zoo.__all__)


def test_every_field_of_a_card_is_documented() -> None:
    section = sections(page("python.md"))["zoo.ModelCard"]
    assert first_cells(section) == [one.name for one in fields(ModelCard)]


# formulas

NO_FAMILY = {"base", "common", "wrap"}


def test_every_family_of_formulas_is_documented_with_its_source() -> None:
    families = {one.name for one in pkgutil.iter_modules(costs.__path__)} - NO_FAMILY
    documented = sections(page("formulas.md"), level=3)
    assert set(documented) == families
    for family, text in documented.items():
        assert "**Source:**" in text, family
        assert "**Formula:**" in text, family


# reports


def real_report() -> zoo.Report:
    return zoo.summary("mlp", (1, 1, 28, 28))


def report_table(heading: str) -> list[list[str]]:
    """Rows of the last table under a heading of report.md."""
    return tables(sections(page("report.md"))[heading])[-1][1:]


def test_columns_are_those_of_a_report() -> None:
    documented = [(plain(name), unit, meaning) for name, unit, meaning in report_table("Columns")]
    assert documented == [(one.name, one.unit, one.meaning) for one in COLUMNS]
    assert [one.name for one in real_report().columns] == [name for name, _, _ in documented]


def test_keys_of_a_row_are_documented() -> None:
    named = [plain(row[0]) for row in (*report_table("Rows"), *report_table("Columns"))]
    assert sorted(named) == sorted(real_report().rows[0])


def test_totals_are_those_of_a_report() -> None:
    assert [plain(row[0]) for row in report_table("Totals")] == list(real_report().totals)


def documented_tables(heading: str) -> list[list[tuple[str, ...]]]:
    """Bodies of the tables under a heading of report.md, first cells without marks."""
    found = tables(sections(page("report.md"))[heading])
    return [[(plain(row[0]), *row[1:]) for row in one[1:]] for one in found]


def test_the_report_of_flops_is_documented() -> None:
    groupings, columns, totals = documented_tables("zoo flops")
    assert [row[0] for row in groupings] == list(flops.GROUPINGS)
    assert columns == [(one.name, one.unit, one.meaning) for one in flops.COLUMNS]
    for by, *said in groupings:
        report = zoo.flops("mlp", by=by)
        keys = [one.name for one in report.columns if one not in flops.COLUMNS]
        assert all(f"`{key}`" in said[0] for key in keys)
        assert [row[0] for row in totals] == list(report.totals)


def test_the_report_of_params_is_documented() -> None:
    one, many, roles, totals, statistics = documented_tables("zoo params")
    for rows, declared in ((one, params.ONE), (many, params.MANY), (statistics, params.STATISTICS)):
        assert rows == [(column.name, column.unit, column.meaning) for column in declared]
    assert sorted(row[0] for row in roles) == sorted(params.ROLES)
    report = zoo.params("mlp", values=True)
    assert [row[0] for row in (*totals, *statistics)] == list(report.totals)
    assert set(report.rows[0]) == {row[0] for row in (*one, *statistics)} | {"marks"}


def test_the_report_of_memory_is_documented() -> None:
    groupings, *columns, changes, totals = documented_tables("zoo memory")
    assert [row[0] for row in groupings] == list(memory.GROUPINGS)
    step = {"train": True, "on": "rtx4090"}
    for (by, *_), documented in zip(groupings, columns, strict=True):
        report = zoo.memory("mlp", by=by, **step)
        assert documented == [(one.name, one.unit, one.meaning) for one in report.columns]
    assert changes == [(one.name, one.unit, one.meaning) for one in fits.COLUMNS]
    assert [row[0] for row in totals] == [*report.totals, *fits.TOTALS]
    assert set(zoo.memory("mlp").totals) < {row[0] for row in totals}


def test_the_report_of_freeze_is_documented() -> None:
    columns, totals = documented_tables("zoo freeze")
    report = zoo.freeze("mlp", through="hidden1")
    assert columns == [(one.name, one.unit, one.meaning) for one in report.columns]
    assert [row[0] for row in totals[1:]] == list(report.totals)[len(columns) :]


def test_the_report_of_compare_is_documented() -> None:
    scores, rows = documented_tables("zoo compare")
    values = [aligning.NAME, aligning.NUMBER, aligning.TYPE, aligning.SHAPE, aligning.PARAMETERS]
    assert [row[1] for row in scores] == [str(one) for one in values]
    report = zoo.compare("mlp", "mlp")
    figures = {one.name for one in compare.FIGURES}
    named = [row[0] for row in rows]
    known = [key for key in report.rows[0] if not key.startswith("b_") or key.endswith("a_macs")]
    assert sorted(named) == sorted(known)
    assert {name.removeprefix("a_") for name in named if name.startswith("a_")} == {
        *compare.WORDS,
        *figures,
    }


def test_the_report_of_check_is_documented() -> None:
    wanted, columns, totals = documented_tables("zoo check")
    assert [row[0] for row in wanted] == [one.replace("_", "-") for one in budgets.KINDS]
    assert columns == [(one.name, one.unit, one.meaning) for one in budgets.COLUMNS]
    report = zoo.check("mlp", max_params="1M")
    assert [row[0] for row in totals] == list(report.totals) == list(budgets.TOTALS)
    assert list(report.rows[0]) == [row[0] for row in columns]


def test_the_report_of_sweep_is_documented() -> None:
    columns, totals = documented_tables("zoo sweep")[:2]
    assert columns == [(one.name, one.unit, one.meaning) for one in sweeps.COLUMNS]
    assert [row[0] for row in totals] == list(zoo.sweep("book/mlp", jobs=1).totals)


def test_the_json_frame_is_documented(tmp_path: Path) -> None:
    import json

    whole = json.loads(real_report().to_json())
    broken = json.loads(zoo.summary("mlp", (1, 1, 28)).to_json())
    assert whole.keys() | {"failure"} == {plain(row[0]) for row in report_table("JSON")}
    assert zoo.summary("vgg11", (1, 1, 8, 8)).failure is not None
    assert "failure" not in whole
    documented = {plain(row[0]): row[1] for row in report_table("JSON")}
    for key in ("model", "inputs", "columns", "notes"):
        words = set(re.findall(r"`(\w+)`", documented[key]))
        part = whole[key] if isinstance(whole[key], dict) else next(iter(whole[key]), None)
        assert part is None or set(part) == words, key
    assert broken["schema"] == whole["schema"] == documented["schema"].strip("`")


def test_a_failure_is_documented() -> None:
    import json

    failure = json.loads(zoo.summary("vgg11", (1, 1, 8, 8)).to_json())["failure"]
    documented = {plain(row[0]): row[1] for row in report_table("JSON")}["failure"]
    assert set(failure) == set(re.findall(r"`(\w+)`", documented))


def sources(*folders: str) -> str:
    files = (path for folder in folders for path in sorted((ROOT / "zoo" / folder).rglob("*.py")))
    return "\n".join(path.read_text() for path in files)


def test_codes_of_notes_are_documented() -> None:
    code = sources("analysis")
    used = set(re.findall(r'Note\(\s*"\w+",\s*"([\w-]+)"', code))
    assert len(used) > 4
    assert {plain(row[0]) for row in report_table("Notes")} == used


def test_marks_are_documented() -> None:
    code = (ROOT / "zoo" / "analysis" / "summary.py").read_text()
    used = set(re.findall(r'marks\.append\("([\w ]+)"\)', code)) | {"not called"}
    assert {plain(row[0]) for row in report_table("Marks")} == used


# inputs


@pytest.mark.parametrize("row", tables(page("inputs.md"))[0][1:], ids=lambda row: row[0])
def test_inputs_read_as_documented(row: list[str]) -> None:
    assert str(parse(plain(row[0])).spec) == plain(row[1])


def test_dtypes_are_documented() -> None:
    rows = [tuple(map(plain, row)) for row in tables(page("inputs.md"))[1][1:]]
    assert rows == [(name, short, str(size)) for name, (short, size) in records.DTYPES.items()]


@pytest.mark.parametrize("row", tables(page("inputs.md"))[2][1:], ids=lambda row: row[0])
def test_settings_read_as_documented(row: list[str]) -> None:
    assert repr(parse_value(plain(row[0]))) == plain(row[1])


def test_operations_of_hints_are_documented() -> None:
    used = set(re.findall(r'hints\.(?:size|value)\(\s*"([\w ]+)"', sources("analysis/tracer")))
    assert len(used) > 5
    assert {plain(row[0]) for row in tables(page("inputs.md"))[3][1:]} == used


# detectors


@pytest.mark.parametrize(
    "row",
    tables((DOCS / "explanation" / "detectors.md").read_text())[0][1:],
    ids=lambda row: plain(row[0]),
)
def test_figures_of_detectors(row: list[str]) -> None:
    from zoo.plugins.torchvision import published

    name, official, ours, _, hint = map(plain, row)
    known = next(one for one in published() if one.model == name and one.is_default)
    assert float(official) == known.gmacs
    assert gmacs(name) == float(ours)
    line, _, boxes = hint.partition("=")
    assert gmacs(name, {line: float(boxes)} if hint else {}) == known.gmacs


def gmacs(name: str, hints: dict[str, float] | None = None) -> float:
    macs: int = zoo.summary(f"torchvision/{name}", hints=hints).totals["macs"]
    return round(macs / 1e9, 3)


def test_all_detectors_are_documented() -> None:
    from zoo.plugins.torchvision import published

    named = first_cells((DOCS / "explanation" / "detectors.md").read_text())
    assert sorted(named) == sorted({one.model for one in published() if one.family == "detection"})


def test_columns_and_totals_of_a_crosscheck_are_documented() -> None:
    found = zoo.crosscheck("lenet", engines=["FlopCounterMode"])
    columns, totals = tables(sections(page("report.md"))["zoo crosscheck"])
    documented = [(plain(name), unit, plain(meaning)) for name, unit, meaning in columns[1:]]
    assert documented == [(one.name, one.unit, plain(one.meaning)) for one in found.columns]
    assert [plain(row[0]) for row in totals[1:]] == list(found.totals)


@pytest.mark.parametrize(
    ("heading", "record"), [("zoo.Engine", zoo.Engine), ("zoo.Opinion", zoo.Opinion)]
)
def test_every_field_of_an_engine_is_documented(heading: str, record: type) -> None:
    assert first_cells(sections(page("python.md"))[heading]) == [one.name for one in fields(record)]
