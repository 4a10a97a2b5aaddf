"""`./net.py:Net` and `package.module:factory`: where they lead, and what is said where they do
not."""

from __future__ import annotations

import dataclasses
import inspect
import pickle
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from zoo.catalog import Catalog, Resolved, resolve
from zoo.catalog.card import ModelCard
from zoo.catalog.catalog import Entry
from zoo.catalog.locate import locate
from zoo.errors import BadArgument, BadReference, BuildError

NET = """
from torch import nn

class Net(nn.Module):
    def __init__(self, width: int = 4, depth: int = 1):
        super().__init__()
        self.layers = nn.Sequential(*(nn.Linear(width, width) for _ in range(depth)))

    class Inner(nn.Linear):
        def __init__(self):
            super().__init__(1, 2)

def small(width=2):
    return Net(width)

built = Net(3)
number = 3
"""


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(path: str, text: str = NET) -> Path:
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def find(words: str, **arguments: object) -> Resolved:
    return resolve(words, Catalog(("book",)), arguments)


@pytest.mark.parametrize("place", ["./net.py", "net.py", "{here}/net.py", "../{name}/net.py"])
def test_a_file_by_any_path(place: str, tmp_path: Path) -> None:
    write("net.py")
    words = place.format(here=tmp_path, name=tmp_path.name) + ":Net"
    found = find(words, width=5)
    assert (found.name, found.plugin, found.factory) == (words, None, words)
    assert found.arguments == {"width": 5}
    assert type(found.build()).__name__ == "Net"


@pytest.mark.parametrize(
    ("name", "kind"), [("Net", "Net"), ("small", "Net"), ("built", "Net"), ("Net.Inner", "Inner")]
)
def test_what_a_file_may_hold(name: str, kind: str) -> None:
    write("net.py")
    assert type(find(f"./net.py:{name}").build()).__name__ == kind


def test_an_instance_is_given_as_it_is_and_takes_no_arguments() -> None:
    write("net.py")
    found = find("./net.py:built")
    assert found.build() is found.build()
    with pytest.raises(BadArgument, match=r"argument 'width' of \./net.py:built: .*built already"):
        find("./net.py:built", width=1)


def test_a_card_in_a_file() -> None:
    write("other.py")
    write(
        "cards.py",
        "import zoo\n"
        "card = zoo.ModelCard('mine', 'other:Net', 'Mine.', '1,4', {'width': 4})\n"
        "again = zoo.ModelCard('again', 'cards:card', 'A card of a card.')\n",
    )
    found = find("./cards.py:card", depth=2)
    assert (found.name, found.default_input) == ("mine", "1,4")
    assert dict(found.arguments) == {"width": 4, "depth": 2}
    assert len(list(found.build().parameters())) == 4
    with pytest.raises(BadReference, match="must not be a card again"):
        find("./cards.py:again")


def test_siblings_are_importable_when_loaded_and_when_built() -> None:
    write("one/layers.py", "from torch import nn\nclass Layer(nn.Linear): pass\nSIZE = 1\n")
    write("one/late.py", "SIZE = 7\n")
    write(
        "one/net.py",
        "from layers import Layer, SIZE\n"
        "def net():\n    import late\n    return Layer(SIZE, late.SIZE)\n",
    )
    before = sys.path[:]
    model = find("./one/net.py:net").build()
    assert tuple(model.weight.shape) == (7, 1)
    assert sys.path == before


def test_siblings_of_two_files_do_not_mix() -> None:
    for folder, size in (("one", 1), ("two", 2)):
        write(f"{folder}/sizes.py", f"SIZE = {size}\n")
        write(
            f"{folder}/net.py",
            "from torch import nn\nfrom sizes import SIZE\ndef net(): return nn.Linear(SIZE, 1)\n",
        )
    shapes = [find(f"./{folder}/net.py:net").build().weight.shape[1] for folder in ("one", "two")]
    assert shapes == [1, 2]


def test_a_folder_does_not_shadow_what_is_imported() -> None:
    write("torch.py", "raise RuntimeError('shadow')\n")
    write("random.py", "raise RuntimeError('shadow')\n")
    write("net.py")
    assert isinstance(find("./net.py:Net").build(), nn.Module)
    assert sys.modules["torch"] is torch


def test_path_is_given_back_when_a_file_changes_it_and_raises() -> None:
    write("net.py", "import sys\nsys.path.append('/nowhere')\nraise ValueError('no')\n")
    before = sys.path[:]
    with pytest.raises(BadReference):
        find("./net.py:Net")
    assert sys.path == before
    assert not [
        name
        for name in sys.modules
        if name.startswith("zoo_file_net")
        and getattr(sys.modules[name], "__file__", "").startswith(str(Path.cwd()))
    ]


def test_the_module_stays_and_has_its_source() -> None:
    write(
        "net.py",
        "import dataclasses\nfrom torch import nn\n"
        "@dataclasses.dataclass\nclass Config:\n    width: int = 2\n"
        "class Net(nn.Linear):\n"
        "    def __init__(self):\n        super().__init__(2, 2)\n        self.config = Config()\n",
    )
    model = find("./net.py:Net").build()
    assert pickle.loads(pickle.dumps(model)).config == model.config
    assert dataclasses.is_dataclass(model.config)
    assert inspect.getsource(type(model)).startswith("class Net(nn.Linear):")
    assert not Path("__pycache__").exists()


def test_a_changed_file_is_read_anew() -> None:
    file = write("net.py", "from torch import nn\ndef net(): return nn.Linear(1, 1)\n")
    first = find("./net.py:net").build()
    file.write_text("from torch import nn\ndef net(): return nn.Linear(1, 2)\n")
    assert (first.out_features, find("./net.py:net").build().out_features) == (1, 2)


def test_a_module_of_the_working_folder() -> None:
    write("mine_pkg/__init__.py", "")
    write("mine_pkg/nets.py", NET)
    before = sys.path[:]
    assert find("mine_pkg.nets:Net", width=2).build().layers[0].in_features == 2
    assert sys.path == before


def test_an_installed_module() -> None:
    assert find("torch.nn:Linear", in_features=1, out_features=2).build().out_features == 2


BROKEN = [
    ("./missing.py:Net", None, r"there is no file \./missing\.py\. Check the path\.$"),
    ("./nett.py:Net", NET, r"there is no file \./nett\.py\. Did you mean net\.py\?$"),
    ("./sub:Net", NET, r"there is no file \./sub"),
    (".:Net", NET, r"neither a file nor a module"),
    ("./:Net", NET, r"is a folder\. Name a file in it"),
    ("./net.py:Nett", NET, r"net\.py has no 'Nett'\. Did you mean Net\?$"),
    ("./net.py:zzz", NET, r"net\.py has no 'zzz'\. It defines Net, small, built\.$"),
    (
        "./net.py",
        NET,
        r"needs a name after it, as in \./net\.py:Net\. It defines Net, small, built\.$",
    ),
    ("./net.py:", NET, r"needs a name after it, as in \./net\.py:Net"),
    ("./net.py", "x = 1", r"It defines no class or function\.$"),
    ("./net.py:number", NET, r"number is of type int, not a class, function or nn\.Module"),
    (
        "./net.py:Net",
        "x = 1\n\nclass Net(:\n",
        r"^cannot load \./net\.py:Net: net\.py:3: invalid syntax$",
    ),
    ("./net.py:Net", "  x = 1\n", r"net\.py:1: unexpected indent$"),
    ("./net.py:Net", "x = 1\0", r"null bytes"),
    ("./net.py:Net", "x = 1\n1 / 0\n", r"importing it raised ZeroDivisionError: .* at net\.py:2$"),
    (
        "./net.py:Net",
        "import nowhere_at_all\n",
        r"ModuleNotFoundError: .*nowhere_at_all.* net\.py:1$",
    ),
    ("./net.py:Net", "from .a import b\n", r"relative import.*package\.module:factory$"),
    ("./net.py:Net", "raise SystemExit(3)\n", r"importing it raised SystemExit: 3 at net\.py:1$"),
    ("./net.py:Net", "import bad\n", r"bad\.py:2: "),
    ("net:Nett", NET, r"net\.py has no 'Nett'\. Did you mean Net\?$"),
    ("nowhere_at_all:Net", NET, r"no module is called 'nowhere_at_all'\. Is it installed"),
    ("torch.nowhere.at:Net", NET, r"no module is called 'torch\.nowhere'\. Is it installed"),
    ("bad:Net", NET, r"bad\.py:2: "),
    ("a b:Net", NET, r"'a b' is neither a file nor a module\. Write \./net\.py:Net or"),
    (":Net", NET, r"neither a file nor a module"),
    ("book:lenet", NET, r"no module is called 'book'.* Did you mean book/lenet\?$"),
]


@pytest.mark.parametrize(
    ("words", "text", "said"), BROKEN, ids=[f"{w}-{i}" for i, (w, *_) in enumerate(BROKEN)]
)
def test_what_is_said_of_a_reference_that_leads_nowhere(
    words: str, text: str | None, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("net", "bad"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    if text is not None:
        write("net.py", text)
        write("bad.py", "x = 1\ny = = 2\n")
    catalog = Catalog(
        ("book",), [Entry("book", ModelCard("lenet", "zoo.models.lenet:lenet", "LeNet."))]
    )
    with pytest.raises(BadReference, match=said) as caught:
        resolve(words, catalog)
    assert len(str(caught.value).splitlines()) == 1


def test_a_result_that_is_no_module() -> None:
    write("net.py", "def net(): return 3\n")
    with pytest.raises(BadReference, match=r"calling it returned int, not an nn\.Module"):
        find("./net.py:net").build()


def test_a_constructor_that_raises_says_where() -> None:
    write(
        "net.py",
        "from torch import nn\nclass Net(nn.Module):\n    def __init__(self, n=-1):\n"
        "        super().__init__()\n        self.fc = nn.Linear(4, n)\n",
    )
    found = find("./net.py:Net")
    with pytest.raises(
        BuildError, match=r"raised RuntimeError: .* at net\.py:5\. Check its arguments"
    ):
        found.build()
    write("out.py", "import sys\ndef net(): sys.exit(1)\n")
    found = find("./out.py:net")
    with pytest.raises(BuildError, match=r"raised SystemExit"):
        found.build()


def test_interrupting_is_not_an_error_of_the_file() -> None:
    write("net.py", "raise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt):
        find("./net.py:Net")


def test_a_card_that_leads_nowhere_names_itself() -> None:
    card = ModelCard("gone", "nowhere_at_all.nets:Net", "Gone.")
    catalog = Catalog(("mine",), [Entry("mine", card)])
    with pytest.raises(
        BadReference, match=r"nowhere_at_all\.nets:Net of mine/gone: no module is called"
    ):
        resolve("gone", catalog)


def test_locate_builds_nothing() -> None:
    write("net.py", "def net(): raise ValueError('built')\n")
    assert callable(locate("./net.py:net").target)
