"""Names of `zoo.language`: each is there, documented, and loads torch only where it needs it."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

import zoo.language
from tests.docs.markdown import DOCS, sections


def test_every_public_name_is_there_and_no_other() -> None:
    assert sorted(zoo.language.__all__) == sorted(zoo.language._HOME) == dir(zoo.language)
    with pytest.raises(AttributeError, match=r"'zoo\.language' has no attribute 'tokenise'"):
        zoo.language.__getattr__("tokenise")


def test_every_name_has_a_heading_and_a_docstring() -> None:
    headings = sections((DOCS / "reference" / "language.md").read_text())
    named = [
        one.removeprefix("zoo.language.").removesuffix("()")
        for one in headings
        if one.startswith("zoo.language.")
    ]
    assert sorted(named) == sorted(zoo.language.__all__)
    for name in named:
        assert getattr(zoo.language, name).__doc__, name


RETURNED = ("Candidate", "HuffmanTree", "MaskedTokens", "Pairs", "PretrainingBatch", "SentencePair")
"""Records that functions return and nobody makes by hand: their sections say which function."""


@pytest.mark.parametrize("name", sorted(set(zoo.language.__all__) - set(RETURNED)))
def test_a_section_opens_with_the_signature(name: str) -> None:
    given = inspect.signature(getattr(zoo.language, name))
    bare = [one.replace(annotation=inspect.Parameter.empty) for one in given.parameters.values()]
    signature = given.replace(parameters=bare, return_annotation=inspect.Signature.empty)
    page = (DOCS / "reference" / "language.md").read_text()
    _, _, section = page.partition(f"## zoo.language.{name}")
    line = section.splitlines()[2]
    assert line == f"`{name}{signature}`".replace("'", '"')


WITHOUT_TORCH = """
from zoo.language import NGramModel, Vocabulary, clean, tokenize
vocabulary = Vocabulary(tokenize(clean("To be or not to be")))
NGramModel(2).fit(vocabulary[["to", "be"]], len(vocabulary)).perplexity([1])
"""


@pytest.mark.parametrize(
    ("code", "loads"), [(WITHOUT_TORCH, 0), ("import zoo.language; import torch", 1)]
)
def test_torch_is_not_loaded_until_a_tensor_is_handled(code: str, loads: int) -> None:
    probe = f"import sys\n{code}\nsys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", probe], check=False).returncode == loads
