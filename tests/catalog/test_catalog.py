"""Look-up by name, search, and did-you-mean."""

from __future__ import annotations

import subprocess
import sys

import pytest

from zoo.catalog.card import ModelCard
from zoo.catalog.catalog import Catalog, Entry
from zoo.errors import AmbiguousModel, DuplicateModel, UnknownModel, UnknownPlugin


def entry(plugin: str, name: str, summary: str = "A net.", tags: tuple[str, ...] = ()) -> Entry:
    return Entry(plugin, ModelCard(name, f"{plugin}.nets:{name}", summary, tags=tags))


@pytest.fixture
def catalog() -> Catalog:
    entries = (
        entry("book", "resnet18", "Residual blocks.", ("cnn",)),
        entry("book", "lenet", "Sigmoid.", ("cnn", "teaching")),
        entry("alpha", "resnet18"),
        entry("alpha", "swin"),
        entry("beta", "swin"),
        entry("beta", "only_here"),
    )
    return Catalog(("book", "alpha", "beta", "empty"), entries)


@pytest.mark.parametrize(
    ("name", "qualified"),
    [
        ("resnet18", "book/resnet18"),  # the book's before others
        ("alpha/resnet18", "alpha/resnet18"),
        ("only_here", "beta/only_here"),
    ],
)
def test_a_name_is_found(catalog: Catalog, name: str, qualified: str) -> None:
    assert catalog.find(name).qualified == qualified


def test_a_bare_name_of_several_plugins_is_ambiguous(catalog: Catalog) -> None:
    with pytest.raises(AmbiguousModel, match=r"alpha/swin, beta/swin\. Name one of these\.$"):
        catalog.find("swin")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("resnt18", r"no model is called 'resnt18'\. Did you mean resnet18\?$"),
        ("LeNet", r"Did you mean lenet or "),
        ("zzz", r"See `zoo list`\.$"),
        ("", r"no model is called ''"),
        ("alpha/lenet", r"no model is called 'alpha/lenet'\. Did you mean book/lenet\?$"),
        ("beta/", r"no model is called 'beta/'"),
    ],
)
def test_an_unknown_name_says_what_is_near(catalog: Catalog, name: str, said: str) -> None:
    with pytest.raises(UnknownModel, match=said):
        catalog.find(name)


@pytest.mark.parametrize("name", ["boook/lenet", "boook"])
def test_an_unknown_plugin_says_what_is_near(catalog: Catalog, name: str) -> None:
    with pytest.raises(UnknownPlugin, match=r"no plugin is called 'boook'\. Did you mean book\?$"):
        catalog.find(name) if "/" in name else catalog.search(plugin=name)


def test_a_second_claim_names_both(catalog: Catalog) -> None:
    first = catalog.find("book/lenet")
    second = Entry("book", ModelCard("lenet", "other.nets:lenet", "Another."))
    with pytest.raises(
        DuplicateModel, match=r"'book/lenet'.* book\.nets:lenet .* other\.nets:lenet"
    ):
        catalog.add(second)
    assert catalog.find("book/lenet") is first
    assert len(catalog) == 6


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({}, 6),
        ({"query": "RESNET"}, 2),
        ({"query": "residual"}, 1),  # in the summary
        ({"query": "beta/"}, 2),
        ({"query": "*net??"}, 2),
        ({"query": "resnet??"}, 2),
        ({"query": "sig*"}, 1),
        ({"query": "book/*"}, 2),
        ({"query": "res"}, 2),
        ({"query": "res?"}, 0),  # a pattern is of the whole name
        ({"tag": "teaching"}, 1),
        ({"tag": "no such"}, 0),
        ({"plugin": "beta"}, 2),
        ({"plugin": "empty"}, 0),
        ({"query": "swin", "plugin": "alpha"}, 1),
    ],
)
def test_search(catalog: Catalog, options: dict[str, str], names: int) -> None:
    assert len(catalog.search(options.pop("query", None), **options)) == names


@pytest.mark.parametrize(
    ("code", "loads"),
    [
        ("import zoo.catalog, zoo.catalog.building, zoo.catalog.locate", 0),
        ("from zoo.plugins.manager import manager; manager().plugins()", 0),
        ("from zoo.plugins.manager import manager; list(manager().catalog())", 0),
        (
            "from zoo.plugins.manager import manager; from zoo.catalog import resolve; "
            "resolve('lenet', manager().catalog())",
            1,
        ),
    ],
)
def test_looking_loads_no_torch(code: str, loads: int) -> None:
    probe = f"import sys; {code}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", probe], check=False).returncode == loads


def test_looking_does_not_import_what_is_slow() -> None:
    slow = ("importlib.metadata", "zoo.analysis.records", "zoo.catalog.locate")
    code = "from zoo.plugins.manager import manager; list(manager().catalog())"
    probe = f"import sys; {code}; print([name for name in {slow!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", probe], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
