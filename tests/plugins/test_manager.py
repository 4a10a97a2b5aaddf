"""Plugins that are broken in every way there is: each is named with its error, and stops nobody."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from re import search
from typing import TYPE_CHECKING, Any

import click
import pytest

import zoo
from zoo.catalog.card import ModelCard
from zoo.plugins import book, llms
from zoo.plugins.installed import EntryPoint, _asked, _scanned, installed
from zoo.plugins.manager import HOOKS, Manager, PluginInfo, manager

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

GOOD = ModelCard("good", "nets:Good", "A good one.")


def alone(*plugins: object) -> Manager:
    return manager(entry_points=False, project=None, extra=plugins)


def plugin(name: str, **hooks: Callable[[], Any]) -> object:
    made = type(name, (), {key: staticmethod(zoo.hookimpl(hook)) for key, hook in hooks.items()})
    return made()


def info(found: Manager, name: str) -> PluginInfo:
    (one,) = [one for one in found.plugins() if one.name == name]
    return one


def test_a_plugin_is_an_object_with_hooks() -> None:
    found = alone(plugin("Mine", zoo_models=lambda: [GOOD]))
    assert [entry.qualified for entry in found.catalog()] == ["Mine/good"]
    assert found.plugins() == (
        PluginInfo("Mine", None, None, __name__, __file__, 1, ("zoo_models",), ()),
    )


def test_hooks_are_called_once() -> None:
    calls: list[str] = []
    found = alone(plugin("Mine", zoo_models=lambda: calls.append("models") or [GOOD]))
    assert calls == []
    for _ in range(2):
        found.catalog(), found.plugins()
    assert calls == ["models"]


def test_there_are_no_plugins_without_looking() -> None:
    assert alone().plugins() == ()


def raises() -> Any:
    raise ValueError("first line\nsecond line")


def yields_and_raises() -> Iterator[ModelCard]:
    yield GOOD
    raises()


def card(**fields: Any) -> Callable[[], Any]:
    values = {"name": "bad", "factory": "nets:Net", "summary": "Bad.", **fields}
    return lambda: [ModelCard(**values), GOOD]


RUBBISH = [
    (
        raises,
        0,
        r"zoo_models: calling it raised ValueError: first line second line at .*\.py:\d+$",
    ),
    (
        lambda: sys.exit(3),
        0,
        r"zoo_models: calling it raised SystemExit: 3 at .*test_manager\.py:\d+$",
    ),
    (yields_and_raises, 1, r"zoo_models: calling it raised ValueError"),
    (
        lambda: None,
        0,
        r"zoo_models: returned NoneType, which is not a series \(.*test_manager\.py:\d+\)$",
    ),
    (lambda: 3, 0, r"zoo_models: returned int"),
    (lambda: "cards", 0, r"zoo_models: returned str"),
    (
        lambda: ["lenet", GOOD],
        1,
        r"zoo_models: 'lenet' is no ModelCard \(.*test_manager\.py:\d+\)$",
    ),
    (lambda: {"good": GOOD}, 0, r"'good' is no ModelCard"),
    (card(name="a/b"), 1, r"'a/b' is no name of a model; use letters, digits"),
    (card(name=""), 1, r"'' is no name of a model"),
    (card(name="a b"), 1, r"'a b' is no name"),
    (card(name="."), 1, r"'\.' is no name"),
    (card(name=3), 1, r"3 is no name"),
    (card(factory="nets.Net"), 1, r"card 'bad': factory 'nets\.Net' is not module:attribute"),
    (card(factory="./nets.py:Net"), 1, r"factory './nets\.py:Net' is not module:attribute"),
    (card(factory="nets:"), 1, r"is not module:attribute"),
    (card(factory=dict), 1, r"factory <class 'dict'> is not module:attribute"),
    (card(summary=""), 1, r"card 'bad': summary '' is not one line of text"),
    (card(summary="a\nb"), 1, r"summary 'a\\nb' is not one line"),
    (card(default_input="1,x"), 1, r"card 'bad': default_input: input '1,x': "),
    (card(default_input="0,3"), 1, r"dim 0 is not positive"),
    (card(default_input=("1,3", "a=")), 1, r"default_input: input 'a='"),
    (card(default_input="1," + "9" * 30), 1, r"more elements"),
    (card(default_input=(1, 3)), 1, r"default_input \(1, 3\) is neither text nor a tuple of texts"),
    (card(arguments=[1]), 1, r"arguments \[1\] are not a mapping"),
    (card(arguments={"a b": 1}), 1, r"arguments \{'a b': 1\} are not a mapping of names"),
    (card(tags="cnn"), 1, r"tags 'cnn' are not a tuple of words"),
    (card(tags=(1,)), 1, r"tags \(1,\) are not"),
    (card(year="2015"), 1, r"year '2015' is not a whole number"),
    (card(link=3), 1, r"link 3 is not text"),
    (
        card(name="good"),
        1,
        r"'Bad/good' is claimed by nets:Net and by nets:Good; the first keeps it",
    ),
]


@pytest.mark.parametrize(("hook", "kept", "said"), RUBBISH)
def test_rubbish_is_named_and_stops_nobody(hook: Callable[[], Any], kept: int, said: str) -> None:
    found = alone(plugin("Bad", zoo_models=hook), plugin("After", zoo_models=lambda: [GOOD]))
    bad, after = found.plugins()
    assert (bad.models, after.models, after.errors) == (kept, 1, ())
    (error,) = bad.errors
    assert search(said, error), error
    assert len(error.splitlines()) == 1


def test_inputs_that_are_good_are_not_refused() -> None:
    words = [
        "1,3,224,224",
        "1,3,16,224,224",
        ("1,3,8,8", "1,128:int64"),
        "f32[2,3]",
        "ids=1,8@ints:99",
        None,
    ]
    cards = [ModelCard(f"m{n}", "a.b:c.d", "One.", word) for n, word in enumerate(words)]
    assert info(alone(plugin("Mine", zoo_models=lambda: cards)), "Mine").errors == ()


@pytest.mark.parametrize(
    ("answer", "kept", "said"),
    [
        (lambda: [1], [], r"zoo_costs: returned list, not a mapping of operators to formulas"),
        (lambda: {"mylib.op": 3}, [], r"the formula of mylib\.op is 3, which cannot be called"),
        (lambda: {"mylib::op": len, "mylib.a": len}, ["mylib.a"], r"'mylib::op' is no op"),
        (lambda: {3: len}, [], r"3 is no operator"),
        (raises, [], r"zoo_costs: calling it raised ValueError"),
        (lambda: {"first.op": len, "mylib.a.default": len}, ["mylib.a.default"],
         r"first\.op has a formula of plugin First; the first keeps it"),
    ],
)  # fmt: skip
def test_formulas(answer: Callable[[], Any], kept: list[str], said: str) -> None:
    found = alone(
        plugin("First", zoo_costs=lambda: {"first.op": max}), plugin("Bad", zoo_costs=answer)
    )
    assert list(found.costs()) == ["first.op", *kept]
    assert found.costs()["first.op"] is max
    (error,) = info(found, "Bad").errors
    assert search(said, error), error


def test_formulas_are_read_only() -> None:
    with pytest.raises(TypeError):
        alone().costs()["a.b"] = len  # type: ignore[index]


@pytest.mark.parametrize(
    ("answer", "kept", "said"),
    [
        (lambda: [print], [], r"zoo_commands: <built-in function print> is no click command"),
        (
            lambda: [click.Command("list"), click.Command("new")],
            ["new"],
            r"'list' is taken by zoo itself",
        ),
        (
            lambda: [click.Command("one")],
            [],
            r"the command 'one' is taken by First; the first keeps it",
        ),
        (lambda: [click.Command(None)], [], r"a command has no name"),
    ],
)
def test_commands(answer: Callable[[], Any], kept: list[str], said: str) -> None:
    first = plugin("First", zoo_commands=lambda: [click.Command("one")])
    found = alone(first, plugin("Bad", zoo_commands=answer))
    assert list(found.commands(taken=["list"])) == ["one", *kept]
    (error,) = info(found, "Bad").errors
    assert search(said, error), error


@pytest.mark.parametrize(
    ("answer", "kept", "said"),
    [
        (
            lambda: None,
            [],
            r"zoo_devices: returned NoneType, which is not a series \(.*\.py:\d+\)$",
        ),
        (raises, [], r"zoo_devices: calling it raised ValueError"),
        (
            lambda: ["H100", zoo.Device("new")],
            ["new"],
            r"zoo_devices: 'H100' is no Device \(.*\.py:\d+\)$",
        ),
        (
            lambda: [zoo.Device("bad", kind="rocm"), zoo.Device("new")],
            ["new"],
            r"device 'bad': kind 'rocm' is no device type of torch",
        ),
        (
            lambda: [zoo.Device("nvidia ONE"), zoo.Device("new")],
            ["new"],
            r"name 'nvidia ONE' is claimed by First/one and by Bad/nvidia ONE; the first keeps",
        ),
        (
            lambda: [zoo.Device("x", aliases=("uno",)), zoo.Device("new")],
            ["new"],
            r"the device name 'uno' is claimed by First/one and by Bad/x; the first keeps it",
        ),
    ],
)
def test_devices(answer: Callable[[], Any], kept: list[str], said: str) -> None:
    first = plugin("First", zoo_devices=lambda: [zoo.Device("one", aliases=("uno",))])
    found = alone(first, plugin("Bad", zoo_devices=answer))
    assert [one.name for one in found.devices()] == ["one", *kept]
    assert (info(found, "First").devices, info(found, "First").errors) == (1, ())
    bad = info(found, "Bad")
    assert bad.devices == len(kept)
    (error,) = bad.errors
    assert search(said, error), error
    assert len(error.splitlines()) == 1


def test_devices_are_asked_for_once_and_late() -> None:
    calls: list[str] = []
    found = alone(plugin("Mine", zoo_devices=lambda: calls.append("asked") or [zoo.Device("a")]))
    found.catalog(), found.costs(), found.commands()
    assert calls == []
    for _ in range(2):
        found.devices(), found.plugins()
    assert calls == ["asked"]


def test_an_unknown_hook_says_what_is_near() -> None:
    found = alone(plugin("Typo", zoo_modles=lambda: (), zoo_models=lambda: [GOOD]))
    (error,) = info(found, "Typo").errors
    assert error.startswith("no hook is called 'zoo_modles'. Did you mean zoo_models")
    assert info(found, "Typo").models == 1


def test_a_hook_with_arguments_is_refused() -> None:
    found = alone(
        plugin("Greedy", zoo_models=lambda catalog: []), plugin("After", zoo_models=lambda: [GOOD])
    )
    (error,) = info(found, "Greedy").errors
    assert "catalog" in error
    assert info(found, "After").models == 1


def test_a_wrapper_is_not_called() -> None:
    class Wrap:
        @zoo.hookimpl(wrapper=True)
        def zoo_models(self) -> Iterator[None]:
            yield

    (error,) = info(alone(Wrap()), "Wrap").errors
    assert error.startswith("zoo_models: wrappers are not called (")


def test_an_object_that_raises_when_looked_at() -> None:
    class Bomb:
        @property
        def anything(self) -> object:
            raise RuntimeError("boom")

        def __getattr__(self, name: str) -> object:
            raise RuntimeError("boom")

    found = alone(Bomb(), plugin("After", zoo_models=lambda: [GOOD]))
    (error,) = info(found, "Bomb").errors
    assert error == "it answers no hook. Mark its functions with @zoo.hookimpl."
    assert info(found, "After").models == 1


def test_a_taken_plugin_name() -> None:
    found = alone(
        plugin("Mine", zoo_models=lambda: [GOOD]), plugin("Mine", zoo_models=lambda: [GOOD])
    )
    first, second = found.plugins()
    assert (first.models, first.errors) == (1, ())
    assert second.errors[0].startswith("the plugin name 'Mine' is taken by ")
    assert len(found.catalog()) == 1


def distribution(folder: Path, name: str, points: str, **modules: str) -> None:
    """An installed distribution, as pip would lay it out."""
    metadata = folder / f"{name.replace('-', '_')}-1.2.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
    (metadata / "entry_points.txt").write_text(points)
    for module, text in modules.items():
        (folder / f"{module}.py").write_text(text)


CARDS = (
    "import zoo\n@zoo.hookimpl\ndef zoo_models():\n"
    "    return [zoo.ModelCard('net', 'nets:Net', 'A net.')]\n"
)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    before = set(sys.modules)
    yield folder
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) and str(folder) in str(
            sys.modules[name].__file__
        ):
            del sys.modules[name]


def test_broken_distributions_beside_good_ones(site: Path) -> None:
    distribution(site, "a-raises", "[zoo]\nraising = p_raising\n", p_raising="x = 1\n1 / 0\n")
    distribution(site, "a-syntax", "[zoo]\nsyntax = p_syntax\n", p_syntax="def f(:\n")
    distribution(
        site, "a-exits", "[zoo]\nexits = p_exits\n", p_exits="import sys\nsys.exit('bye')\n"
    )
    distribution(site, "a-gone", "[zoo]\ngone = p_gone\n")
    distribution(site, "a-attribute", "[zoo]\nattribute = p_attr:missing\n", p_attr="")
    distribution(
        site,
        "z-good",
        "[console_scripts]\nx = y:z\n\n[zoo]\n# a comment\ngood-one = p_good\n",
        p_good=CARDS,
    )
    distribution(site, "z-thief", "[zoo]\nbook = p_thief\n", p_thief=CARDS)
    distribution(site, "z-copy", "[zoo]\ngood-one = p_copy\n", p_copy=CARDS)
    found = manager(project=None)
    infos = {(one.name, one.module): one for one in found.plugins()}

    def errors(name: str, module: str) -> tuple[str, ...]:
        return infos[name, module].errors

    assert errors("raising", "p_raising") == (
        "importing it raised ZeroDivisionError: division by zero at p_raising.py:2",
    )
    assert errors("syntax", "p_syntax") == ("p_syntax.py:1: invalid syntax",)
    assert errors("exits", "p_exits") == ("importing it raised SystemExit: bye at p_exits.py:2",)
    assert errors("gone", "p_gone") == (
        "importing it raised ModuleNotFoundError: No module named 'p_gone'",
    )
    assert "has no attribute 'missing'" in errors("attribute", "p_attr")[0]
    assert errors("book", "p_thief") == (
        "the plugin name 'book' is taken by zoo.plugins.book of torch-zoo",
    )
    second = [one for one in found.plugins() if one.name == "good-one"][1]
    first = infos["good-one", "p_copy"]  # sorted by name, then by module
    assert (first.models, first.errors, first.version, first.distribution) == (
        1,
        (),
        "1.2",
        "z-copy",
    )
    assert second.errors == ("the plugin name 'good-one' is taken by p_copy of z-copy",)
    assert errors("book", "zoo.plugins.book") == ()
    assert len(found.catalog().search(plugin="torchvision")) == 121
    assert found.catalog().find("good-one/net").card.factory == "nets:Net"


def test_first_copy_of_a_distribution_counts(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    distribution(site, "twice", "[zoo]\nnew = p_new\n", p_new=CARDS)
    distribution(other, "twice", "[zoo]\nold = p_old\n", p_old=CARDS)
    monkeypatch.setattr(sys, "path", [*sys.path, str(other), str(tmp_path / "nowhere")])
    assert [one.name for one in installed() if one.name in ("new", "old")] == ["new"]


def test_the_scan_finds_what_importlib_finds(site: Path) -> None:
    distribution(site, "some-thing", "[zoo]\n one = a.b \ntwo= c:d.e [extra]\n[other]\nthree = x\n")
    (site / "broken-1.dist-info").mkdir()
    (site / "odd-1.dist-info").mkdir()
    (site / "odd-1.dist-info" / "entry_points.txt").write_bytes(b"[zoo]\n\xff\xfe = x\n")
    scanned = {(one.name, one.module, one.value.partition(":")[2]) for one in _scanned()}
    (site / "odd-1.dist-info" / "entry_points.txt").unlink()
    asked = {
        (one.name, one.module, one.value.partition(":")[2].partition("[")[0].strip())
        for one in _asked()
    }
    assert scanned == asked
    assert {"book", "torchvision", "one", "two"} <= {name for name, *_ in scanned}


def test_one_module_under_two_names(site: Path) -> None:
    distribution(site, "twofold", "[zoo]\nfirst = p_two\nsecond = p_two\n", p_two=CARDS)
    found = manager(project=None)
    assert (info(found, "first").models, info(found, "first").errors) == (1, ())
    assert info(found, "second").errors
    assert info(found, "second").models == 0


def test_an_entry_point_may_name_an_object(site: Path) -> None:
    text = CARDS.replace("@zoo.hookimpl\n", "class P:\n  @zoo.hookimpl\n").replace(
        "def zoo_models():\n    ", "  def zoo_models(self):\n    "
    )
    distribution(site, "object", "[zoo]\nobj = p_obj:made\n", p_obj=text + "made = P()\n")
    assert info(manager(project=None), "obj").models == 1
    assert EntryPoint("obj", "p_obj:made", "").module == "p_obj"


def test_zoo_s_own_plugins_are_well() -> None:
    own = [one for one in manager(project=None).plugins() if one.module.startswith("zoo.plugins.")]
    assert [(one.name, one.models, one.errors) for one in own] == [
        ("book", len(book.CARDS), ()),
        ("devices", 0, ()),
        ("engines", 0, ()),
        ("llms", len(llms.CARDS), ()),
        ("torchvision", 121, ()),
    ]
    assert all(one.version == zoo.__version__ and one.distribution == "torch-zoo" for one in own)


@pytest.mark.parametrize("hook", HOOKS)
def test_a_spec_says_when_it_is_called_and_what_is_forbidden(hook: str) -> None:
    from zoo.plugins import hookspecs

    text = " ".join((getattr(hookspecs, hook).__doc__ or "").split())
    assert "Called once" in text
    assert "Must not" in text


EXAMPLE = Path(__file__).parents[2] / "examples" / "zoo-plugin-example"


def test_the_example_package_installs_and_works(tmp_path: Path) -> None:
    target = tmp_path / "site"
    options = ("--quiet", "--no-deps", "--no-build-isolation", "--disable-pip-version-check")
    pip = [sys.executable, "-m", "pip", "install", *options, "--target", str(target), str(EXAMPLE)]
    subprocess.run(pip, check=True)
    path = os.pathsep.join([str(target), *filter(None, [os.environ.get("PYTHONPATH")])])
    tests = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*tests, "--import-mode=importlib", "--rootdir", str(tmp_path), str(EXAMPLE / "tests")],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 passed" in done.stdout
